from __future__ import annotations

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipsInMemory
from lofi_engine.metrics.each_clip import value_each, value_pairs


def clip(name: str, seconds: float = 1, rate: int = 8000, channels: int = 1) -> Clip:
    return Clip(
        name, np.ones((channels, round(seconds * rate)), np.float32) * _tone(seconds, rate), rate
    )


def _tone(seconds: float, rate: int) -> np.ndarray:
    return np.sin(np.arange(round(seconds * rate))).astype(np.float32)


def silent(done: int, of: int, name: str) -> None:
    pass


def length(clip: Clip) -> int:
    return clip.samples.shape[1]


def test_each_clip_asked_for_has_its_value() -> None:
    told: list[tuple[int, int, str]] = []
    clips = ClipsInMemory("x", [clip("a"), clip("b", 2), clip("c", 3)])
    found = value_each(clips, ["a", "c"], length, lambda *step: told.append(step))
    assert found == {"a": 8000, "c": 24_000}
    assert told == [(1, 2, "a"), (2, 2, "c")]


def test_clips_of_two_formats_are_refused() -> None:
    clips = ClipsInMemory("x", [clip("a"), clip("b", rate=16_000)])
    with pytest.raises(MetricError, match=r"x: b: 16000 Hz mono, but x: a is 8000 Hz mono"):
        value_each(clips, clips.names, length, silent)
    stereo = ClipsInMemory("y", [clip("a", channels=2)])
    with pytest.raises(MetricError, match=r"y: a: 8000 Hz stereo, but x: a is 8000 Hz mono"):
        value_pairs(clips, stereo, ["a"], length, silent)


def test_a_pair_is_cut_to_one_length() -> None:
    first, second = ClipsInMemory("x", [clip("a")]), ClipsInMemory("y", [clip("a", 1.05)])
    assert value_pairs(first, second, ["a"], length, silent) == ({"a": 8000}, {"a": 8000})
    longer = ClipsInMemory("z", [clip("a", 2)])
    with pytest.raises(MetricError, match=r"x: a: 1.00 s, but 2.00 s in z"):
        value_pairs(first, longer, ["a"], length, silent)


def test_an_error_says_which_set_it_is_of() -> None:
    def refuse(clip: Clip) -> int:
        raise MetricError(f"{clip.name}: too loud", hint="turn it down")

    with pytest.raises(MetricError, match=r"^x: a: too loud - turn it down$"):
        value_each(ClipsInMemory("x", [clip("a")]), ["a"], refuse, silent)
