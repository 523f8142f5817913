"""Where bundles come from: a repository of the Hugging Face Hub, or a folder.

Both have the form that publishing writes: `index.json` and a folder for each bundle. One bundle's
own folder, with its `manifest.json` at the top, will do as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from lofi_runtime.hub.errors import DownloadError

HUB = "hf:"
FORMS = "hf:owner/name, hf:owner/name@revision, or a folder"

_HUB_NAME = re.compile(
    r"hf:(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?", re.ASCII
)


class Repository(Protocol):
    """Files by their posix path; every method may take long.

    Attributes:
        label: the repository as messages name it.
    """

    label: str

    def files(self) -> frozenset[str]:
        """Name the files at the top and in the folders there.

        Raises:
            DownloadError: there is no such repository, or it cannot be reached.
        """
        ...

    def read(self, file: str, max_bytes: int) -> bytes:
        """Return a small file.

        Raises:
            DownloadError: it is not there, larger than `max_bytes`, or cannot be had.
        """
        ...

    def fetch(self, file: str, part: Path, size_bytes: int, on_size: Callable[[int], None]) -> None:
        """Append to `part` what of the file is not in it yet.

        Args:
            file: its path.
            part: made if it is not there; keeps what came when this fails.
            size_bytes: what `part` has in the end.
            on_size: called with the size of `part` as it grows; it may fall back to 0.

        Raises:
            DownloadError: the file is not there, of another size, or cannot be had.
            OSError: `part` cannot be written.
        """
        ...


def is_source(text: str) -> bool:
    """Tell a source from the name of a bundle: it has a prefix or a slash, or is a folder."""
    return text.startswith(HUB) or "/" in text or text in (".", "..")


def check_source(source: str) -> None:
    """Check a source's form without looking at what it names.

    Raises:
        DownloadError: says which forms there are.
    """
    if source.startswith(HUB) and not _HUB_NAME.fullmatch(source):
        raise DownloadError(f"source: {source!a} does not name a repository", hint=f"give {FORMS}")
    if not source:
        raise DownloadError("source: it is empty", hint=f"give {FORMS}")


def open_repository(source: str) -> Repository:
    """Return the repository; the network is not asked yet.

    Args:
        source: one of `FORMS`.

    Raises:
        DownloadError: it has none of these forms, or there is no such folder.
    """
    from lofi_runtime.hub.folder import FolderRepository
    from lofi_runtime.hub.huggingface import HubRepository

    check_source(source)
    named = _HUB_NAME.fullmatch(source)
    if named:
        return HubRepository(named["name"], named["revision"])
    folder = Path(source).expanduser()
    if not folder.is_dir():
        hint = f"for a repository of the Hub write {HUB}{source}" if source.count("/") == 1 else ""
        raise DownloadError(f"source: there is no folder {source}", hint=hint or f"give {FORMS}")
    return FolderRepository(folder)
