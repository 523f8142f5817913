"""What `measure` and `ladder` are asked on the command line; what they do is imported inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lofi_engine.cli.options import AsJson


def measure(
    judged: Annotated[
        Path | None, typer.Argument(metavar="A", help="The folder of audio that is judged.")
    ] = None,
    against: Annotated[
        Path | None, typer.Argument(metavar="B", help="The folder that A is held against.")
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", metavar="NAME", help="Only this; may be repeated. All that can run if none."
        ),
    ] = None,
    list_metrics: Annotated[
        bool, typer.Option("--list", help="Say what every metric tells and needs, and end.")
    ] = False,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference", metavar="C", help="Hold A and B both against this folder, and compare."
        ),
    ] = None,
    embedding: Annotated[
        str,
        typer.Option(metavar="NAME|MODEL", help="For fad and styles: built in, or a CLAP model."),
    ] = "lofi-sound-v1",
    clap: Annotated[
        str, typer.Option(metavar="MODEL", help="CLAP for clap: a folder or hf:owner/name.")
    ] = "",
    recognizer: Annotated[
        str, typer.Option(metavar="MODEL", help="Speech recogniser for lyrics.")
    ] = "",
    aesthetics: Annotated[
        str, typer.Option(metavar="MODEL", help="audiobox-aesthetics for aesthetics.")
    ] = "",
    convert: Annotated[
        bool,
        typer.Option(
            "--convert", help="Bring all sets to the lowest sample rate and fewest channels."
        ),
    ] = False,
    project: Annotated[
        bool, typer.Option("--project", help="Too few windows: look from fewer random directions.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
    as_json: AsJson = False,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write a page: figures, spectrograms, players, a map."),
    ] = None,
    page_clips: Annotated[
        int, typer.Option(min=0, max=500, help="Clips on the page, the worst first.")
    ] = 12,
) -> int:
    """Score folders of audio against each other: figures with what they count and how sure.

    Exit code 1: a metric refused, or a figure is below its metric's own bound (collapsed styles).
    """
    from lofi_engine.cli.measure import Wanted, run_list, run_measure
    from lofi_engine.metrics.registry import MetricOptions

    if list_metrics:
        return run_list()
    if judged is None:
        raise typer.BadParameter("name a folder of audio, or pass --list", param_hint="A")
    if reference is not None and against is None:
        raise typer.BadParameter("with --reference two folders are compared", param_hint="B")
    wanted = Wanted(
        folders=(judged, against, reference),
        metrics=tuple(metrics or ()),
        options=MetricOptions(embedding, clap, recognizer, aesthetics, project, seed),
        convert=convert,
        as_json=as_json,
        page=page,
        page_clips=page_clips,
    )
    return run_measure(wanted)


def ladder(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FOLDER]", help="Audio to degrade; without one, synthesised tracks are."
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", metavar="NAME", help="Try this one; all that need no model otherwise."
        ),
    ] = None,
    degradation: Annotated[
        list[str] | None,
        typer.Option("--degradation", metavar="NAME", help="Try this one; all otherwise."),
    ] = None,
    styles: Annotated[int, typer.Option(help="How many to synthesise, two clips each.")] = 20,
    duration_sec: Annotated[int, typer.Option(min=5, max=600, help="Of a synthesised clip.")] = 12,
    embedding: Annotated[
        str, typer.Option(metavar="NAME|MODEL", help="Of fad: a CLAP folder or hf:owner/name.")
    ] = "lofi-sound-v1",
    clap: Annotated[str, typer.Option(metavar="MODEL", help="The CLAP model of clap.")] = "",
    aesthetics: Annotated[
        str, typer.Option(metavar="FOLDER", help="The model of aesthetics.")
    ] = "",
    project: Annotated[
        bool, typer.Option("--project", help="Fewer dimensions where there are too few windows.")
    ] = False,
    convert: Annotated[
        bool, typer.Option("--convert", help="Bring a folder's clips to one rate and form.")
    ] = False,
    seed: Annotated[
        int, typer.Option(min=0, help="Of clips and noise; the same seed, the same.")
    ] = 0,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every figure as a page.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Say which metric sees what: clips degraded in steps, and whether it ranks the steps.

    Ends with 1 where a metric claims to rank a degradation and does not.
    """
    from lofi_engine.cli.ladder import Bed, run_ladder
    from lofi_engine.metrics.registry import MetricOptions

    options = MetricOptions(
        embedding=embedding, clap=clap, aesthetics=aesthetics, project=project, seed=seed
    )
    return run_ladder(
        Bed(folder, styles, float(duration_sec), convert),
        metric or (),
        degradation or (),
        options,
        markdown=markdown,
        print_json=as_json,
    )
