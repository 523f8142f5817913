"""The verbs of `lofi-runtime` for bundles: pull, ls, verify, rm."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lofi_runtime.command_line import stop_on_sigterm
from lofi_runtime.errors import LofiError, ManyProblemsError

if TYPE_CHECKING:
    from lofi_runtime.hub.pull import Pulled, PullProgress

Models = Annotated[
    Path | None,
    typer.Option(
        "--models",
        help="The folder of installed bundles. [default XDG_DATA_HOME/lofi/models]",
        show_default=False,
    ),
]
SOURCES = "hf:owner/name[@revision], a folder that a recipe published into, or a bundle's folder."
Source = Annotated[
    str | None,
    typer.Option(
        "--source", help=f"{SOURCES} [default hf:willibrandon/lofi-models]", show_default=False
    ),
]
ListedSource = Annotated[
    str | None, typer.Option("--source", help=f"List what is there: {SOURCES}", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def add_model_commands(app: typer.Typer) -> None:
    """Give a command line the four verbs."""
    app.command(epilog="Example: lofi-runtime pull lofi-nano --precision int8")(pull)
    app.command(epilog="Example: lofi-runtime ls --source ./published")(ls)
    app.command(epilog="Example: lofi-runtime verify lofi-nano-int8")(verify)
    app.command(epilog="Example: lofi-runtime rm lofi-nano-int8")(rm)


def pull(
    what: Annotated[
        str | None,
        typer.Argument(
            help="A bundle (lofi-nano-int8), a model (lofi-nano), or a source. "
            "[default the source's only model, or its ACE-Step one]",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="Variant: int8-fast, int8, fp16, int4. [default the first of these there is]",
            show_default=False,
        ),
    ] = None,
    source: Source = None,
    models: Models = None,
) -> int:
    """Install a bundle, or its newer release; prints its folder. Interrupted, it resumes."""
    from lofi_runtime.choosing import AUTO
    from lofi_runtime.hub.bar import shown_bytes, size_text
    from lofi_runtime.hub.pull import pull as pull_bundle
    from lofi_runtime.hub.repository import open_repository

    name, where = _what_and_where(what, source)
    stop_on_sigterm()
    try:
        with shown_bytes(sys.stderr) as on_bytes:

            def on_progress(progress: PullProgress) -> None:
                on_bytes(progress.component, progress.bytes_done, progress.bytes_total)

            pulled = pull_bundle(
                open_repository(where),
                _folder(models),
                name=name,
                precision=precision or AUTO,
                on_progress=on_progress,
            )
    except KeyboardInterrupt:
        typer.echo("lofi-runtime: what came is kept; the same command resumes", err=True)
        raise
    typer.echo(_pulled_line(pulled, size_text(pulled.manifest.size_bytes)), err=True)
    typer.echo(pulled.folder.absolute())
    return 0


def ls(source: ListedSource = None, models: Models = None, as_json: AsJson = False) -> int:
    """List the installed bundles; with --source, those that can be pulled from there."""
    if source is not None:
        return _list_offers(source, as_json)
    from lofi_runtime.hub.bar import size_text
    from lofi_runtime.hub.installed import list_installed

    found = list_installed(_folder(models))
    if as_json:
        _echo_json([{**asdict(one), "folder": str(one.folder.absolute())} for one in found])
        return 0
    if not found:
        typer.echo(f"no bundle is installed in {_folder(models)} - lofi-runtime pull", err=True)
    rows = [
        (one.name, one.version, one.precision, size_text(one.size_bytes), one.license, one.state)
        for one in found
    ]
    _echo_table(("name", "version", "precision", "size", "license", "files"), rows)
    for one in found:
        if one.problem:
            typer.echo(f"{one.name}: {one.problem}", err=True)
    return 0


def verify(
    name: Annotated[
        str | None,
        typer.Argument(help="A bundle. [default every installed one]", show_default=False),
    ] = None,
    models: Models = None,
) -> int:
    """Compare every file's sha256 with the manifest's; exit code 1 names each bad file."""
    from lofi_runtime.hub.bar import shown_bytes
    from lofi_runtime.hub.installed import UNFINISHED, find_problems, list_installed, unknown_bundle

    folder = _folder(models)
    found = [one for one in list_installed(folder) if one.state != UNFINISHED]
    wanted = [one for one in found if name in (None, one.name)]
    if not wanted:
        raise (
            unknown_bundle(name or "", folder, [one.name for one in found])
            if name
            else (LofiError(f"no bundle is installed in {folder}", hint="lofi-runtime pull"))
        )
    problems = []
    for one in wanted:
        with shown_bytes(sys.stderr) as on_bytes:
            bad = find_problems(one.folder, partial(on_bytes, one.name))
        if bad:
            problems += [f"lofi-runtime: {line}" for line in bad]
        else:
            typer.echo(f"{one.name} {one.version}: every file is the manifest's")
    if problems:
        hint = "lofi-runtime: pull it again, or remove it: lofi-runtime rm NAME"
        raise ManyProblemsError([*problems, hint])
    return 0


def rm(
    name: Annotated[str, typer.Argument(help="An installed bundle, or an unfinished pull.")],
    models: Models = None,
) -> int:
    """Delete an installed bundle, without asking, and what is left of unfinished pulls of it."""
    from lofi_runtime.hub.bar import size_text
    from lofi_runtime.hub.installed import remove

    freed = remove(_folder(models), name)
    typer.echo(f"removed {name}, {size_text(freed)} are free again")
    return 0


def _list_offers(source: str, as_json: bool) -> int:
    from lofi_runtime.hub.bar import size_text
    from lofi_runtime.hub.offers import read_offers
    from lofi_runtime.hub.repository import open_repository

    offers = read_offers(open_repository(source))
    if as_json:
        told = ("name", "model", "precision", "version", "license", "size_bytes")
        _echo_json([{key: getattr(offer, key) for key in told} for offer in offers])
        return 0
    rows = [
        (one.name, one.version, one.precision, size_text(one.size_bytes), one.license)
        for one in offers
    ]
    _echo_table(("name", "version", "precision", "size", "license"), rows)
    return 0


def _what_and_where(what: str | None, source: str | None) -> tuple[str, str]:
    """Tell a bundle's name from a source, which may stand in its place."""
    from lofi_runtime.hub.repository import is_source
    from lofi_runtime.settings import DEFAULT_SOURCE

    if what is None or not is_source(what):
        return what or "", source or DEFAULT_SOURCE
    if source is not None:
        raise LofiError(
            f"{what!a} and --source {source!a} both name a source",
            hint="give a bundle's name and one source",
        )
    return "", what


def _pulled_line(pulled: Pulled, size: str) -> str:
    manifest = pulled.manifest
    verb = "is already installed" if pulled.was_installed else "is installed"
    return f"{manifest.name} {manifest.version} {verb}: {size}, license {manifest.license}"


def _folder(models: Path | None) -> Path:
    from lofi_runtime.paths import models_folder

    return models or models_folder()


def _echo_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))


def _echo_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write columns as wide as what is in them."""
    if not rows:
        return
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    for row in [head, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        typer.echo("  ".join(cells).rstrip())
