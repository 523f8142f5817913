from __future__ import annotations

import json
import os
import stat
import struct
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from lofi_engine.hashing import hash_file
from lofi_engine.tensors import save_tensors

METADATA = {f"fact-{number}": f"é {number}" for number in range(12)}
SAVE_IN_OTHER_ORDER = """
import sys
from pathlib import Path
import torch
from lofi_engine.tensors import save_tensors
tensors = {name: torch.arange(4.0) for name in "ab"}
facts = {f"fact-{number}": f"\u00e9 {number}" for number in reversed(range(12))}
save_tensors(Path(sys.argv[1]), tensors, facts)
"""


def test_equal_content_gives_equal_bytes_in_every_process_and_order(tmp_path):
    here, there = tmp_path / "here.safetensors", tmp_path / "there.safetensors"
    save_tensors(here, {"b": torch.arange(4.0), "a": torch.arange(4.0)}, METADATA)
    subprocess.run([sys.executable, "-c", SAVE_IN_OTHER_ORDER, str(there)], check=True)
    assert hash_file(there) == hash_file(here)


def test_tensors_and_metadata_come_back(tmp_path):
    tensors = {
        "flags": torch.tensor([True, False]),
        "half": torch.randn(3, 2).half(),
        "ids": torch.arange(5),
        "turned": torch.arange(6.0).reshape(2, 3).T,
        "trained": torch.ones(2, requires_grad=True),
        "empty": torch.zeros(0, 4),
    }
    path = tmp_path / "all.safetensors"
    save_tensors(path, tensors, METADATA)
    found = load_file(path)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt", **METADATA}


def test_the_header_s_metadata_is_in_order(tmp_path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"a": torch.zeros(1)}, METADATA)
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    names = list(json.loads(content[8 : 8 + length])["__metadata__"])
    assert names == sorted(names)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_the_file_is_for_whom_the_umask_allows(tmp_path, mask, mode):
    path = tmp_path / "a.safetensors"
    before = os.umask(mask)
    try:
        save_tensors(path, {"a": torch.zeros(1)})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_failed_write_leaves_the_old_file_and_no_half_one(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"a": torch.zeros(1)})
    before = path.read_bytes()
    (tmp_path / "new").mkdir()

    def fail(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    for place in (path, tmp_path / "new" / "b.safetensors"):
        with pytest.raises(OSError, match="No space left"):
            save_tensors(place, {"a": torch.ones(1)})
    assert path.read_bytes() == before
    assert not (tmp_path / "new" / "b.safetensors").exists()
    monkeypatch.undo()
    save_tensors(path, {"a": torch.ones(1)})
    assert load_file(path)["a"].item() == 1.0
    assert [child.name for child in tmp_path.iterdir() if child.is_file()] == [path.name]
