"""`lofi-recipe data VERB`: from a pile of audio to a licensed, balanced, described training set.

One file a verb in this folder. A verb is a function that returns an exit code; its parameters are
its options and its docstring its help. What it needs beyond typer it imports inside, since every
command of lofi-recipe loads this module.
"""

from __future__ import annotations

import typer

from lofi_engine.cli.data.export import data_export
from lofi_engine.cli.data.import_ import data_import
from lofi_engine.cli.data.init import data_init
from lofi_engine.cli.data.outreach import data_outreach
from lofi_engine.cli.data.plan import data_plan
from lofi_engine.cli.data.report import data_report
from lofi_engine.cli.data.review import data_review
from lofi_engine.cli.verbs import verbs_of
from lofi_runtime.command_line import HELP_OPTIONS

app = typer.Typer(
    name="data",
    help="Gather tracks: folders, ledger, what is there, what is wanted, letters, review.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=HELP_OPTIONS,
)

_verb = verbs_of(app)

_verb("init", "lofi-recipe data init lofi-training-data")(data_init)
_verb("import", "lofi-recipe data import lofi-training-data")(data_import)
_verb("report", "lofi-recipe data report recipes/v1.yaml --html tracks.html")(data_report)
_verb("plan", "lofi-recipe data plan recipes/v1.yaml")(data_plan)
_verb(
    "outreach",
    'lofi-recipe data outreach recipes/v1.yaml --artist "Rainy Ann" --tracks 5 --fee 500',
)(data_outreach)
_verb("review", "lofi-recipe data review recipe.yaml --open")(data_review)
_verb(
    "export", "lofi-recipe data export recipes/starter.yaml --format triple --out ../ACE-Step/data"
)(data_export)
