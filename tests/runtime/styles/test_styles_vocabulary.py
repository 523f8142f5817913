from __future__ import annotations

import shutil

import pytest
import yaml

from lofi_runtime.errors import StyleError
from lofi_runtime.styles.taxonomy import load_styles, shipped_styles
from lofi_runtime.styles.vocabulary import (
    ALL_CATEGORIES,
    fold,
    load_vocabulary,
    shipped_vocabulary,
)

WORDS = shipped_vocabulary()
# ACE-Step's rap adapter names these; it is what its vocal tags are called.
TIMBRES = """
bright, dark, warm, cold, breathy, nasal, gritty, smooth, husky, metallic, whispery, resonant, airy,
smoky, sultry, light, clear, high-pitched, raspy, powerful, ethereal, flute-like, hollow, velvety,
shrill, hoarse, mellow, thin, thick, reedy, silvery, twangy
"""
TECHNIQUES = """
mumble rap, chopper rap, melodic rap, lyrical rap, trap flow, double-time rap, auto-tune, reverb,
delay, distortion, whispered, shouted, spoken word, narration, singing, ad-libs, call-and-response,
harmonized
"""


def tags_of(text):
    return {" ".join(tag.split()) for tag in text.split(",")}


def test_every_tag_of_every_style_is_known_in_the_same_category():
    for style in load_styles().values():
        for category, tags in style.tags.items():
            for tag in tags:
                word = WORDS.word(tag)
                assert word is not None, tag
                assert (word.tag, word.category) == (tag, category)


def test_the_vocal_tags_of_the_rap_adapter_are_known():
    assert tags_of(TIMBRES) <= set(WORDS.tags("vocal_timbre"))
    assert tags_of(TECHNIQUES) <= set(WORDS.tags("technique"))
    for style in load_styles().values():
        assert set(style.vocal_timbre) <= set(WORDS.tags("vocal_timbre"))
        assert set(style.technique) <= set(WORDS.tags("technique"))
        assert not style.vocal_timbre or style.vocal


def test_every_category_has_tags():
    assert all(WORDS.tags(category) for category in ALL_CATEGORIES)


def test_a_tag_is_found_however_it_is_spelled():
    assert fold("Café  Ambience") == fold("cafe-ambience")
    for written in ("Lo-Fi Hip Hop", "lofi beats", "LOFI HIP-HOP"):
        assert WORDS.word(written).tag == "lofi hip hop"
    assert WORDS.word("sitar") is None


@pytest.mark.parametrize(
    ("tag", "category"),
    [
        ("82 bpm", "tempo"),
        ("82bpm", "tempo"),
        ("A minor", "tempo"),
        ("Bb mixolydian", "tempo"),
        ("key of F# major", "tempo"),
        ("breathy vocals", "vocal_timbre"),
        ("Raspy Voice", "vocal_timbre"),
        ("warm", "mood"),
    ],
)
def test_tags_nobody_can_list_are_understood(tag, category):
    assert WORDS.meaning(tag).category == category


def test_a_refused_tag_is_known_if_the_tag_is():
    assert WORDS.meaning("no piano").refused
    assert WORDS.meaning("no sitar") is None
    assert WORDS.meaning("H minor") is None


def test_a_folder_without_words_of_its_own_takes_the_shipped_ones(tmp_path):
    assert load_vocabulary(tmp_path) is shipped_vocabulary()


def test_a_taxonomys_own_tags_and_names_are_known_besides(tmp_path):
    folder = shutil.copytree(shipped_styles(), tmp_path / "styles")
    path = folder / "core.yaml"
    path.write_text(path.read_text().replace("Classic Lofi Hip Hop", "Sitar Lofi"))
    own = WORDS.with_styles(load_styles(folder).values())
    assert own.meaning("sitar lofi").category == "genre"
    assert WORDS.meaning("sitar lofi") is None


def test_faults_name_the_tag(tmp_path):
    folder = shutil.copytree(shipped_styles(), tmp_path / "styles")
    path = folder / "words" / "vocabulary.yaml"
    content = yaml.safe_load(path.read_text())
    content["tags"]["mood"]["glad"] = {"same": ["piano"], "broader": ["nowhere"], "near": ["x"]}
    content["tags"]["tempo"]["slow tempo"]["bpm"] = ["slow"]
    content["tags"]["smell"] = {}
    content["contradictions"]["voice"]["with"].append("kazoo")
    content["contradictions"]["lonely"] = {"one": []}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(StyleError) as wrong:
        load_vocabulary(folder)
    said = "\n".join(wrong.value.problems)
    for fault in (
        "tags.mood: glad: near: not one of same, broader, bpm",
        "tags.tempo: slow tempo: bpm: expected [lowest, highest], got ['slow']",
        "tags.smell: expected one of genre, mood",
        "'piano' means several: mood: glad, instruments: piano",
        "tags.mood: glad: broader: 'nowhere' is no tag here",
        "contradictions.voice.with: 'kazoo' is no tag here",
        "contradictions.lonely: expected two or more sides",
    ):
        assert fault in said
    assert all(line.startswith("words/vocabulary.yaml: ") for line in wrong.value.problems)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("- a list\n", "expected the two keys 'tags' and 'contradictions'"),
        ("tags: [\n", "2:1: not YAML"),
        ("tags: []\ncontradictions: {}\n", "tags and contradictions: expected mappings"),
    ],
)
def test_a_damaged_file_says_where(tmp_path, text, fault):
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "vocabulary.yaml").write_text(text)
    with pytest.raises(StyleError, match=r"vocabulary\.yaml") as wrong:
        load_vocabulary(tmp_path)
    assert fault in str(wrong.value)
