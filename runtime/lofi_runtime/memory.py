"""How much memory a model may take here: what is free, and what a bundle needs.

Figures are of Linux; elsewhere nothing is known without a library, and every bundle counts as
fitting.
"""

from __future__ import annotations

from pathlib import Path

FP16 = "fp16"
NEEDS_OF_SIZE = 1.5
"""Memory a loaded bundle takes at its peak, in sizes of its files: at most 1.34 was measured at
full size (docs/variants.md), and the latents, texts and sound of a track lie beside it."""
NEEDS_OF_FP16_SIZE = 2.3
"""fp16 is how weights are stored; they are computed in float32 and held so (2.05 measured)."""

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def needed_bytes(size_bytes: int, precision: str) -> int:
    """Give the memory that a bundle of this size takes while it generates."""
    return int(size_bytes * (NEEDS_OF_FP16_SIZE if precision == FP16 else NEEDS_OF_SIZE))


def available_bytes(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int | None:
    """Give the memory a new process may take without driving others out; None if unknown.

    The kernel's own estimate, or what this container's limit leaves, whichever is less.
    """
    try:
        free = _field_bytes(meminfo, "MemAvailable:")
    except (OSError, LookupError):
        return None
    left = _left_of_limit(cgroup)
    return free if left is None else min(free, left)


def resident_bytes(pid: int) -> int:
    """Give the memory a process holds that goes when it ends; 0 if there is no such process."""
    try:
        # Not VmRSS: pages of a mapped file are counted as available already.
        return _field_bytes(Path(f"/proc/{pid}/status"), "RssAnon:")
    except (OSError, LookupError):
        return 0


def _field_bytes(path: Path, name: str) -> int:
    """Read a line such as `RssAnon:  123 kB`.

    Raises:
        OSError: the file cannot be read.
        LookupError: it has no such line.
    """
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def _left_of_limit(cgroup: Path) -> int | None:
    try:
        limit = int((cgroup / "memory.max").read_text(encoding="ascii"))
        used = int((cgroup / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):  # no limit reads "max"
        return None
    return max(limit - used, 0)
