"""ONNX Runtime sessions on the CPU, and what a session says of its graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
}

_ERRORS_ONLY = 3


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of a graph; a free axis is given by its name."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class GraphSession:
    """A graph loaded for the CPU.

    Args:
        path: the `.onnx` file; external weights are found beside it.
        sparing: whether to use weights as they lie, which halves the memory a large graph needs:
            otherwise ONNX Runtime keeps a second copy in the order its kernels like best.

    Raises:
        StageError: ONNX Runtime refuses the graph.
    """

    def __init__(self, path: Path, *, sparing: bool = False) -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as states

        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        if sparing:
            options.add_session_config_entry("session.disable_prepacking", "1")
        refusals: tuple[type[Exception], ...] = (
            states.Fail,
            states.InvalidGraph,
            states.InvalidProtobuf,
            states.RuntimeException,
        )
        refusals += (states.NotImplemented, states.NoSuchFile, states.InvalidArgument)
        self.path = path
        self._refusals = refusals
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except refusals as error:
            raise StageError(
                f"{path.name}: ONNX Runtime {onnxruntime.__version__} cannot load the graph: "
                f"{_first_line(error)}"
            ) from error

    def run(self, inputs: Mapping[str, Any]) -> dict[str, npt.NDArray[np.generic]]:
        """Run the graph on `inputs` by name and give its outputs by name.

        Raises:
            StageError: the graph fails on these inputs.
        """
        try:
            outputs = self._session.run(None, dict(inputs))
        except self._refusals as error:
            raise StageError(f"{self.path.name}: the graph failed: {_first_line(error)}") from error
        return dict(zip(self.output_names, outputs, strict=True))

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """The graph's inputs a caller must give, in order."""
        return tuple(_describe(value) for value in self._session.get_inputs())

    @property
    def optional_inputs(self) -> tuple[TensorInfo, ...]:
        """The inputs a caller may leave out, in order."""
        return tuple(_describe(value) for value in self._session.get_overridable_initializers())

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The graph's outputs, in order."""
        return tuple(_describe(value) for value in self._session.get_outputs())

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the graph's outputs, in order."""
        return tuple(value.name for value in self._session.get_outputs())


def _describe(value: Any) -> TensorInfo:
    return TensorInfo(value.name, _DTYPES.get(value.type, value.type), tuple(value.shape))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
