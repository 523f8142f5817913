"""`lofi-recipe data init`: the folders of a training set, with a README and an empty ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def data_init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to make the folders.")],
) -> int:
    """Make the folders for a training set, with an empty ledger; never overwrites."""
    import sys

    from lofi_engine.data.layout import make_layout

    made = make_layout(folder)
    for path in made:
        sys.stdout.write(f"made {path}\n")
    if not made:
        sys.stdout.write(f"{folder}: everything is there already\n")
    sys.stdout.write(f"next: put tracks under {folder / 'raw'}, then: ")
    sys.stdout.write(f"lofi-recipe data import {folder}\n")
    return 0
