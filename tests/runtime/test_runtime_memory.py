"""What memory a model may take."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lofi_runtime.memory import available_bytes, needed_bytes, resident_bytes

MEMINFO = "MemTotal:       10000 kB\nMemAvailable:    4000 kB\n"


def test_a_container_may_leave_less_than_the_machine_has(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(MEMINFO)
    assert available_bytes(meminfo, tmp_path) == 4_096_000
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("500\n")
    assert available_bytes(meminfo, tmp_path) == 4_096_000
    (tmp_path / "memory.max").write_text("2500\n")
    assert available_bytes(meminfo, tmp_path) == 2000


def test_where_the_kernel_does_not_tell_nothing_is_known(tmp_path: Path) -> None:
    assert available_bytes(tmp_path / "none", tmp_path) is None


def test_weights_stored_in_fp16_need_their_size_in_float32() -> None:
    assert needed_bytes(1000, "fp16") == 2300
    assert needed_bytes(1000, "int4") == 1500


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells it in /proc")
def test_a_process_tells_what_it_holds() -> None:
    assert resident_bytes(os.getpid()) > 10_000_000
    assert resident_bytes(2**22 + 1) == 0
