"""The figures of styles with the built-in embedding over synthesised music."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import soundfile

from lofi_engine.errors import MetricError
from lofi_engine.metrics.clips import Clip, ClipFacts, ClipsInMemory
from lofi_engine.metrics.embeddings.sound import SoundEmbedding
from lofi_engine.metrics.style_collapse import StyleCollapse
from lofi_engine.metrics.style_consistency import StyleConsistency
from lofi_engine.metrics.style_recall import StyleRecall
from lofi_runtime.synth import compose, render
from tests.support.audio_folder import write_mp3
from tests.support.styled_clips import silent

STYLES = ("CORE-04", "THEME-04", "CORE-01")
PROMPT = "lofi"
CLIPS = 4


class Remembering(SoundEmbedding):
    """Embeds the same windows but once, to save the tests' time."""

    def __init__(self):
        self._known = {}

    def embed(self, windows):
        key = hashlib.sha256(windows.tobytes()).digest()
        if key not in self._known:
            self._known[key] = super().embed(windows)
        return self._known[key]


EMBEDDING = Remembering()


@cache
def _track(style, seed):
    return render(compose(PROMPT, seed=seed, duration_sec=9, style=style))


def _set(label, first_seed, heard=lambda style, seed: (style, seed)):
    """Make the clips of every style; `heard` says which track stands for which."""
    return ClipsInMemory(
        label,
        [
            Clip(
                f"{style}-{at}",
                _track(*heard(style, first_seed + at)),
                48_000,
                ClipFacts(prompt=PROMPT, style=style, seed=at),
            )
            for style in STYLES
            for at in range(CLIPS)
        ],
    )


def _changed(clips, change):
    """Give a set whose clips are what `change` makes of them."""
    return ClipsInMemory(clips.label, [change(clips.clip(name)) for name in clips.names])


def _labelled():
    """Give labelled tracks of which no seed is known."""
    return _changed(_set("real", 0), lambda c: replace(c, facts=replace(c.facts, seed=None)))


def _noisy(clip):
    rng = np.random.default_rng(len(clip.name) + int(clip.name[-1]))
    noise = 1e-3 * rng.normal(size=clip.samples.shape)
    return replace(clip, samples=(clip.samples + noise).astype(np.float32))


def test_a_healthy_generator_keeps_styles_apart_and_clips_lively():
    for figure in StyleCollapse(EMBEDDING).measure(_set("ours", 4), _set("base", 0), silent):
        assert not figure.details["failed"], figure.details["text"]
        assert figure.value == pytest.approx(1, abs=0.25)
        assert figure.embedding == "lofi-sound-v1"


def test_one_track_for_every_prompt_is_caught_twice():
    collapsed = _changed(_set("ours", 4, lambda _style, _seed: (STYLES[0], 5)), _noisy)
    distance, diversity = StyleCollapse(EMBEDDING).measure(collapsed, _set("base", 0), silent)
    assert distance.details["failed"], distance.details["text"]
    assert diversity.details["failed"], diversity.details["text"]
    assert distance.value < 0.1
    assert diversity.value < 0.1


def test_one_track_for_each_style_is_caught_by_diversity():
    copies = _changed(_set("ours", 4, lambda style, _seed: (style, 5)), _noisy)
    distance, diversity = StyleCollapse(EMBEDDING).measure(copies, _set("base", 0), silent)
    assert diversity.details["failed"], diversity.details["text"]
    assert not distance.details["failed"], distance.details["text"]


def test_styles_are_heard_and_lie_apart():
    ours, real = _set("ours", 4), _labelled()
    (recall,) = StyleRecall(EMBEDDING).measure(ours, real, silent)
    (consistency,) = StyleConsistency(EMBEDDING).measure(ours, real, silent)
    assert recall.value > 0.8
    assert recall.details["training_recall"] > 0.8
    assert consistency.interval.low > 0


def test_labels_dealt_wrongly_are_heard_as_such():
    turned = {style: STYLES[(at + 1) % 3] for at, style in enumerate(STYLES)}
    wrong = _set("ours", 4, lambda style, seed: (turned[style], seed))
    (recall,) = StyleRecall(EMBEDDING).measure(wrong, _labelled(), silent)
    assert recall.value < 0.2


def test_a_track_of_the_training_set_is_found_quieter_and_as_mp3(tmp_path):
    write_mp3(tmp_path / "again.mp3", 0.5 * _track("THEME-04", 2).T, 128)
    encoded = soundfile.read(tmp_path / "again.mp3", dtype="float32")[0].T

    def swapped(clip):
        return replace(clip, samples=encoded) if clip.name == "CORE-01-0" else clip

    with pytest.raises(MetricError) as refused:
        StyleRecall(EMBEDDING).measure(_changed(_set("ours", 4), swapped), _labelled(), silent)
    assert str(refused.value) == (
        "ours: the classifier would be asked what it was told: CORE-01-0 (as THEME-04-2) of real"
        " - train it on clips that are not judged"
    )


def test_a_track_twice_in_the_training_set_is_found_trimmed():
    real = _labelled()
    trimmed = replace(real.clip("CORE-01-1"), name="again")
    trimmed = replace(trimmed, samples=trimmed.samples[:, 9_600:])
    twice = ClipsInMemory("real", [*(real.clip(name) for name in real.names), trimmed])
    with pytest.raises(MetricError, match="real: the same sound twice: CORE-01-1 and again - "):
        StyleRecall(EMBEDDING).measure(_set("ours", 4), twice, silent)
