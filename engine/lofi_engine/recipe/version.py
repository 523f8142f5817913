"""Which format a recipe is written in; asked before anything else."""

from __future__ import annotations

from lofi_engine.recipe.document import Document
from lofi_engine.recipe.nodes import ScalarNode
from lofi_runtime.version import VERSION

FORMAT = 1
"""The format this version reads."""


def format_of(document: Document) -> int:
    """Return the recipe's format, from 0 (a missing `version`) to `FORMAT`.

    Raises:
        RecipeError: `version` is no such number, or newer than this program.
    """
    node = document.node(("version",))
    if node is None:
        return 0
    value = node.value if isinstance(node, ScalarNode) else None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        quotes = ", without quotes" if value == str(FORMAT) else ""
        given = document.shown(("version",))
        message = f"{given} is not a format of recipes; write {FORMAT}{quotes}"
        raise document.error([document.problem(("version",), message)])
    if value > FORMAT:
        message = (
            f"{value} needs a newer lofi-recipe; this is {VERSION}, which reads version {FORMAT}"
        )
        raise document.error([document.problem(("version",), message)])
    return value
