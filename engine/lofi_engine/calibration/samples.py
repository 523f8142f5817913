"""What the pipeline gives its graphs, written down: one file a prompt, so that it can be gone on.

The float32 bundle renders each prompt with the runtime's own loop; the inputs of the text encoder,
the encoder and, at a few of the steps, the decoder are kept. Which steps turns from prompt to
prompt, so that together they cover every noise level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.calibration.prompts import CalibrationPrompt
from lofi_runtime.backend import Request
from lofi_runtime.decoder import WHOLE
from lofi_runtime.sessions import Sessions

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_runtime.bundle import Bundle

STEPS, KEPT_STEPS = 8, 3
"""Of each prompt's denoising, and how many of them are kept."""

Feeds = dict[str, Any]
Sample = tuple[str, Feeds]
"""A component, and what its graph was given by name."""


def record_samples(
    folder: Path,
    pipeline: Mapping[str, Any],
    prompts: Sequence[CalibrationPrompt],
    target: Path,
    *,
    duration_sec: int,
    threads: int = 0,
    on_prompt: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Path]:
    """Render `prompts` and keep what the graphs were given; files that are there are kept.

    Args:
        folder: the float32 bundle's graphs.
        pipeline: the figures a manifest will hold (`PipelineConfig`).
        prompts: what to render.
        target: where a file a prompt is written; made if missing.
        duration_sec: of each.
        threads: for one graph; 0 lets ONNX Runtime choose.
        on_prompt: called with how many are done and how many there are, after each.

    Raises:
        BackendError: a graph cannot be loaded or run.
    """
    import numpy as np

    from lofi_runtime.atomic import replacing

    target.mkdir(parents=True, exist_ok=True)
    files = [target / f"{number:05d}.npz" for number in range(len(prompts))]
    backend = sessions = None
    for number, (prompt, file) in enumerate(zip(prompts, files, strict=True)):
        if not file.is_file():
            if backend is None or sessions is None:
                backend, sessions = _open(folder, pipeline, threads)
            sessions.begin(kept_steps(number))
            backend.latents(_request(prompt, duration_sec), lambda *_: None)
            with replacing(file) as place, place.open("wb") as stream:
                np.savez(stream, **_flat(sessions.samples))
        on_prompt(number + 1, len(prompts))
    return files


def read_samples(files: Sequence[Path], component: str) -> Iterator[Feeds]:
    """Read what `component` was given, file after file."""
    import numpy as np

    for file in files:
        with np.load(file) as stored:
            names = [name.split("/", 2) for name in stored.files]
            numbers = sorted({int(number) for number, owner, _ in names if owner == component})
            for number in numbers:
                prefix = f"{number}/{component}/"
                yield {
                    name.removeprefix(prefix): stored[name]
                    for name in stored.files
                    if name.startswith(prefix)
                }


def kept_steps(number: int) -> frozenset[int]:
    """Give the steps whose inputs are kept of prompt `number`."""
    return frozenset((number + STEPS * kept // KEPT_STEPS) % STEPS for kept in range(KEPT_STEPS))


class _Recorder(Sessions):
    """A bundle's graphs that remember what they were given."""

    def __init__(self, bundle: Bundle, threads: int) -> None:
        super().__init__(bundle, threads=threads)
        self.samples: list[Sample] = []
        self._kept: frozenset[int] = frozenset()
        self._step = 0

    def begin(self, kept: frozenset[int]) -> None:
        """Forget the last prompt; keep these steps of the next."""
        self.samples, self._kept, self._step = [], kept, 0

    def run(
        self,
        file: str,
        *inputs: Any,
        optional: Mapping[str, Any] | None = None,
        outputs: Sequence[str] | None = None,
    ) -> list[npt.NDArray[np.float32]]:
        """Run the graph, and keep its inputs."""
        given = dict(optional or {})
        if file != WHOLE or self._step in self._kept:
            feeds = dict(zip(self.input_names(file), inputs, strict=False)) | given
            self.samples.append((Path(file).stem, feeds))
        self._step += file == WHOLE
        return super().run(file, *inputs, optional=given, outputs=outputs)


def _open(folder: Path, pipeline: Mapping[str, Any], threads: int) -> tuple[Any, _Recorder]:
    from lofi_engine.measuring.render import unpublished_bundle
    from lofi_runtime.ace_step import AceStepBackend

    bundle = unpublished_bundle(folder, pipeline)
    sessions = _Recorder(bundle, threads)
    # The whole decoder: its two halves are cut anew from what is made of it.
    return AceStepBackend(bundle, max_key_value_bytes=0, sessions=sessions), sessions


def _request(prompt: CalibrationPrompt, duration_sec: int) -> Request:
    return Request(
        prompt=prompt.prompt,
        duration_sec=duration_sec,
        seed=prompt.seed,
        lyrics=prompt.lyrics,
        inference_steps=STEPS,
    )


def _flat(samples: Sequence[Sample]) -> Feeds:
    return {
        f"{number}/{component}/{name}": array
        for number, (component, feeds) in enumerate(samples)
        for name, array in feeds.items()
    }
