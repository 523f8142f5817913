from __future__ import annotations

import pytest

from lofi_engine.calibration.prompts import calibration_prompts
from lofi_engine.errors import StageError
from lofi_runtime.styles.taxonomy import load_styles

STYLES = load_styles()


def test_a_hundred_and_twenty_eight_prompts_cover_every_style_and_sing():
    prompts = calibration_prompts(STYLES, 128, seed=0)
    assert {one.style for one in prompts} == set(STYLES)
    assert len({one.prompt for one in prompts}) > 120
    sung = [one for one in prompts if one.lyrics]
    assert {one.style for one in sung} == {key for key, style in STYLES.items() if style.vocal}
    assert all("[" in one.lyrics for one in sung)


def test_few_prompts_have_a_voice_among_them():
    assert [bool(one.lyrics) for one in calibration_prompts(STYLES, 2, seed=0)] == [False, True]
    assert len({STYLES[one.style].group for one in calibration_prompts(STYLES, 5, seed=0)}) >= 4


def test_prompts_without_a_voice_are_refused_and_named():
    with pytest.raises(
        StageError, match=r"calibration\.prompts: 1 cover no vocal style, only CORE"
    ):
        calibration_prompts(STYLES, 1, seed=0)
    silent = {key: style for key, style in STYLES.items() if not style.vocal}
    with pytest.raises(StageError, match=r"calibration\.prompts: 40 cover no vocal style"):
        calibration_prompts(silent, 40, seed=0)


def test_another_seed_gives_other_prompts():
    first, second = (calibration_prompts(STYLES, 10, seed=seed) for seed in (0, 1))
    assert [one.prompt for one in first] != [one.prompt for one in second]
