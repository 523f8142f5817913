"""Finds the folders that people and programs share: schemas, shipped recipes, styles.

In a checkout they are top-level folders; in a wheel they lie beside this file.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGED = Path(__file__).parent / "_shared"
_CHECKOUT = Path(__file__).resolve().parents[2]


def shared_folder(name: str) -> Path:
    """Return the folder `name` ("schemas" or "recipes"), wherever this install keeps it.

    Raises:
        FileNotFoundError: the install is incomplete.
    """
    for root in (_PACKAGED, _CHECKOUT):
        if (root / name).is_dir():
            return root / name
    raise FileNotFoundError(f"this install lacks its '{name}' folder; reinstall lofi-recipe")
