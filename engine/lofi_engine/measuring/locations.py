"""Where a gate's embedding is: built in, on the Hub, or a folder that starts at the recipe's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lofi_engine.metrics.shelf import SOUND_EMBEDDING

HUB = "hf:"


def pinned(location: str) -> str:
    """Give where an embedding is as stages keep it in their settings, and so in their keys.

    A Hub model is named with the commit that its revision means on this machine today.
    """
    if not location.startswith(HUB):
        return location
    from lofi_engine.models.ace_step_v1.hub import local_commit

    repository, _, revision = location.removeprefix(HUB).partition("@")
    return f"{HUB}{repository}@{local_commit(repository, revision or 'main')}"


def folders_of(locations: Iterable[str], home: Path) -> tuple[Path, ...]:
    """List the folders among the places of models; what is built in or on the Hub is none."""
    return tuple(home / location for location in dict.fromkeys(locations) if is_folder(location))


def in_full(location: str, home: Path) -> str:
    """Give a model's place as it is loaded: of a folder the path that starts at `home`."""
    return str(home / location) if is_folder(location) else location


def is_folder(location: str) -> bool:
    """Say whether a place is a folder on disk."""
    return location != SOUND_EMBEDDING and not location.startswith(HUB)
