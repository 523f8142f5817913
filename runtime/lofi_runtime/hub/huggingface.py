"""A repository of the Hugging Face Hub, at one commit.

The library finds the repository, authenticates (a token is used where one is set, none is needed
for what is public) and says what is wrong. The bytes are streamed here, through the library's own
session: its `hf_hub_download` deletes a half-made file when it fails and begins anew after a kill,
which two gigabytes over a slow line do not survive, and reports progress in steps of 10 MiB.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from lofi_runtime.hub.errors import DownloadError

TIMEOUT_SEC = 20.0
"""Without a byte for so long, a connection counts as lost."""
RETRY_WAITS_SEC = (0.5, 2.0, 5.0, 10.0)
"""Before each new try; the count begins anew whenever bytes came."""

_TRY_LATER = (408, 429, 500, 502, 503, 504)
_OK, _PARTIAL, _NOT_SATISFIABLE = 200, 206, 416
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _Sink(Protocol):
    def tell(self) -> int: ...
    def write(self, piece: bytes, /) -> object: ...
    def truncate(self, size: int, /) -> object: ...


class HubRepository:
    """One repository; asked for the first file, it settles on a commit and stays there.

    Args:
        name: `owner/name`.
        revision: a branch, tag or commit; None: the default branch.
    """

    def __init__(self, name: str, revision: str | None = None) -> None:
        self.label = f"hf:{name}" + (f"@{revision}" if revision else "")
        self._name = name
        self._revision = revision
        self._known: tuple[str, frozenset[str]] | None = None

    def files(self) -> frozenset[str]:
        """Name every file; see `Repository`."""
        return self._at_commit()[1]

    def read(self, file: str, max_bytes: int) -> bytes:
        """Return a small file; see `Repository`."""
        sink = _Memory(f"{self.label}: {file}", max_bytes)
        self._stream(file, sink, None)
        return bytes(sink.held)

    def fetch(self, file: str, part: Path, size_bytes: int, on_size: Callable[[int], None]) -> None:
        """Download what `part` has not yet; see `Repository`."""
        with part.open("ab") as stream:
            sink = _Counted(stream, f"{self.label}: {file}", size_bytes, on_size)
            self._stream(file, sink, size_bytes)

    def _at_commit(self) -> tuple[str, frozenset[str]]:
        if self._known is None:
            from huggingface_hub import HfApi

            with self._failures_named(""):
                info = HfApi().model_info(self._name, revision=self._revision, timeout=TIMEOUT_SEC)
            files = frozenset(sibling.rfilename for sibling in info.siblings or ())
            self._known = info.sha or self._revision or "main", files
        return self._known

    def _stream(self, file: str, sink: _Sink, size_bytes: int | None) -> None:
        """Write the file's rest to `sink`, over as many connections as it takes."""
        from huggingface_hub import hf_hub_url

        commit, files = self._at_commit()
        if file not in files:
            raise DownloadError(
                f"{self.label}: there is no file {file} at commit {commit[:12]}",
                hint="it may be half published; try again later",
            )
        url = hf_hub_url(self._name, file, revision=commit)
        waits = iter(RETRY_WAITS_SEC)
        while True:
            before = sink.tell()
            lost = self._try(url, file, sink, size_bytes)
            if lost is None:
                return
            if sink.tell() > before:
                waits = iter(RETRY_WAITS_SEC)
            wait_sec = next(waits, None)
            if wait_sec is None:
                raise DownloadError(
                    f"{self.label}: {file}: the connection was lost ({lost})",
                    hint="ask again; what is here already is kept",
                )
            time.sleep(wait_sec)

    def _try(self, url: str, file: str, sink: _Sink, size_bytes: int | None) -> str | None:
        """Read one connection to its end; returns how it was lost, or None when all is there."""
        from huggingface_hub import get_session
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        begin = sink.tell()
        if begin == size_bytes:
            return None
        # Compressed bodies have no ranges, and sizes that no manifest knows.
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        if begin:
            headers["Range"] = f"bytes={begin}-"
        try:
            with (
                self._failures_named(file),
                get_session().stream(
                    "GET", url, headers=headers, timeout=TIMEOUT_SEC, follow_redirects=True
                ) as response,
            ):
                if response.status_code in _TRY_LATER:
                    return f"status {response.status_code}"
                self._take(response, begin, sink)
        except _ConnectionLostError as error:
            return str(error)
        if size_bytes is not None and sink.tell() < size_bytes:
            return f"{sink.tell()} of {size_bytes} bytes came"
        return None

    def _take(self, response: Any, begin: int, sink: _Sink) -> None:
        from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]

        found = _RANGE.match(response.headers.get("Content-Range", ""))
        is_rest = response.status_code == _PARTIAL and found and int(found[1]) == begin
        if response.status_code != _NOT_SATISFIABLE:
            hf_raise_for_status(response)  # before what came earlier is thrown away
        if begin and not is_rest:
            # The server sends the whole file, or has none that is so long.
            sink.truncate(0)
            if response.status_code in (_PARTIAL, _NOT_SATISFIABLE):
                raise _ConnectionLostError(f"no range from byte {begin} on")
        hf_raise_for_status(response)
        # As they come: what is collected first is lost with the connection.
        for piece in response.iter_bytes():
            sink.write(piece)

    @contextmanager
    def _failures_named(self, file: str) -> Iterator[None]:
        """Turn what the library raises into one line."""
        from huggingface_hub import errors
        from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

        where = f"{self.label}: {file}" if file else self.label
        try:
            yield
        except errors.GatedRepoError as error:
            raise DownloadError(
                f"{where}: access must be granted by its owners",
                hint="ask for it on the repository's page, then run: hf auth login",
            ) from error
        except errors.RepositoryNotFoundError as error:
            raise DownloadError(
                f"{where}: there is no such repository, or it is private",
                hint="check the name; for a private one run: hf auth login",
            ) from error
        except errors.RevisionNotFoundError as error:
            raise DownloadError(
                f"{where}: there is no such revision", hint="name a branch, a tag or a commit"
            ) from error
        except errors.HfHubHTTPError as error:
            status = error.response.status_code
            if status in _TRY_LATER and file:
                raise _ConnectionLostError(f"status {status}") from error
            raise DownloadError(
                f"{where}: the Hub refused it (status {status})", hint=_HINTS.get(status, "")
            ) from error
        except errors.OfflineModeIsEnabled as error:
            raise DownloadError(
                f"{where}: the Hub may not be asked (HF_HUB_OFFLINE is set)",
                hint="unset it, or pull from a folder",
            ) from error
        # The base of the session's own errors; which HTTP library makes them is the Hub's affair.
        except HTTPError as error:
            if file:
                raise _ConnectionLostError(_one_line(error)) from error
            raise DownloadError(
                f"{where}: the Hub cannot be reached ({_one_line(error)})",
                hint="check the network, or pull from a folder",
            ) from error


