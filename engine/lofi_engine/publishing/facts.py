"""Everything a release says of itself, gathered once from the finished stages."""

from __future__ import annotations

import hashlib
import math
import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
        base: the recipe's base block, as it may be published (`published_base`).
        identity: what was loaded as base.
        pipeline: the figures a runtime needs (`PipelineConfig`).
        recipe_text: the recipe as written.
        changes: what was run otherwise than the text says, one line each.
        is_rehearsal: whether this is a small trial run of the recipe.
        git_revision: the commit the recipe lay in, with "-dirty" where files differ, or "".
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
    changes: tuple[str, ...]
    is_rehearsal: bool
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


def published_base(base: model.Base, home: Path) -> model.Base:
    """Give the base as it may be published: of a folder on this machine the name alone."""
    if base.model.startswith(("hf:", "builtin:")):
        return base
    place = home / base.model
    if place.name in {"", ".."}:
        place = place.resolve()
    return replace(base, model=place.name)


_ABSOLUTE = re.compile(r"""(?:^|(?<=[\s'"=\[{(,]))(?:~?/|[A-Za-z]:[\\/])[\w.][^\s'"\]}),]*""", re.M)


def absolute_paths(text: str) -> tuple[str, ...]:
    """Find what looks like absolute paths in a text, each once, in order."""
    return tuple(dict.fromkeys(_ABSOLUTE.findall(text)))


def git_revision(folder: Path) -> str:
    """Give the commit `folder` is in, "-dirty" where tracked files differ from it.

    Outside a repository, before its first commit, or without git it is "".
    """
    describe = ("describe", "--always", "--dirty", "--abbrev=64", "--exclude=*")
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(folder), *describe],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
