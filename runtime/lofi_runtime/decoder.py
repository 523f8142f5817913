"""The decoder's graphs behind one `velocity`: whole, or with the context's share computed once.

The context is the same at every step, and so are the keys and values that cross-attention makes of
it. Where a bundle has the two graphs of `bundle.OPTIONAL_GRAPHS`, one makes them, once a track, and
the other takes them at each step. They are held in memory the while (`key_value_bytes`), so
a long context falls back to the whole decoder. One of the two forms is loaded at a time: each holds
all of the weights that it uses.

Both give the same values, but where activations are rounded to 8 bits: unguided steps then read
keys that were rounded together with the weak row's. On the tiny base that moves the final latents
by 1 %, half as far as the 8 bits themselves do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lofi_runtime.bundle import OPTIONAL_GRAPHS, Bundle
from lofi_runtime.errors import BackendError
from lofi_runtime.pipeline.erg import QUERY_SCALE_INPUT
from lofi_runtime.sessions import NOT_OURS, Sessions

Floats = npt.NDArray[np.float32]

WHOLE = "transformer_decoder.onnx"
CONTEXT, STEP = OPTIONAL_GRAPHS
MAX_KEY_VALUE_BYTES = 1 << 30
"""Keys and values above this are not held. ACE-Step v1 (24 layers, 2560 wide, float32) needs
960 KiB a token with guidance: 1 GiB is 1092 tokens of prompt and lyrics together, its longest
context would be 4.0 GiB."""

_STEP_INPUTS = ("hidden_states", "attention_mask", "timestep")


@dataclass(frozen=True)
class Context:
    """What the decoder attends to.

    Args:
        states: (rows, tokens, width).
        mask: (rows, tokens).
        query_scale: (rows,), see `pipeline.erg`; None leaves every row at 1.
    """

    states: Floats
    mask: Floats
    query_scale: Floats | None = None


@dataclass(frozen=True)
class Conditioning:
    """A context as one of the decoder's forms takes it.

    Args:
        file: the graph that takes it.
        values: its inputs but latents, frame mask and timestep, in order, each (rows, ...).
        query_scale: (rows,), or None.
    """

    file: str
    values: tuple[Floats, ...]
    query_scale: Floats | None

    def first(self, rows: int) -> Conditioning:
        """Give the first `rows` rows, as views."""
        scale = None if self.query_scale is None else self.query_scale[:rows]
        return Conditioning(self.file, tuple(value[:rows] for value in self.values), scale)


def key_value_bytes(layers: int, rows: int, tokens: int, width: int) -> int:
    """Give the bytes of the keys and values of every layer, in float32."""
    return 2 * layers * rows * tokens * width * 4


class Decoder:
    """Predicts velocities; see the module.

    Args:
        bundle: opened.
        sessions: over the same bundle.
        max_key_value_bytes: of keys and values; 0 for the whole decoder always.
    """

    def __init__(
        self, bundle: Bundle, sessions: Sessions, max_key_value_bytes: int = MAX_KEY_VALUE_BYTES
    ) -> None:
        self._bundle = bundle
        self._sessions = sessions
        self._max_bytes = max_key_value_bytes
        self._has_step = bundle.has_step_graphs and max_key_value_bytes > 0
        self._layers: int | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The graphs to load before anything is asked."""
        return OPTIONAL_GRAPHS if self._has_step else (WHOLE,)

    def prepare(self, context: Context, on_load: Callable[[], None] = lambda: None) -> Conditioning:
        """Make of a context what each step needs of it.

        Args:
            context: any number of rows.
            on_load: called before graphs are loaded, where others are needed than are there.

        Raises:
            BackendError: a graph could not be loaded or run.
            BundleError: a verified bundle was changed since it was opened.
        """
        if not self._can_hold(context):
            self._switch((WHOLE,), OPTIONAL_GRAPHS, on_load)
            return self._conditioning(WHOLE, [context.states, context.mask], context)
        self._switch(OPTIONAL_GRAPHS, (WHOLE,), on_load)
        names = self._sessions.input_names(STEP)
        first, wanted = names[: len(_STEP_INPUTS)], names[len(_STEP_INPUTS) :]
        values = self._sessions.run(CONTEXT, context.states, context.mask, outputs=wanted)
        rows = len(context.states)
        if first != _STEP_INPUTS or any(value.shape[:1] != (rows,) for value in values):
            shapes = ", ".join(
                f"{name} {value.shape}" for name, value in zip(wanted, values, strict=True)
            )
            raise BackendError(
                f"{self._bundle.path(STEP)}: takes {', '.join(first)} and then {shapes}, not"
                f" {', '.join(_STEP_INPUTS)} and then {rows} rows of each",
                hint=NOT_OURS,
            )
        return self._conditioning(STEP, values, context)

    def velocity(self, latents: Floats, timestep: Floats, conditioning: Conditioning) -> Floats:
        """Ask the graph; see `pipeline.denoise.Velocity`.

        The contract's timestep is one value for all rows. A foreign bundle may come from an export
        that takes one row at a time.
        """
        at_once = 1 if self._bundle.is_foreign else len(latents)
        answers = [
            self._velocity_of(rows, latents, timestep, conditioning)
            for rows in (slice(row, row + at_once) for row in range(0, len(latents), at_once))
        ]
        return answers[0] if len(answers) == 1 else np.concatenate(answers)

    def _velocity_of(
        self, rows: slice, latents: Floats, timestep: Floats, conditioning: Conditioning
    ) -> Floats:
        part = latents[rows]
        every_frame = np.ones((len(part), part.shape[-1]), np.float32)
        values = tuple(value[rows] for value in conditioning.values)
        once = timestep[:1]
        if conditioning.file == STEP:
            inputs = (part, every_frame, once, *values)
        else:
            inputs = (part, every_frame, *values, once)
        scale = conditioning.query_scale
        optional = {} if scale is None else {QUERY_SCALE_INPUT: scale[rows]}
        return self._sessions.run(conditioning.file, *inputs, optional=optional)[0]

    def _can_hold(self, context: Context) -> bool:
        """Say whether the context's keys and values may be held."""
        if not self._has_step:
            return False
        if self._layers is None:
            # Whatever they are called: keys and values of every layer, and one bias.
            self._layers = len(self._sessions.output_names(CONTEXT)) // 2
        rows, tokens, _ = context.states.shape
        width = self._bundle.config.context_width
        return key_value_bytes(self._layers, rows, tokens, width) <= self._max_bytes

    def _switch(self, to: Sequence[str], other: Sequence[str], on_load: Callable[[], None]) -> None:
        """Have the graphs `to` loaded, and not the `other` ones."""
        if not all(map(self._sessions.is_loaded, to)):
            on_load()
            self._sessions.drop(*other)
            self._sessions.load(to)
            if self._bundle.verified:
                self._bundle.check_unchanged()
        self._sessions.drop(*other)

    def _conditioning(self, file: str, values: list[Floats], context: Context) -> Conditioning:
        """Scale queries only where the graph can."""
        offered = self._sessions.offers(file, QUERY_SCALE_INPUT)
        return Conditioning(file, tuple(values), context.query_scale if offered else None)
