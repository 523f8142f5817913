from __future__ import annotations

from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipFacts, ClipsInMemory
from lofi_engine.metrics.lyrics import LyricAlignment, WordErrors, count_errors
from lofi_engine.metrics.recognizer import SpeechRecognizer
from lofi_engine.metrics.unrelated import unrelated_sounds
from tests.support.programs import require
from tests.support.tiny_metric_models import SPEECH_RATE, save_tiny_ctc, save_tiny_whisper

SOUNDS = unrelated_sounds(SPEECH_RATE, 4)
HUM, CHORDS = 1, 4
ENGLISH = "rain on the roof", "a slow train home"


@pytest.fixture(scope="module", autouse=True)
def jiwer() -> None:
    require("lyrics")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_ctc(tmp_path_factory.mktemp("models") / "tiny-ctc")


@pytest.fixture(scope="module")
def heard(folder: Path) -> tuple[str, str]:
    """What the recogniser hears in the hum, one word, and in the chords, many."""
    recognizer = SpeechRecognizer(folder)
    hum, chords = (recognizer.hear(SOUNDS[at : at + 1], SPEECH_RATE) for at in (HUM, CHORDS))
    assert len(hum.split()) == 1
    assert len(chords.split()) > 3
    return hum, chords


def clips(*lyrics: str, label: str = "ours") -> ClipsInMemory:
    return ClipsInMemory(
        label,
        [
            Clip(f"{at}.wav", SOUNDS[place : place + 1], SPEECH_RATE, ClipFacts(lyrics=text))
            for at, (place, text) in enumerate(zip((HUM, CHORDS, 0), lyrics, strict=False))
        ],
    )


def silent(done: int, of: int, name: str) -> None:
    pass


@pytest.mark.parametrize(
    ("sung", "heard_text", "found"),
    [
        ("the cat sat on the mat", "the cat sat on the mat", WordErrors(6, 0, 0, 0)),
        ("the cat sat on the mat", "the cat sit on mat", WordErrors(6, 1, 1, 0)),
        ("the cat sat on the mat", "", WordErrors(6, 0, 6, 0)),
        ("rain", "the rain in spain", WordErrors(1, 0, 0, 3)),
    ],
)
def test_errors_of_known_texts(sung: str, heard_text: str, found: WordErrors) -> None:
    assert count_errors(tuple(sung.split()), tuple(heard_text.split())) == found


def test_a_rate_is_errors_by_word_and_may_exceed_one() -> None:
    assert WordErrors(6, 1, 1, 0).rate == pytest.approx(1 / 3)
    assert WordErrors(1, 0, 0, 3).rate == 3


def test_what_is_sung_as_written_has_no_errors(folder: Path, heard: tuple[str, str]) -> None:
    judged = clips(f"[verse]\n{heard[0].upper()}!", heard[1])
    (figure,) = LyricAlignment(folder).measure(judged, None, silent)
    assert figure.value == 0
    assert figure.each == {"0.wav": 0, "1.wav": 0}


def test_words_are_weighted_and_not_clips(folder: Path, heard: tuple[str, str]) -> None:
    words = heard[1].split()
    judged = clips("other", " ".join(["wrong", *words[1:], "more"]))
    (figure,) = LyricAlignment(folder).measure(judged, None, silent)
    count = len(words)
    assert figure.each == pytest.approx({"0.wav": 1.0, "1.wav": 2 / (count + 1)})
    assert figure.value == pytest.approx(3 / (count + 2))
    assert figure.details["mean_of_clips"] == pytest.approx((1 + 2 / (count + 1)) / 2)
    assert figure.details["words"] == count + 2
    assert [figure.details[what] for what in ("substitutions", "deletions", "insertions")] == [
        2,
        1,
        0,
    ]
    assert figure.interval is not None
    assert figure.interval.low == 0.0  # two clips say next to nothing of others
    assert figure.interval.high > 1
    assert (figure.metric, figure.n, figure.counted, figure.better) == (
        "lyrics",
        2,
        "clips",
        "lower",
    )


def test_instrumentals_are_left_out_and_counted(folder: Path, heard: tuple[str, str]) -> None:
    (figure,) = LyricAlignment(folder).measure(clips(*heard, "[Instrumental]"), None, silent)
    assert (figure.n, figure.details["clips_without_words"]) == (2, 1)
    assert set(figure.each) == {"0.wav", "1.wav"}


