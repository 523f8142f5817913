"""Everything a release says of itself, gathered once from the finished stages."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_engine.data.rows import accepted_rows
from lofi_engine.hashing import hash_file
from lofi_engine.recipe import model


@dataclass(frozen=True)
class Release:
    """One release of one model, before it is written down.

    Args:
        model_name: e.g. "lofi-ace-step"; bundles are `<model_name>-<variant>`.
        version: the recipe's release.
        license: what the model is published under.
        description: the recipe's own words.
        base: the recipe's base block.
        identity: what was loaded as base.
        pipeline: the figures a runtime needs (`PipelineConfig`).
        recipe_text: the recipe as written.
        git_revision: the commit the recipe lay in, or "".
        ledger: sums over the training tracks.
        attributions: one line for every work whose licence asks for one.
        records: by variant, what `quantize` recorded.
        measures: by variant, what `measure` found: "quality" and "measured".
    """

    model_name: str
    version: str
    license: str
    description: str
    base: model.Base
    identity: str
    pipeline: Mapping[str, Any]
    recipe_text: str
    git_revision: str
    ledger: Mapping[str, Any]
    attributions: tuple[str, ...]
    records: Mapping[str, Mapping[str, Any]]
    measures: Mapping[str, Mapping[str, Any]]

    def bundle(self, variant: str) -> str:
        """Name a variant's bundle folder."""
        return f"{self.model_name}-{variant}"

    @property
    def recipe_sha256(self) -> str:
        """The hash of the recipe's text in UTF-8."""
        return hashlib.sha256(self.recipe_text.encode()).hexdigest()


def ledger_sums(curated: Path) -> dict[str, Any]:
    """Sum a curate artifact's ledger: tracks, seconds, licences, and the ledger's hash."""
    rows = accepted_rows(curated)
    return {
        "tracks": len(rows),
        "duration_sec": round(math.fsum(row.duration_sec for row in rows), 3),
        "licenses": dict(sorted(Counter(row.license or "unknown" for row in rows).items())),
        "sha256": hash_file(curated / "ledger.json"),
    }


def attributions(curated: Path) -> tuple[str, ...]:
    """Collect the credit lines the tracks' licences ask for, each once, sorted."""
    return tuple(sorted({row.attribution for row in accepted_rows(curated) if row.attribution}))


def git_revision(folder: Path) -> str:
    """Give the commit `folder` is in, or "" outside a repository or without git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def read_json(path: Path) -> Any:
    """Read one of the stages' JSON files."""
    return json.loads(path.read_text(encoding="utf-8"))
