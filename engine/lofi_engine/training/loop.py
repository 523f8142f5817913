"""The training loop: one adapter, exact resume, one process or several.

Every random draw comes from one generator whose state is in each checkpoint. Dropout inside the
networks draws from torch's global generator, which is therefore seeded from ours before every
forward pass: what is learned depends neither on what else drew nor on how many processes share the
work. A run stopped anywhere and resumed from its last checkpoint ends with the same bits on the
same machine and thread count.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.recipe.model import Training
from lofi_engine.training import checkpoints
from lofi_engine.training.adapters import adapter_norm, adapter_weights, set_adapter_weights
from lofi_engine.training.batch_loss import batch_loss
from lofi_engine.training.batches import Batch, Sampler
from lofi_engine.training.checkpoints import Checkpoint, WriteAdapter, write_bare
from lofi_engine.training.flow import draw_sigmas
from lofi_engine.training.guards import (
    Divergence,
    adapter_effect,
    check_effect,
    check_growth,
    is_over,
)
from lofi_engine.training.history import History
from lofi_engine.training.optimizers import make_optimizer, optimizer_tensors, restore_optimizer
from lofi_engine.training.processes import Processes
from lofi_engine.training.report import Report, StepReport, Window, ignore_warning
from lofi_engine.training.signals import StopRequest

if TYPE_CHECKING:
    import torch
    from peft import PeftModel

    from lofi_engine.models.family import Base

_SEEDS = 2**62
_LOWEST_SCALE = 1.0


def no_held_out_loss() -> float | None:
    """Say that there is nothing held out."""
    return None


@dataclass
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
        held_out_loss: measures the denoising error on held-out tracks; None where there are none.
        processes: those that train together, and which of them this is.
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
    held_out_loss: Callable[[], float | None] = no_held_out_loss
    processes: Processes = field(default_factory=Processes)

    def run(self, seed: int, report: Report) -> History:
        """Train to `settings.steps`, from the newest checkpoint if there is one.

        Ctrl-C and SIGTERM end the step at work and write a checkpoint first.

        Args:
            seed: of whatever draws outside the trainer's generator; nothing here does.
            report: called after every step, in the first process.

        Returns:
            Every step, resumed ones included.

        Raises:
            StageError: the loss is not a number or runs away, the adapter changes nothing, the
                disk is full, or a checkpoint does not fit. The last good checkpoint is kept.
            KeyboardInterrupt: the user asked to stop; a checkpoint of the last step is there.
        """
        import torch

        torch.manual_seed(seed % 2**63)
        run = _Run(self, History(), self._optimizer(), self._scaler())
        start = checkpoints.newest_checkpoint(self.folder)
        if start is not None:
            run.restore(start)
        transformer: Any = self.base.transformer
        transformer.gradient_checkpointing = self.settings.gradient_checkpointing
        self.model.train()
        with StopRequest() as request:
            run.go_on(report, request)
        return run.history

    def _optimizer(self) -> torch.optim.Optimizer:
        settings = self.settings
        return make_optimizer(settings.optimizer, self.model.parameters(), settings.learning_rate)

    def _scaler(self) -> torch.amp.GradScaler | None:
        """Give what keeps small gradients from vanishing in fp16 (Micikevicius et al. 2018)."""
        import torch

        return torch.amp.GradScaler(self.device.type) if self.settings.precision == "fp16" else None


@dataclass
class _Run:
    """A trainer at work."""

    trainer: Trainer
    history: History
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None

    def go_on(self, report: Report, request: StopRequest) -> None:
        trainer, settings = self.trainer, self.trainer.settings
        divergence = Divergence(self.history.losses)
        done = len(self.history.steps)
        for step in range(done + 1, settings.steps + 1):
            if self.history.stopped_early:
                return
            said = self._step(step)
            self._refuse_nonsense(said)
            runaway = divergence.take(said.loss)
            if runaway:
                raise self._stopped(runaway)
            self.history.steps.append(said)
            # Before the checkpoint: what is reported at a step (a sample clip) is then made again
            # when a kill falls between the two, instead of being missed for ever.
            if trainer.processes.is_first:
                report(said)
            stopping = trainer.processes.any(request.asked)
            if stopping or step % settings.checkpoint_every == 0 or step == settings.steps:
                self._checkpoint(step, judge=step % settings.checkpoint_every == 0)
            if stopping and step < settings.steps and not self.history.stopped_early:
                raise KeyboardInterrupt

    def _step(self, step: int) -> StepReport:
        import torch

        trainer, settings = self.trainer, self.trainer.settings
        self.optimizer.zero_grad(set_to_none=True)
        total, projection, windows = self._accumulate()
        parts = [part for group in self.optimizer.param_groups for part in group["params"]]
        trainer.processes.average_gradients(parts)
        if self.scaler:
            self.scaler.unscale_(self.optimizer)
        norm = float(torch.nn.utils.clip_grad_norm_(parts, settings.clip_grad_norm))
        rate = learning_rate(step, settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self._move(norm)
        processes = trainer.processes
        everyone = [window for part in processes.gather(windows) for window in part]
        return StepReport(
            step,
            processes.mean(total),
            sum(window.loss for window in everyone) / len(everyone),
            {name: processes.mean(projection[name]) for name in sorted(projection)},
            rate,
            norm,
            tuple(everyone),
        )

    def _accumulate(self) -> tuple[float, dict[str, float], list[Window]]:
        """Sum up a step's gradients; give its loss, that of each SSL model, and its windows."""
        trainer, settings = self.trainer, self.trainer.settings
        total = 0.0
        projection: dict[str, float] = {}
        windows: list[Window] = []
        for _ in range(settings.accumulate):
            batch, sigmas, noise = self._draw()
            found = batch_loss(
                trainer.base,
                batch,
                sigmas,
                noise,
                precision=settings.precision,
                ssl_coefficient=settings.ssl.coefficient if settings.ssl else 0.0,
            )
            share = found.total / settings.accumulate
            scaled: Any = self.scaler.scale(share) if self.scaler else share
            scaled.backward()
            total += share.item()
            for name, value in found.projection.items():
                projection[name] = projection.get(name, 0.0) + value / settings.accumulate
            seen = zip(sigmas.tolist(), batch.styles, found.denoising.tolist(), strict=True)
            windows += [Window(*one) for one in seen]
        return total, projection, windows

    def _move(self, norm: float) -> None:
        if self.scaler:
            self.scaler.step(self.optimizer)  # skips a step whose gradients overflowed
            self.scaler.update()
        elif math.isfinite(norm):
            self.optimizer.step()

    def _draw(self) -> tuple[Batch, torch.Tensor, torch.Tensor]:
        """Draw this process's batch, and pass over those of the others in the same order."""
        import torch

        trainer, count = self.trainer, self.trainer.settings.batch_size
        generator = trainer.generator
        mine: tuple[Batch, torch.Tensor, torch.Tensor, int] | None = None
        for rank in range(trainer.processes.count):
            batch = trainer.sampler.draw(count) if rank == trainer.processes.rank else None
            frames = trainer.sampler.skip(count) if batch is None else batch.latents.shape[-1]
            # Drawn on the CPU, so that the same seed trains alike whatever the device.
            sigmas = draw_sigmas(count, trainer.settings.timestep_shift, generator)
            noise = torch.randn((count, 8, 16, frames), generator=generator)
            dropout_seed = int(torch.randint(_SEEDS, (1,), generator=generator))
            if batch is not None:
                mine = batch, sigmas, noise, dropout_seed
        assert mine is not None  # a rank lies below the count
        torch.manual_seed(mine[3])
        return mine[:3]

    def _refuse_nonsense(self, said: StepReport) -> None:
        overflow_is_handled = self.scaler is not None and self.scaler.get_scale() >= _LOWEST_SCALE
        for what, value in (("loss", said.loss), ("gradient's norm", said.gradient_norm)):
            if math.isfinite(value) or (what != "loss" and overflow_is_handled):
                continue
            raise self._stopped(f"the {what} at step {said.step} is {value}")

    def _stopped(self, why: str) -> StageError:
        kept = checkpoints.all_checkpoints(self.trainer.folder)
        good = f"; the last good checkpoint is {kept[-1].name}" if kept else ""
        return StageError(
            f"training: {why}{good}",
            hint="lower training.learning_rate or use precision fp32",
        )

    def _checkpoint(self, step: int, *, judge: bool) -> None:
        import torch

        trainer, history = self.trainer, self.history
        weights = adapter_weights(trainer.model)
        settings = trainer.settings
        if judge or step == settings.steps:
            self._judge(step, adapter_norm(weights))
        if trainer.processes.is_first:
            cuda = trainer.device.type == "cuda"
            checkpoint = Checkpoint(
                step=step,
                adapter=weights,
                optimizer=optimizer_tensors(self.optimizer),
                generator=trainer.generator.get_state(),
                global_generator=torch.get_rng_state(),
                history=history,
                threads=torch.get_num_threads(),
                cuda_generator=torch.cuda.get_rng_state() if cuda else None,
                scaler=self.scaler.state_dict() if self.scaler else {},
            )
            checkpoints.save_checkpoint(trainer.folder, checkpoint, trainer.write_adapter)
        trainer.processes.wait()

    def _judge(self, step: int, norm: float) -> None:
        """Measure what the loss does not say: held-out loss, and that the adapter does anything."""
        trainer, history = self.trainer, self.history
        effect = adapter_effect(trainer.base, trainer.model, self._probe())
        last = step == trainer.settings.steps
        check_effect(effect, norm, step, last=last, warn=trainer.warn)
        history.effects[step] = effect
        if last:
            check_growth(history.effects, trainer.warn)
        held_out = trainer.held_out_loss() if trainer.processes.is_first else None
        trainer.model.train()
        if held_out is not None:
            history.held_out[step] = held_out
        over = is_over(history.held_out, trainer.settings.early_stop)
        history.stopped_early = trainer.processes.any(over)

    def _probe(self) -> Batch:
        """Give a batch that is the same at every checkpoint; the generator stays where it is."""
        generator = self.trainer.generator
        state = generator.get_state()
        generator.manual_seed(0)
        batch = self.trainer.sampler.draw(1)
        generator.set_state(state)
        return batch

    def restore(self, start: Checkpoint) -> None:
        import torch

        trainer = self.trainer
        if start.threads != torch.get_num_threads():
            trainer.warn(
                f"resumed with {torch.get_num_threads()} threads, the checkpoint was made with "
                f"{start.threads}: the result will differ in its last bits"
            )
        set_adapter_weights(trainer.model, start.adapter)
        restore_optimizer(self.optimizer, start.optimizer)
        trainer.generator.set_state(start.generator)
        torch.set_rng_state(start.global_generator)
        if start.cuda_generator is not None and trainer.device.type == "cuda":
            torch.cuda.set_rng_state(start.cuda_generator)
        if self.scaler and start.scaler:
            self.scaler.load_state_dict(dict(start.scaler))
        self.history = start.history


def learning_rate(step: int, settings: Training) -> float:
    """Give the rate of a step counted from 1: linear warm-up, then linear decay towards 0."""
    done = step - 1
    if done < settings.warmup_steps:
        return settings.learning_rate * (done + 1) / (settings.warmup_steps + 1)
    rest = max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * max(0.0, 1.0 - (done - settings.warmup_steps) / rest)
