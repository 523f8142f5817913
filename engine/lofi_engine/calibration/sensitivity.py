"""What each weight costs when it alone is stored narrowly: the error of the velocity it causes.

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

    from lofi_engine.onnx_graphs.sessions import GraphSession

    Floats = npt.NDArray[np.float32]

TEXT, ENCODER, DECODER = "text_encoder", "transformer_encoder", "transformer_decoder"
_PER_ROW = ("hidden_states", "attention_mask", "encoder_hidden_states", "encoder_hidden_mask")
_TEXT_STATES, _CONTEXT = 0, "encoder_hidden_states"


@dataclass(frozen=True)
class _Case:
    """One moment of one prompt: what the three graphs were given, for the row as asked."""

    text: Feeds
    encoder: Feeds
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

    def error_of(self, component: str, weight: str, stored: Floats) -> float:
        """Give the squared error of the velocity with `stored` in a weight's place.

        Args:
            component: the text encoder or the decoder.
            weight: a name in its graph.
            stored: what the weight would be read as.

        Returns:
            Over the velocity's own square, the mean over the samples.
        """
        text = {weight: stored} if component == TEXT else {}
        decoder = {weight: stored} if component == DECODER else {}
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

    def _velocity(
        self, case: _Case, text: Mapping[str, Floats], decoder: Mapping[str, Floats]
    ) -> Floats:
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
    """Take from one prompt's samples the row as asked, at one of the steps that were kept."""
    texts, encoders, decoders = (
        list(read_samples([file], name)) for name in (TEXT, ENCODER, DECODER)
    )
    chosen = decoders[number % len(decoders)]
    decoder = {
        name: array[:1] if name in _PER_ROW else array
        for name, array in chosen.items()
        if name in (*_PER_ROW, "timestep")
    }
    return _Case(texts[0], encoders[0], decoder)


def _chained(
    sessions: Mapping[str, GraphSession],
    case: _Case,
    *,
    from_text: bool,
    text: Mapping[str, Floats] | None = None,
    decoder: Mapping[str, Floats] | None = None,
) -> Floats:
    """Run the decoder, and before it what gives its context, where that may have changed."""
    given = dict(case.decoder)
    if from_text:
        states = _first(sessions[TEXT].run({**case.text, **(text or {})}))
        names = [info.name for info in sessions[ENCODER].inputs]
        answers = sessions[ENCODER].run({**case.encoder, names[_TEXT_STATES]: states})
        given[_CONTEXT] = answers[_CONTEXT]
    velocity: Floats = _first(sessions[DECODER].run({**given, **(decoder or {})}))
    return velocity


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
    """Write the graph into `folder` with its matrices and tables as inputs that have defaults."""
    from lofi_engine.onnx_graphs.export import save_graph
    from lofi_engine.quantization.rewrite import external_weights, load_graph
    from lofi_engine.quantization.weights import ELIGIBLE, find_weights

    model = load_graph(graph, matrices=True)
    external = external_weights(model)
    for weight in find_weights(model.graph):
        if weight.role in ELIGIBLE:
            model.graph.inputs.append(model.graph.initializers[weight.name])
    path = folder / graph.name
    save_graph(model, path, external_weights=external)
    return path
