"""The `lofi-recipe` command line: verbs, options, help with examples. Nothing heavy is imported.

Exit codes: 0, 1 (an expected error, one line a problem), 2 (wrong usage), 3 (a bug, with a log
file), 130 (stopped with Ctrl-C).
"""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from lofi_engine.cli.adapter import app as adapter_app
from lofi_engine.cli.base import app as base_app
from lofi_engine.cli.data.app import app as data_app
from lofi_engine.cli.listening_verbs import ladder, measure
from lofi_engine.cli.options import AsJson, Overrides, RecipePath
from lofi_engine.cli.verbs import verbs_of
from lofi_runtime.command_line import (
    HELP_OPTIONS,
    add_version,
    exit_with,
    run_app,
    stop_on_sigterm,
)

app = typer.Typer(
    name="lofi-recipe",
    help="One YAML recipe from a pile of audio to a measured, published lofi model.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    result_callback=exit_with,
    context_settings=HELP_OPTIONS,
)

add_version("lofi-recipe", app)

app.add_typer(data_app)
app.add_typer(adapter_app)
app.add_typer(base_app)


class ProgressForm(enum.StrEnum):
    """How progress is drawn on standard error."""

    AUTO = "auto"
    LIVE = "live"
    PLAIN = "plain"
    JSON = "json"


_verb = verbs_of(app)


@_verb("init", "lofi-recipe init my-model.yaml")
def _init(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the new recipe.")],
) -> int:
    """Write a commented recipe to start from; never overwrites."""
    from lofi_engine.cli.init import run_init

    return run_init(path)


@_verb("ls", "lofi-recipe ls")
def _ls() -> int:
    """List the recipes that come with lofi-recipe."""
    from lofi_engine.cli.ls import run_ls

    return run_ls()


@_verb("validate", "lofi-recipe validate recipes/starter.yaml")
def _validate(
    paths: Annotated[list[Path], typer.Argument(metavar="RECIPE...", help="Recipe files.")],
) -> int:
    """Check recipes and print every error at once, with its line and column."""
    from lofi_engine.cli.validate import run_validate

    return run_validate(paths)


@_verb("migrate", "lofi-recipe migrate old.yaml --write")
def _migrate(
    path: RecipePath,
    write: Annotated[
        bool, typer.Option("--write", help="Change the file; without it the change is shown.")
    ] = False,
) -> int:
    """Bring a recipe of an older format to the current one; comments stay."""
    from lofi_engine.cli.migrate import run_migrate

    return run_migrate(path, write)


@_verb("plan", "lofi-recipe plan recipes/starter.yaml")
def _plan(
    path: RecipePath,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> int:
    """Say what is cached, what must run and why, and what the graphs will weigh."""
    from lofi_engine.cli.plan import run_plan

    return run_plan(path, overrides or (), as_json=as_json)


@_verb("run", "lofi-recipe run recipes/starter.yaml")
def _run(
    path: RecipePath,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="STAGE", help="Run just this stage.")
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option("--from", metavar="STAGE", help="Run this stage and all after it again."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run finished stages again.")] = False,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Small base, synthesised tracks, few steps.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the plan.")] = False,
    progress: Annotated[
        ProgressForm, typer.Option(help="How progress is shown.")
    ] = ProgressForm.AUTO,
    overrides: Overrides = None,
) -> int:
    """Run a recipe to its published variants; finished stages are kept and reused."""
    from lofi_engine.cli.run import run_run
    from lofi_engine.run import Choice

    choice = Choice(tuple(only or ()), start_from, force)
    return run_run(
        path,
        overrides or (),
        choice=choice,
        rehearse=rehearse,
        dry_run=dry_run,
        progress=progress.value,
    )


@_verb("status", "lofi-recipe status recipes/starter.yaml")
def _status(path: RecipePath, overrides: Overrides = None) -> int:
    """Show what is finished, when and how large, and whether a run is at work."""
    from lofi_engine.cli.status import run_status

    return run_status(path, overrides or ())


