"""Which models stay loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from lofi_runtime.backend import Backend, Progress
from lofi_runtime.errors import BackendError
from lofi_runtime.sources import BackendChoice
from lofi_runtime.studio import Studio
from tests.support.stand_in_worker import StandInBackend


def bundle(name: str, size_bytes: int = 100, identity: str = "") -> BackendChoice:
    return BackendChoice(
        "ace_step", Path(name), size_bytes=size_bytes, precision="int8", model_identity=identity
    )


class Loader:
    """Makes stand-ins and keeps count."""

    def __init__(self, free_bytes: int | None) -> None:
        self.made: list[BackendChoice] = []
        factories = {"ace_step": self.make, "procedural": self.make}
        self.studio = Studio(factories, lambda: free_bytes)

    def make(self, choice: BackendChoice, _progress: Progress) -> Backend:
        self.made.append(choice)
        return StandInBackend()

    def load(self, *choices: BackendChoice) -> int:
        """Load them in turn; give how many were made anew."""
        before = len(self.made)
        for choice in choices:
            self.studio.load(choice, lambda *_: None)
        return len(self.made) - before


def test_models_stay_side_by_side_where_memory_allows() -> None:
    loader = Loader(free_bytes=10**9)
    assert loader.load(bundle("a"), bundle("b"), bundle("a"), bundle("b")) == 2


def test_the_one_used_longest_ago_makes_room() -> None:
    loader = Loader(free_bytes=100)
    loader.load(bundle("a"))
    assert loader.load(bundle("b"), bundle("a")) == 2
    assert loader.load(BackendChoice("procedural"), bundle("a")) == 1  # holds next to nothing


def test_where_nobody_knows_the_memory_one_model_is_kept() -> None:
    loader = Loader(free_bytes=None)
    assert loader.load(bundle("a"), bundle("b"), bundle("b"), bundle("a")) == 3


def test_another_bundle_in_the_same_folder_takes_the_place_of_the_first() -> None:
    loader = Loader(free_bytes=10**9)
    loader.load(bundle("a", identity="1"))
    assert loader.load(bundle("a", identity="2")) == 1
    assert loader.load(bundle("a", identity="1")) == 1


def test_an_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(BackendError, match="'tape' is not one of ace_step, procedural"):
        Loader(None).load(BackendChoice("tape"))
