from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml

from lofi_runtime.errors import StyleError
from lofi_runtime.styles.taxonomy import (
    TAG_CATEGORIES,
    find_style,
    load_styles,
    shipped_styles,
)

SPECIFIED_TAGS = """
lofi hip hop, chillhop, jazz lofi, ambient lofi, lofi house, dark lofi, bedroom pop lofi, chill,
relaxing, melancholic, nostalgic, dreamy, cozy, peaceful, introspective, romantic, hopeful,
piano, rhodes, wurlitzer, acoustic guitar, electric guitar, saxophone, flute, strings, synth
pads, bass guitar, drum machine, vinyl crackle, tape hiss, tape saturation, lo-fi production,
warm compression, analog warmth, side-chain compression, rainy, late night, coffee shop, urban,
nature, winter, summer, autumn, spring, instrumental, chopped vocals, female vocal sample, male
vocal sample, humming, wordless vocals, boom bap drums, festive, sleigh bells, warm bass, soft
drums, christmas, holiday, japanese influence, city night, rain ambience, minimal drums, reverb
heavy, upbeat, tropical, bongos, filtered samples, beach vibes, sunset, contemplative, serene,
wistful, bittersweet, warm
"""

SPECIFIED_NAMES = """
Classic Lofi Hip Hop, Jazz Lofi, Ambient Lofi, Lofi House, Chillhop, Dark Lofi, Bedroom Pop Lofi,
Winter Lofi, Christmas Lofi, Spring Lofi, Summer Lofi, Autumn/Fall Lofi, Rainy Day Lofi,
Halloween Lofi, Valentine Lofi, New Year Lofi,
Coffee Shop Lofi, Late Night Lofi, Study Lofi, Sleep/Relaxation Lofi, City Night Lofi, Nature Lofi,
Gaming Lofi, Anime Lofi, Sunset/Golden Hour Lofi, Sunday Morning Lofi,
Piano Lofi, Guitar Lofi, Synth Lofi, Rhodes/Wurlitzer Lofi, Saxophone Lofi, Strings Lofi,
Flute Lofi, Chopped Vocals, Japanese Lofi, R&B Lofi, Spoken Word Lofi, Humming/Wordless
"""


def homes(styles):
    """Give the categories that each tag of a taxonomy stands in."""
    found: dict[str, set[str]] = {}
    for style in styles.values():
        for category, tags in style.tags.items():
            for tag in tags:
                found.setdefault(tag, set()).add(category)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(shipped_styles(), tmp_path / "styles"))


def change(folder: Path, **changes: object) -> None:
    """Change CORE-01."""
    path = folder / "core.yaml"
    content = yaml.safe_load(path.read_text())
    content["styles"][0].update(changes)
    path.write_text(yaml.safe_dump(content))


def problems(folder: Path) -> list[str]:
    with pytest.raises(StyleError) as wrong:
        load_styles(folder)
    return list(wrong.value.problems)


def test_all_38_styles_are_there_by_group():
    styles = load_styles()
    groups = Counter(style.group for style in styles.values())
    assert groups == {"core": 7, "seasonal": 9, "thematic": 10, "instrumental": 7, "vocal": 5}
    assert list(styles)[:2] == ["CORE-01", "CORE-02"]
    assert list(styles)[-1] == "VOCAL-05"
    assert styles["SEASON-02"].months == (12,)
    assert styles["CORE-04"].tempo_bpm == (110, 120)


def test_names_and_seasons_are_those_of_the_specification():
    styles = load_styles()
    assert [style.name for style in styles.values()] == [
        name.strip() for name in SPECIFIED_NAMES.replace("\n", " ").split(",")
    ]
    months = {style.id: style.months for style in styles.values() if style.months}
    assert months == {
        "SEASON-01": (12, 1, 2), "SEASON-02": (12,), "SEASON-03": (3, 4, 5),
        "SEASON-04": (6, 7, 8), "SEASON-05": (9, 10, 11), "SEASON-07": (10,), "SEASON-08": (2,),
        "SEASON-09": (12, 1),
    }  # fmt: skip


def test_every_tag_of_the_specification_is_some_styles():
    wanted = {" ".join(tag.split()) for tag in SPECIFIED_TAGS.split(",")}
    assert not wanted - set(homes(load_styles()))


def test_a_tag_has_one_category_in_the_whole_taxonomy():
    found = homes(load_styles())
    assert not [tag for tag, categories in found.items() if len(categories) > 1]


def test_vocal_styles_are_not_all_chopped_vocals():
    styles = load_styles()
    vocal = {style.tags["vocal_type"] for style in styles.values() if style.group == "vocal"}
    assert len(vocal) == 5
    assert all(style.vocal for style in styles.values() if style.group == "vocal")
    assert not styles["INST-01"].vocal


def test_a_folder_of_ones_own_is_loaded(folder):
    change(folder, name="Mine")
    assert load_styles(folder)["CORE-01"].name == "Mine"


