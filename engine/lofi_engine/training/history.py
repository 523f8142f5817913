"""Every step of a training, kept in every checkpoint: losses, rates, norms, windows.

The plain loss says little: it moves with the noise level drawn far more than with what is learned.
So each window is kept with its noise level and style, and losses are told by both.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lofi_engine.training.report import StepReport, Window

if TYPE_CHECKING:
    import torch

BANDS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Edges of the noise levels that losses are told by: from nearly clean to nearly noise."""
_STEP = ("loss", "denoising_loss", "learning_rate", "gradient_norm")


@dataclass
class History:
    """All steps so far; `steps[n]` is step n + 1.

    Args:
        steps: what each step said.
        held_out: the denoising error on held-out tracks, by step; where it was measured.
        effects: how far the adapter moves the output, by step; see `guards.adapter_effect`.
        stopped_early: whether training ended before its last step because nothing got better.
    """

    steps: list[StepReport] = field(default_factory=list)
    held_out: dict[int, float] = field(default_factory=dict)
    effects: dict[int, float] = field(default_factory=dict)
    stopped_early: bool = False

    @property
    def losses(self) -> list[float]:
        """The loss of every step."""
        return [one.loss for one in self.steps]

    def by_band(self, since: int = 0) -> dict[str, float]:
        """Give the mean loss of each band of noise levels that was seen after step `since`.

        The keys are "0.0-0.2" and so on, in order.
        """
        return _means((band_of(window.sigma), window.loss) for window in self._windows(since))

    def by_style(self, since: int = 0) -> dict[str, float]:
        """Give the mean loss of each style that was seen after step `since`, by its id."""
        return _means((window.style, window.loss) for window in self._windows(since))

    def _windows(self, since: int) -> list[Window]:
        return [window for one in self.steps[since:] for window in one.windows]

    def rows(self) -> list[dict[str, Any]]:
        """Give one plain mapping a step, for a JSON file.

        What overflowed in fp16, a gradient's norm whose step was then skipped, is None: JSON has
        no infinity.
        """
        return [
            {
                "step": one.step,
                **{name: _or_none(getattr(one, name)) for name in _STEP},
                **({"projection_loss": one.projection_loss} if one.projection_loss else {}),
                "windows": [[seen.sigma, seen.style, seen.loss] for seen in one.windows],
            }
            for one in self.steps
        ]

    def tensors(self) -> dict[str, torch.Tensor]:
        """Give the steps as tensors; the styles' names are in `names`."""
        import torch

        styles, models = self.names()
        seen = [(one.step, window) for one in self.steps for window in one.windows]
        return {
            "steps": torch.tensor(
                [
                    [getattr(one, name) for name in _STEP]
                    + [one.projection_loss.get(model, 0.0) for model in models]
                    for one in self.steps
                ],
                dtype=torch.float64,
            ).reshape(len(self.steps), len(_STEP) + len(models)),
            "windows": torch.tensor(
                [
                    [step, window.sigma, styles.index(window.style), window.loss]
                    for step, window in seen
                ],
                dtype=torch.float64,
            ).reshape(len(seen), 4),
        }

    def names(self) -> tuple[list[str], list[str]]:
        """Give the styles and the SSL models that occur, as `tensors` counts them."""
        styles = {window.style for one in self.steps for window in one.windows}
        models = {model for one in self.steps for model in one.projection_loss}
        return sorted(styles), sorted(models)


def history_from(
    tensors: Mapping[str, torch.Tensor], styles: Sequence[str], models: Sequence[str]
) -> History:
    """Make a history of what `History.tensors` and `History.names` gave."""
    windows: dict[int, list[Window]] = defaultdict(list)
    for step, sigma, style, loss in tensors["windows"].tolist():
        windows[int(step)].append(Window(sigma, styles[int(style)], loss))
    history = History()
    for step, row in enumerate(tensors["steps"].tolist(), 1):
        loss, denoising_loss, learning_rate, gradient_norm = row[: len(_STEP)]
        history.steps.append(
            StepReport(
                step,
                loss,
                denoising_loss,
                dict(zip(models, row[len(_STEP) :], strict=True)),
                learning_rate,
                gradient_norm,
                tuple(windows[step]),
            )
        )
    return history


def band_of(sigma: float) -> str:
    """Name the band a noise level falls in, such as "0.2-0.4"."""
    at = min(sum(sigma >= edge for edge in BANDS[1:-1]), len(BANDS) - 2)
    return f"{BANDS[at]:.1f}-{BANDS[at + 1]:.1f}"


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _means(pairs: Any) -> dict[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    for name, value in pairs:
        found[name].append(value)
    return {name: sum(found[name]) / len(found[name]) for name in sorted(found)}
