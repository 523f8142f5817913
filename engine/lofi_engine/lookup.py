"""Says for each planned stage whether its artifact is there, and if not, why it must run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_engine.artifact import Artifact, missing_file, read_artifact, unreadable
from lofi_engine.errors import ArtifactError
from lofi_engine.fingerprints import Fingerprints
from lofi_engine.plan import PlannedStage


@dataclass(frozen=True)
class StageState:
    """A planned stage and what the disk says of it.

    Args:
        stage: the planned stage.
        artifact: its finished folder, or None when it must run.
        reason: why it must run; "" when it is cached.
    """

    stage: PlannedStage
    artifact: Artifact | None
    reason: str

    @property
    def cached(self) -> bool:
        """Whether the stage need not run."""
        return self.artifact is not None


def artifact_folder(runs: Path, stage: PlannedStage) -> Path:
    """Give the folder of a planned stage's artifact below the recipe's `runs` folder."""
    return runs / stage.name / stage.key


def look_up(
    planned: Sequence[PlannedStage], runs: Path, table: Fingerprints | None = None
) -> tuple[StageState, ...]:
    """Find each stage's artifact, or say why it must run.

    Args:
        planned: the plan.
        runs: the recipe's own folder, `<home>/runs/<recipe>`.
        table: remembers the hashes of published files; None reads them anew.

    Raises:
        StageError: something below `runs` cannot be read.
    """
    table = table or Fingerprints(runs)
    try:
        return tuple(_state(stage, runs, table) for stage in planned)
    except OSError as error:
        raise unreadable(error, runs) from error


def _state(stage: PlannedStage, runs: Path, table: Fingerprints) -> StageState:
    folder = artifact_folder(runs, stage)
    try:
        artifact = read_artifact(folder)
    except ArtifactError:
        return StageState(stage, None, f"the record in {folder.name} is damaged")
    if artifact is None:
        return StageState(stage, None, _why_new(stage, runs))
    trouble = missing_file(artifact, runs.parent.parent, table.content)
    if trouble:
        return StageState(stage, None, f"what it left is damaged: {trouble}")
    return StageState(stage, artifact, "")


def _why_new(stage: PlannedStage, runs: Path) -> str:
    previous = _newest(runs / stage.name)
    if previous is None:
        return "it has not run yet"
    return difference(previous.content, stage.identity())


def _newest(folder: Path) -> Artifact | None:
    found: list[tuple[float, Path]] = []
    if folder.is_dir():
        for path in folder.iterdir():
            record = path / "artifact.json"
            if not path.name.startswith(".") and record.is_file():
                found.append((record.stat().st_mtime, path))
    for _time, path in sorted(found, reverse=True):
        try:
            return read_artifact(path)
        except ArtifactError:
            continue
    return None


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say in words what changed between two stage identities; names at most three settings."""
    parts: list[str] = []
    if before.get("version") != now["version"]:
        parts.append(f"its code changed (version {before.get('version')} to {now['version']})")
    parts += _changed_settings(before.get("settings", {}), now["settings"])
    if before.get("seed") != now["seed"]:
        parts.append("the seed changed")
    for name, key in now["inputs"].items():
        if before.get("inputs", {}).get(name) != key:
            parts.append(f"{name} changed")
    for name, digest in now["sources"].items():
        old = before.get("sources", {}).get(name)
        if old != digest:
            parts.append(f"{name} {'is new here' if old is None else 'changed'}")
    return "; ".join(parts) or "its artifact was removed"


def _changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    old, new = _flat(before), _flat(now)
    names = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    said = [f"{name} {_short(old.get(name))} to {_short(new.get(name))}" for name in names[:3]]
    if len(names) > len(said):
        said.append(f"{len(names) - len(said)} more settings")
    return said


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        flat: dict[str, Any] = {}
        for key, part in value.items():
            flat.update(_flat(part, f"{prefix}.{key}" if prefix else str(key)))
        return flat
    return {prefix: value}


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
