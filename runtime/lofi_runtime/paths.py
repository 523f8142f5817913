"""Where things lie on this machine: models, tracks, the socket."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

import platformdirs

from lofi_runtime.errors import LofiError

# A unix socket's address holds 108 bytes on Linux and 104 on macOS, a closing zero included.
MAX_SOCKET_BYTES = 103


def models_folder() -> Path:
    """Return where installed bundles lie: `XDG_DATA_HOME/lofi/models`."""
    return platformdirs.user_data_path("lofi", appauthor=False) / "models"


def tracks_folder() -> Path:
    """Return where finished tracks lie: `XDG_CACHE_HOME/lofi/tracks`."""
    return platformdirs.user_cache_path("lofi", appauthor=False) / "tracks"


def default_socket() -> Path:
    """Return `$XDG_RUNTIME_DIR/lofi/runtime.sock`, or one in a folder of this user's in tmp.

    The rule is this short because clients in other languages follow it too.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if Path(runtime).is_absolute():
        return Path(runtime) / "lofi" / "runtime.sock"
    if sys.platform == "win32":
        # No socket lies there: what does lie beside it on other systems names the folder here.
        return platformdirs.user_data_path("lofi", appauthor=False) / "run" / "runtime.sock"
    return Path(tempfile.gettempdir()) / f"lofi-{os.getuid()}" / "runtime.sock"


def token_file(socket: Path) -> Path:
    """Return where a server on TCP says how to reach it: `runtime.tcp.json` beside the socket."""
    return socket.with_name(socket.name.removesuffix(".sock") + ".tcp.json")


def pid_file(socket: Path) -> Path:
    """Return where a server says its process, version and address: `<socket>.json`."""
    return socket.with_name(socket.name + ".json")


def prepare_socket_folder(socket: Path) -> None:
    """Make the socket's folder, for this user alone (0700), or check the one that is there.

    Raises:
        LofiError: the folder belongs to someone else, others may write in it, or the path is too
            long for a socket.
    """
    size_bytes = len(os.fsencode(socket))
    if size_bytes > MAX_SOCKET_BYTES:
        raise LofiError(
            f"the socket's path has {size_bytes} bytes, {MAX_SOCKET_BYTES} are allowed: {socket}",
            hint="give a shorter one with --socket",
        )
    prepare_folder(socket)


def prepare_folder(socket: Path) -> None:
    """Do as `prepare_socket_folder`, for a path that no socket is to have.

    Raises:
        LofiError: the folder belongs to someone else, or others may write in it.
    """
    folder = socket.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat(follow_symlinks=socket != default_socket())
    except OSError as error:
        raise LofiError(
            f"cannot make the socket's folder {folder}: {error.strerror}",
            hint="give another place with --socket",
        ) from error
    if sys.platform == "win32":
        # Modes say nothing there; a folder in the user's profile is closed to others.
        return
    if socket == default_socket() and stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
        folder.chmod(0o700)
        return
    _refuse_foreign(folder, found)


def _refuse_foreign(folder: Path, found: os.stat_result) -> None:
    if sys.platform == "win32":
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise LofiError(
            f"the socket's folder {folder} is not a folder of yours",
            hint="remove it or give another place with --socket",
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = stat.S_IMODE(found.st_mode)
        raise LofiError(
            f"others may write in the socket's folder {folder} (mode {mode:04o})",
            hint="give a socket in a folder with mode 0700",
        )
