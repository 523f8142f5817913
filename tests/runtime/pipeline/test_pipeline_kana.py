from __future__ import annotations

import pytest

from lofi_runtime.pipeline.kana import to_romaji

CASES = {
    "きゃっか": "kyakka",
    "まっちゃ": "matcha",
    "ほんや": "hon'ya",
    "コーヒー": "koohii",
    "ファン ティー ジェット": "fan tii jetto",
    "ありがとう、さよなら。": "arigatou,sayonara.",
    "夜の雨": "夜no雨",
}


@pytest.mark.parametrize("kana", CASES)
def test_kana_become_romaji_and_the_rest_stays(kana):
    assert to_romaji(kana) == CASES[kana]
