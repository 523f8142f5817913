"""The built-in embedding: measured properties of sound, no network, no weights, no download."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lofi_engine.errors import MetricError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.metrics.embeddings.sound_dimensions import Dimension

NAME = "lofi-sound-v1"
_BEND = 4.0


class SoundEmbedding:
    """Embeds stereo sound at 48 kHz by what can be measured in it: "lofi-sound-v1".

    This is not VGGish, CLAP or any trained network, and Fréchet distances over it compare with
    nothing but other distances over it, of the same version.

    Each dimension is a property with a name, a unit and a meaning (`dimensions_table`), such as the
    level of a band, the side against the middle, onsets a second, or lines at the vocoder's frame
    rate. It is centred and scaled by constants measured once over synthesised lofi of all styles
    (`sound_scales`), so that there it has a mean near 0 and a spread near 1. What is far out is
    drawn in, so that no single property outweighs all others: z becomes 4 asinh(z / 4), which is
    0.99 at 1, 5.8 at 8 and 12.9 at 50, and always rises with z.

    All but "loudness" are held against the window's own level: a gain moves that one alone, 1 dB of
    it by a sixth of a spread. A constant offset moves nothing. The same window gives the same
    vector, whatever is embedded with it.

    Attributes:
        sees: the degradations (`metrics.ladder`) that a Fréchet distance over it ranks.
    """

    sees = frozenset({"quantization", "low-pass", "noise", "clipping", "tempo", "buzz"})

    @property
    def name(self) -> str:
        """With its version."""
        return NAME

    @property
    def dimensions(self) -> int:
        """Of a vector."""
        return len(self.dimensions_table)

    @property
    def dimensions_table(self) -> tuple[Dimension, ...]:
        """What each dimension is, in the order of a vector."""
        from lofi_engine.metrics.embeddings.sound_dimensions import DIMENSIONS

        return DIMENSIONS

    @property
    def sample_rate(self) -> int:
        """Of the windows, in Hz."""
        from lofi_engine.metrics.embeddings.sound_window import SAMPLE_RATE

        return SAMPLE_RATE

    @property
    def channels(self) -> int:
        """Of the windows: stereo; mono is to be given twice."""
        return 2

    @property
    def window_sec(self) -> float:
        """How long a window is."""
        from lofi_engine.metrics.embeddings.sound_window import WINDOW_SEC

        return WINDOW_SEC

    @property
    def hop_sec(self) -> float:
        """From one window to the next."""
        from lofi_engine.metrics.embeddings.sound_window import HOP_SEC

        return HOP_SEC

    def embed(self, windows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Embed windows.

        Args:
            windows: (windows, 2, samples) at 48 kHz, each `window_sec` long.

        Returns:
            float64 (windows, dimensions), finite.

        Raises:
            MetricError: windows of another shape, or a sample that is not finite.
        """
        import numpy as np

        self._check(windows)
        table = self.dimensions_table
        centres = np.array([dimension.centre for dimension in table])
        spreads = np.array([dimension.spread for dimension in table])
        vectors = np.empty((len(windows), len(table)))
        for row, samples in zip(vectors, windows, strict=True):
            measured = measure(samples)
            row[:] = [measured[dimension.name] for dimension in table]
        return np.asarray(_BEND * np.arcsinh((vectors - centres) / (_BEND * spreads)), np.float64)

    def _check(self, windows: npt.NDArray[np.floating]) -> None:
        import numpy as np

        length = round(self.window_sec * self.sample_rate)
        if windows.ndim != 3 or windows.shape[1:] != (self.channels, length):
            raise MetricError(
                f"{NAME}: windows of shape {windows.shape}, (windows, 2, {length}) are needed",
                hint=f"resample to {self.sample_rate} Hz stereo and cut by {self.window_sec:g} s",
            )
        broken = np.flatnonzero(~np.isfinite(windows).all(axis=(1, 2)))
        if broken.size:
            raise MetricError(
                f"{NAME}: window {broken[0] + 1} has a sample that is not a finite number",
                hint="look at what made the sound",
            )


def measure(samples: npt.NDArray[np.floating]) -> dict[str, float]:
    """Measure a window's properties by name, in their own units, neither centred nor scaled.

    Args:
        samples: (2, samples) at 48 kHz, `window_sec` long.
    """
    from lofi_engine.metrics.embeddings.sound_bands import measure_bands
    from lofi_engine.metrics.embeddings.sound_rhythm import measure_rhythm
    from lofi_engine.metrics.embeddings.sound_samples import measure_samples
    from lofi_engine.metrics.embeddings.sound_tones import measure_tones
    from lofi_engine.metrics.embeddings.sound_window import Window

    window = Window.of(samples)
    return {
        **measure_bands(window),
        **measure_rhythm(window),
        **measure_tones(window),
        **measure_samples(window),
    }
