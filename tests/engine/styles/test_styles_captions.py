from __future__ import annotations

import pytest

from lofi_engine.styles.captions import (
    MAX_CAPTION_CHARACTERS,
    VARIANTS,
    Facts,
    write_captions,
)
from lofi_runtime.styles.prompts import Heard, write_prompt
from lofi_runtime.styles.taxonomy import load_styles
from lofi_runtime.styles.vocabulary import fold, shipped_vocabulary

STYLES = load_styles()
WORDS = shipped_vocabulary()
PROMPT = (
    "jazz lofi, cozy, mellow, piano, upright bass, brushed drums, 75 bpm, A minor, vinyl crackle, "
    "coffee shop, instrumental"
)


def captions(prompt, tempo_bpm=0.0, key="", brightness=""):
    return write_captions(Facts(prompt, tempo_bpm, key, brightness), WORDS)


def test_the_variants_have_the_references_names():
    assert VARIANTS == (
        "simplified", "expanded", "descriptive", "synonyms", "use_cases", "analysis",
    )  # fmt: skip


def test_a_prompt_is_said_in_six_other_ways():
    assert captions(PROMPT, 75.2, "A minor", "warm") == {
        "simplified": "jazz lofi",
        "expanded": (
            f"{PROMPT}, jazz, downtempo, lofi, keyboard, bass, drums, jazz drums, record noise"
        ),
        "descriptive": (
            "A cozy and mellow jazz lofi track at an easy 75 bpm with piano, upright bass and "
            "brushed drums, coloured by vinyl crackle, in a coffee shop setting, without a voice."
        ),
        "synonyms": (
            "lofi jazz, cosy, soft-edged, pianoforte, double bass, brushes on drums, 75 bpm, "
            "A minor, record crackle, café, no vocals"
        ),
        "use_cases": "Good for a café playlist, background music while working.",
        "analysis": (
            "genre: jazz lofi; instruments: piano, upright bass, brushed drums; tempo: 75 bpm; "
            "mood: cozy, mellow; key: A minor; timbre: warm"
        ),
    }


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_every_style_gets_all_six_each_different_and_short(style):
    for seed in range(5):
        tempo_bpm = float(style.tempo_bpm[1])
        heard = Heard(tempo_bpm=tempo_bpm, key="A minor", brightness="warm")
        prompt = write_prompt(style, seed, heard)
        said = captions(prompt, tempo_bpm, "A minor", "warm")
        assert tuple(said) == VARIANTS
        assert len({prompt, *said.values()}) == 7
        assert all(len(text) <= MAX_CAPTION_CHARACTERS for text in said.values())


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_captions_say_nothing_the_prompt_does_not(style):
    prompt = write_prompt(style, 1, Heard(tempo_bpm=80.0))
    tags = {fold(tag) for tag in prompt.split(", ")}
    said = captions(prompt, 80.0)
    meant = {fold(WORDS.meaning(tag).tag) for tag in said["synonyms"].split(", ")}
    assert meant <= {fold(WORDS.meaning(tag).tag) for tag in prompt.split(", ")}
    broader = {fold(name) for tag in prompt.split(", ") for name in entry(tag)}
    assert {fold(tag) for tag in said["expanded"].split(", ")} <= tags | broader
    others = {
        fold(tag) for category in ("instruments", "atmosphere") for tag in WORDS.tags(category)
    }
    words = {word for word in others - tags - broader if len(word) > 5}
    told = fold(said["descriptive"] + said["analysis"]).replace(",", "").replace(".", "")
    assert not [word for word in words if f" {word} " in told and not _inside(word, tags)]


def entry(tag):
    word = WORDS.word(tag)
    return word.broader if word else ()


def _inside(word, tags):
    """Whether a word is part of a tag that is there, as "strings" is of "soft strings"."""
    return any(word in tag for tag in tags)


def test_what_cannot_be_said_another_way_is_left_out():
    assert captions("xyzzy") == {
        "descriptive": "A lofi track.",
        "use_cases": "Good for background music while working.",
    }
    assert "simplified" not in captions("piano")


def test_a_refused_instrument_is_not_described():
    said = captions("lofi hip hop, no drums, no piano, rhodes, 80 bpm, instrumental", 80.0)
    assert "drums" not in said["descriptive"]
    assert "piano" not in said["analysis"]


def test_a_voice_is_told_with_its_timbre():
    said = captions("r&b lofi, smooth, rhodes, 70 bpm, soulful female vocals, husky", 70.0)
    assert said["descriptive"] == (
        "A smooth r&b lofi track at a slow 70 bpm with rhodes, featuring husky and soulful female "
        "vocals."
    )


def test_long_prompts_still_give_short_captions():
    prompt = ", ".join(WORDS.tags("instruments"))
    said = captions(prompt, 80.0)
    assert all(len(text) <= MAX_CAPTION_CHARACTERS for text in said.values())
    assert said["synonyms"].count(",") > 5
