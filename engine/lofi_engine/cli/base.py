"""`lofi-recipe base VERB`: bases made from nothing, and how good they are.

What the verbs need beyond typer they import inside, since every command loads this module.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lofi_engine.cli.verbs import verbs_of
from lofi_runtime.command_line import HELP_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from lofi_engine.base_quality.results import Row
    from lofi_engine.pretraining.loop import Progress

app = typer.Typer(
    name="base",
    help="Bases: make a small one from nothing, measure how good one is.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=HELP_OPTIONS,
)

_verb = verbs_of(app)

_Device = Annotated[
    str, typer.Option(metavar="cpu|cuda", help="An accelerator where there is one if not given.")
]


@_verb("train", "lofi-recipe base train recipes/nano-base.yaml --only tracks --only dcae")
def base_train(
    recipe: Annotated[
        Path, typer.Argument(metavar="FILE", help="The base's recipe, such as nano-base.yaml.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="runs/NAME beside the recipe if not given."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STEP",
            help="tracks, dcae, vocoder, latents, sound, transformer or base; may be repeated.",
        ),
    ] = None,
    device: _Device = "",
) -> int:
    """Make a base from nothing: synthesise tracks, teach one network after the other.

    Takes a day on two cores. Stop it whenever you like: the same command goes on. The base appears
    in FOLDER/base, where a recipe's base.model can name it.
    """
    from lofi_engine.libraries import quiet_bitsandbytes
    from lofi_engine.pretraining.run import train_base
    from lofi_engine.pretraining.settings import BaseSettings

    quiet_bitsandbytes()
    settings = BaseSettings.read(recipe)
    folder = out or recipe.parent / "runs" / settings.name
    base = train_base(
        settings,
        folder,
        only or (),
        on_work=_show_work(),
        on_training=_show_training,
        device=device,
    )
    sys.stdout.write(f"{base if (base / 'README.md').is_file() else folder}\n")
    return 0


@_verb("measure", "lofi-recipe base measure builtin:lofi-nano --only distance,tempo --clips 40")
def base_measure(
    base: Annotated[
        str, typer.Argument(metavar="BASE", help="builtin:NAME, hf:owner/name, or a folder.")
    ],
    recipe: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The base's recipe, lofi-nano's if not given."),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="For quality.json, quality.md and sounds.")
    ] = Path("quality"),
    clips: Annotated[
        int, typer.Option(help="Generated for the distance; other figures take shares of it.")
    ] = 200,
    only: Annotated[
        str,
        typer.Option(
            metavar="FIGURES",
            help="Some of reconstruction,distance,tempo,classifiers,vocals,clean.",
        ),
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of noise and draws.")] = 0,
    duration_sec: Annotated[int, typer.Option(help="Of a clip, 5 to 60.")] = 10,
    steps: Annotated[int, typer.Option(help="Denoising steps, 1 to 200.")] = 27,
    pictures: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Also write four clips of 20 s and spectrograms."),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also put the table into this card, the base's README."),
    ] = None,
    device: _Device = "",
) -> int:
    """Measure a base: reconstruction, distance, tempo, tags, vocals, faults. Takes hours.

    Goes on where it was stopped. Two at once may measure different figures into one FOLDER. Sounds
    are kept under FOLDER/sounds, 1 MB each; remove them when the figures are there. The exit code
    is 0 also where goals are missed.
    """
    from lofi_engine.base_quality.run import QualityAsked, measure_base
    from lofi_engine.base_quality.settings import QualitySettings

    settings = QualitySettings(clips, seed, duration_sec, steps)
    asked = QualityAsked(base, out, recipe, only, settings, pictures, card, device)
    document = measure_base(asked, _Progress())
    for name, result in document.results.items():
        for row in result.rows:
            sys.stdout.write(f"{name}: {_said(row)}\n")
    sys.stdout.write(f"{out / 'quality.md'}\n")
    return 0


def _show_work() -> Callable[[str, int, int], None]:
    progress = _Progress()
    return lambda step, done, total: progress(step, done, total, "done")


def _show_training(told: Progress) -> None:
    left_min = (told.steps - told.step) / max(told.steps_per_sec, 1e-9) / 60
    losses = ", ".join(f"{name} {loss:.4f}" for name, loss in told.losses.items())
    sys.stderr.write(
        f"{told.name}: step {told.step} of {told.steps}, {losses}, {left_min:.0f} min left\n"
    )
    sys.stderr.flush()


def _said(row: Row) -> str:
    value = "not measured" if row.value is None else f"{row.value:.3g} {row.unit}".rstrip()
    reached = {None: "", True: " (goal reached)", False: " (goal missed)"}[row.is_reached]
    return f"{row.what}: {value}{reached}"


class _Progress:
    """A line on standard error when something begins, at every tenth of it, and at its end."""

    def __init__(self) -> None:
        self._last: tuple[str, str, int] | None = None

    def __call__(self, figure: str, done: int, total: int, what: str) -> None:
        tenth = 10 * done // max(total, 1)
        if (figure, what, tenth) != self._last:
            self._last = (figure, what, tenth)
            sys.stderr.write(f"{figure}: {what}: {done}/{total}\n")
            sys.stderr.flush()
