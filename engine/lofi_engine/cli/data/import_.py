"""`lofi-recipe data import`: a ledger row for every track that has none."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lofi_engine.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lofi_engine.data.importing import Imported

_SHOWN = 20


class SourceType(enum.StrEnum):
    """How a track was acquired, in the ledger's words."""

    COMMISSIONED = "commissioned"
    ROYALTY_FREE = "royalty-free"
    CREATIVE_COMMONS = "creative-commons"
    PARTNERSHIP = "partnership"
    SYNTHESISED = "synthesised"
    OWN = "own"


def data_import(
    path: Annotated[
        Path,
        typer.Argument(metavar="RECIPE|FOLDER", help="A recipe, or a folder made by `data init`."),
    ],
    kind: Annotated[
        SourceType | None,
        typer.Option("--type", help="How tracks were acquired whose folder does not tell."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go in.")] = False,
    as_json: AsJson = False,
) -> int:
    """Add a ledger row for every track that has none; rows that are there are never changed.

    A new row's licence is "unknown", which keeps its track out until somebody names the terms.
    """
    import sys

    from lofi_engine.data.importing import folder_sources, import_tracks
    from lofi_engine.recipe.load import load_recipe

    if path.is_dir():
        home, sources = path, folder_sources(path)
    else:
        recipe = load_recipe(path)
        home, sources = recipe.home, recipe.dataset.sources
    done = import_tracks(home, sources, kind=kind.value if kind else "", dry_run=dry_run)
    if as_json:
        import json

        sys.stdout.write(json.dumps(_values(done), indent=1, ensure_ascii=False) + "\n")
        return 0
    for line in _lines(done, dry_run):
        sys.stdout.write(line + "\n")
    return 0


def _values(done: Imported) -> dict[str, object]:
    return {
        "added": {str(ledger): list(rows) for ledger, rows in done.added.items()},
        "known": done.known,
        "unclear": dict(done.unclear),
        "passed_over": dict(done.passed_over),
        "missing": {str(ledger): list(names) for ledger, names in done.missing.items()},
    }


def _lines(done: Imported, dry_run: bool) -> Iterator[str]:
    added = sum(len(rows) for rows in done.added.values())
    for ledger, rows in done.added.items():
        yield f"{ledger}: {len(rows)} rows {'would be ' if dry_run else ''}added"
        yield from _some(
            f"  {row['filename']}: {row['source']['type']}, licence unknown" for row in rows
        )
    yield from _some(f"no row for {name}: {why}" for name, why in done.unclear.items())
    yield from _some(f"passed over {name}: {why}" for name, why in done.passed_over.items())
    for ledger, names in done.missing.items():
        yield from _some(f"{ledger}: the file of '{name}' is not there" for name in names)
    yield f"{added} tracks were new, {done.known} had their row"
    if added and not dry_run:
        yield "next: name the licence, artist and right to train of each new row"


def _some(lines: Iterator[str]) -> Iterator[str]:
    """Give the first lines and how many more there are."""
    from lofi_engine.cli.columns import one_line

    listed = [one_line(line) for line in lines]
    yield from listed[:_SHOWN]
    if len(listed) > _SHOWN:
        yield f"  and {len(listed) - _SHOWN} more (--json lists all)"
