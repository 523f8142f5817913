from __future__ import annotations

import pytest

from lofi_engine.styles.lyrics_check import check_lyrics, line_language

FIRST = """
[Intro]
(ambient sounds, vinyl crackle)

[Verse]
Walking through the city lights
Memories fade into the night
Coffee steam and neon glow
Time moves fast but feels so slow

[Chorus]
Let it go, let it flow
Like the music soft and low
In this moment, we are free
Just the beat and you and me

[Outro]
(fade out with vinyl crackle)
"""
SECOND = """
[Verse]
City lights blur through the rain
Coffee cold, I feel the same
Headphones on, the world fades out
Lost in beats, no room for doubt

[Chorus]
Let the lofi take me home
Through the static, never alone

[Outro]
(vinyl crackle, rain sounds fade)
"""


def test_the_specifications_lyrics_have_nothing_wrong_and_rhyme_in_pairs():
    first, second = check_lyrics(FIRST), check_lyrics(SECOND)
    assert first.warnings == second.warnings == ()
    assert [(part.name, len(part.lines), part.scheme) for part in first.sections] == [
        ("intro", 0, "none"), ("verse", 4, "AABB"), ("chorus", 4, "AABB"), ("outro", 0, "none"),
    ]  # fmt: skip
    assert [(part.name, len(part.lines), part.scheme) for part in second.sections] == [
        ("verse", 4, "AABB"), ("chorus", 2, "AA"), ("outro", 0, "none"),
    ]  # fmt: skip
    assert first.languages == (("en", 8),)
    assert (first.scheme, second.scheme) == ("AABB", "AABB")


def test_crossed_rhymes_are_reported():
    report = check_lyrics(
        "[Verse 1]\nthe falling rain\na silver sky\nalone again by train\ngoodbye"
    )
    assert report.scheme == "ABAB"
    assert report.sections[0].title == "Verse 1"


def test_an_instrumental_has_nothing_to_report():
    report = check_lyrics("[Instrumental]")
    assert (report.sections, report.languages, report.warnings) == ((), (), ())


def test_what_differs_from_the_templates_is_said():
    report = check_lyrics(
        "alone before the mark\n[Vers]\nla\n[Verse 1]\nrain\nsame\nout\ndoubt\n[Chorus]\none\n"
        "[Verse 2]\nsky\nmoon\nhigh\nsoon\n[Verse 3]\na\nb\nc"
    )
    assert report.warnings == (
        "1 lines stand before any section mark such as [Verse]",
        "[Vers] is not a known section; did you mean [Verse]?",
        "[Chorus] has 1 lines; 2 to 4 are usual",
        "[Verse 3] has 3 lines; 4 are usual",
        "[Verse 2] rhymes ABAB, [Verse 1] AABB",
        "[Verse 3] rhymes none, [Verse 1] AABB",
    )


def test_two_stanzas_in_a_section_are_fine():
    eight = "\n".join(["in the rain", "all the same", "all is out", "there is doubt"] * 2)
    assert check_lyrics(f"[verse]\n{eight}").warnings == ()


@pytest.mark.parametrize(
    ("line", "language"),
    [
        ("Headphones on, the world fades out", "en"),
        ("la la la", "en"),
        ("雨のふる夜", "ja"),
        ("夜雨", "zh"),
        ("硅谷 那个 coder 调试 neural network", "zh"),
        ("at the café", "en"),
        ("나는 밤에 걷는다", "ko"),
        ("я иду домой", "ru"),
        ("La noche es larga y quiero verte", "es"),
        ("Je suis dans la nuit avec toi", "fr"),
        ("Ich bin allein in der Nacht", "de"),
        ("żółw", ""),
        ("... 123", ""),
    ],
)
def test_a_lines_language_is_told(line, language):
    assert line_language(line) == language


def test_languages_are_counted_by_line():
    report = check_lyrics("[Verse]\nまどのむこう\nthe rain\n雨\nthe night")
    assert report.languages == (("en", 2), ("ja", 2))
