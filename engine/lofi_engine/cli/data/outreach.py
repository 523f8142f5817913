"""`lofi-recipe data outreach`: a letter that asks an artist for the right to train."""

from __future__ import annotations

from typing import Annotated

import typer

from lofi_engine.cli.options import Overrides, RecipePath


def data_outreach(
    path: RecipePath,
    artist: Annotated[str, typer.Option("--artist", metavar="NAME", help="Who it goes to.")],
    tracks: Annotated[int, typer.Option("--tracks", metavar="N", help="How many tracks.")],
    fee_usd: Annotated[
        float | None,
        typer.Option("--fee", metavar="USD", help="What is offered for all of them together."),
    ] = None,
    sender: Annotated[str, typer.Option("--from", metavar="NAME", help="Who signs.")] = "",
    style_ids: Annotated[
        list[str] | None,
        typer.Option("--style", metavar="ID", help="A style looked for, such as CORE-01."),
    ] = None,
    overrides: Overrides = None,
) -> int:
    """Write a letter that asks an artist or a label to license tracks for training."""
    import sys

    from lofi_engine.data.outreach import outreach_letter
    from lofi_engine.recipe.load import load_recipe
    from lofi_engine.styles.source import styles_source
    from lofi_runtime.styles.taxonomy import find_style, load_styles

    recipe = load_recipe(path, overrides or ())
    styles = load_styles(styles_source(recipe).folder(recipe.home)) if style_ids else {}
    letter = outreach_letter(
        recipe,
        artist=artist,
        tracks=tracks,
        fee_usd=fee_usd,
        sender=sender,
        styles=[find_style(styles, style_id, "--style") for style_id in style_ids or ()],
    )
    sys.stdout.write(letter)
    sys.stderr.write(
        "keep the answer: its place and date belong in source.ai_training_evidence of each row\n"
    )
    return 0
