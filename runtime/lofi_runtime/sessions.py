"""ONNX Runtime sessions over a bundle's graphs.

What a graph must be given is given by position: the order of its inputs is the contract, and each
is held against the manifest's when the graph is loaded. Optional inputs, those with a default in
the graph itself, are given by name or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from lofi_runtime.bundle import MANIFEST_NAME, Bundle
from lofi_runtime.errors import BackendError
from lofi_runtime.manifest import GraphRecord, InputRecord

CPU = "CPUExecutionProvider"

Array = npt.NDArray[Any]

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(int64)": "int64",
}
"""ONNX Runtime's names and the manifest's."""
NOT_OURS = "this is not a bundle this version can play"
"""What to say of graphs that do not keep the contract."""
_NONE: Mapping[str, Array] = MappingProxyType({})


@dataclass(frozen=True)
class _Graph:
    """A loaded graph and the names it is called by."""

    session: Any
    inputs: tuple[str, ...]
    optional: tuple[str, ...]
    outputs: tuple[str, ...]


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
        self._loaded: dict[str, _Graph] = {}
        if bundle.manifest:
            _check_version(bundle.name, bundle.manifest.oldest_onnxruntime)

    def load(
        self, files: Sequence[str], on_graph: Callable[[int], None] = lambda _done: None
    ) -> None:
        """Load graphs that are not loaded yet.

        Args:
            files: the graphs' file names.
            on_graph: `on_graph(done)` before each of `files`.

        Raises:
            BackendError: a graph cannot be loaded, or its inputs are not the manifest's.
        """
        for done, file in enumerate(files):
            on_graph(done)
            self._graph(file)

    def is_loaded(self, file: str) -> bool:
        """Say whether the graph `file` holds memory now."""
        return file in self._loaded

    @property
    def provider(self) -> str:
        """The execution provider in use: of the graphs loaded, or the one wished for first.

        ONNX Runtime falls back to the CPU's by itself where another cannot be started.
        """
        for graph in self._loaded.values():
            return str(graph.session.get_providers()[0])
        return self._providers[0]

    def drop(self, *files: str) -> None:
        """Free the graphs `files`; each is loaded again when it is next asked for."""
        for file in files:
            self._loaded.pop(file, None)

    def optional_names(self, file: str) -> tuple[str, ...]:
        """Name the optional inputs of the graph `file`; loads it if need be.

        Raises:
            BackendError: the graph cannot be loaded.
        """
        return self._graph(file).optional

    def offers(self, file: str, name: str) -> bool:
        """Say whether the graph `file` takes the optional input `name`; loads it if need be.

        Raises:
            BackendError: the graph cannot be loaded.
        """
        return name in self._graph(file).optional

    def input_names(self, file: str) -> tuple[str, ...]:
        """Name what the graph `file` must be given, in its order; loads it if need be.

        Raises:
            BackendError: the graph cannot be loaded.
        """
        return self._graph(file).inputs

    def output_names(self, file: str) -> tuple[str, ...]:
        """Name the outputs of the graph `file`, in its order; loads it if need be.

        Raises:
            BackendError: the graph cannot be loaded.
        """
        return self._graph(file).outputs

    def run(
        self,
        file: str,
        *inputs: Array,
        optional: Mapping[str, Array] = _NONE,
        outputs: Sequence[str] | None = None,
    ) -> list[npt.NDArray[np.float32]]:
        """Run the graph `file`; loads it if need be.

        Args:
            file: the graph's name in the bundle.
            inputs: what the graph must be given, in its order.
            optional: by name, what is given instead of a default.
            outputs: the outputs wanted, by name; None: all. It saves no time: ONNX Runtime computes
                every node all the same.

        Returns:
            The outputs, in the order of `outputs` or, without it, of the graph.

        Raises:
            BackendError: the graph cannot be loaded, has no such inputs or outputs, fails on these,
                or answers with values that are not numbers. Those of an unpublished bundle pass:
                whoever measures it says what is to be done about the variant.
        """
        graph = self._graph(file)
        feeds = self._feeds(file, graph, inputs, optional)
        wanted = graph.outputs if outputs is None else tuple(outputs)
        if unknown := [name for name in wanted if name not in graph.outputs]:
            raise BackendError(
                f"{self._bundle.path(file)}: has no output {', '.join(map(repr, unknown))}, only"
                f" {', '.join(graph.outputs)}",
                hint=NOT_OURS,
            )
        try:
            answers: list[npt.NDArray[np.float32]] = graph.session.run(list(wanted), feeds)
        except _failures() as error:
            shapes = ", ".join(f"{name} {value.shape}" for name, value in feeds.items())
            raise BackendError(f"{file} failed on {shapes}: {_first_line(error)}") from error
        if not self._bundle.is_unpublished:
            for name, answer in zip(wanted, answers, strict=True):
                _check_numbers(file, name, answer)
        return answers

    def _feeds(
        self, file: str, graph: _Graph, inputs: Sequence[Array], optional: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Give every input its name."""
        if len(inputs) > len(graph.inputs):
            raise BackendError(
                f"{self._bundle.path(file)}: takes {len(graph.inputs)} inputs, {len(inputs)}"
                " expected",
                hint=NOT_OURS,
            )
        if unknown := [name for name in optional if name not in graph.optional]:
            raise BackendError(
                f"{self._bundle.path(file)}: has no optional input"
                f" {', '.join(map(repr, unknown))}, only {', '.join(graph.optional) or 'none'}",
                hint=NOT_OURS,
            )
        return dict(zip(graph.inputs, inputs, strict=False)) | dict(optional)

    def _graph(self, file: str) -> _Graph:
        if file not in self._loaded:
            self._loaded[file] = self._load(file)
        return self._loaded[file]

    def _load(self, file: str) -> _Graph:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        # Errors come as exceptions; a default that a caller may override is not worth a warning.
        options.log_severity_level = 3
        path = self._bundle.path(file)
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=self._providers)
        except _failures() as error:
            raise BackendError(
                f"{path}: ONNX Runtime {onnxruntime.__version__} cannot load it"
                f" ({_first_line(error)})",
                hint="pull it again, or upgrade onnxruntime",
            ) from error
        found = GraphRecord(
            _described(session.get_inputs()), _described(session.get_overridable_initializers())
        )
        if self._bundle.manifest:
            _check_interface(path, found, self._bundle.manifest.graphs[file])
        return _Graph(
            session,
            tuple(record.name for record in found.inputs),
            tuple(record.name for record in found.optional_inputs),
            tuple(value.name for value in session.get_outputs()),
        )


