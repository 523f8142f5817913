"""Keeps what was loaded for the next track, as many models as memory allows."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping

from lofi_runtime.backend import Backend, Progress
from lofi_runtime.backends import FACTORIES, Factory
from lofi_runtime.errors import BackendError
from lofi_runtime.memory import available_bytes, needed_bytes
from lofi_runtime.sources import BackendChoice


class Studio:
    """Loads backends, and drops those used longest ago when a new one needs their room.

    Args:
        factories: how to make a backend, by its type.
        available: gives the bytes of memory a model may take now. Where nobody knows, one model at
            a time is kept.
    """

    def __init__(
        self,
        factories: Mapping[str, Factory] = FACTORIES,
        available: Callable[[], int | None] = available_bytes,
    ) -> None:
        self._factories = factories
        self._available = available
        self._loaded: dict[BackendChoice, Backend] = {}

    def load(self, choice: BackendChoice, progress: Progress) -> Backend:
        """Return the backend, from before or newly made.

        Raises:
            BackendError: its type is unknown, or it cannot be loaded.
            BundleError: its folder is missing or damaged.
            GenerationCancelled: `progress` said so.
        """
        if choice not in self._loaded:
            self._make_room(choice)
        backend = self._loaded.pop(choice, None)
        if backend is None:
            if choice.type not in self._factories:
                raise BackendError(
                    f"backend {choice.type!r} is not one of {', '.join(self._factories)}"
                )
            backend = self._factories[choice.type](choice, progress)
        self._loaded[choice] = backend  # the last one is the one used last
        return backend

    def _make_room(self, choice: BackendChoice) -> None:
        """Drop models, before the next one is loaded: two may not fit."""
        if choice.folder is None:
            return
        # What lay in the same folder before is gone, whatever memory there is.
        self._drop([one for one in self._loaded if one.folder == choice.folder])
        wanted = needed_bytes(choice.size_bytes, choice.precision)
        for one in [one for one in self._loaded if one.folder is not None]:
            free = self._available()
            if free is not None and free > wanted:
                return
            self._drop([one])

    def _drop(self, choices: list[BackendChoice]) -> None:
        for one in choices:
            del self._loaded[one]
        if choices:
            gc.collect()  # sessions hold the memory; cycles would hold the sessions
