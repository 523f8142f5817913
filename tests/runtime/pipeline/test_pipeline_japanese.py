from __future__ import annotations

import importlib

import pytest

from lofi_runtime.pipeline import japanese
from lofi_runtime.pipeline.kana import to_romaji
from lofi_runtime.pipeline.lyrics import LyricTokenizer
from tests.support.programs import require
from tests.support.tiny_bundle import tiny_lyric_vocabulary_json

KANJI = "東京の夜に雨が降る"


@pytest.fixture(autouse=True)
def fresh_reader():
    japanese._reader.cache_clear()
    yield
    japanese._reader.cache_clear()


@pytest.fixture
def without_cutlet(monkeypatch):
    really = importlib.import_module

    def missing(name, *rest):
        if name == "cutlet":
            raise ImportError(name)
        return really(name, *rest)

    monkeypatch.setattr(japanese.importlib, "import_module", missing)


@pytest.fixture
def cutlet():
    require("japanese")
    return importlib.import_module("cutlet")


@pytest.fixture(scope="module")
def tokenizer():
    return LyricTokenizer(tiny_lyric_vocabulary_json())


# What cutlet 0.5 gives, with the dictionary of unidic-lite.
@pytest.mark.parametrize(
    ("line", "romaji"),
    [
        (KANJI, "tokyo no yoru ni ame ga furu"),
        ("わたしは君を待っている", "watashi wa kimi wo matte iru"),
        ("コーヒーとカフェ", "coffee to cafe"),
    ],
)
def test_kanji_particles_and_loan_words_are_read_as_the_model_learned_them(cutlet, line, romaji):
    assert japanese.reads_kanji()
    assert japanese.romanize(line) == romaji
    assert japanese.romanize(line) == cutlet.Cutlet().romaji(line).lower()


@pytest.mark.parametrize(
    "line",
    [
        "しゃしん",
        "とうきょう",
        "まっちゃ",
        "ありがとう、さよなら。",
        "え？！",
        "さんぽ",
        "まっしろ",
    ],
)
def test_single_words_in_kana_sound_alike_with_and_without_the_extra(cutlet, line):
    assert to_romaji(line) == cutlet.Cutlet().romaji(line).lower()


def test_with_the_extra_kanji_are_sung_and_nothing_is_said(cutlet, tokenizer):
    assert tokenizer.encode(KANJI) == tokenizer.encode_lines(KANJI)
    assert tokenizer.warnings(KANJI) == ()
    # Kanji alone are Japanese beside kana, else Chinese.
    assert tokenizer.warnings("東京\nしゃしん") == ()
    assert tokenizer.warnings("東京") == (
        "lyrics: Chinese letters are not supported and will not be sung",
    )


def test_a_line_the_reader_stumbles_over_is_spelled_by_its_kana(monkeypatch):
    class Cutlet:
        def romaji(self, _line):
            raise KeyError("ゝ")

    module = type("module", (), {"Cutlet": Cutlet})
    monkeypatch.setattr(japanese.importlib, "import_module", lambda _name: module)
    assert japanese.romanize("こゝろ") == "kokoro"


def test_without_the_extra_kana_are_spelled_and_kanji_name_what_to_install(
    without_cutlet, tokenizer
):
    assert not japanese.reads_kanji()
    assert japanese.romanize("しゃしん") == "shashin"
    assert japanese.romanize("Ｈｉ の") == "hi no"
    assert tokenizer.warnings("しゃしん") == ()
    assert tokenizer.warnings(KANJI) == (
        "lyrics: kanji will not be sung; to have them read, install lofi-recipe[japanese]",
    )


def test_a_reader_without_its_dictionary_counts_as_none(monkeypatch):
    class Cutlet:
        def __init__(self):
            raise RuntimeError("Failed initializing MeCab")

    module = type("module", (), {"Cutlet": Cutlet})
    monkeypatch.setattr(japanese.importlib, "import_module", lambda _name: module)
    assert not japanese.reads_kanji()
    assert japanese.romanize("しゃしん") == "shashin"
