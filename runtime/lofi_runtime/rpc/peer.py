"""Who is at the other end of a unix socket, as the kernel tells it."""

from __future__ import annotations

import os
import socket
import struct
import sys

_UCRED = struct.Struct("3i")
"""Linux's `struct ucred`: process, user, group."""
_XUCRED = struct.Struct("2Ih16I")
"""macOS's and the BSDs' `struct xucred`: version, user, how many groups, the groups."""
_SOL_LOCAL, _LOCAL_PEERCRED = 0, 1
"""From macOS's `sys/un.h`; Python's socket module has neither."""


def is_own_user(peer: socket.socket) -> bool:
    """Whether the peer of a connected unix socket runs as this user.

    Where the kernel is not asked (neither Linux nor macOS), the modes of folder and socket keep
    others out.
    """
    if sys.platform == "linux":
        record = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        uid = _UCRED.unpack(record)[1]
    elif sys.platform == "darwin":
        uid = uid_of_xucred(peer.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size))
    else:
        return True
    return bool(uid == os.getuid())


def uid_of_xucred(record: bytes) -> int:
    """Return the user in a `struct xucred`; -1, which is nobody, for one of another layout."""
    if len(record) < _XUCRED.size:
        return -1
    version, uid, *_groups = _XUCRED.unpack_from(record)
    return int(uid) if version == 0 else -1
