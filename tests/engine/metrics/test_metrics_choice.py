"""Which metrics can run is said before any of them does."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from lofi_engine.metrics import choice, extras
from lofi_engine.metrics.checks import SoundFormat
from lofi_engine.metrics.folder import ClipFolder, Extent
from lofi_engine.metrics.protocol import Needs
from lofi_engine.metrics.registry import MetricFacts, MetricOptions


def folder(place, *names, prompt=""):
    place.mkdir()
    for name in names:
        soundfile.write(place / f"{name}.wav", np.zeros((100, 1)), 8_000)
        if prompt:
            (place / f"{name}_prompt.txt").write_text(prompt, encoding="utf-8")
    return ClipFolder(place)


def lacks(needs, *folders, name="mel", **options):
    facts = MetricFacts(name, "title", needs, frozenset())
    return choice.what_lacks(facts, folders, MetricOptions(**options))


def test_nothing_lacks_where_nothing_is_needed(tmp_path):
    assert lacks(Needs(), folder(tmp_path / "A", "x")) == ""


def test_a_reference_lacks_until_a_second_folder_is_named(tmp_path):
    one, other = folder(tmp_path / "A", "x"), folder(tmp_path / "B", "y")
    assert "needs a second folder" in lacks(Needs(reference=True), one)
    assert lacks(Needs(reference=True), one, other) == ""


def test_pairs_lack_where_names_differ_in_any_of_the_sets(tmp_path):
    one, two = folder(tmp_path / "A", "x"), folder(tmp_path / "B", "x")
    three = folder(tmp_path / "C", "y")
    needs = Needs(reference=True, pairs=True)
    assert lacks(needs, one, two) == ""
    assert "needs pairs: " in lacks(needs, one, two, three)


def test_facts_that_no_clip_or_not_every_clip_has_are_said_apart(tmp_path):
    one = folder(tmp_path / "A", "x", "y", "z")
    assert lacks(Needs(prompts=True), one) == f"no clip in {tmp_path}/A has a prompt"
    (tmp_path / "A" / "y_prompt.txt").write_text("lofi", encoding="utf-8")
    again = ClipFolder(tmp_path / "A")
    assert lacks(Needs(prompts=True), again) == f"2 clips in {tmp_path}/A without a prompt: x, z"


def test_lyrics_of_one_clip_are_enough(tmp_path):
    folder(tmp_path / "A", "x", "y")
    (tmp_path / "A" / "x_lyrics.txt").write_text("rain", encoding="utf-8")
    assert lacks(Needs(lyrics=True), ClipFolder(tmp_path / "A")) == ""


def test_latents_are_wanted_of_both_sets_that_are_held_against_each_other(tmp_path):
    one, other = folder(tmp_path / "A", "x"), folder(tmp_path / "B", "x")
    np.save(tmp_path / "A" / "x.latents.npy", np.zeros((1, 1, 1), np.float32))
    needs = Needs(reference=True, pairs=True, latents=True)
    assert lacks(needs, one, other) == f"no clip in {tmp_path}/B has latents"


def test_the_reference_needs_no_prompts_where_it_is_no_reference(tmp_path):
    one, other = folder(tmp_path / "A", "x", prompt="lofi"), folder(tmp_path / "B", "x")
    assert lacks(Needs(prompts=True), one, other) == ""
    assert "no clip in" in lacks(Needs(prompts=True, reference=True), one, other)


def test_a_model_that_is_not_named_and_an_extra_that_is_not_installed_are_said(
    tmp_path, monkeypatch
):
    one = folder(tmp_path / "A", "x")
    needs = Needs(model="a CLAP model")
    assert lacks(needs, one, name="clap") == "needs a CLAP model: --clap FOLDER, or hf:owner/name"
    assert lacks(needs, one, name="clap", clap="there") == ""
    monkeypatch.setitem(extras.PACKAGES, "visqol", "no_such_package")
    said = lacks(Needs(extra="visqol"), one)
    assert said == "is not installed: pip install 'lofi-recipe[visqol]'"
    monkeypatch.setitem(extras.PACKAGES, "aesthetics", "no_such_package")
    said = lacks(Needs(extra="aesthetics"), one)
    assert said == "is not installed: pip install --no-deps audiobox-aesthetics"


def test_a_classifier_is_not_trained_on_the_same_prompts_and_seeds(tmp_path):
    names = [f"CORE-{style}-{take}" for style in ("01", "02") for take in range(4)]
    judged, base = folder(tmp_path / "A", *names), folder(tmp_path / "B", *names)
    facts = {name: {"prompt": "lofi", "seed": seed} for seed, name in enumerate(names)}
    needs = Needs(reference=True, styles=True)
    assert lacks(needs, judged, base, name="style-recall") == ""
    for place in ("A", "B"):
        (tmp_path / place / "clips.json").write_text(json.dumps(facts), encoding="utf-8")
    judged, base = ClipFolder(tmp_path / "A"), ClipFolder(tmp_path / "B")
    said = lacks(needs, judged, base, name="style-recall")
    assert "A: generated from the same prompt and seed as clips of " in said
    assert lacks(needs, judged, base, name="style-consistency") == ""


def test_styles_need_two_with_clips_enough(tmp_path):
    place = tmp_path / "A"
    folder(place, *(f"CORE-01-{take}" for take in range(4)), *(f"CORE-02-{take}" for take in "abc"))
    assert "needs two styles" in lacks(Needs(styles=True), ClipFolder(place))
    soundfile.write(place / "CORE-02-d.wav", np.zeros((100, 1)), 8_000)
    assert lacks(Needs(styles=True), ClipFolder(place)) == ""


@pytest.mark.parametrize(
    ("durations", "project", "said"),
    [
        ([6.0] * 8, False, ""),
        ([6.0] * 7, False, "needs 24 windows of 3 s, A has 21: more or longer clips, or --project"),
        ([3.0] * 8, True, ""),
        ([3.0] * 7, True, "needs 8 windows of 3 s, A has 7: more or longer clips"),
    ],
)
def test_too_few_windows_are_foreseen(durations, project, said):
    embedding = SimpleNamespace(dimensions=12, window_sec=3.0, hop_sec=1.5)
    extents = {f"x{n}": Extent(SoundFormat(8_000, 1), d) for n, d in enumerate(durations)}
    assert choice.lacks_windows({"A": extents}, embedding, project=project) == said


def lengths(place, duration_sec=20.0):
    return {name: Extent(SoundFormat(8_000, 1), duration_sec) for name in place.names}


@pytest.mark.parametrize(("name", "wish"), [("tempo", "lofi, 74 bpm"), ("key", "A minor, lofi")])
def test_a_tempo_or_key_is_asked_for_by_prompts_or_had_by_pairs(tmp_path, name, wish):
    plain = folder(tmp_path / "A", "x", "y", prompt="slow lofi")
    asking = folder(tmp_path / "B", "x", "y", prompt=wish)
    other = folder(tmp_path / "C", "x", "y")
    assert choice.lacks_wishes(name, [asking], lengths(asking)) == ""
    assert choice.lacks_wishes(name, [plain, other], lengths(plain)) == ""
    said = choice.lacks_wishes(name, [plain], lengths(plain))
    assert said.startswith(f"needs prompts that ask for a {name} (")
    assert said.endswith(f"or pairs: no prompt in {tmp_path}/A")
    (tmp_path / "A" / "x_prompt.txt").write_text(wish, encoding="utf-8")
    again = ClipFolder(tmp_path / "A")
    assert choice.lacks_wishes(name, [again], lengths(again)).endswith(f"1 prompt in {tmp_path}/A")


def test_clips_too_short_to_hear_a_tempo_in_are_named(tmp_path):
    one = folder(tmp_path / "A", "x", prompt="74 bpm")
    said = choice.lacks_wishes("tempo", [one], lengths(one, 4.9))
    assert said == "needs 5 s and more of every clip, not so: x"
