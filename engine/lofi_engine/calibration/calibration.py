"""All that quantizing may ask of the calibration prompts; nothing is rendered before it is asked.

Everything lies in files in one folder, a prompt, a matrix or a weight at a time, and is gone on
with where it was stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.calibration.grams import Grams, collect_grams
from lofi_engine.calibration.prompts import CalibrationPrompt
from lofi_engine.calibration.samples import record_samples
from lofi_engine.calibration.sensitivity import Sensitivity
from lofi_runtime.atomic import read_json, write_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Report = Callable[[int, int, str, str], None]
"""Takes how many are done, how many there are, of what, and a line for a human."""

SENSITIVITY_PROMPTS = 8
"""Each costs a run of the decoder a weight and width; there are hundreds of weights."""
ERRORS_FILE = "errors.json"


class Calibration:
    """Answers from the float32 bundle's activations.

    Args:
        folder: the float32 bundle.
        pipeline: the figures a manifest will hold.
        prompts: what to render.
        place: where everything is kept; made if missing.
        duration_sec: of each rendering.
        report: told of progress.
    """

    def __init__(
        self,
        folder: Path,
        pipeline: Mapping[str, Any],
        prompts: Sequence[CalibrationPrompt],
        place: Path,
        *,
        duration_sec: int,
        report: Report = lambda *_: None,
    ) -> None:
        self.prompts = tuple(prompts)
        self._folder, self._pipeline, self._place = folder, pipeline, place
        self._duration_sec = duration_sec
        self._report = report
        self._grams: dict[str, Grams] = {}

    def grams(self, component: str) -> Grams:
        """Give what the products of a component's graph are given.

        Raises:
            BackendError: the pipeline does not run.
            StageError: the graph cannot be run, or an activation is not finite.
        """
        if component not in self._grams:
            self._grams[component] = collect_grams(
                self._folder / f"{component}.onnx",
                self._samples,
                self._place / "grams" / component,
                lambda done, total: self._report(
                    done, total, "calibration passes", f"activations of {component}"
                ),
            )
        return self._grams[component]

    def error_of(
        self,
        component: str,
        weight: str,
        form: str,
        stored: Callable[[], npt.NDArray[np.float32]],
        *,
        rounds_activation: bool = False,
    ) -> float:
        """Give the guided velocity's squared error with a weight stored in a form, alone.

        Args:
            component: the weight's.
            weight: its name.
            form: says how it is stored; what was measured before is found by it.
            stored: gives what it would be read as; asked only where it must be measured.
            rounds_activation: whether its product rounds what it multiplies to 8 bits, too.

        Raises:
            BackendError: the pipeline does not run.
            StageError: a graph cannot be run.
        """
        key = f"{component}/{weight}: {form}"
        if key not in self._errors:
            self._errors[key] = self._sensitivity.error_of(
                component, weight, stored(), rounds_activation=rounds_activation
            )
            write_json(self._place / ERRORS_FILE, self._errors)
        return self._errors[key]

    def error_of_bundle(self, folder: Path) -> float:
        """Give the velocity's squared error with a whole variant's graphs; as of `error_of`."""
        return self._sensitivity.error_of_bundle(folder)

    def close(self) -> None:
        """Free the graphs that measure errors."""
        if opened := self.__dict__.pop("_sensitivity", None):
            opened.close()

    @cached_property
    def _samples(self) -> list[Path]:
        return record_samples(
            self._folder,
            self._pipeline,
            self.prompts,
            self._place / "samples",
            duration_sec=self._duration_sec,
            threads=1,  # sums in one order, so that the same recipe gives the same bytes
            on_prompt=lambda done, total: self._report(done, total, "calibration prompts", ""),
        )

    @cached_property
    def _errors(self) -> dict[str, float]:
        file = self._place / ERRORS_FILE
        return dict(read_json(file)) if file.is_file() else {}

    @cached_property
    def _sensitivity(self) -> Sensitivity:
        samples = self._samples[:SENSITIVITY_PROMPTS]
        return Sensitivity(self._folder, samples, self._place)
