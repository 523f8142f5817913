"""How far a quantized graph's outputs are from the float32 graph's, on the same inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class Distance:
    """The difference of one output from float32's.

    Args:
        max_difference: the largest absolute difference.
        relative_rms: the root-mean-square difference over the float32 output's standard deviation
            (over 1 where that output is constant).
    """

    max_difference: float
    relative_rms: float


def compare_outputs(path: Path, reference: Arrays, outputs: Arrays) -> dict[str, Distance]:
    """Compare what the graph at `path` gave with `reference`, by name.

    Raises:
        StageError: an output is not finite or of another shape.
    """
    return {name: _distance(path, name, reference[name], outputs[name]) for name in reference}


def _distance(
    path: Path, name: str, wanted: npt.NDArray[np.generic], got: npt.NDArray[np.generic]
) -> Distance:
    import numpy as np

    if wanted.shape != got.shape:
        raise StageError(
            f"{path.name}: output '{name}' has shape {got.shape}, float32 gives {wanted.shape}"
        )
    if not np.isfinite(got).all():
        count = int((~np.isfinite(got)).sum())
        raise StageError(
            f"{path.parent.name}/{path.name}: output '{name}' has {count} values that are not "
            "finite on the export's example",
            hint="quantized weights must not overflow; report this with the recipe",
        )
    difference = got.astype(np.float64) - wanted.astype(np.float64)
    deviation = float(wanted.astype(np.float64).std()) or 1.0
    return Distance(
        float(np.abs(difference).max(initial=0.0)),
        float(np.sqrt(np.square(difference).mean())) / deviation,
    )
