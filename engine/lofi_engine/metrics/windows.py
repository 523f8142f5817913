"""Cuts a clip into the windows that an embedding takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip
from lofi_engine.metrics.mono import folded_to_mono
from lofi_engine.metrics.protocol import Embedding

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]


def cut_windows(clip: Clip, embedding: Embedding) -> Samples:
    """Cut a clip into windows; the last one counts only where it is whole.

    Args:
        clip: checked before (`checks.check_clip`).
        embedding: states the window, the hop, the sample rate and the channels.

    Returns:
        float32 (windows, channels, samples) at the embedding's sample rate.

    Raises:
        MetricError: the clip is shorter than one window, or its channels cancel out in mono.
    """
    import numpy as np

    from lofi_runtime.pipeline.resample import resample

    folded = _folded(clip, embedding.channels)
    if clip.sample_rate != embedding.sample_rate:
        folded = resample(folded, clip.sample_rate, embedding.sample_rate)
    length = round(embedding.window_sec * embedding.sample_rate)
    hop = round(embedding.hop_sec * embedding.sample_rate)
    if folded.shape[1] < length:
        raise MetricError(
            f"{clip.name}: {clip.duration_sec:.2f} s, shorter than the {embedding.window_sec:g} s "
            f"window of {embedding.name}",
            hint="leave it out or use longer clips",
        )
    windows = np.lib.stride_tricks.sliding_window_view(folded, length, axis=1)[:, ::hop]
    return np.ascontiguousarray(windows.transpose(1, 0, 2), dtype=np.float32)


def _folded(clip: Clip, channels: int) -> Samples:
    """Give as many channels as asked for: the mean of all for mono, mono on both sides."""
    import numpy as np

    if len(clip.samples) == channels:
        return clip.samples
    return np.repeat(folded_to_mono(clip), channels, axis=0)
