from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lofi_runtime.styles.lint import lint_prompt
from lofi_runtime.styles.prompts import Heard, describe_heard, expand_style, write_prompt
from lofi_runtime.styles.taxonomy import load_styles
from lofi_runtime.styles.vocabulary import shipped_vocabulary
from lofi_runtime.synth import compose, describe

STYLES = load_styles()
WORDS = shipped_vocabulary()

SPECIFIED_PROMPTS = (
    "lofi hip hop, chill, relaxing, piano, rhodes, boom bap drums, vinyl crackle,\n"
    "tape saturation, 85 bpm, late night, instrumental",
    "jazz lofi, cozy, festive, piano, sleigh bells, warm bass, vinyl crackle,\n"
    "soft drums, 78 bpm, winter, christmas, holiday, instrumental",
    "lofi hip hop, nostalgic, dreamy, rhodes, acoustic guitar, female vocal sample,\n"
    "japanese influence, vinyl crackle, 82 bpm, city night, chopped vocals",
    "ambient lofi, melancholic, introspective, synth pads, piano, rain ambience,\n"
    "minimal drums, reverb heavy, slow tempo, 65 bpm, rainy, instrumental",
    "chillhop, upbeat, tropical, acoustic guitar, bongos, warm bass,\n"
    "filtered samples, 95 bpm, summer, beach vibes, sunset, instrumental",
    "lofi hip hop, chill, piano, vinyl crackle, 80 bpm, late night",
)
CALIBRATION_PROMPTS = (
    "lofi hip hop, chill, piano, vinyl crackle, 80 bpm, late night, instrumental",
    "jazz lofi, saxophone, rhodes, brushed drums, warm, 75 bpm, coffee shop",
    "ambient lofi, pads, minimal drums, reverb, ethereal, slow tempo",
    "christmas lofi, cozy, piano, sleigh bells, festive, winter, 78 bpm",
    "summer lofi, beach vibes, acoustic guitar, bright, upbeat, 95 bpm",
    "rainy day lofi, melancholic, piano, rain ambience, contemplative",
    "lofi hip hop, female vocal, dreamy, chopped vocals, nostalgic, 82 bpm",
    "japanese lofi, male vocal, city pop influence, neon, night, 85 bpm",
)
TABLE_TAGS = (
    "lofi hip hop, chill beats, vinyl crackle, boom bap drums, jazz samples",
    "jazz lofi, piano, rhodes, saxophone, complex harmony, swing rhythm",
    "ambient lofi, atmospheric, pads, reverb, ethereal, minimal drums",
    "lofi house, filtered, house beat, uptempo, disco samples",
    "chillhop, upbeat, positive, funk bassline, groovy",
    "dark lofi, melancholic, minor key, deep bass, moody",
    "bedroom pop, indie, dreamy, lo-fi production, intimate",
)
CATEGORY_TAGS = """
lofi hip hop, chillhop, jazz lofi, ambient lofi, lofi house, dark lofi, bedroom pop lofi, chill,
relaxing, melancholic, nostalgic, dreamy, cozy, peaceful, introspective, romantic, hopeful, piano,
rhodes, wurlitzer, acoustic guitar, electric guitar, saxophone, flute, strings, synth pads, bass
guitar, drum machine, vinyl crackle, tape hiss, slow tempo, 70 bpm, 80 bpm, 90 bpm, medium tempo,
tape saturation, lo-fi production, warm compression, analog warmth, side-chain compression, rainy,
late night, coffee shop, urban, nature, winter, summer, autumn, spring, instrumental, chopped
vocals, female vocal sample, male vocal sample, humming, wordless vocals
"""
PRESETS = (
    "lofi hip hop, chill, boom bap drums, vinyl crackle, {mood}, piano, rhodes, bass guitar, "
    "tape saturation, analog warmth, side-chain compression, {tempo}, {voice}",
    "jazz lofi, sophisticated, complex harmony, {mood}, piano, saxophone, upright bass, brushed "
    "drums, warm compression, vinyl crackle, room reverb, {tempo}, {voice}",
    "christmas lofi, cozy, festive, holiday, {mood}, piano, sleigh bells, music box, soft "
    "strings, vinyl crackle, warm, gentle compression, {tempo}, {voice}",
)
MOODS = (
    "chill", "relaxing", "melancholic", "nostalgic", "dreamy", "cozy", "peaceful", "introspective",
    "romantic", "hopeful", "contemplative", "serene", "wistful", "bittersweet", "warm",
)  # fmt: skip
TEMPI = (
    "60 bpm, very slow tempo", "70 bpm, slow tempo", "80 bpm, laid-back tempo",
    "85 bpm, medium tempo", "90 bpm, groovy tempo", "100 bpm, upbeat tempo",
)  # fmt: skip


def said(prompt):
    return [finding.message for finding in lint_prompt(prompt, WORDS)]


