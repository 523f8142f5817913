from __future__ import annotations

from lofi_engine.styles.search import months, search_styles, style_facts, style_lines
from lofi_runtime.styles.taxonomy import load_styles
from lofi_runtime.styles.vocabulary import shipped_vocabulary

STYLES = load_styles()
ALL = list(STYLES.values())


def found(words, vocabulary=None):
    return [style.id for style in search_styles(ALL, words, vocabulary)]


def test_a_name_comes_before_a_tag_and_a_tag_before_a_word_of_the_description():
    assert found("rainy")[0] == "SEASON-06"
    assert set(found("rainy")[1:]) >= {"THEME-01", "INST-01"}
    assert found("halloween") == ["SEASON-07"]
    assert found("winter")[0] == "SEASON-01"


def test_every_word_must_fit():
    assert found("saxophone house") == []
    assert set(found("saxophone jazz")[:2]) == {"CORE-02", "INST-05"}
    assert found("") == list(STYLES)


def test_ids_accents_and_synonyms_are_found():
    assert found("season-06") == ["SEASON-06"]
    assert found("CAFE ambience") == ["THEME-01"]
    assert "INST-05" not in found("sax player")
    assert found("fall")[0] == "SEASON-05"
    assert found("thumb piano") == []
    assert set(found("thumb piano", shipped_vocabulary())) == {"SEASON-03", "THEME-06", "THEME-10"}


def test_a_style_is_drawn_with_all_that_is_known_of_it():
    text = "\n".join(style_lines(STYLES["VOCAL-05"]))
    for part in ("VOCAL-05  Humming/Wordless", "64-82 bpm", "vocal_timbre", "flute-like", "e.g. "):
        assert part in text
    assert "season        winter (December-February)" not in text
    assert "winter (December-February)" in "\n".join(style_lines(STYLES["SEASON-01"]))


def test_months_are_named():
    assert months(STYLES["SEASON-05"]) == "September-November"
    assert months(STYLES["SEASON-02"]) == "December"
    assert months(STYLES["CORE-01"]) == "all year"


def test_facts_are_plain_values():
    facts = style_facts(STYLES["SEASON-06"])
    assert facts["id"] == "SEASON-06"
    assert facts["tags"]["atmosphere"][0] == "rainy"
    assert facts["examples"]
