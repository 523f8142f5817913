"""What each weight costs when it alone is stored narrowly: the error of what moves the latents.

That is the velocity after guidance. Guidance makes the difference of two predictions fifteen times
as large, so what errs in the prompt's reading weighs far more at the final latents than one
prediction's error says: on the small base, choosing widths by the latter made the latents worse.

Measured on calibration samples of several noise levels, from the text encoder's weights through all
that follows. One session holds all weights: each is a default that a run may override, so that a
full decoder is loaded once and not once a weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lofi_engine.calibration.samples import Feeds, read_samples

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx_ir as ir

    from lofi_engine.onnx_graphs.sessions import GraphSession

    Floats = npt.NDArray[np.float32]

TEXT, ENCODER, DECODER = "text_encoder", "transformer_encoder", "transformer_decoder"
ROUNDS = ".rounds-activation"
"""After a weight's name: the switch that has its activation rounded to 8 bits as it comes."""
_TEXT_STATES, _CONTEXT = 0, "encoder_hidden_states"


@dataclass(frozen=True)
class _Case:
    """One moment of one prompt: what the graphs were given.

    Args:
        texts: of the text encoder, for the row as asked and, where that is read too, its twin.
        encoders: of the encoder, for both rows.
        decoder: of the decoder, for one row, or for both where the step is guided.
    """

    texts: tuple[Feeds, ...]
    encoders: tuple[Feeds, ...]
    decoder: Feeds


