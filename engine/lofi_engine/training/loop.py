"""The training loop: one process, one adapter, exact resume.

Every random draw comes from two generators whose states are in each checkpoint, so a run stopped
anywhere and resumed from its last checkpoint ends with the same bits on the same machine and
thread count.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.recipe.model import Training
from lofi_engine.training import checkpoints
from lofi_engine.training.adapters import adapter_weights, set_adapter_weights
from lofi_engine.training.batches import Sampler
from lofi_engine.training.checkpoints import Checkpoint, WriteAdapter, write_bare
from lofi_engine.training.flow import add_noise, denoising_loss, draw_sigmas

if TYPE_CHECKING:
    import torch
    from peft import PeftModel

    from lofi_engine.models.family import Base

ADAM_BETAS = (0.8, 0.9)
WEIGHT_DECAY = 1e-2


def ignore_warning(_message: str) -> None:
    """Tell nobody."""


Report = Callable[[int, float], None]
"""`report(step, loss)` after every step."""


@dataclass(frozen=True)
class Trainer:
    """Everything a loop holds.

    Args:
        base: the base whose transformer carries the adapter; its `velocity` is trained.
        model: the PEFT model around that transformer.
        sampler: draws batches.
        settings: the recipe's training block.
        generator: the sampler's generator, also used for noise and timesteps.
        folder: where checkpoints go.
        device: where the transformer lies.
        write_adapter: writes a checkpoint's adapter.
        warn: takes what the user should know.
    """

    base: Base
    model: PeftModel
    sampler: Sampler
    settings: Training
    generator: torch.Generator
    folder: Path
    device: torch.device
    write_adapter: WriteAdapter = write_bare
    warn: Callable[[str], None] = ignore_warning

    def run(self, seed: int, report: Report) -> tuple[float, ...]:
        """Train to `settings.steps`, from the newest checkpoint if there is one.

        Returns:
            The loss of every step, resumed ones included.

        Raises:
            StageError: the loss is not a number, or a checkpoint does not fit.
        """
        import torch

        torch.manual_seed(seed % 2**63)
        optimizer = self._optimizer()
        losses: list[float] = []
        start = checkpoints.newest_checkpoint(self.folder)
        if start is not None:
            self._restore(start, optimizer)
            losses += start.losses
        self.model.train()
        for step in range(len(losses) + 1, self.settings.steps + 1):
            losses.append(self._step(step, optimizer))
            # Before the checkpoint: what is reported at a step (a sample clip) is then made again
            # when a kill falls between the two, instead of being missed for ever.
            report(step, losses[-1])
            if step % self.settings.checkpoint_every == 0 or step == self.settings.steps:
                checkpoint = self._checkpoint(step, optimizer, losses)
                checkpoints.save_checkpoint(self.folder, checkpoint, self.write_adapter)
        return tuple(losses)

    def _optimizer(self) -> torch.optim.AdamW:
        import torch

        trainable = [part for part in self.model.parameters() if part.requires_grad]
        return torch.optim.AdamW(
            trainable, lr=self.settings.learning_rate, betas=ADAM_BETAS, weight_decay=WEIGHT_DECAY
        )

    def _step(self, step: int, optimizer: torch.optim.AdamW) -> float:
        import torch

        optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for _ in range(self.settings.accumulate):
            loss = self._loss() / self.settings.accumulate
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        parts = [part for group in optimizer.param_groups for part in group["params"]]
        norm = float(torch.nn.utils.clip_grad_norm_(parts, self.settings.clip_grad_norm))
        for what, value in (("loss", total), ("gradient's norm", norm)):
            if not math.isfinite(value):
                raise StageError(
                    f"training: the {what} at step {step} is {value}",
                    hint="lower training.learning_rate or use precision fp32",
                )
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, self.settings)
        optimizer.step()
        return total

    def _loss(self) -> torch.Tensor:
        import torch

        batch = self.sampler.draw(self.settings.batch_size)
        # Drawn on the CPU, so that the same seed trains alike whatever the device.
        sigmas = draw_sigmas(len(batch.latents), self.settings.timestep_shift, self.generator)
        noise = torch.randn(batch.latents.shape, generator=self.generator)
        latents, sigmas = batch.latents.to(self.device), sigmas.to(self.device)
        noisy = add_noise(latents, noise.to(self.device), sigmas)
        precision = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.settings.precision)
        with torch.autocast(self.device.type, dtype=precision, enabled=precision is not None):
            velocity = self.base.velocity(noisy, sigmas * 1000, batch.conditioning.to(self.device))
        return denoising_loss(velocity.float(), noisy, latents, sigmas).mean()

    def _checkpoint(
        self, step: int, optimizer: torch.optim.AdamW, losses: list[float]
    ) -> Checkpoint:
        import torch

        return Checkpoint(
            step=step,
            adapter=adapter_weights(self.model),
            optimizer=_optimizer_tensors(optimizer),
            generator=self.generator.get_state(),
            global_generator=torch.get_rng_state(),
            losses=tuple(losses),
            threads=torch.get_num_threads(),
            cuda_generator=torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
        )

    def _restore(self, start: Checkpoint, optimizer: torch.optim.AdamW) -> None:
        import torch

        if start.threads != torch.get_num_threads():
            self.warn(
                f"resumed with {torch.get_num_threads()} threads, the checkpoint was made with "
                f"{start.threads}: the result will differ in its last bits"
            )
        set_adapter_weights(self.model, start.adapter)
        _restore_optimizer(optimizer, start.optimizer)
        self.generator.set_state(start.generator)
        torch.set_rng_state(start.global_generator)
        if start.cuda_generator is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(start.cuda_generator)


def learning_rate(step: int, settings: Training) -> float:
    """Give the rate of a step counted from 1: linear warm-up, then linear decay towards 0."""
    done = step - 1
    if done < settings.warmup_steps:
        return settings.learning_rate * (done + 1) / (settings.warmup_steps + 1)
    rest = max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * max(0.0, 1.0 - (done - settings.warmup_steps) / rest)


def _optimizer_tensors(optimizer: torch.optim.AdamW) -> dict[str, torch.Tensor]:
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return {
        f"{index:05d}/{name}": tensor
        for index, moments in state.items()
        for name, tensor in moments.items()
    }


def _restore_optimizer(
    optimizer: torch.optim.AdamW, tensors: dict[str, torch.Tensor] | Any
) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        index, moment = name.split("/")
        state.setdefault(int(index), {})[moment] = tensor
    whole = optimizer.state_dict()
    whole["state"] = state
    optimizer.load_state_dict(whole)
