"""ViSQOL's audio mode: how much worse a clip sounds than its pair, as listeners would say.

Hines et al., "ViSQOLAudio", JASA 2015; Chinen et al., "ViSQOL v3", QoMEX 2020. Computed by
visqol-python, which its author holds to within 1.2e-4 of Google's program on ten published audio
pairs. It was fitted to codecs: other damage is ranked, but the number is no listener's.

Time: with numba, which comes with librosa, 0.08 s for a second of sound; its kernels are compiled
once for a machine, 8 s, and cached beside the package (`NUMBA_CACHE_DIR` moves the cache).
visqol-python's own fallback without numba takes 0.9 s for a second of sound, and
`NUMBA_DISABLE_JIT=1` is slower still: nothing is gained by turning numba off.
"""

from __future__ import annotations

from typing import Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip
from lofi_engine.metrics.extras import how_to_install
from lofi_engine.metrics.figures import HIGHER
from lofi_engine.metrics.mono import mono_at
from lofi_engine.metrics.paired import Held, PairedMetric
from lofi_engine.metrics.protocol import Needs

SAMPLE_RATE = 48_000
"""Of the audio mode; other clips are resampled."""
SHORTEST_SEC = 1.0
"""One patch is 30 frames, 0.6 s, and has to be searched for around its place."""


class VisqolAudio(PairedMetric):
    """Predicted mean opinion score (MOS-LQO) of mono folds: 1 is bad, 4.73 is no difference.

    A difference in level alone is no difference: ViSQOL brings both to one sound pressure. A shift
    in time is searched for. What lies above 15 kHz is not looked at.

    Quantization is not claimed: down to 6 bits the value falls, but 4 bits without dither get a
    slightly better one (2.1 against 2.0), where the model it was fitted with levels off. Low-passes
    of 3 kHz and below differ by hundredths only.
    """

    name = "visqol"
    title = "ViSQOL audio mode, predicted opinion of 1 to 4.73 against the pair; higher is better"
    needs = Needs(reference=True, pairs=True, extra="visqol")
    sees = frozenset({"low-pass", "noise", "clipping", "buzz"})
    better = HIGHER
    unit = "MOS"
    span = (1.0, 5.0)

    def __init__(self, *, seed: int = 0) -> None:
        """Make it; the package is loaded by the first pair.

        Args:
            seed: of the bootstrap.
        """
        super().__init__(seed=seed)
        self._api: Any = None

    def hold(self, found: Clip, reference: Clip, label: str) -> Held:
        """Measure one pair.

        Raises:
            MetricError: the extra is not installed, or the clip is shorter than a second.
        """
        if found.duration_sec < SHORTEST_SEC:
            raise MetricError(
                f"{label}: {found.duration_sec:.2f} s, ViSQOL needs {SHORTEST_SEC:g} s",
                hint="leave it out or use longer clips",
            )
        if self._api is None:
            self._api = _load()
        pair = (
            mono_at(reference, SAMPLE_RATE, f"the pair of {label}"),
            mono_at(found, SAMPLE_RATE, label),
        )
        # float64, as ViSQOL's own program reads a file.
        result = self._api.measure_from_arrays(*(one.astype(float) for one in pair), SAMPLE_RATE)
        return Held(float(result.moslqo), {"similarity": float(result.vnsim)})

    def settings(self) -> dict[str, Any]:
        """State the mode, the sample rate and the package's version."""
        from importlib.metadata import version

        return {
            "mode": "audio",
            "sample_rate": SAMPLE_RATE,
            "visqol_python": version("visqol-python"),
        }


def _load() -> Any:
    try:
        from visqol import VisqolApi
    except ImportError as error:
        raise MetricError(
            f"visqol: the package is not installed ({error})",
            hint=how_to_install("visqol"),
        ) from error
    api = VisqolApi()
    api.create(mode="audio")
    return api
