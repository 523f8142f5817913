"""A training's figures as TensorBoard event files, written while it runs.

Two runs side by side: `steps` holds what every step says, `checkpoints` what is measured at
checkpoints. A resumed training goes on in a further file that takes back the steps it does again.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.training.history import band_of
from lofi_engine.training.report import StepReport

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

BOARD = "tensorboard"
STEPS, CHECKPOINTS = "steps", "checkpoints"
NO_STYLE = "none"
_EVENTS = "events.out.tfevents"


class Board:
    """Writes a training's figures where `tensorboard --logdir` reads them.

    Args:
        folder: of this training; what an earlier start left there is gone on with.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._steps: SummaryWriter | None = None
        self._checkpoints: SummaryWriter | None = None
        self._judged: set[tuple[str, int]] = set()

    def write(self, said: StepReport, smoothed: float) -> None:
        """Write a step's figures through to the disk.

        Raises:
            OSError: the disk is full or cannot be written.
        """
        if self._steps is None:
            # Steps that a killed training did after its last checkpoint are done, and told, again.
            self._steps = _open(self._folder / STEPS, purge_step=said.step)
        for tag, value in figures(said, smoothed):
            _add(self._steps, tag, value, said.step)
        # A kill loses what was not written: the steps before a checkpoint are never told again.
        _flush(self._steps)

    def judge(self, figures: Mapping[str, Mapping[int, float]]) -> None:
        """Write what was measured at checkpoints, by what it is and by step; each once.

        Args:
            figures: all so far, such as {"held_out_loss": {500: 0.8}}.

        Raises:
            OSError: the disk is full or cannot be written.
        """
        fresh = [
            (name, step, value)
            for name, by_step in figures.items()
            for step, value in sorted(by_step.items())
            if (name, step) not in self._judged
        ]
        if not fresh:
            return
        if self._checkpoints is None:
            # Few, and all at hand: after a resume they are written anew.
            shutil.rmtree(self._folder / CHECKPOINTS, ignore_errors=True)
            self._checkpoints = _open(self._folder / CHECKPOINTS)
        for name, step, value in fresh:
            _add(self._checkpoints, name, value, step)
            self._judged.add((name, step))
        _flush(self._checkpoints)

    def close(self) -> None:
        """Close the files.

        Raises:
            OSError: what was left to write could not be.
        """
        writers, self._steps, self._checkpoints = (self._steps, self._checkpoints), None, None
        for writer in writers:
            if writer is not None:
                writer.close()


def figures(said: StepReport, smoothed: float) -> Iterator[tuple[str, float]]:
    """Give a step's figures by their tags.

    Yields:
        "loss/total", "loss/smoothed", "loss/denoising", "projection/<model>",
        "optimizer/learning_rate", "optimizer/gradient_norm", and for what the step saw
        "loss_by_noise/<band>" and "loss_by_style/<style>".
    """
    yield "loss/total", said.loss
    yield "loss/smoothed", smoothed
    yield "loss/denoising", said.denoising_loss
    for model, value in said.projection_loss.items():
        yield f"projection/{model}", value
    yield "optimizer/learning_rate", said.learning_rate
    yield "optimizer/gradient_norm", said.gradient_norm
    seen: dict[str, list[float]] = defaultdict(list)
    for window in said.windows:
        seen[f"loss_by_noise/{band_of(window.sigma)}"].append(window.loss)
        seen[f"loss_by_style/{window.style or NO_STYLE}"].append(window.loss)
    for tag in sorted(seen):
        yield tag, sum(seen[tag]) / len(seen[tag])


def collect_board(board: Path, place: Path) -> list[Path]:
    """Copy a board's event files; their names then say neither the machine nor the time.

    Args:
        board: as `Board` left it; may be missing.
        place: made where there is something to copy.

    Returns:
        The copies.
    """
    copies = []
    for run in (STEPS, CHECKPOINTS):
        # The library begins names with the time, so they sort as they were written.
        for number, file in enumerate(sorted((board / run).glob(f"{_EVENTS}.*"))):
            copy = place / run / f"{_EVENTS}.{number:04d}"
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
            copies.append(copy)
    return copies


def _open(folder: Path, **options: Any) -> SummaryWriter:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), **options)


def _add(writer: SummaryWriter, tag: str, value: float, step: int) -> None:
    writer.add_scalar(tag, value, step)


def _flush(writer: SummaryWriter) -> None:
    writer.flush()
