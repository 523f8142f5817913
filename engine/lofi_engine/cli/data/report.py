"""`lofi-recipe data report`: what is there, against what is wanted, and what is refused and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lofi_engine.cli.options import AsJson, Overrides, RecipePath

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lofi_engine.data.census import Census
    from lofi_engine.data.report import Report, Share
    from lofi_engine.recipe.model import Recipe
    from lofi_runtime.styles.taxonomy import Style

_SHOWN = 10


def data_report(
    path: RecipePath,
    as_json: AsJson = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page with plots as well."),
    ] = None,
    overrides: Overrides = None,
) -> int:
    """Count tracks, hours, cost, styles and licences, and say what is refused and why.

    Before a run it counts what the ledgers say; after one, what came of it.
    """
    import json
    import sys
    from dataclasses import asdict

    from lofi_engine.recipe.load import load_recipe

    found = current_report(load_recipe(path, overrides or ()))
    if html is not None:
        from lofi_engine.data.report_page import write_report_page

        write_report_page(html, found)
        sys.stderr.write(f"wrote {html}\n")
    if as_json:
        sys.stdout.write(json.dumps(asdict(found), indent=1, ensure_ascii=False) + "\n")
        return 0
    for line in _lines(found):
        sys.stdout.write(line + "\n")
    return 0


def current_report(recipe: Recipe) -> Report:
    """Report on the curated set if a run left one of the recipe as it stands, else on ledgers."""
    from lofi_engine.data.report import report
    from lofi_engine.styles.source import styles_source
    from lofi_runtime.styles.taxonomy import load_styles

    styles = load_styles(styles_source(recipe).folder(recipe.home))
    return report(recipe, _census(recipe, styles), styles)


def _census(recipe: Recipe, styles: Mapping[str, Style]) -> Census:
    from lofi_engine.data.census import census_of_ledgers, census_of_rows
    from lofi_engine.data.ledger import read_ledger
    from lofi_engine.data.rows import read_rows

    curated = _curated(recipe)
    if curated is None:
        return census_of_ledgers(recipe, styles)
    named = {source.ledger for source in recipe.dataset.sources if source.ledger}
    entries = [entry for name in sorted(named) for entry in read_ledger(recipe.home / name)]
    return census_of_rows(read_rows(curated), entries)


def _curated(recipe: Recipe) -> Path | None:
    """Give the curate artifact of the recipe and the tracks as they are now, if there is one."""
    from lofi_engine.run import plan_states, runs_folder
    from lofi_engine.stages.registry import STAGES

    if not (runs_folder(recipe) / "curate").is_dir():
        return None
    (state,) = plan_states(recipe, STAGES, {"curate": ()})
    return state.artifact.folder if state.artifact else None


def _lines(found: Report) -> Iterator[str]:
    from lofi_engine.cli.columns import in_columns
    from lofi_engine.data.report_page import basis, headline

    yield headline(found)
    yield basis(found)
    yield ""
    groups = [(each.name, str(each.tracks), str(each.wanted)) for each in found.groups]
    yield from in_columns([("style group", "tracks", "wanted"), *groups], numbers=(1, 2))
    if found.without_style:
        yield f"{found.without_style} more tracks name no style (style_ids in the ledger)"
    yield ""
    styles = [
        (each.id, each.name, str(each.tracks), str(each.wanted))
        for each in found.styles
        if each.tracks
    ]
    if styles:
        yield from in_columns([("style", "name", "tracks", "wanted"), *styles], numbers=(2, 3))
        yield ""
    for column, shares in (("licence", found.licenses), ("type", found.types)):
        if shares:
            yield from _shares(column, shares)
            yield ""
    if found.refusals:
        rows = [(str(each.files), each.first, each.reason) for each in found.refusals]
        yield from in_columns([("refused", "first", "reason"), *rows], numbers=(0,))
        yield ""
    yield from _rest(found)


def _shares(column: str, shares: Sequence[Share]) -> Iterator[str]:
    from lofi_engine.cli.columns import in_columns

    rows = [
        (each.name, str(each.tracks), f"{each.hours:.2f}", f"{each.cost_usd:,.2f}")
        for each in shares
    ]
    yield from in_columns([(column, "tracks", "hours", "USD"), *rows], numbers=(1, 2, 3))


def _rest(found: Report) -> Iterator[str]:
    mean = found.mean_listener_score
    scored = "" if mean is None else f", {len(found.listener_scores)} scored, {mean:g} on average"
    yield f"{found.human_verified} of {found.tracks} tracks were listened to{scored}"
    built = len(found.attributions_built)
    yield (
        f"{len(found.attributions)} credits for the model card, {built} of them built from artist, "
        "title and licence"
    )
    yield from _some(found.attributions_built)
    if found.notes:
        yield f"{len(found.notes)} notes on tracks that enter:"
        yield from _some(found.notes)
    if found.missing:
        yield f"{len(found.missing)} rows have no file:"
        yield from _some(found.missing)
    for folder in found.absent:
        yield f"the folder '{folder}' is not there; lofi-recipe data init makes such folders"


def _some(lines: Sequence[str]) -> Iterator[str]:
    from lofi_engine.cli.columns import one_line

    yield from (f"  {one_line(line)}" for line in lines[:_SHOWN])
    if len(lines) > _SHOWN:
        yield f"  and {len(lines) - _SHOWN} more (--json lists all)"
