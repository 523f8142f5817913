"""ONNX Runtime sessions over a bundle's graphs.

Graphs are called by position: the order of their inputs is the contract, and each is held against
the manifest's when it is loaded. Optional inputs at the end keep their defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lofi_runtime.bundle import GRAPHS, MANIFEST_NAME, Bundle
from lofi_runtime.errors import BackendError
from lofi_runtime.manifest import InputRecord

CPU = "CPUExecutionProvider"

_DTYPES = {"tensor(float)": "float32", "tensor(int64)": "int64"}
"""ONNX Runtime's names and the manifest's."""


class Sessions:
    """A bundle's graphs as callables.

    Args:
        bundle: opened.
        threads: for one graph; 0 lets ONNX Runtime choose.
        providers: ONNX Runtime execution providers, best first.

    Raises:
        BackendError: the installed ONNX Runtime is older than the bundle asks for.
    """

    def __init__(
        self, bundle: Bundle, *, threads: int = 0, providers: Sequence[str] = (CPU,)
    ) -> None:
        self._bundle = bundle
        self._threads = threads
        self._providers = list(providers)
        self._loaded: dict[str, Any] = {}
        if bundle.manifest:
            _check_version(bundle.name, bundle.manifest.oldest_onnxruntime)

    def load(self, on_graph: Callable[[int], None]) -> None:
        """Load every graph of the bundle that is not loaded yet.

        Args:
            on_graph: `on_graph(done)` before each of `bundle.GRAPHS`.

        Raises:
            BackendError: a graph cannot be loaded, or its inputs are not the manifest's.
        """
        for done, file in enumerate(GRAPHS):
            on_graph(done)
            self._session(file)

    def run(self, file: str, *inputs: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
        """Run the graph `file` on its inputs, in the graph's order; loads it if need be.

        Raises:
            BackendError: the graph cannot be loaded, or fails on these inputs.
        """
        session = self._session(file)
        names = [value.name for value in session.get_inputs()]
        feeds = dict(zip(names, inputs, strict=False))
        if len(feeds) < len(inputs):
            raise BackendError(
                f"{self._bundle.path(file)}: takes {len(names)} inputs, {len(inputs)} expected",
                hint="this is not a bundle this version can play",
            )
        try:
            outputs: list[npt.NDArray[np.float32]] = session.run(None, feeds)
        except _failures() as error:
            shapes = ", ".join(f"{name} {value.shape}" for name, value in feeds.items())
            raise BackendError(f"{file} failed on {shapes}: {_first_line(error)}") from error
        return outputs

    def _session(self, file: str) -> Any:
        if file not in self._loaded:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = self._threads
            options.log_severity_level = 3  # errors come as exceptions; stderr stays quiet
            path = self._bundle.path(file)
            try:
                session = onnxruntime.InferenceSession(
                    str(path), options, providers=self._providers
                )
            except _failures() as error:
                raise BackendError(
                    f"{path}: ONNX Runtime {onnxruntime.__version__} cannot load it"
                    f" ({_first_line(error)})",
                    hint="pull it again, or upgrade onnxruntime",
                ) from error
            if self._bundle.manifest:
                _check_inputs(path, session, self._bundle.manifest.graphs[file])
            self._loaded[file] = session
        return self._loaded[file]


def _check_inputs(path: Path, session: Any, stated: Sequence[InputRecord]) -> None:
    """Refuse a graph that would take the values meant for one input as another's."""
    found = [
        InputRecord(value.name, _DTYPES.get(value.type, value.type))
        for value in session.get_inputs()
    ]
    for number, (has, should) in enumerate(zip_longest(found, stated), start=1):
        if has != should:
            raise BackendError(
                f"{path}: input {number} is {has or 'not there'}, {MANIFEST_NAME} says"
                f" {should or 'there is none'}",
                hint="this is not a bundle this version can play",
            )


def _failures() -> tuple[type[Exception], ...]:
    """Every error ONNX Runtime raises; they have no base class of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [value for value in vars(state).values() if isinstance(value, type)]
    errors = [kind for kind in own if issubclass(kind, Exception)]
    return (*errors, RuntimeError, ValueError, MemoryError)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _check_version(name: str, oldest: str) -> None:
    import onnxruntime

    if _numbers(onnxruntime.__version__) < _numbers(oldest):
        raise BackendError(
            f"{name} needs ONNX Runtime {oldest} or newer, {onnxruntime.__version__} is installed",
            hint=f"pip install 'onnxruntime>={oldest}'",
        )


def _numbers(version: str) -> tuple[int, ...]:
    """Give the leading numbers of a version: "1.32.0+cpu" is (1, 32, 0)."""
    numbers = []
    for part in version.split("+")[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)