def test_sets_are_compared_by_the_clips_they_share(folder: Path, heard: tuple[str, str]) -> None:
    first, second = clips("other", heard[1], label="int8"), clips("other", heard[1])
    (difference,) = LyricAlignment(folder).compare(first, second, None, silent)
    assert (difference.value, difference.n, difference.is_worse) == (0, 2, False)
    assert difference.first.judged == "int8"
    with pytest.raises(MetricError, match=r"int8 and ours: lyrics differ: 1.wav - generate both"):
        LyricAlignment(folder).compare(first, clips("other", "a b"), None, silent)


def test_a_pair_that_is_worse_in_every_clip_is_worse(folder: Path, heard: tuple[str, str]) -> None:
    good = clips(*heard)
    bad = ClipsInMemory(
        "bad",
        [
            Clip(name, SOUNDS[place : place + 1], SPEECH_RATE, good.facts(name))
            for name, place in (("0.wav", 3), ("1.wav", 0))
        ],
    )
    (difference,) = LyricAlignment(folder).compare(bad, good, None, silent)
    assert difference.second.value == 0
    assert difference.value == difference.first.value > 0
    assert difference.relative is None
    assert difference.is_worse


def test_a_set_without_words_is_refused(folder: Path) -> None:
    with pytest.raises(MetricError, match=r"ours: 0 clips with words .* NAME_lyrics.txt beside it"):
        LyricAlignment(folder).measure(clips("", "[inst]"), None, silent)
    with pytest.raises(MetricError, match=r"ours: 1 clip with words in the lyrics, at least 2"):
        LyricAlignment(folder).measure(clips("rain", ""), None, silent)


def test_a_recogniser_that_hears_the_same_in_every_clip_is_refused(tmp_path: Path) -> None:
    deaf = LyricAlignment(save_tiny_ctc(tmp_path / "deaf", deaf="z"))
    with pytest.raises(MetricError, match=r"deaf@\w{8} hears the same, 'z', in each of 2 clips wi"):
        deaf.measure(clips(*ENGLISH), None, silent)
    assert deaf.measure(clips("one song", "one song"), None, silent)[0].value == 1


def test_a_recogniser_that_hears_no_words_in_any_clip_is_refused(tmp_path: Path) -> None:
    deaf = LyricAlignment(save_tiny_ctc(tmp_path / "deaf", deaf="'"))
    with pytest.raises(MetricError, match=r"hears no words at all in each of 2 clips with differ"):
        deaf.measure(clips(*ENGLISH), None, silent)


def test_a_recogniser_of_another_script_is_refused(folder: Path) -> None:
    with pytest.raises(MetricError, match=r"cannot write 100% of the lyrics' letters - use one"):
        LyricAlignment(folder).measure(clips("夜の雨", "静かな街"), None, silent)


def test_a_silent_clip_and_a_short_one_are_refused_by_name(folder: Path) -> None:
    lyrics = ClipFacts(lyrics="rain")
    quiet = Clip("q", np.zeros((1, SPEECH_RATE), np.float32), SPEECH_RATE, lyrics)
    short = Clip("s", SOUNDS[:1, :6000], SPEECH_RATE, lyrics)
    full = Clip("a", SOUNDS[:1], SPEECH_RATE, lyrics)
    for wrong, said in ((quiet, "x: q: silent"), (short, "x: s: 0.38 s of sound hold no words")):
        with pytest.raises(MetricError, match=said):
            LyricAlignment(folder).measure(ClipsInMemory("x", [full, wrong]), None, silent)


def test_whisper_is_loaded_and_measured_with(tmp_path: Path) -> None:
    metric = LyricAlignment(save_tiny_whisper(tmp_path / "tiny-whisper"))
    told: list[Any] = []
    (figure,) = metric.measure(clips(*ENGLISH, "x"), None, lambda *step: told.append(step))
    assert told == [(1, 3, "0.wav"), (2, 3, "1.wav"), (3, 3, "2.wav")]
    assert figure.value > 0
    assert figure.details["recognizer"].startswith("tiny-whisper@")
    assert metric.measure(clips(*ENGLISH, "x"), None, silent)[0].each == figure.each


def test_without_jiwer_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(MetricError, match=r"jiwer is not installed - pip install 'lofi-recipe\[ly"):
        LyricAlignment(folder)
