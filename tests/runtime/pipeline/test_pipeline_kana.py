from __future__ import annotations

import pytest

from lofi_runtime.pipeline.kana import to_romaji

CASES = {
    "きゃっか": "kyakka",
    "まっちゃ": "matcha",
    "ほんや": "hon'ya",
    "きみを": "kimiwo",
    "ねぇ": "nee",
    "コーヒー": "koohii",
    "ファン ティー ジェット": "fan tii jetto",
    "ウィンター グァバ くぅ": "wintaa gwaba kuu",
    "デュエット テュ フュ": "dyuetto tyu fyu",
    "ヴァイオリン ツァー": "vaiorin tsaa",
    "夜の雨": "夜no雨",
    "１ヶ月": "1ka月",
    "いすゞ こゝろ": "isuzu kokoro",
}
SIGNS = {
    "ありがとう、さよなら。": "arigatou, sayonara.",
    "「え？！」": '"e?!"',
    "らら〜　ら…": "rara~ ra...",
    "ピアノ・ソロ": "piano soro",
    "ｶﾞﾝﾊﾞﾚ Ｈｉ": "ganbare Hi",
}


@pytest.mark.parametrize("kana", CASES)
def test_kana_become_romaji_and_the_rest_stays(kana):
    assert to_romaji(kana) == CASES[kana]


@pytest.mark.parametrize("kana", SIGNS)
def test_japanese_signs_become_those_of_latin_letters(kana):
    assert to_romaji(kana) == SIGNS[kana]
