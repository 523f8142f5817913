"""Which device is taken."""

from __future__ import annotations

import pytest
import torch

from lofi_engine.devices import choose_device
from lofi_engine.errors import StageError


def test_an_accelerator_is_taken_where_there_is_one(monkeypatch):
    for is_there, taken in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda is_there=is_there: is_there)
        assert choose_device() == taken
        assert choose_device("cpu") == "cpu"


def test_a_device_that_is_not_here_or_unknown_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(StageError, match="device: there is no accelerator here"):
        choose_device("cuda")
    with pytest.raises(StageError, match="device: 'tpu' is unknown") as refused:
        choose_device("tpu")
    assert refused.value.hint == '"cpu" and "cuda" are possible'