_HINTS = {
    401: "run: hf auth login",
    403: "run: hf auth login",
    429: "too many requests; try again later",
    503: "try again later",
}


class _ConnectionLostError(Exception):
    """It may come back."""


class _Counted:
    """A part that is being written, and never larger than it may become."""

    def __init__(
        self, stream: BinaryIO, label: str, size_bytes: int, on_size: Callable[[int], None]
    ) -> None:
        self._stream = stream
        self._label = label
        self._size_bytes = size_bytes
        self._on_size = on_size

    def tell(self) -> int:
        return self._stream.tell()

    def write(self, piece: bytes) -> None:
        self._stream.write(piece)
        if self.tell() > self._size_bytes:
            self.truncate(0)
            raise DownloadError(f"{self._label}: more than the {self._size_bytes} bytes expected")
        self._on_size(self.tell())

    def truncate(self, size: int) -> None:
        self._stream.truncate(size)
        self._stream.seek(size)
        self._on_size(size)


class _Memory:
    """A small file that is being read."""

    def __init__(self, label: str, max_bytes: int) -> None:
        self.held = bytearray()
        self._label = label
        self._max_bytes = max_bytes

    def tell(self) -> int:
        return len(self.held)

    def write(self, piece: bytes) -> None:
        self.held += piece
        if len(self.held) > self._max_bytes:
            raise DownloadError(f"{self._label}: larger than the {self._max_bytes} bytes allowed")

    def truncate(self, size: int) -> None:
        del self.held[size:]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
