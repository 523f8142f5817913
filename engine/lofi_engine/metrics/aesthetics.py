"""Audiobox aesthetics: what listeners would say of a clip, without a reference (Tjandra 2025)."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clip_by_clip import Scorer
from lofi_engine.metrics.clips import Clip, ClipSet
from lofi_engine.metrics.extras import check_installed
from lofi_engine.metrics.figures import HIGHER, Figure
from lofi_engine.metrics.mono import mono_at
from lofi_engine.metrics.per_clip import measure_each
from lofi_engine.metrics.pretrained import FoundModel, find_model
from lofi_engine.metrics.protocol import Needs
from lofi_engine.metrics.unrelated import unrelated_sounds

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

KIND = "aesthetics model"
SAMPLE_RATE, WINDOW_SEC = 16_000, 10
AXES: Mapping[str, tuple[str, str]] = {
    "CE": ("enjoyment", HIGHER),
    "CU": ("usefulness", HIGHER),
    "PC": ("complexity", ""),  # of a piece's parts: neither good nor bad
    "PQ": ("quality", HIGHER),
}
"""By the model's own names: content enjoyment and usefulness, production complexity and quality."""
_ALIKE = 1e-3
_UNIT = "points"


class Aesthetics(Scorer[Mapping[str, float]]):
    """Scores from about 1 to 10 on four axes by `audiobox_aesthetics`, averaged over clips.

    A clip is folded to mono at 16 kHz and cut into windows of 10 s without overlap; the last is
    filled with zeros, masked, and weighs by what it holds, as the package's own inference does.

    It claims none of the ladder's degradations: what it hears of them has not been measured here.

    Args:
        location: a folder, or `hf:owner/name`, `hf:owner/name@REVISION` in the Hub's local cache.
        home: where a relative folder starts; None for the working folder.
        seed: of the bootstrap.

    Raises:
        MetricError: the package is not installed, the model is not there or damaged, or gives
            unrelated sounds the same scores.
    """

    name = "aesthetics"
    title = (
        "audiobox aesthetics: enjoyment, usefulness, quality, about 1 to 10; higher is better; "
        "and complexity"
    )
    needs = Needs(model="an audiobox-aesthetics model", extra="aesthetics")

    def __init__(self, location: str | Path, *, home: Path | None = None, seed: int = 0) -> None:
        super().__init__(seed=seed)
        check_installed(self.name, self.needs.extra)
        found = find_model(location, KIND, home)
        self._model = _load(found)
        self._model_name = found.name
        self._scales = _scales(found)
        self._refuse_constant()

    def score(self, clip: Clip) -> dict[str, float]:
        """Score one clip, by the axes' own names: CE, CU, PC, PQ.

        Raises:
            MetricError: its channels cancel out in mono.
        """
        windows, lengths = _windows(mono_at(clip, SAMPLE_RATE))
        found = self._predict(windows, lengths)
        return {
            axis: mean + std * float(found[axis] @ lengths / lengths.sum())
            for axis, (mean, std) in self._scales.items()
        }

    def figures(
        self, clips: ClipSet, scores: Mapping[str, Mapping[str, float]]
    ) -> tuple[Figure, ...]:
        """Give the mean score on each axis."""
        details = {
            "model": self._model_name,
            "window_sec": WINDOW_SEC,
            "hop_sec": WINDOW_SEC,
            "sample_rate": SAMPLE_RATE,
        }
        return tuple(
            measure_each(
                f"{self.name}-{title}",
                {name: found[axis] for name, found in scores.items()},
                better=better,
                unit=_UNIT,
                judged=clips.label,
                details=details,
                seed=self._seed,
            )
            for axis, (title, better) in AXES.items()
        )

    def _predict(
        self, windows: Samples, lengths: npt.NDArray[np.int64]
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Give what the model says of each window, before it is scaled to points."""
        import numpy as np
        import torch

        held = np.arange(windows.shape[1]) < lengths[:, None]
        parts: list[Any] = []
        for window, mask in zip(windows, held, strict=True):
            batch = {
                "wav": torch.from_numpy(window)[None, None],
                "mask": torch.from_numpy(mask)[None, None],
            }
            with torch.inference_mode(), _quiet():
                parts.append(self._model(batch))
        return {
            axis: np.array([float(part[axis]) for part in parts], dtype=np.float64) for axis in AXES
        }

    def _refuse_constant(self) -> None:
        import numpy as np

        sounds = unrelated_sounds(SAMPLE_RATE, WINDOW_SEC)
        found = self._predict(sounds, np.full(len(sounds), sounds.shape[1]))
        spread = max(float(np.ptp(values)) for values in found.values())
        if not spread > _ALIKE:  # NaN too
            raise MetricError(
                f"{KIND}: {self._model_name} scores {len(sounds)} unrelated sounds alike: they "
                f"differ by {spread:.2g}, at least {_ALIKE:g} is expected",
                hint="the model is damaged or collapsed: use another",
            )


def _windows(mono: Samples) -> tuple[Samples, npt.NDArray[np.int64]]:
    """Cut (samples,) into (windows, samples) filled with zeros, and how many each holds."""
    import numpy as np

    length = SAMPLE_RATE * WINDOW_SEC
    count = -(-len(mono) // length)
    windows = np.zeros(count * length, dtype=np.float32)
    windows[: len(mono)] = mono
    lengths = np.minimum(len(mono) - length * np.arange(count), length)
    return windows.reshape(count, length), lengths


def _load(found: FoundModel) -> Any:
    from audiobox_aesthetics.model.aes import AesMultiOutput
    from safetensors import SafetensorError

    found.refuse_damage()
    try:
        with _quiet(), contextlib.redirect_stdout(io.StringIO()):
            # Not strict, it would fill in for missing weights with random ones.
            model = AesMultiOutput.from_pretrained(
                str(found.folder), strict=True, local_files_only=True
            )
    except (OSError, ValueError, TypeError, RuntimeError, KeyError, SafetensorError) as error:
        raise MetricError(
            f"{KIND}: {found.folder} cannot be loaded: {' '.join(str(error).split())[:200]}",
            hint="name one that audiobox_aesthetics.AesMultiOutput saved, such as "
            "hf:facebook/audiobox-aesthetics",
        ) from error
    return model.eval()


def _scales(found: FoundModel) -> dict[str, tuple[float, float]]:
    """Read by which mean and deviation each axis is scaled to points."""
    try:
        transform = found.config["target_transform"]
        return {
            axis: (float(transform[axis]["mean"]), float(transform[axis]["std"])) for axis in AXES
        }
    except (KeyError, TypeError, ValueError) as error:
        raise MetricError(
            f"{KIND}: {found.folder}/config.json: target_transform has no mean and std for each of "
            f"{', '.join(AXES)}",
            hint="without them its answers are no scores: use another model",
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what torch says of the model's own code, which works as it is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*weight_norm", FutureWarning)
        warnings.filterwarnings("ignore", ".*mismatched key_padding_mask", UserWarning)
        yield
