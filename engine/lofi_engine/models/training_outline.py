"""What training an adapter on a base keeps in memory, from its configuration alone: no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lofi_engine.models.outline import OutlinedWeight


@dataclass(frozen=True)
class StepShape:
    """What one forward pass of training sees.

    Args:
        batch: windows.
        frames: latent frames of a window.
        text_tokens: of the longest text.
        lyric_tokens: of the longest lyrics; 1 for instrumentals.
        ssl_models: how many audio models' features the inner states are compared with.
    """

    batch: int
    frames: int
    text_tokens: int
    lyric_tokens: int
    ssl_models: int = 0


@dataclass(frozen=True)
class StepForm:
    """How it is computed.

    Args:
        precision: of the arithmetic, "fp32", "bf16" or "fp16".
        base_precision: the frozen weights are held in, "fp32", "bf16", "8bit" or "4bit".
        gradient_checkpointing: whether a block's activations are computed again for backward.
        rank: the adapter's.
        dora: whether magnitudes are learned apart.
        lyrics_adapted: whether the adapter reaches the lyric encoder, which is then kept too.
    """

    precision: str
    base_precision: str
    gradient_checkpointing: bool
    rank: int
    dora: bool
    lyrics_adapted: bool

    @property
    def is_half(self) -> bool:
        """Whether the arithmetic is of half precision."""
        return self.precision != "fp32"


@dataclass(frozen=True)
class Activations:
    """Bytes of activations at the two fullest moments of a step.

    Args:
        forward_end: where the backward pass begins: everything it needs, and no gradient yet.
        backward_end: where it ends: what the first block needs, and every gradient.
    """

    forward_end: int
    backward_end: int


@dataclass(frozen=True)
class TrainingOutline:
    """What of a base is in memory while an adapter is trained on it.

    Args:
        source: which configuration this is, for people.
        weights: of the transformer, those that only training runs or nothing runs among them.
        frames_per_sec: latent frames of a second.
        activations: what a step of some shape and form keeps.
    """

    source: str
    weights: tuple[OutlinedWeight, ...]
    frames_per_sec: float
    activations: Callable[[StepShape, StepForm], Activations]
