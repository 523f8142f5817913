"""A base whose other networks are let go while its transformer is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.models.ace_step_v1 import checkpoint
from lofi_engine.models.ace_step_v1.tiny import build_tiny
from lofi_engine.models.loading import load_base
from tests.support.exported_tiny import TINY

PROMPT = "lofi, piano"


def heard(base):
    latents = torch.zeros(1, 8, 16, 4)
    return base.encode_text([PROMPT])[0], torch.from_numpy(base.decode_audio(latents))


@pytest.fixture(params=["builtin", "folder"])
def base(request, tmp_path):
    if request.param == "builtin":
        return load_base(TINY, Path(), precision="bf16")
    checkpoint.save(build_tiny(), tmp_path / "base")
    return load_base(replace(TINY, model="base"), tmp_path, precision="bf16")


def test_what_was_let_go_comes_back_bit_for_bit_and_goes_again(base):
    before = heard(base)
    base.let_go_of_others()
    weights = sum(part.numel() for part in base.transformer.parameters())
    kept = (base.transformer, base.dcae, base.vocoder, base.text.network)
    assert sum(part.numel() for one in kept for part in one.parameters()) == weights
    with pytest.raises(StageError, match=r"the base's other networks were let go"):
        base.encode_text([PROMPT])
    with base.whole():
        assert all(torch.equal(one, other) for one, other in zip(before, heard(base), strict=True))
    with pytest.raises(StageError, match=r"ask within `whole\(\)`"):
        base.decode_audio(torch.zeros(1, 8, 16, 4))


def test_a_base_that_is_whole_stays_so(base):
    before = heard(base)
    with base.whole():
        pass
    assert all(torch.equal(one, other) for one, other in zip(before, heard(base), strict=True))


def test_an_error_within_lets_go_too(base):
    base.let_go_of_others()
    with pytest.raises(ZeroDivisionError), base.whole():
        raise ZeroDivisionError
    with pytest.raises(StageError):
        base.encode_text([PROMPT])
