from __future__ import annotations

import pytest

from lofi_engine.styles.lyric_templates import fill_template, template_of
from lofi_engine.styles.lyrics import tidy_lyrics
from lofi_engine.styles.lyrics_check import check_lyrics
from lofi_runtime.styles.taxonomy import load_styles

STYLES = load_styles()
VOCAL = [style for style in STYLES.values() if style.vocal]


def test_the_song_template_is_that_of_the_specification():
    assert template_of(STYLES["VOCAL-03"]).text == (
        "[Verse 1]\n{4 lines, introspective theme}\n{AABB or ABAB rhyme scheme}\n"
        "{Imagery: urban, night, memory}\n\n"
        "[Chorus]\n{2-4 lines, emotional hook}\n{Repetition-friendly}\n\n"
        "[Verse 2]\n{4 lines, development}\n{Same rhyme scheme as Verse 1}\n\n"
        "[Outro]\n{Fade with ambient sounds}"
    )


@pytest.mark.parametrize("style", VOCAL, ids=[style.id for style in VOCAL])
def test_filled_lyrics_rhyme_and_have_nothing_wrong(style):
    template = template_of(style)
    for seed in range(20):
        lyrics = fill_template(template, seed)
        report = check_lyrics(lyrics)
        assert tidy_lyrics(lyrics) == lyrics
        assert report.warnings == ()
        assert {code for code, _ in report.languages} <= {template.language}
        if template.sections:
            assert report.scheme in ("AABB", "AAAA")
            assert len(set(lyrics.split("\n"))) == lyrics.count("\n") + 1 - lyrics.count("\n\n") + 1


def test_equal_seeds_give_equal_lyrics_and_others_differ():
    template = template_of(STYLES["VOCAL-03"])
    assert fill_template(template, 4) == fill_template(template, 4)
    assert len({fill_template(template, seed) for seed in range(20)}) > 15


def test_japanese_lyrics_are_japanese():
    lyrics = fill_template(template_of(STYLES["VOCAL-02"]), 1)
    assert check_lyrics(lyrics).languages == (("ja", 10),)


def test_styles_that_sing_no_words_are_instrumental():
    for style_id in ("VOCAL-01", "VOCAL-05", "CORE-01"):
        template = template_of(STYLES[style_id])
        assert fill_template(template, 1) == template.text == "[Instrumental]"