@_verb("clean", "lofi-recipe clean recipes/starter.yaml --dry-run")
def _clean(
    path: RecipePath,
    everything: Annotated[
        bool, typer.Option("--all", help="Remove the current artifacts too.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    overrides: Overrides = None,
) -> int:
    """Remove artifacts that the recipe as it stands no longer uses."""
    from lofi_engine.cli.clean import run_clean

    return run_clean(path, overrides or (), everything=everything, dry_run=dry_run)


@_verb(
    "generate",
    'lofi-recipe generate recipes/starter.yaml "rainy night coding" --variant int8 --out rain.wav',
)
def _generate(
    path: RecipePath,
    prompt: Annotated[str, typer.Argument(help="Tags or plain words.")],
    variant: Annotated[str, typer.Option(help="Which published variant.")] = "int8",
    out: Annotated[Path | None, typer.Option(help="Where the WAV goes.")] = None,
    duration_sec: Annotated[int, typer.Option(help="Whole seconds.")] = 10,
    seed: Annotated[int, typer.Option(help="0 to 2^53-1; the same seed, the same track.")] = 0,
    inference_steps: Annotated[int, typer.Option(help="Denoising steps, 1 to 200.")] = 27,
    guidance_scale: Annotated[float, typer.Option(help="1 to 30.")] = 15.0,
    overrides: Overrides = None,
) -> int:
    """Generate a clip with a variant this recipe has published."""
    from lofi_engine.cli.generate import run_generate

    return run_generate(
        path,
        prompt,
        overrides=overrides or (),
        variant=variant,
        out=out,
        duration_sec=duration_sec,
        seed=seed,
        inference_steps=inference_steps,
        guidance_scale=guidance_scale,
    )


_verb("measure", "lofi-recipe measure made/int8 made/float32 --metric mel --metric mrstft")(measure)


@_verb("styles", "lofi-recipe styles --search rainy")
def _styles(
    style_ids: Annotated[
        list[str] | None, typer.Argument(metavar="STYLE", help="Show these in full.")
    ] = None,
    search: Annotated[
        str, typer.Option(metavar="WORDS", help="Only styles that fit every word.")
    ] = "",
    lint: Annotated[
        str | None,
        typer.Option(
            metavar="PROMPT|FILE",
            help="Check a prompt's tags, or a file's, a prompt a line: unknown, contradictory.",
        ),
    ] = None,
    render: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write a clip of each style and a page to hear them."),
    ] = None,
    lyrics_template: Annotated[
        bool, typer.Option("--lyrics-template", help="Print the style's lyrics template.")
    ] = False,
    fill: Annotated[
        bool, typer.Option("--fill", help="With --lyrics-template: put lines in its place.")
    ] = False,
    duration_sec: Annotated[int, typer.Option(min=5, max=600, help="Of a rendered clip.")] = 12,
    seed: Annotated[int, typer.Option(help="For clips and lyrics; the same seed, the same.")] = 0,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="A styles folder of your own.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """List the styles, show one, search them, hear them, or check a prompt against their tags."""
    from lofi_engine.cli import styles

    if lint is not None:
        return styles.run_lint(lint, folder=folder, as_json=as_json)
    if render is not None:
        return styles.run_render(render, style_ids or (), duration_sec=duration_sec, seed=seed)
    if lyrics_template:
        return styles.run_lyrics_templates(style_ids or (), fill=fill, seed=seed, folder=folder)
    return styles.run_styles(style_ids or (), search=search, folder=folder, as_json=as_json)


_verb("ladder", "lofi-recipe ladder --metric fad --metric mel")(ladder)


@_verb("doctor", "lofi-recipe doctor")
def _doctor() -> int:
    """Check whether this machine can make models, and say what to do where it cannot."""
    from lofi_engine.cli.doctor import run_doctor

    return run_doctor()


def main() -> None:
    """Run the command line and exit with its code."""
    stop_on_sigterm()
    raise SystemExit(run_app("lofi-recipe", app))


if __name__ == "__main__":
    main()