def test_an_unknown_style_is_an_error_that_names_the_nearest():
    styles = load_styles()
    with pytest.raises(
        StyleError, match=r"sources\.json: there is no style 'SEASON-66'.*did you mean SEASON-0"
    ):
        find_style(styles, "SEASON-66", "sources.json")
    with pytest.raises(StyleError, match="there are "):
        find_style(styles, "zzz")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"tempo_bpm": [90, 70]},
            "tempo_bpm: expected [lowest, highest] within 40 to 180, got [90, 70]",
        ),
        ({"tempo_bpm": "slow"}, "tempo_bpm: expected [lowest, highest] within 40 to 180, got slow"),
        ({"modes": ["miner"]}, "modes: 'miner' is not one of major, minor"),
        ({"modes": []}, "modes: expected a list"),
        ({"months": [13]}, "months: expected month numbers, 1 to 12, got [13]"),
        ({"name": ""}, "name: expected words"),
        ({"moods": ["x"]}, "moods: unknown key; did you mean 'modes'?"),
        ({"always": ["sitar"]}, "always: 'sitar' is none of this style's tags"),
        ({"always": "sitar"}, "always: expected a list of tags"),
        ({"examples": "one"}, "examples: expected a list of words, got one"),
        ({"technique": [1]}, "technique: expected a list of words, got [1]"),
        ({"tags": {}}, "tags.genre: expected a list of tags"),
        ({"tags": []}, "tags: expected a mapping of categories"),
    ],
)
def test_a_fault_names_file_style_and_key(folder, changes, fault):
    change(folder, **changes)
    assert problems(folder)[0].startswith(f"styles/core.yaml: CORE-01: {fault}")


def test_bad_tags_are_named(folder):
    tags = {category: ["fine"] for category in TAG_CATEGORIES}
    tags |= {"genre": ["a, b", "Loud"], "mood": ["calm", "calm"], "instruments": ["fine piano"]}
    tags |= {"tempo": ["fast"], "production": [1]}
    change(folder, tags=tags, always=[])
    found = [line.removeprefix("styles/core.yaml: CORE-01: ") for line in problems(folder)]
    assert found == [
        "tags.tempo: not one of genre, mood, instruments, production, atmosphere, vocal_type",
        "tags.genre: 'a, b' is not a tag: lower-case words without commas",
        "tags.genre: 'Loud' is not a tag: lower-case words without commas",
        "tags.mood: 'calm' stands here twice",
        "tags.production: '1' is not a tag: lower-case words without commas",
        "tags.vocal_type: 'fine' stands here twice",
    ]


def test_all_faults_of_all_files_are_reported_at_once(folder):
    change(folder, id="core", tempo_bpm=[1, 2])
    (folder / "vocal.yaml").write_text("group: choir\nstyles: []\n")
    (folder / "thematic.yaml").write_text("group: [core\n")
    (folder / "seasonal.yaml").write_text("- a list\n")
    (folder / "instrumental.yaml").write_bytes(b"\xff\xfe")
    assert problems(folder) == [
        "styles/core.yaml: core: id: 'core' is not an id such as CORE-01",
        "styles/core.yaml: core: tempo_bpm: expected [lowest, highest] within 40 to 180, "
        "got [1, 2]",
        "styles/instrumental.yaml: not UTF-8 text",
        "styles/seasonal.yaml: expected the two keys 'group' and 'styles'",
        "styles/thematic.yaml:2:1: not YAML: expected ',' or ']', but got '<stream end>'",
        "styles/vocal.yaml: group: 'choir' is not one of core, seasonal, thematic, instrumental, "
        "vocal",
    ]


def test_what_yaml_would_take_without_a_word_is_a_fault_with_its_line(folder):
    path = folder / "core.yaml"
    text = path.read_text(encoding="utf-8")
    name = next(line for line in text.splitlines() if "name:" in line)
    tempo = next(line for line in text.splitlines() if "tempo_bpm:" in line)
    text = text.replace(name, f"{name}\n    name: Mine", 1)
    text = text.replace(tempo, tempo.replace(": ", ": &slow "), 1)
    path.write_text(f"{text}\n    months: *slow\n    season: !mine autumn\n", encoding="utf-8")
    count = len(text.splitlines())
    lines = {line: number for number, line in enumerate(text.splitlines(), start=1)}
    assert problems(folder) == [
        f"styles/core.yaml:{lines[name] + 1}:5: 'name' is already given on line {lines[name]}",
        f"styles/core.yaml:{lines[name] + 3}:16: an anchor ('&slow') is not allowed; remove it",
        f"styles/core.yaml:{count + 2}:13: an alias ('*') is not allowed; write the value out",
        f"styles/core.yaml:{count + 3}:13: a tag ('!mine') is not allowed; remove it",
    ]


def test_an_id_used_twice_is_an_error(folder):
    shutil.copy(folder / "vocal.yaml", folder / "vocal2.yaml")
    assert problems(folder)[0] == "styles/vocal2.yaml: VOCAL-01: this id is used twice"


def test_an_empty_folder_says_so(tmp_path):
    assert problems(tmp_path)[0].endswith(
        "no styles here (*.yaml); leave dataset.styles out for ours"
    )
