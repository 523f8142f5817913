"""Lets root be refused what a user would be."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

_VERSION_3 = 0x20080522  # capabilities(7): two words of 32 for each set
_OVERRIDE, _READ_SEARCH = 1, 2


@contextlib.contextmanager
def heeding_permissions() -> Iterator[None]:
    """Give up root's right to read and write what its mode bits forbid; Linux alone."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, twice
    if libc.capget(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    effective = data[0]
    data[0] = effective & ~(1 << _OVERRIDE | 1 << _READ_SEARCH)
    if libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    try:
        yield
    finally:
        data[0] = effective
        libc.capset(header, data)
