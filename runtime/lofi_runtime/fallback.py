"""When a variant cannot be loaded: which one makes the track instead."""

from __future__ import annotations

from pathlib import Path

from lofi_runtime.library import Library
from lofi_runtime.requests import with_source
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.sources import Source
from lofi_runtime.track import TrackSpec


class Fallback:
    """Follows one track from variant to variant; each is tried once.

    Args:
        library: what is installed; it remembers what failed.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._tried: set[Path | None] = set()

    def after(self, spec: TrackSpec, source: Source, reason: str) -> tuple[TrackSpec, Source]:
        """Give the track as the next variant of its model makes it.

        Args:
            spec: what failed.
            source: with what.
            reason: why it could not be loaded.

        Raises:
            RpcError: MODEL_LOAD_FAILED, none is left; tells why each failed.
        """
        self._library.give_up(source, reason)
        self._tried.add(source.folder)
        other = self._library.pick(spec.backend, lora=source.model)
        if other.folder in self._tried:
            raise RpcError(
                "MODEL_LOAD_FAILED",
                self._library.why_failed(source.model) or reason,
                hint="ask for backend 'procedural', which needs no model",
            )
        return with_source(spec, other), other
