"""`lofi-recipe data VERB`: from a pile of audio to a licensed, balanced, described training set.

One file a verb in this folder. A verb is a function that returns an exit code; its parameters are
its options and its docstring its help. What it needs beyond typer it imports inside, since every
command of lofi-recipe loads this module.
"""

from __future__ import annotations

from collections.abc import Callable

import typer

from lofi_engine.cli.data.export import data_export
from lofi_engine.cli.data.import_ import data_import
from lofi_engine.cli.data.init import data_init
from lofi_engine.cli.data.outreach import data_outreach
from lofi_engine.cli.data.plan import data_plan
from lofi_engine.cli.data.report import data_report
from lofi_engine.cli.data.review import data_review
from lofi_runtime.command_line import HELP_OPTIONS

app = typer.Typer(
    name="data",
    help="Gather tracks: folders, ledger, what is there, what is wanted, letters, review.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=HELP_OPTIONS,
)


def add_verb(name: str, function: Callable[..., int], example: str) -> None:
    """Register a verb whose help ends with a real example.

    Args:
        name: the verb.
        function: does it and returns the exit code.
        example: a whole command line.
    """
    app.command(name, epilog=f"Example: {example}")(function)


add_verb("init", data_init, "lofi-recipe data init lofi-training-data")
add_verb("import", data_import, "lofi-recipe data import lofi-training-data")
add_verb("report", data_report, "lofi-recipe data report recipes/v1.yaml --html tracks.html")
add_verb("plan", data_plan, "lofi-recipe data plan recipes/v1.yaml")
add_verb(
    "outreach",
    data_outreach,
    'lofi-recipe data outreach recipes/v1.yaml --artist "Rainy Ann" --tracks 5 --fee 500',
)
add_verb("review", data_review, "lofi-recipe data review recipe.yaml --open")
add_verb(
    "export",
    data_export,
    "lofi-recipe data export recipes/starter.yaml --format triple --out ../ACE-Step/data",
)
