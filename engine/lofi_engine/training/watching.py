"""What one sees of a training while it runs; none of it may end the training."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lofi_engine.training.board import Board
from lofi_engine.training.progress_line import ProgressLine, SmoothedLoss
from lofi_engine.training.recorded import recorded_judgements, recorded_losses
from lofi_engine.training.report import StepReport
from lofi_engine.training.samples import SampleSuite
from lofi_runtime.errors import LofiError

Show = Callable[[int, str], None]
"""Called with the step and a line for a human."""


@dataclass
class Watch:
    """Called after every step: shows a line, writes the board, renders samples now and then.

    Args:
        folder: holds the training's checkpoints.
        board: takes every step's figures; None once it could not be written.
        suite: what is rendered.
        sample_every: steps between its rounds.
        line: what is shown.
        show: shows it.
        warn: takes what went wrong beside the training.
    """

    folder: Path
    board: Board | None
    suite: SampleSuite
    sample_every: int
    line: ProgressLine
    show: Show
    warn: Callable[[str], None]
    _smoothed: SmoothedLoss | None = None

    def __call__(self, said: StepReport) -> None:
        """Take what a step said."""
        if self._smoothed is None:
            earlier = recorded_losses(self.folder) if said.step > 1 else []
            self._smoothed = SmoothedLoss(earlier)
        smoothed = self._smoothed.take(said.loss)
        self.show(said.step, self.line.write(said, smoothed))
        self._on_board(lambda board: self._tell(board, said, smoothed))
        if said.step % self.sample_every == 0:
            clock = time.monotonic()
            self._sample(said.step)
            self.line.leave_out(time.monotonic() - clock)

    def close(self) -> None:
        """Write what the last checkpoint measured, and close the files."""
        self._on_board(self._tell_judgements)
        self._on_board(Board.close)

    def _tell(self, board: Board, said: StepReport, smoothed: float) -> None:
        board.write(said, smoothed)
        self._tell_judgements(board)

    def _tell_judgements(self, board: Board) -> None:
        board.judge(recorded_judgements(self.folder))

    def _on_board(self, write: Callable[[Board], None]) -> None:
        if self.board is None:
            return
        try:
            write(self.board)
        except OSError as error:
            self.board = None
            self.warn(f"train: the TensorBoard files are written no more: {error}")

    def _sample(self, step: int) -> None:
        try:
            self.suite.render(step)
        # Out of memory is torch's RuntimeError on an accelerator, MemoryError elsewhere; libraries
        # refuse what a diverged model gives with ValueError.
        except (LofiError, RuntimeError, OSError, MemoryError, ValueError) as error:
            why = str(error).partition("\n")[0] or type(error).__name__
            self.warn(f"train: no samples at step {step}, training goes on: {why}")
