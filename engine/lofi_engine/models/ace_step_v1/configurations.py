"""Where a base's configuration is known from without its weights: reads a few kilobytes of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lofi_engine.errors import StageError
from lofi_engine.models.ace_step_v1 import builtin, hub
from lofi_engine.models.ace_step_v1.published import (
    DCAE,
    PARTS,
    PUBLISHED,
    REPOSITORY,
    TEXT,
    TRANSFORMER,
    VOCODER,
)

CONFIG = "config.json"

Configs = Mapping[str, Mapping[str, Any]]
"""The values of config.json, by folder."""


def builtin_configs(name: str = builtin.TINY) -> Configs:
    """Give the configuration of a built-in base, one that `builtin.check_builtin` accepts.

    Raises:
        StageError: a file of it cannot be read.
    """
    if name == builtin.NANO:
        return folder_configs(builtin.NANO_FOLDER)
    from lofi_engine.models.ace_step_v1 import tiny_config as tiny

    return {
        TRANSFORMER: tiny.TRANSFORMER.to_mapping(),
        DCAE: tiny.DCAE,
        VOCODER: tiny.VOCODER.to_mapping(),
        TEXT: tiny.TEXT,
    }


def hub_configs(repository: str, revision: str) -> tuple[Configs, str]:
    """Give a Hub base's configuration and what it is: the cached one, else the published one.

    Raises:
        StageError: neither is there, or what is in the cache cannot be read.
    """
    from huggingface_hub import constants

    commit = hub.local_commit(repository, revision)
    cached = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    snapshot = cached / "snapshots" / commit
    if all((snapshot / part / CONFIG).is_file() for part in PARTS):
        return folder_configs(snapshot), f"the configuration of {repository} at {commit[:12]}"
    if repository == REPOSITORY:
        return (
            PUBLISHED,
            f"the published configuration of {REPOSITORY} (it is not in the Hub's cache)",
        )
    raise StageError(
        f"base.model: the configuration of {repository} is not in the Hub's cache",
        hint=f"fetch it with: hf download {repository} --revision {revision}",
    )


def folder_configs(folder: Path) -> Configs:
    """Read the configuration of the base in `folder`.

    Raises:
        StageError: a config.json is missing, or no JSON object; says which.
    """
    return {part: _read(folder / part / CONFIG) for part in PARTS}


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StageError(f"base.model: cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise StageError(f"{path}: not JSON: {error}", hint="fetch the base again") from error
    if not isinstance(value, dict):
        raise StageError(
            f"{path}: a JSON object is needed, not a {type(value).__name__}",
            hint="fetch the base again",
        )
    return value
