"""The example inputs of a bundle's graphs in one safetensors file, for every later check."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.tensors import save_tensors

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_engine.models.family import GraphSpec

EXAMPLES_FILE = "examples.safetensors"


def save_examples(path: Path, specs: Iterable[GraphSpec]) -> None:
    """Write the inputs of `specs` to `path` as tensors named `<graph>.<input>`."""
    save_tensors(
        path,
        {
            f"{Path(spec.file).stem}.{name}": tensor.clone()  # graphs may share one
            for spec in specs
            for name, tensor in spec.inputs.items()
        },
    )


def load_examples(path: Path) -> dict[str, dict[str, npt.NDArray[np.generic]]]:
    """Read the inputs by graph ("text_encoder") and input name.

    Raises:
        StageError: the file is missing.
    """
    from safetensors.numpy import load_file

    if not path.is_file():
        raise StageError(f"{path} is missing", hint="run the export stage again")
    examples: dict[str, dict[str, npt.NDArray[np.generic]]] = {}
    for name, array in load_file(path).items():
        graph, _, input_name = name.partition(".")
        examples.setdefault(graph, {})[input_name] = array
    return examples
