"""What a child process of the server does first: tie its life to the parent's, save its pipes."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask Linux for SIGKILL when the parent ends; elsewhere the closed pipe must do it."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died before the call; then the signal never comes.
    if os.getppid() != parent:
        os._exit(1)


def take_pipes() -> tuple[int, int]:
    """Move the pipes away from 0 and 1, so that nobody's print can stand between messages.

    Returns:
        The descriptors to read from and to write to.
    """
    source, sink = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return source, sink
