"""Says how alike two fingerprints are, wherever they overlap, at another pitch or speed too.

Blocks of one are sought everywhere in the other (a correlation at each place and each shift in
pitch, through Fourier transforms); blocks that agree on where the whole lies, allowing for another
speed, vote for that place (a Hough transform, as Shazam's "An Industrial-Strength Audio Search
Algorithm", Wang, ISMIR 2003, finds a common offset). The best place is then mended by small steps
and the overlap correlated in full.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from lofi_engine.audio.fingerprint import BANDS, MIDDLE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.audio.fingerprint import Fingerprint

    Frames = npt.NDArray[np.float32]

MIN_FRAMES = 80
"""Eight seconds: less says too little about which recording it is."""

_BLOCK = 60
_MAX_BLOCKS = 12
_OVERLAP = 0.5  # of the shorter one
_SHIFTS = range(-3, 4)  # quarter tones: a semitone and a half each way
_STRETCH = 0.07
_SLACK = 2  # frames a block may lie off its place
_ROUGH_FROM = 0.5  # below, no small step helps


@dataclass(frozen=True)
class _Place:
    """How the shorter fingerprint lies on the longer one.

    Args:
        bands: how much higher the longer one sounds.
        stretch: how much slower it is, 0.02 for 2 %.
        start: the longer one's frame that the shorter one's first falls on.
    """

    bands: float
    stretch: float
    start: float


def likeness(first: Fingerprint, second: Fingerprint) -> float:
    """Give the correlation of two recordings where they fit best, -1 to 1; 1 for the same sound.

    Args:
        first: uint8 (frames, bands), from `lofi_engine.audio.fingerprint`.
        second: the other one, of any length.

    Returns:
        Over at least half of the shorter one. Below 0.5 only roughly; 0.0 where one of them is
        shorter than `MIN_FRAMES` or has no contrast at all.
    """
    import numpy as np

    if min(len(first), len(second)) < MIN_FRAMES:
        return 0.0
    short, long = sorted((one.astype(np.float32) - MIDDLE for one in (first, second)), key=len)
    rough, place = _search(short, long)
    return _mend(short, long, place) if rough >= _ROUGH_FROM else max(rough, 0.0)


def _search(short: Frames, long: Frames) -> tuple[float, _Place]:
    """Give the best mean correlation of the blocks and where that is."""
    import numpy as np
    from scipy.fft import irfft, next_fast_len, rfft
    from scipy.ndimage import maximum_filter1d

    count = min(_MAX_BLOCKS, 1 + 2 * (len(short) - _BLOCK) // _BLOCK)
    starts = np.linspace(0, len(short) - _BLOCK, count).astype(int)
    blocks = np.stack([short[start : start + _BLOCK] for start in starts])
    size = next_fast_len(len(long) + _BLOCK, real=True)
    there = rfft(long, size, axis=0)
    here = np.conj(rfft(blocks, size, axis=1))
    sums = np.concatenate([np.zeros((1, BANDS)), np.cumsum(np.square(long, dtype=np.float64), 0)])
    energies = sums[_BLOCK:] - sums[:-_BLOCK]
    best = (-1.0, _Place(0, 0, 0))
    for shift in _SHIFTS:
        ours, theirs = _bands(shift)
        spectra = np.einsum("kfb,fb->kf", here[:, :, ours], there[:, theirs], optimize=True)
        products = irfft(spectra, size, axis=1)[:, : len(energies)]
        norms = np.sqrt(np.square(blocks[:, :, ours]).sum((1, 2)))[:, None]
        norms = norms * np.sqrt(np.maximum(energies[:, theirs].sum(1), 0))
        found = maximum_filter1d(products / np.maximum(norms, 1e-6), 2 * _SLACK + 1, axis=1)
        for score, stretch, start in _vote(found, starts, len(short)):
            best = max(best, (score, _Place(shift, stretch, start)), key=lambda one: one[0])
    return best


def _bands(shift: int) -> tuple[slice, slice]:
    """Give the shorter one's bands and the longer one's that they fall on."""
    lowest, highest = max(0, shift), BANDS + min(0, shift)
    return slice(lowest - shift, highest - shift), slice(lowest, highest)


def _vote(
    found: npt.NDArray[np.float64], starts: npt.NDArray[np.int_], length: int
) -> Iterator[tuple[float, float, int]]:
    """Give, for each stretch, the best mean over the blocks that overlap, and the place.

    Args:
        found: (blocks, places) correlations.
        starts: where the blocks start in the shorter one.
        length: of the shorter one, in frames.
    """
    import numpy as np

    count, places = found.shape
    step = (2 * _SLACK + 1) / length
    steps = round(_STRETCH / step + 0.5)
    ends = length + round(length * step * (steps + 1))
    padded = np.zeros((count, places + 2 * ends))
    padded[:, ends : ends + places] = found
    inside = np.zeros(places + 2 * ends)
    inside[ends : ends + places] = 1
    first, total = -(length // 2), places + length // 2
    for number in range(-steps, steps + 1):
        scores, overlap = np.zeros(total), np.zeros(total)
        for block, start in enumerate(starts):
            at = ends + first + round(start * (1 + number * step))
            scores += padded[block, at : at + total]
            overlap += inside[at : at + total]
        means = np.where(overlap >= _OVERLAP * count, scores / np.maximum(overlap, 1), -1)
        top = int(means.argmax())
        yield float(means[top]), number * step, first + top


def _mend(short: Frames, long: Frames, place: _Place) -> float:
    """Climb from a place by ever smaller steps; give the correlation at the top."""
    # The stretch is turned about the middle, so that it and the start do not pull at each other.
    middle = len(short) / 2
    at = [place.bands, place.stretch, place.start + middle * (1 + place.stretch)]
    best = _correlation(short, long, _Place(*at))
    for scale in (1.0, 0.5, 0.25):
        frames = 2 * scale
        for axis, step in ((2, frames), (1, 4 * scale / len(short)), (0, 0.5 * scale)):
            for signed in (step, -step):
                while True:
                    moved = [*at]
                    moved[axis] += signed
                    value = _correlation(short, long, _Place(*moved))
                    if value <= best:
                        break
                    best, at = value, moved
    return best


def _correlation(short: Frames, long: Frames, place: _Place) -> float:
    """Correlate the overlap; here the place's start is where the shorter one's middle falls."""
    import numpy as np

    bands, stretch, middle = astuple(place)
    frames = middle + (np.arange(len(short)) - len(short) / 2) * (1 + stretch)
    within = (frames >= 0) & (frames <= len(long) - 1)
    if within.sum() < _OVERLAP * len(short):
        return -1.0
    heights = np.arange(BANDS) + bands
    heard = (heights >= 0) & (heights <= BANDS - 1)
    ours = short[within][:, heard]
    theirs = _between(_between(long, frames[within], 0), heights[heard], 1)
    norm = float(np.sqrt(np.square(ours).sum() * np.square(theirs).sum()))
    return float((ours * theirs).sum()) / norm if norm > 0 else 0.0


def _between(values: Frames, places: npt.NDArray[np.float64], axis: int) -> Frames:
    """Take rows (axis 0) or columns (1) at places between two of them."""
    import numpy as np

    lower = np.minimum(places.astype(int), values.shape[axis] - 2)
    share = (places - lower).astype(np.float32)
    share = share[:, None] if axis == 0 else share
    low, high = values.take(lower, axis), values.take(lower + 1, axis)
    mixed: Frames = low + (high - low) * share
    return mixed