def _described(values: Sequence[Any]) -> tuple[InputRecord, ...]:
    return tuple(InputRecord(value.name, _DTYPES.get(value.type, value.type)) for value in values)


def _check_interface(path: Path, found: GraphRecord, stated: GraphRecord) -> None:
    """Refuse a graph that would take the values meant for one input as another's."""
    for number, (has, should) in enumerate(zip_longest(found.inputs, stated.inputs), start=1):
        if has != should:
            raise BackendError(
                f"{path}: input {number} is {has or 'not there'}, {MANIFEST_NAME} says"
                f" {should or 'there is none'}",
                hint=NOT_OURS,
            )
    by_name = {record.name: record for record in found.optional_inputs}
    listed = {record.name: record for record in stated.optional_inputs}
    for name in sorted(by_name.keys() | listed.keys()):
        if by_name.get(name) != listed.get(name):
            raise BackendError(
                f"{path}: optional input {by_name.get(name) or f'{name!r} is not there'},"
                f" {MANIFEST_NAME} says {listed.get(name) or 'there is none'}",
                hint=NOT_OURS,
            )


def _check_numbers(file: str, name: str, answer: Array) -> None:
    """Refuse what would end as noise or silence; minus infinity may mask attention, and passes."""
    # The greatest value is NaN where any is, and is found without a copy.
    if answer.dtype.kind == "f" and answer.size and not answer.max() < np.inf:
        raise BackendError(
            f"{file}: {name!r} holds values that are not numbers",
            hint="try another variant of the model; this one may overflow on this machine",
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
