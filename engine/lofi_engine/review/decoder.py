"""A child process that decodes for the page; one that crashes costs its file and nothing else."""

from __future__ import annotations

import multiprocessing
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from lofi_engine.audio.decode import DecodeError
from lofi_engine.data.workers import CRASHED, settle
from lofi_engine.review.sound import WAV_TYPE, convert, media_type, picture

_KEPT_PICTURES = 64
_KEPT_WAVS = 4
_Kept = TypeVar("_Kept")


class Decoder:
    """Gives playable files and pictures; keeps the last few. Use it with `with`.

    Files are remembered by size and time of change, so that a replaced one is decoded anew.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="lofi-review-")
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()
        self._ended = False
        self._made = 0
        self._types: OrderedDict[object, str] = OrderedDict()
        self._pictures: OrderedDict[object, dict[str, Any]] = OrderedDict()
        self._wavs: OrderedDict[object, Path] = OrderedDict()

    def __enter__(self) -> Decoder:
        """Nothing starts before the first file."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """End the child and remove what was converted."""
        with self._lock:
            self._ended = True
            self._end()
            self._folder.cleanup()

    def playable(self, path: Path, *, as_wav: bool = False) -> tuple[Path, str]:
        """Give a file that a browser plays, the track itself where it can be, and its type.

        Raises:
            DecodeError: it cannot be decoded.
        """
        with self._lock:
            key = _version(path)
            found = "" if as_wav else self._keep(self._types, key, _KEPT_PICTURES, media_type, path)
            if found:
                return path, found
            return self._wav(path, key), WAV_TYPE

    def picture(self, path: Path) -> dict[str, Any]:
        """Give what `sound.picture` draws.

        Raises:
            DecodeError: it cannot be decoded.
        """
        with self._lock:
            return self._keep(self._pictures, _version(path), _KEPT_PICTURES, picture, path)

    def _wav(self, path: Path, key: object) -> Path:
        if key not in self._wavs:
            self._made += 1
            place = Path(self._folder.name) / f"{self._made}.wav"
            self._do(convert, path, place)
            self._wavs[key] = place
        self._wavs.move_to_end(key)
        while len(self._wavs) > _KEPT_WAVS:
            self._wavs.popitem(last=False)[1].unlink(missing_ok=True)
        return self._wavs[key]

    def _keep(
        self,
        kept: OrderedDict[object, _Kept],
        key: object,
        most: int,
        work: Callable[[Path], _Kept],
        path: Path,
    ) -> _Kept:
        if key not in kept:
            kept[key] = self._do(work, path)
        kept.move_to_end(key)
        while len(kept) > most:
            kept.popitem(last=False)
        return kept[key]

    def _do(self, work: Callable[..., _Kept], *arguments: Path) -> _Kept:
        for _ in range(2):  # a child that died between two files takes nothing with it
            try:
                return self._child().submit(work, *arguments).result()
            except BrokenProcessPool:
                self._end()
        raise DecodeError(CRASHED)

    def _child(self) -> ProcessPoolExecutor:
        if self._ended:
            raise DecodeError("the review has ended")
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1, mp_context=multiprocessing.get_context("spawn"), initializer=settle
            )
        return self._pool

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None


def _version(path: Path) -> object:
    try:
        status = path.stat()
    except OSError as error:
        raise DecodeError(f"cannot be read: {error.strerror}") from error
    return path, status.st_size, status.st_mtime_ns
