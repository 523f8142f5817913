"""The loop that teaches one network: steps, a running mean of the weights, exact resumption.

Everything a step depends on is in the checkpoint: weights, their mean, optimizers, both random
generators, the step's number. A run that was stopped ends with the same weights as one that was
not, on the same machine and number of threads.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from lofi_engine.errors import StageError
from lofi_engine.pretraining.settings import StepSettings
from lofi_runtime.atomic import replacing

CHECKPOINT, LOSSES = "checkpoint.pt", "losses.jsonl"
_SAVE_EVERY_SEC = 120.0
_REPORT_EVERY = 25
_LAST_RATE = 0.02
"""Share of the learning rate that is left at the end."""


@dataclass(frozen=True)
class Progress:
    """What one line of progress says.

    Args:
        name: of the network.
        step: steps done.
        steps: in all.
        losses: means since the last report, by name.
        steps_per_sec: of this run.
    """

    name: str
    step: int
    steps: int
    losses: Mapping[str, float]
    steps_per_sec: float


@dataclass(frozen=True)
class Teaching:
    """How a network is taught, whichever it is.

    Args:
        settings: how long and how fast.
        folder: where its checkpoint and losses are kept; made if missing.
        seed: of every draw.
        report: told of progress every 25 steps.
        device: that it is moved to; a checkpoint made on one goes on on another.
    """

    settings: StepSettings
    folder: Path
    seed: int
    report: Callable[[Progress], None] = lambda _: None
    device: str = "cpu"


class Loop:
    """Teaches `networks` by calling a function once a step.

    Args:
        name: what is taught; its lines of progress are named so.
        networks: by name; every parameter of theirs that requires a gradient is optimized.
        teaching: how.
        helpers: networks that are taught beside them and not shipped, with their own optimizer.
    """

    def __init__(
        self,
        name: str,
        networks: Mapping[str, nn.Module],
        teaching: Teaching,
        helpers: Mapping[str, nn.Module] | None = None,
    ) -> None:
        self.name = name
        self.step = 0
        self.settings = teaching.settings
        self.draws = torch.Generator().manual_seed(teaching.seed)
        self.device = torch.device(teaching.device)
        self._folder = teaching.folder
        self._report = teaching.report
        self._networks = nn.ModuleDict(networks).to(self.device)
        self._helpers = nn.ModuleDict(helpers or {}).to(self.device)
        self.optimizer = _adam(self._networks, self.settings)
        self.helper_optimizer = _adam(self._helpers, self.settings) if helpers else None
        self._mean = {key: value.detach().clone() for key, value in self._floats()}
        self._folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(teaching.seed)

    def run(self, step: Callable[[int], Mapping[str, float]], until: int | None = None) -> None:
        """Go on from the checkpoint, or begin, and leave the mean weights in the networks.

        The networks are on the CPU afterwards.

        Args:
            step: does one step, optimizers included; gives its losses by name.
            until: stop after so many steps with a checkpoint and the last weights, as a kill would.

        Raises:
            StageError: a loss is no number, or the checkpoint is another recipe's or damaged.
        """
        self._resume()
        last = self.settings.steps if until is None else min(until, self.settings.steps)
        clock, first, saved, sums = time.monotonic(), self.step, time.monotonic(), _Sums()
        while self.step < last:
            self._set_rate()
            losses = step(self.step)
            self.step += 1
            self._average()
            sums.add(losses)
            if self.step % _REPORT_EVERY == 0 or self.step == last:
                speed = (self.step - first) / max(time.monotonic() - clock, 1e-9)
                told = Progress(
                    self.name, self.step, self.settings.steps, sums.take(self.name), speed
                )
                self._write(told)
                self._report(told)
            if time.monotonic() - saved > _SAVE_EVERY_SEC:
                self._save()
                saved = time.monotonic()
        if self.step > first:
            self._save()
        if self.step == self.settings.steps:
            self._networks.load_state_dict({**self._networks.state_dict(), **self._mean})
        self._networks.to("cpu")

    def take_step(self, loss: torch.Tensor, largest_norm: float) -> None:
        """Take one optimizer step of the networks, their gradient cut to a norm."""
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters(), largest_norm)
        self.optimizer.step()

    def step_helpers(self, fault: torch.Tensor) -> None:
        """Take one optimizer step of the helpers against a loss of theirs."""
        if self.helper_optimizer is None:
            raise RuntimeError("there are no helpers to teach")
        self.helper_optimizer.zero_grad()
        fault.backward()  # type: ignore[no-untyped-call]
        self.helper_optimizer.step()

    def parameters(self) -> list[nn.Parameter]:
        """List what is optimized."""
        return [one for one in self._networks.parameters() if one.requires_grad]

    def arithmetic(self) -> torch.autocast:
        """Give the context that the networks run in."""
        is_half = self.settings.precision == "bf16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=is_half)

    def _floats(self) -> list[tuple[str, torch.Tensor]]:
        return [
            (key, value)
            for key, value in self._networks.state_dict().items()
            if value.is_floating_point()
        ]

    def _average(self) -> None:
        """Move the mean towards the weights; early on it follows them closely."""
        keep = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        pairs = self._floats()
        torch._foreach_lerp_(
            [self._mean[key] for key, _ in pairs], [value.detach() for _, value in pairs], 1 - keep
        )

    def _set_rate(self) -> None:
        settings = self.settings
        warm = min(1.0, (self.step + 1) / max(settings.warmup_steps, 1))
        fall = 0.5 * (1 + math.cos(math.pi * self.step / settings.steps))
        rate = settings.learning_rate * warm * (_LAST_RATE + (1 - _LAST_RATE) * fall)
        for optimizer in filter(None, (self.optimizer, self.helper_optimizer)):
            for group in optimizer.param_groups:
                group["lr"] = rate

    def _write(self, told: Progress) -> None:
        with (self._folder / LOSSES).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": told.step, **told.losses}) + "\n")

    def _save(self) -> None:
        state = {
            "steps": self.settings.steps,
            "step": self.step,
            "networks": self._networks.state_dict(),
            "mean": self._mean,
            "helpers": self._helpers.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "helper_optimizer": self.helper_optimizer and self.helper_optimizer.state_dict(),
            "draws": self.draws.get_state(),
            "random": torch.get_rng_state(),
        }
        if self.device.type == "cuda":
            state["cuda_random"] = torch.cuda.get_rng_state(self.device)
        with replacing(self._folder / CHECKPOINT) as aside:
            torch.save(state, aside)

    def _resume(self) -> None:
        path = self._folder / CHECKPOINT
        if not path.is_file():
            (self._folder / LOSSES).unlink(missing_ok=True)
            return
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            self._networks.load_state_dict(state["networks"])
            self._helpers.load_state_dict(state["helpers"])
        except (OSError, RuntimeError, KeyError, EOFError, ValueError, UnpicklingError) as error:
            raise StageError(
                f"{path}: this checkpoint cannot be gone on from: {str(error).splitlines()[0]}",
                hint="it is damaged or of other shapes; remove it to begin this network again",
            ) from error
        self._mean = {key: value.to(self.device) for key, value in state["mean"].items()}
        self.optimizer.load_state_dict(state["optimizer"])
        if self.helper_optimizer is not None:
            self.helper_optimizer.load_state_dict(state["helper_optimizer"])
        self.draws.set_state(state["draws"])
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda" and "cuda_random" in state:
            torch.cuda.set_rng_state(state["cuda_random"], self.device)
        self.step = state["step"]
        _cut_losses(self._folder / LOSSES, self.step)


class _Sums:
    """Means of losses between two reports."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, losses: Mapping[str, float]) -> None:
        for name, loss in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + loss
            self._counts[name] = self._counts.get(name, 0) + 1

    def take(self, network: str) -> dict[str, float]:
        means = {name: self._sums[name] / self._counts[name] for name in self._sums}
        for name, mean in means.items():
            if not math.isfinite(mean):
                raise StageError(
                    f"{network}: the loss '{name}' is {mean}",
                    hint="lower the learning rate; the last checkpoint is kept",
                )
        self._sums, self._counts = {}, {}
        return means


def _adam(networks: nn.Module, settings: StepSettings) -> torch.optim.AdamW:
    parameters = [one for one in networks.parameters() if one.requires_grad]
    return torch.optim.AdamW(
        parameters,
        lr=settings.learning_rate,
        betas=(0.9, 0.99),
        weight_decay=settings.weight_decay,
        fused=True,
    )


def _cut_losses(path: Path, step: int) -> None:
    """Drop what was written after the checkpoint; those steps are done again."""
    if path.is_file():
        rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text(
            "".join(row for row in rows if json.loads(row)["step"] <= step), encoding="utf-8"
        )
