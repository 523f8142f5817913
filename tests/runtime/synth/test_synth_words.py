from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lofi_runtime.styles.taxonomy import load_styles
from lofi_runtime.synth import vocabulary as v
from lofi_runtime.synth.defaults import expand, style_wishes
from lofi_runtime.synth.style_words import NOT_RENDERED, STANDS_IN, STYLE_EXTRAS
from lofi_runtime.synth.words import Wishes, read


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("70 bpm", (70, 70)),
        ("lofi at 85bpm", (85, 85)),
        ("BPM: 92", (92, 92)),
        ("70-80 bpm", (70, 80)),
        ("82.5 beats per minute", (82.5, 82.5)),
        ("slow tempo", (66, 74)),
        ("very slow tempo, piano", (58, 62)),
        ("slow tempo, 65 bpm", (65, 65)),
        ("900 bpm", (180, 180)),
        ("12 bpm", (40, 40)),
        ("jazz from 1962", None),
        ("not too fast", None),
    ],
)
def test_a_tempo_is_read_as_a_musician_writes_it(text, bounds):
    assert read(text).tempo_bpm == bounds


@pytest.mark.parametrize(
    ("text", "tonic", "mode"),
    [
        ("a minor", 9, "minor"),
        ("in C# minor", 1, "minor"),
        ("E-flat major", 3, "major"),
        ("F♯ minor", 6, "minor"),
        ("B♭ major, piano", 10, "major"),
        ("Am", 9, "minor"),
        ("rhodes, Dm", 2, "minor"),
        ("key of F", 5, None),
        ("D dorian", 2, "dorian"),
        ("minor key", None, "minor"),
        ("in a minor key", None, "minor"),
        ("Am I dreaming", None, None),
        ("piano", None, None),
    ],
)
def test_a_key_is_read_and_an_article_is_not_a_note(text, tonic, mode):
    wishes = read(text)
    assert (wishes.tonic, wishes.mode) == (tonic, mode)


@pytest.mark.parametrize(
    ("text", "refused", "wanted"),
    [
        ("no drums", {"drums"}, ()),
        ("drumless", {"drums"}, ()),
        ("without drums", {"drums"}, ()),
        ("no drums and rain", {"drums"}, ("rain",)),
        ("no drums but piano", {"drums"}, ("piano",)),
        ("no drums or bass", {"drums", "bass"}, ()),
        ("no guitar, piano", {"acoustic guitar", "electric guitar"}, ("piano",)),
        ("no vocals", {"chopped vocals", "female vocals", "humming", "choir"}, ()),
        ("no vinyl crackle", {"vinyl crackle"}, ()),
    ],
)
def test_what_is_refused_is_told_from_what_is_wanted(text, refused, wanted):
    wishes = read(text)
    assert refused <= wishes.refused
    assert (*wishes.instruments, *wishes.textures) == wanted


def test_a_longer_name_hides_the_shorter_one_inside_it():
    assert read("bass guitar").instruments == ("bass guitar",)
    assert read("electric piano").instruments == ("rhodes",)
    assert read("jazz guitar").instruments == ("electric guitar",)


def test_words_of_other_scripts_are_understood():
    wishes = read("雨の夜、ピアノ")
    assert wishes.instruments == ("piano",)
    assert wishes.textures == ("rain", "night")
    assert read("☕🎷").textures == ("cafe",)


def test_every_tag_of_the_prompt_vocabulary_for_instruments_is_known():
    tags = (
        "piano rhodes wurlitzer saxophone flute strings;acoustic guitar;electric guitar;synth pads"
        ";bass guitar;sleigh bells;music box;chopped vocals;humming"
    )
    for group in tags.split(";"):
        for tag in group.split() if ";" not in group and group.startswith("piano") else [group]:
            wishes = read(tag)
            assert wishes.instruments or wishes.percussion, tag


def test_a_prompt_wins_over_its_style_and_lists_are_joined():
    wishes = expand("70 bpm, a minor, no saxophone", "CORE-02")
    assert wishes.tempo_bpm == (70, 70)
    assert wishes.genre == "jazz lofi"
    assert "saxophone" not in wishes.instruments
    assert {"piano", "rhodes"} <= set(wishes.instruments)
    assert wishes.kit == "brushes"


def test_a_word_may_ask_for_what_a_style_leaves_out():
    assert expand("", "THEME-04").kit is None
    assert expand("boom bap", "THEME-04").kit == "boom bap"


def test_every_style_of_the_taxonomy_is_understood_with_its_tempo_genre_and_instruments():
    styles = load_styles()
    assert len(styles) == 38
    for style in styles.values():
        wishes = style_wishes(style.id)
        assert wishes.tempo_bpm == style.tempo_bpm, style.id
        assert set(wishes.modes) <= set(style.modes), style.id
        assert wishes.genre == read(style.tags["genre"][0]).genre, style.id
        assert wishes.instruments, style.id
        assert set(wishes.instruments) <= set(read(_played(style)).instruments), style.id
    assert style_wishes("core-01") == style_wishes("CORE-01")
    assert style_wishes("CORE-99") is None
    assert set(STYLE_EXTRAS) == set(styles)


def _played(style):
    tags = (*style.tags["instruments"], *style.tags["vocal_type"])
    return ", ".join((*tags, STYLE_EXTRAS[style.id]))


def test_a_way_of_producing_asks_for_no_instrument():
    assert read("analog warmth, warm compression").instruments == ()
    assert read("analog warmth").moods == ("warm",)


def test_an_alias_stands_for_one_concept_within_its_category():
    for table in (v.INSTRUMENTS, v.KITS, v.GENRES, v.PERCUSSION, v.SOUNDS):
        names = [alias for concept, others in table.items() for alias in (concept, *others)]
        assert len(names) == len(set(names))


@given(st.text(max_size=300))
@settings(max_examples=80, deadline=None)
def test_no_text_breaks_the_reader(text):
    wishes = expand(text)
    assert wishes.genre in v.GENRES
    assert not set(wishes.instruments) & wishes.refused


def test_every_tag_of_the_taxonomy_is_heard_or_listed_with_its_reason():
    unheard = set()
    for style in load_styles().values():
        for tag in {*style.always, *(tag for tags in style.tags.values() for tag in tags)}:
            if read(tag) == Wishes():
                unheard.add(tag)
    assert sorted(unheard - set(NOT_RENDERED)) == []


def test_what_is_listed_as_not_heard_is_not_and_names_no_instrument():
    instruments = {tag for style in load_styles().values() for tag in style.tags["instruments"]}
    assert not instruments & set(NOT_RENDERED)
    for tag, reason in NOT_RENDERED.items():
        assert read(tag) == Wishes(), tag
        assert reason


def test_a_tag_asks_for_what_it_says():
    assert read("haunted house").kit is None
    assert read("8-bit textures").sounds == ("bitcrushed",)
    assert read("steel drums").instruments == ("steel drums",)
    assert read("square wave bass").instruments == ("square wave bass",)
    assert read("slow attack").tempo_bpm is None
    assert read("eerie samples").instruments == ("theremin",)
    assert read("male japanese vocals").instruments == ("male vocals",)
    assert read("spoken word").instruments == ("murmur",)
    assert read("a minor pentatonic").mode in ("minor", "pentatonic")
    assert (read("E phrygian").tonic, read("E phrygian").mode) == (4, "phrygian")
    assert read("in D harmonic minor").mode == "harmonic minor"
    assert set(STANDS_IN) <= {*v.INSTRUMENTS, *v.PERCUSSION, *v.SOUNDS}
