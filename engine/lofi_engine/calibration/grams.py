"""Gram matrices of what each matrix product is given: the sum of x^T x over the samples.

All that the calibrated methods need to know of the activations, in (rows, rows) numbers however
many samples there are. A full decoder's take 8 GB, so they are collected in groups that fit into
`GROUP_BYTES`, each in one pass over the samples, and lie in files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.calibration.samples import read_samples
from lofi_engine.errors import StageError
from lofi_runtime.atomic import read_json, replacing, write_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx_ir as ir

    Gram = npt.NDArray[np.float32]

GROUP_BYTES = 1 << 31
INDEX = "inputs.json"


@dataclass(frozen=True)
class Grams:
    """The Gram matrices of one graph's matrix products.

    Args:
        folder: where they lie.
        inputs: by weight, the number of the activation it multiplies; weights that share one share
            its number.
    """

    folder: Path
    inputs: Mapping[str, int]

    def of(self, weight: str) -> Gram:
        """Give the matrix of a weight's activation, (rows, rows).

        Raises:
            KeyError: the weight is no constant right side of a product.
        """
        import numpy as np

        gram: Gram = np.load(_file(self.folder, self.inputs[weight]))
        return gram

    def sharing(self, weight: str) -> tuple[str, ...]:
        """Name the weights that multiply the same activation, this one among them."""
        number = self.inputs[weight]
        return tuple(name for name, other in self.inputs.items() if other == number)


def collect_grams(
    graph: Path,
    samples: Sequence[Path],
    target: Path,
    on_pass: Callable[[int, int], None] = lambda _done, _total: None,
) -> Grams:
    """Run the float32 graph at `graph` on its samples; matrices that are there already are kept.

    Args:
        graph: the `.onnx` file.
        samples: from `record_samples`.
        target: where the matrices are written; made if missing.
        on_pass: called with how many passes are done and how many there are.

    Raises:
        StageError: the graph cannot be run, or an activation is not finite.
    """
    from lofi_engine.quantization.rewrite import load_graph

    target.mkdir(parents=True, exist_ok=True)
    model = load_graph(graph, matrices=True)
    tapped = _activations(model.graph)
    numbers = {name: number for number, (name, _) in enumerate(tapped)}
    inputs = {weight: numbers[name] for name, weights in tapped for weight in weights}
    write_json(target / INDEX, inputs)
    sizes = {name: _rows(model.graph, weights[0]) for name, weights in tapped}
    groups = list(_groups(sizes))
    for done, group in enumerate(groups):
        on_pass(done, len(groups))
        missing = [name for name in group if not _file(target, numbers[name]).is_file()]
        if missing:
            for name, gram in _run(graph, samples, missing, target).items():
                _save(_file(target, numbers[name]), gram)
    on_pass(len(groups), len(groups))
    return Grams(target, inputs)


def read_grams(folder: Path) -> Grams:
    """Open what `collect_grams` left in `folder`."""
    return Grams(folder, read_json(folder / INDEX))


def _activations(graph: ir.Graph) -> list[tuple[str, list[str]]]:
    """List the activations that constant matrices multiply, and those matrices, in graph order."""
    found: dict[str, list[str]] = {}
    for node in graph:
        if node.op_type != "MatMul":
            continue
        left, right = node.inputs[:2]
        if left is None or right is None or right.const_value is None:
            continue
        if len(right.const_value.shape) == 2 and left.name and right.name:
            weights = found.setdefault(left.name, [])
            if right.name not in weights:
                weights.append(right.name)
    return list(found.items())


def _groups(sizes: Mapping[str, int]) -> Iterable[list[str]]:
    """Cut activations into groups whose matrices fit into memory together."""
    group: list[str] = []
    used = 0
    for name, rows in sizes.items():
        size_bytes = 4 * rows * rows
        if group and used + size_bytes > GROUP_BYTES:
            yield group
            group, used = [], 0
        group.append(name)
        used += size_bytes
    if group:
        yield group


def _run(
    graph: Path, samples: Sequence[Path], names: Sequence[str], folder: Path
) -> dict[str, Gram]:
    """Run a copy of the graph that gives the activations `names` out, too."""
    import shutil
    import tempfile

    from lofi_engine.onnx_graphs.sessions import GraphSession

    place = Path(tempfile.mkdtemp(prefix=".tapped-", dir=folder))
    try:
        session = GraphSession(_tap(graph, names, place))
        grams: dict[str, Gram] = {}
        for feeds in read_samples(samples, graph.stem):
            outputs = session.run(feeds)
            for name in names:
                _add(graph, grams, name, outputs[name])
        return grams
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _tap(graph: Path, names: Sequence[str], folder: Path) -> Path:
    """Write the graph with more outputs into `folder`."""
    from lofi_engine.onnx_graphs.export import save_graph
    from lofi_engine.quantization.rewrite import external_weights, load_graph

    model = load_graph(graph, matrices=True)
    external = external_weights(model)
    wanted = set(names)
    given = {value.name for value in model.graph.outputs}
    values = [*model.graph.inputs, *(out for node in model.graph for out in node.outputs)]
    model.graph.outputs.extend(
        value for value in values if value.name in wanted and value.name not in given
    )
    path = folder / graph.name
    save_graph(model, path, external_weights=external)
    return path


def _add(
    graph: Path, grams: dict[str, Gram], name: str, activation: npt.NDArray[np.generic]
) -> None:
    import numpy as np

    vectors = activation.reshape(-1, activation.shape[-1]).astype(np.float32, copy=False)
    product = vectors.T @ vectors
    if not np.isfinite(product).all():
        raise StageError(
            f"{graph.name}: the activation '{name}' is not finite on a calibration prompt",
            hint="the float32 model itself overflows; train again",
        )
    if name in grams:
        grams[name] += product
    else:
        grams[name] = product


def _rows(graph: ir.Graph, weight: str) -> int:
    from lofi_engine.onnx_graphs.tensors import shape_of

    return shape_of(graph.initializers[weight])[0]


def _save(file: Path, gram: Gram) -> None:
    import numpy as np

    with replacing(file) as place, place.open("wb") as stream:
        np.save(stream, gram)


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.npy"
