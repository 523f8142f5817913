"""A folder on this machine as a repository, such as a recipe publishes into."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lofi_runtime.hub.errors import DownloadError

_PIECE_BYTES = 1 << 20


class FolderRepository:
    """Files under one folder.

    Args:
        folder: is there.
    """

    def __init__(self, folder: Path) -> None:
        self.label = str(folder)
        self._folder = folder.resolve()

    def files(self) -> frozenset[str]:
        """Name the files at the top and in the folders there."""
        found = [*self._folder.glob("*"), *self._folder.glob("*/*")]
        return frozenset(
            path.relative_to(self._folder).as_posix() for path in found if path.is_file()
        )

    def read(self, file: str, max_bytes: int) -> bytes:
        """Return a small file; see `Repository`."""
        path = self._inside(file)
        try:
            with path.open("rb") as stream:
                text = stream.read(max_bytes + 1)
        except OSError as error:
            raise _unreadable(path, error) from error
        if len(text) > max_bytes:
            raise DownloadError(f"{path}: larger than the {max_bytes} bytes allowed")
        return text

    def fetch(self, file: str, part: Path, size_bytes: int, on_size: Callable[[int], None]) -> None:
        """Copy what `part` has not yet; see `Repository`."""
        path = self._inside(file)
        try:
            source, found = path.open("rb"), path.stat().st_size
        except OSError as error:
            raise _unreadable(path, error) from error
        with source, part.open("ab") as sink:
            if found != size_bytes:
                raise DownloadError(f"{path}: {found} bytes found, {size_bytes} expected")
            source.seek(sink.tell())
            while piece := _read(source.read, path):
                sink.write(piece)
                on_size(sink.tell())

    def _inside(self, file: str) -> Path:
        """Refuse what leads out of the folder, be it by its name or through a link."""
        path = self._folder / file
        if not path.resolve().is_relative_to(self._folder):
            raise DownloadError(
                f"{path}: leads out of {self._folder}", hint="put the file itself there"
            )
        return path


def _read(read: Callable[[int], bytes], path: Path) -> bytes:
    try:
        return read(_PIECE_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DownloadError:
    return DownloadError(f"{path}: cannot be read ({error.strerror or error})")
