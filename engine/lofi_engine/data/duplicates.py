"""Finds recordings that are one: encoded again, trimmed, louder, or at a slightly other pitch.

Comparing every track with every other one closely would take hours for a thousand. So each is first
summed up by segments whose description does not depend on place or pitch (the magnitude of the 2-D
Fourier transform of a patch: Bertin-Mahieux and Ellis, "Large-Scale Cover Song Recognition Using
the 2D Fourier Transform Magnitude", ISMIR 2012); a product of matrices compares those of all
tracks, and only pairs that stand out are compared closely.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from lofi_engine.audio.fingerprint import BANDS, MIDDLE
from lofi_engine.audio.likeness import MIN_FRAMES, likeness

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.audio.fingerprint import Fingerprint

    Patches = npt.NDArray[np.float32]

SAME_FROM = 0.77
"""From this likeness on, two tracks are one recording.

Measured by bench/bench_duplicates.py on 20 s of each style: MP3 at 64 and 128 kbit/s, Ogg, trims,
gain, 22 kHz and noise at -40 dBFS 0.95 and above; speed by 6 % 0.95; pitch by a semitone 0.81;
tempo alone by 5 % 0.83; one channel alone 0.85. Different tracks of a style, from the same words:
0.53 at most; once 0.75, for one piece played again a semitone lower.
"""

_ALL_PAIRS_UP_TO = 16
_SEGMENT_FRAMES = 80
_HOP_FRAMES = 40
_TIME_BINS = 9
_PITCH_BINS = 20
# Either may fail to see a pair: with few tracks, or many copies of one, the mean is that one's.
_LIKE_FROM = 0.70
_LIKE_BEYOND_MEAN_FROM = 0.42


def near_duplicates(fingerprints: Mapping[str, Fingerprint]) -> list[tuple[str, ...]]:
    """Group the tracks that are one recording.

    Args:
        fingerprints: by track, from `lofi_engine.audio.fingerprint`; shorter ones than eight
            seconds are left alone.

    Returns:
        Each group of two or more, its tracks and the groups in the order they were given. A track
        like two others joins them, even where those two are not alike.
    """
    names = [name for name, drawn in fingerprints.items() if len(drawn) >= MIN_FRAMES]
    drawn = [fingerprints[name] for name in names]
    first = list(range(len(names)))  # of each track's group, by number
    for one, other in _candidates(drawn):
        ours, theirs = sorted((first[one], first[other]))
        if ours != theirs and likeness(drawn[one], drawn[other]) >= SAME_FROM:
            first = [ours if at == theirs else at for at in first]
    groups: dict[int, list[str]] = {}
    for name, at in zip(names, first, strict=True):
        groups.setdefault(at, []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _candidates(drawn: Sequence[Fingerprint]) -> Iterator[tuple[int, int]]:
    """Give the pairs worth a close look."""
    import numpy as np

    if len(drawn) <= _ALL_PAIRS_UP_TO:
        yield from combinations(range(len(drawn)), 2)
        return
    # Shorter ones first, each held against the longer ones: an excerpt is all in its whole, not
    # the other way round. Every second of its segments will do, they overlap by half.
    order = sorted(range(len(drawn)), key=lambda at: len(drawn[at]))
    summed = [_segments(drawn[at]) for at in order]
    every = np.concatenate(summed)
    mean = every.mean(axis=0)
    beyond = _unit(every - mean)
    starts = np.cumsum([0, *(len(one) for one in summed)])
    for place in range(len(order) - 1):
        ours, rest = slice(starts[place], starts[place + 1], 2), starts[place + 1]
        firsts = starts[place + 1 : -1] - rest
        like = _likes(every[ours], every[rest:], firsts) >= _LIKE_FROM
        like |= _likes(beyond[ours], beyond[rest:], firsts) >= _LIKE_BEYOND_MEAN_FROM
        for longer in np.flatnonzero(like):
            yield order[place], order[place + 1 + int(longer)]


def _likes(ours: Patches, theirs: Patches, firsts: npt.NDArray[np.int_]) -> Patches:
    """Give how like a track's segments are to each other track's: each to its best, on average."""
    import numpy as np

    likes: Patches = np.maximum.reduceat(ours @ theirs.T, firsts, axis=1).mean(axis=0)
    return likes


def _segments(drawn: Fingerprint) -> Patches:
    """Describe each eight seconds, four apart: (segments, modulations), of unit length."""
    import numpy as np
    from scipy.fft import rfft2

    count = 1 + round((len(drawn) - _SEGMENT_FRAMES) / _HOP_FRAMES)
    starts = np.linspace(0, len(drawn) - _SEGMENT_FRAMES, count).astype(int)
    patches = np.stack([drawn[start : start + _SEGMENT_FRAMES] for start in starts])
    window = np.outer(np.hanning(_SEGMENT_FRAMES + 2)[1:-1], np.hanning(BANDS + 2)[1:-1])
    centred = (patches.astype(np.float32) - MIDDLE) * window.astype(np.float32)
    waves = np.abs(rfft2(centred, axes=(2, 1)))[:, 1:_TIME_BINS]
    kept = np.concatenate([waves[:, :, :_PITCH_BINS], waves[:, :, 1 - _PITCH_BINS :]], axis=2)
    flat = np.sqrt(kept).reshape(count, -1)
    return _unit(flat - flat.mean(axis=1, keepdims=True))


def _unit(rows: Patches) -> Patches:
    import numpy as np

    scaled: Patches = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return scaled
