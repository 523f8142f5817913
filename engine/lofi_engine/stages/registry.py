"""The closed list of the eleven stages: a recipe can name no other and no code.

Importing this module is cheap; what a stage needs is imported when it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from lofi_engine.stages import (
    curate,
    describe,
    encode,
    export,
    measure,
    merge,
    publish,
    quantize,
    select,
    split,
    train,
)
from lofi_engine.stages.base import Stage

STAGES: Mapping[str, Stage] = {
    name: cast(Stage, module)
    for name, module in {
        "curate": curate,
        "describe": describe,
        "split": split,
        "encode": encode,
        "train": train,
        "select": select,
        "merge": merge,
        "export": export,
        "quantize": quantize,
        "measure": measure,
        "publish": publish,
    }.items()
}
"""The stage modules by name; only `plan` knows their order."""