@pytest.mark.parametrize("prompt", SPECIFIED_PROMPTS + CALIBRATION_PROMPTS + TABLE_TAGS)
def test_the_prompts_of_the_specification_are_clean(prompt):
    assert said(prompt) == []


def test_every_tag_of_the_specifications_categories_is_known():
    for tag in CATEGORY_TAGS.split(","):
        assert said(tag) == []


def test_the_specifications_presets_are_clean_in_every_mood_and_tempo():
    voices = ("instrumental", "chopped vocals")
    for preset, mood, tempo, voice in product(PRESETS, MOODS, TEMPI, voices):
        assert said(preset.format(mood=mood, tempo=tempo, voice=voice)) == []


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_the_example_prompts_of_a_style_are_clean_and_its_own(style):
    assert len(style.examples) >= 2
    own = {tag for tags in style.tags.values() for tag in tags}
    low, high = style.tempo_bpm
    for example in style.examples:
        assert said(example) == []
        tags = example.split(", ")
        assert set(style.always) <= set(tags)
        assert len(own & set(tags)) >= 6
        (bpm,) = (int(tag.removesuffix(" bpm")) for tag in tags if tag.endswith(" bpm"))
        assert low <= bpm <= high


@settings(max_examples=300, deadline=None)
@given(
    style_id=st.sampled_from(list(STYLES)),
    seed=st.integers(0, 2**63),
    tempo_bpm=st.none() | st.just(0.0) | st.floats(20, 240),
    vocals=st.sampled_from([None, "vocals", "female vocals", "instrumental", "humming"]),
)
def test_whatever_a_style_writes_is_clean(style_id, seed, tempo_bpm, vocals):
    assert said(expand_style(STYLES[style_id], seed, tempo_bpm=tempo_bpm, vocals=vocals)) == []


@settings(max_examples=200, deadline=None)
@given(
    style_ids=st.lists(st.sampled_from(list(STYLES)), min_size=1, max_size=3, unique=True),
    seed=st.integers(0, 2**32),
    key=st.sampled_from(["", "A minor", "C major", "F# dorian", "Eb lydian"]),
    brightness=st.sampled_from(["", "dark", "warm", "bright"]),
    tempo_bpm=st.floats(55, 125),
)
def test_what_is_heard_and_further_styles_never_contradict(
    style_ids, seed, key, brightness, tempo_bpm
):
    styles = [STYLES[style_id] for style_id in style_ids]
    heard = Heard(tempo_bpm=tempo_bpm, key=key, brightness=brightness)
    prompt = write_prompt(styles[0], seed, heard, styles[1:])
    assert said(prompt) == []
    assert said(describe_heard(heard)) == []
    assert set(styles[0].always) <= set(prompt.split(", "))


@pytest.mark.parametrize("style", STYLES)
def test_what_the_synthesiser_says_of_itself_is_clean(style):
    for seed in range(3):
        assert said(describe(compose("", seed=seed, duration_sec=30, style=style))["prompt"]) == []


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("lofi, rodes", "'rodes' is not a known tag; did you mean 'rhodes'?"),
        ("vinyl crakle", "'vinyl crakle' is not a known tag; did you mean 'vinyl crackle'?"),
        ("xyzzy", "'xyzzy' is not a known tag"),
    ],
)
def test_an_unknown_tag_is_told_with_the_nearest_known_one(prompt, message):
    assert said(prompt) == [message]


@pytest.mark.parametrize(
    ("one", "other", "about"),
    [
        ("instrumental", "female vocal", "voice"),
        ("no vocals", "breathy vocals", "voice"),
        ("slow tempo", "uptempo", "tempo"),
        ("120 bpm", "slow tempo", "tempo"),
        ("70 bpm", "90 bpm", "tempo"),
        ("slow tempo", "upbeat", "pace"),
        ("winter", "summer lofi", "season"),
        ("christmas", "halloween", "season"),
        ("minor key", "C major", "mode"),
        ("A minor", "A major", "mode"),
        ("no drums", "boom bap", "drums"),
        ("no piano", "piano", "instruments"),
        ("sunday morning", "midnight", "time of day"),
        ("bright", "dark filter", "brightness"),
        ("joyful", "melancholic", "feeling"),
    ],
)
def test_contradictory_tags_are_told_with_what_they_are_about(one, other, about):
    assert said(f"{one}, {other}") == [f"'{one}' and '{other}' contradict each other ({about})"]


def test_what_only_looks_like_a_contradiction_is_not():
    for prompt in (
        "82 bpm, 83.5 bpm",
        "summer evening, sunset, summer",
        "no drums, sleigh bells",
        "female vocals, male vocals, duet",
        "minor key, D dorian",
        "piano, piano, Piano",
        "no piano, no drums",
        "",
    ):
        assert said(prompt) == []


def test_unknown_tags_come_first_and_each_once():
    assert said("winter, foo bar baz, summer, foo bar baz") == [
        "'foo bar baz' is not a known tag",
        "'winter' and 'summer' contradict each other (season)",
    ]
