"""A sound as numbers that small classifiers learn from: colour, and harmony without its key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.mel import mel_levels_db
from lofi_engine.metrics.windows import cut_windows
from lofi_runtime.synth.score import PITCH_NAMES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.metrics.clips import Clip
    from lofi_engine.metrics.protocol import Embedding

    Values = npt.NDArray[np.float64]

COLOUR, HARMONY, HOME = "colour", "harmony", "home"
_BANDS = 64
_STRENGTH = 0.03
"""Inverse of the penalty: there are more numbers than clips."""
_FFT_SIZE, _HOP = 8192, 4096
_BASS_HZ, _MIDDLE_HZ = (55.0, 185.0), (185.0, 2000.0)


def colour_of(clip: Clip, embedding: Embedding) -> Values:
    """Describe how a clip sounds: the embedding's mean and spread, and levels in mel bands.

    Levels are held against the clip's own mean, so that loudness says nothing.
    """
    import numpy as np

    vectors = embedding.embed(cut_windows(clip, embedding))
    levels = mel_levels_db(clip.samples, clip.sample_rate).mean(axis=0).astype(np.float64)
    bands = levels.reshape(len(levels), _BANDS, -1).mean(axis=2)
    parts = (
        vectors.mean(axis=0),
        vectors.std(axis=0),
        bands.mean(axis=0) - bands.mean(),
        bands.std(axis=0),
        np.quantile(bands, 0.9, axis=0) - bands.mean(),
    )
    return np.concatenate(parts)


def harmony_of(clip: Clip) -> Values:
    """Describe which pitch classes sound together, nearly the same in every key.

    Third-order correlations of the chroma, sum_i c(i) c(i + a) c(i + b), do not change when all
    pitches move by a semitone, and a minor triad has others than a major one. They are taken of
    the mean over the clip and, averaged, of every moment; correlations with the bass tell which
    chord is home.
    """
    import numpy as np

    bass, middle = _chroma(clip, _BASS_HZ), _chroma(clip, _MIDDLE_HZ)
    low, high = _unit(bass.sum(axis=0)), _unit(middle.sum(axis=0))
    moments = _unit(middle)
    weights = middle.sum(axis=1) / max(float(middle.sum()), 1e-12)
    parts = (
        _triples(high[None])[0],
        weights @ _triples(moments),
        _against(low[None], high[None])[0],
        weights @ _against(_unit(bass), moments),
    )
    return np.concatenate(parts)


def home_of(clip: Clip) -> Values:
    """Describe which steps of the scale sound, counted from the tonic that the prompt names.

    A minor third above a known tonic is easy to hear; which of two relative keys is home is not,
    as both have the same notes.

    Raises:
        MetricError: the clip's prompt names no key.
    """
    import numpy as np

    from lofi_engine.metrics.key import asked_key

    key = asked_key(clip.facts.prompt)
    if key is None:
        raise MetricError(
            f"{clip.name}: its prompt names no key: {clip.facts.prompt}",
            hint="ask for one, such as A minor",
        )
    tonic = PITCH_NAMES.index(key.split()[0])
    parts = [_unit(_chroma(clip, limits).sum(axis=0)) for limits in (_MIDDLE_HZ, _BASS_HZ)]
    return np.concatenate([np.roll(part, -tonic) for part in parts])


def hear(clips: Iterable[Clip], how: str, embedding: Embedding) -> Values:
    """Describe clips one by one, (clips, numbers), by `COLOUR`, `HARMONY` or `HOME`.

    Raises:
        MetricError: a clip cannot be described so.
    """
    import numpy as np

    if how != COLOUR:
        describe = harmony_of if how == HARMONY else home_of
        return np.stack([describe(clip) for clip in clips])
    return np.stack([colour_of(clip, embedding) for clip in clips])


class Classifier:
    """Logistic regression on standardised numbers; the classes count alike.

    Args:
        heard: float64 (clips, numbers).
        answers: one a clip.
    """

    def __init__(self, heard: Values, answers: Sequence[str]) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        regression = LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=5000)
        self._model: Any = make_pipeline(StandardScaler(), regression)
        self._model.fit(heard, list(answers))

    def answers(self, heard: Values) -> list[str]:
        """Give the likeliest answer for each clip."""
        return [str(answer) for answer in self._model.predict(heard)]

    def likelihoods(self, heard: Values) -> list[Mapping[str, float]]:
        """Give each answer's probability for each clip."""
        names = [str(name) for name in self._model.classes_]
        return [
            dict(zip(names, map(float, row), strict=True))
            for row in self._model.predict_proba(heard)
        ]


def _chroma(clip: Clip, limits_hz: tuple[float, float]) -> Values:
    """Give the level of each pitch class over time, (frames, 12), C first."""
    import numpy as np

    mono = clip.samples.mean(axis=0)
    frames = np.lib.stride_tricks.sliding_window_view(mono, _FFT_SIZE)[::_HOP]
    spectra = np.abs(np.fft.rfft(frames * np.hanning(_FFT_SIZE), axis=1))
    hz = np.fft.rfftfreq(_FFT_SIZE, 1 / clip.sample_rate)
    inside = (hz >= limits_hz[0]) & (hz < limits_hz[1])
    # Between two semitones a bin counts for both, the nearer one more.
    pitch = 12 * np.log2(hz[inside] / 440.0) + 69
    nearness = 1 - np.minimum(np.abs((pitch[:, None] - np.arange(12) + 6) % 12 - 6), 1.0)
    found = np.sqrt(spectra[:, inside]) @ nearness
    return np.asarray(found - found.min(axis=1, keepdims=True))


def _unit(values: Values) -> Values:
    import numpy as np

    length = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(values / np.maximum(length, 1e-12))


def _triples(chroma: Values) -> Values:
    """Give sum_i c(i) c(i + a) c(i + b) for all 0 <= a <= b, (frames, 78)."""
    import numpy as np

    turned = np.stack([np.roll(chroma, -step, axis=1) for step in range(12)])
    pairs = [(a, b) for a in range(12) for b in range(a, 12)]
    return np.stack([(chroma * turned[a] * turned[b]).sum(axis=1) for a, b in pairs], axis=1)


def _against(bass: Values, chroma: Values) -> Values:
    """Give how much sounds so many semitones above the bass, (frames, 12)."""
    import numpy as np

    steps = range(12)
    return np.stack([(bass * np.roll(chroma, -step, axis=1)).sum(axis=1) for step in steps], axis=1)