class Sensitivity:
    """Answers what a weight's change does to the velocity; it holds files until it is closed.

    Args:
        folder: the float32 bundle.
        samples: from `record_samples`; of each one moment is looked at, of turning noise levels.
        place: where copies of the graphs may lie for the while.

    Raises:
        StageError: a graph cannot be loaded or run.
    """

    def __init__(self, folder: Path, samples: Sequence[Path], place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self._holder = TemporaryDirectory(prefix=".open-", dir=place)
        self._folder = folder
        self._sessions: dict[str, GraphSession] = {}
        self._cases = [_case(file, number) for number, file in enumerate(samples)]
        self._wanted = [self._velocity(case, {}, {}) for case in self._cases]

    def close(self) -> None:
        """Let go of graphs and files."""
        self._sessions.clear()
        self._holder.cleanup()

    def error_of(
        self, component: str, weight: str, stored: Floats, *, rounds_activation: bool = False
    ) -> float:
        """Give the squared error of the guided velocity with `stored` in a weight's place.

        Args:
            component: the text encoder or the decoder.
            weight: a name in its graph.
            stored: what the weight would be read as.
            rounds_activation: whether the product rounds what it multiplies to 8 bits, too.

        Returns:
            Over the velocity's own square, the mean over the samples.
        """
        import numpy as np

        changed: Feeds = {weight: stored}
        if rounds_activation:
            changed[weight + ROUNDS] = np.array([True])
        text = changed if component == TEXT else {}
        decoder = changed if component == DECODER else {}
        found = [self._velocity(case, text, decoder) for case in self._cases]
        return _mean_error(found, self._wanted)

    def error_of_bundle(self, folder: Path) -> float:
        """Give the same of a whole variant in `folder`, its three graphs together."""
        from lofi_engine.onnx_graphs.sessions import GraphSession

        sessions = {
            name: GraphSession(folder / f"{name}.onnx") for name in (TEXT, ENCODER, DECODER)
        }
        found = [_chained(sessions, case, from_text=True) for case in self._cases]
        return _mean_error(found, self._wanted)

    def _velocity(self, case: _Case, text: Mapping[str, Any], decoder: Mapping[str, Any]) -> Floats:
        sessions = {name: self._session(name) for name in (TEXT, ENCODER, DECODER)}
        return _chained(sessions, case, from_text=bool(text), text=text, decoder=decoder)

    def _session(self, component: str) -> GraphSession:
        if component not in self._sessions:
            from lofi_engine.onnx_graphs.sessions import GraphSession

            source = self._folder / f"{component}.onnx"
            path = source
            if component != ENCODER:  # its weights never go under 8 bits
                path = _open_weights(source, Path(self._holder.name))
            self._sessions[component] = GraphSession(path)
        return self._sessions[component]


def _case(file: Path, number: int) -> _Case:
    """Take from one prompt's samples one of the steps that were kept."""
    texts, encoders, decoders = (
        tuple(read_samples([file], name)) for name in (TEXT, ENCODER, DECODER)
    )
    return _Case(texts, encoders, decoders[number % len(decoders)])


def _chained(
    sessions: Mapping[str, GraphSession],
    case: _Case,
    *,
    from_text: bool,
    text: Mapping[str, Any] | None = None,
    decoder: Mapping[str, Any] | None = None,
) -> Floats:
    """Run the decoder, and before it what gives its context, where that may have changed."""
    import numpy as np

    given = dict(case.decoder)
    if from_text:
        rows = len(given[_CONTEXT])
        given[_CONTEXT] = np.concatenate(_contexts(sessions, case, rows, text or {}))
    return _guided(_first(sessions[DECODER].run({**given, **(decoder or {})})))


def _contexts(
    sessions: Mapping[str, GraphSession], case: _Case, rows: int, text: Mapping[str, Any]
) -> list[Floats]:
    """Read the prompt anew for each of the decoder's rows; a twin told nothing stays so."""
    states_name = sessions[ENCODER].inputs[_TEXT_STATES].name
    found: list[Any] = []
    for row, encoder in enumerate(case.encoders[:rows]):
        feeds = dict(encoder)
        if row < len(case.texts):
            feeds[states_name] = _first(sessions[TEXT].run({**case.texts[row], **text}))
        found.append(sessions[ENCODER].run(feeds)[_CONTEXT])
    return found


def _guided(velocities: Floats) -> Floats:
    """Combine two rows as the pipeline's guidance does; one row is its own."""
    from lofi_runtime.pipeline.denoise import DenoiseSettings
    from lofi_runtime.pipeline.guidance import make_guidance

    if len(velocities) == 1:
        return velocities
    guide = make_guidance(DenoiseSettings.guidance)
    return guide(velocities[:1], velocities[1:], DenoiseSettings.guidance_scale, 0)


def _first(answers: Mapping[str, Any]) -> Any:
    return next(iter(answers.values()))


def _mean_error(found: Sequence[Floats], wanted: Sequence[Floats]) -> float:
    import numpy as np

    errors = [
        float(np.square(one - other, dtype=np.float64).sum())
        / max(float(np.square(other, dtype=np.float64).sum()), 1e-30)
        for one, other in zip(found, wanted, strict=True)
    ]
    return sum(errors) / len(errors)


def _open_weights(graph: Path, folder: Path) -> Path:
    """Write the graph into `folder` with its matrices and tables as inputs that have defaults.

    Beside each matrix there is a switch, off by default, that rounds its activation.
    """
    from lofi_engine.onnx_graphs.export import save_graph
    from lofi_engine.quantization.rewrite import external_weights, load_graph
    from lofi_engine.quantization.weights import ELIGIBLE, find_weights

    model = load_graph(graph, matrices=True)
    external = external_weights(model)
    for weight in find_weights(model.graph):
        if weight.role in ELIGIBLE:
            value = model.graph.initializers[weight.name]
            model.graph.inputs.append(value)
            if weight.role == "matmul":
                _add_switch(model.graph, value)
    path = folder / graph.name
    save_graph(model, path, external_weights=external)
    return path


def _add_switch(graph: ir.Graph, matrix: ir.Value) -> None:
    """Let every product by `matrix` take its activation as it is, or rounded, as a run says."""
    import numpy as np
    import onnx_ir as ir

    from lofi_engine.onnx_graphs.tensors import add_initializer

    switch = add_initializer(graph, f"{matrix.name}{ROUNDS}", np.array([False]))
    graph.inputs.append(switch)
    for use in tuple(matrix.uses()):
        node = use.node
        whole = node.inputs[0]
        codes = ir.node("DynamicQuantizeLinear", [whole], num_outputs=3)
        rounded = ir.node("DequantizeLinear", codes.outputs)
        chosen = ir.node("Where", [switch, rounded.outputs[0], whole])
        for made, end in ((codes, "codes"), (rounded, "rounded"), (chosen, "chosen")):
            made.name = f"{node.name}.{end}"
            for number, output in enumerate(made.outputs):
                output.name = f"{made.name}.{number}"
        graph.insert_before(node, [codes, rounded, chosen])
        node.replace_input_with(0, chosen.outputs[0])
