"""What a finished stage leaves: a folder and, written last, its record `artifact.json`.

A folder without a record is not an artifact, however full it is. `content` is hashed and
reproducible; `measured` (times, memory, dates) is not. The recipe is kept as the user wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_engine.errors import ArtifactError, StageError
from lofi_engine.hashing import content_hash, hash_value
from lofi_engine.stages.base import Outcome
from lofi_runtime.atomic import read_json, write_json

RECORD_NAME = "artifact.json"
FORMAT = 1


@dataclass(frozen=True)
class Artifact:
    """A finished stage's folder and what its record says.

    Args:
        folder: where it lies, `runs/<recipe>/<stage>/<key>/`.
        stage: the stage's name.
        key: the hash of its code version, settings, sources and inputs.
        content: the reproducible part: files with hash and size, facts, inputs, settings.
        content_hash: the hash of `content`; equal for equal work.
        measured: times, memory and dates of the run that made it.
    """

    folder: Path
    stage: str
    key: str
    content: Mapping[str, Any]
    content_hash: str
    measured: Mapping[str, Any]


def list_files(folder: Path) -> list[str]:
    """List the files in `folder`, as sorted posix paths relative to it, without the record."""
    found = (path for path in folder.rglob("*") if path.is_file())
    names = (path.relative_to(folder).as_posix() for path in found)
    return sorted(name for name in names if name != RECORD_NAME)


def describe_files(folder: Path, measured_files: frozenset[str]) -> dict[str, dict[str, Any]]:
    """Give hash and size of every file in `folder` that is not in `measured_files`."""
    described: dict[str, dict[str, Any]] = {}
    for name in list_files(folder):
        if name in measured_files:
            continue
        path = folder / name
        described[name] = {"sha256": content_hash(path)}
        if path.suffix != ".json":  # a JSON file's measured figures vary in length
            described[name]["size_bytes"] = path.stat().st_size
    return described


def write_record(
    folder: Path,
    *,
    content: Mapping[str, Any],
    outcome: Outcome,
    recipe: Mapping[str, str],
    measured: Mapping[str, Any],
) -> str:
    """Write `artifact.json` into `folder` and return its content hash.

    Args:
        folder: the finished folder.
        content: what identifies the work: stage, key, version, settings, inputs, sources, seed.
        outcome: what the stage reported.
        recipe: `name` and `text` of the recipe, as the user wrote it.
        measured: what the runner measured; the stage's own figures are added.
    """
    full = dict(content)
    full["files"] = describe_files(folder, outcome.measured_files)
    full["facts"] = dict(outcome.facts)
    full["outside"] = dict(outcome.outside)
    content_digest = hash_value(full)
    record = {
        "format": FORMAT,
        "content": full,
        "content_hash": content_digest,
        "recipe": dict(recipe),
        "measured": {**measured, **outcome.measured},
    }
    write_json(folder / RECORD_NAME, record, sort_keys=True)
    return content_digest


def read_artifact(folder: Path) -> Artifact | None:
    """Read a finished folder, or return None where there is no record.

    Raises:
        ArtifactError: the record is damaged or of another format.
        StageError: what lies there cannot be read at all.
    """
    path = folder / RECORD_NAME
    try:
        record = read_json(path)
        if record["format"] != FORMAT:
            raise ArtifactError(
                f"{path}: record format {record['format']} is not {FORMAT}",
                hint="it was made by another version; run again with --force",
            )
        content = record["content"]
        return Artifact(
            folder=folder,
            stage=content["stage"],
            key=content["key"],
            content=content,
            content_hash=record["content_hash"],
            measured=record["measured"],
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(error, path) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{path}: the record cannot be read ({error})", hint="delete the folder and run again"
        ) from error


def unreadable(error: OSError, path: Path) -> StageError:
    """Word an error of the file system below `runs/` as one a user can mend."""
    return StageError(
        f"cannot read {error.filename or path}: {error.strerror or error}",
        hint="move away what is in the way there, or make it readable",
    )


def missing_file(
    artifact: Artifact, home: Path, hash_content: Callable[[Path], str] = content_hash
) -> str | None:
    """Name the first recorded file that is gone or not what was left; None when all are there.

    Args:
        artifact: whose files.
        home: the recipe's folder, where paths of files outside the artifact start.
        hash_content: gives the `content_hash` of a file outside the artifact; there anybody may
            have written. Inside, the size alone is compared.
    """
    for name, described in artifact.content["files"].items():
        path = artifact.folder / name
        if not path.is_file():
            return f"{name} is gone"
        size = described.get("size_bytes")
        if size is not None and path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes, not {size}"
    for name, digest in (artifact.content.get("outside") or {}).items():
        if not (home / name).is_file():
            return f"{name} is gone"
        if digest and hash_content(home / name) != digest:
            return f"{name} is not what this recipe published"
    return None
