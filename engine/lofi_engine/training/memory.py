"""How much memory a training takes, from a recipe and its base's configuration alone: no torch.

`bench/bench_train_memory.py` holds it to 15 % of what trainings measure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from lofi_engine.models.outline import OutlinedWeight, count
from lofi_engine.models.training_outline import StepForm, StepShape, TrainingOutline
from lofi_engine.recipe.model import Lora, Training
from lofi_engine.training.adapter_targets import matching
from lofi_engine.training.held import INSIDE

CARD_BYTES = 24_000_000_000
"""The card that the full-size recipe is made for."""
PROCESS_BYTES: Mapping[str, int] = MappingProxyType({"cpu": 30_000_000, "cuda": 800_000_000})
"""What lies in memory besides tensors, by device: on a processor what libraries keep aside once
they compute (over what importing them took), on an accelerator its context and the libraries'
workspaces. The first is measured, the second is taken from what others report."""

_FLOAT32, _HALF = 4, 2
_FLOAT32_MOMENTS = 8
_SMALLEST_8BIT = 4096
"""bitsandbytes keeps the moments of smaller tensors in float32."""
_8BIT_MOMENTS = 2 * (1 + _FLOAT32 / 256)
_4BIT = 0.5 + 1 / 64 + _FLOAT32 / (64 * 256)
"""NF4 with scales of 8 bits for every 64 weights, and theirs for every 256 scales."""


@dataclass(frozen=True)
class Tokens:
    """How long the longest conditions of a batch are."""

    text: int
    lyrics: int


PLANNED_TOKENS = Tokens(text=256, lyrics=1024)
"""What is taken before there is an encoded set: the longest prompt, and a song of many words."""


@dataclass(frozen=True)
class MemoryEstimate:
    """What a training takes at its fullest moment, in bytes.

    Args:
        parts: by what it is. "activations" are what comes on top of a full set of gradients; the
            two are never both there whole.
        loading: what loading the base takes, before anything is trained.
        adapter_weights: how many weights the adapter has.
    """

    parts: Mapping[str, int]
    loading: int
    adapter_weights: int

    @property
    def training(self) -> int:
        """Bytes while training, where the transformer lies."""
        return sum(self.parts.values())

    @property
    def host(self) -> int:
        """Bytes that a training without an accelerator takes at its fullest, loading included."""
        return max(self.training, self.loading)


def estimate_training_memory(
    outline: TrainingOutline,
    lora: Lora,
    training: Training,
    tokens: Tokens = PLANNED_TOKENS,
    *,
    device: str = "cuda",
) -> MemoryEstimate:
    """Estimate what one process of a training takes.

    Args:
        outline: of the base.
        lora: the adapter's shape; a target that names no weight counts nothing.
        training: how it is trained.
        tokens: of the longest conditions.
        device: "cpu" or "cuda".
    """
    adapted = list(_adapted(outline.weights, lora))
    sizes = [size for weight in adapted for size in _adapter_tensors(weight, lora)]
    adapter = sum(sizes)
    gradients = adapter * _FLOAT32
    held = sum(_held_bytes(one, training.base_precision) for one in outline.weights)
    peak = max(_moments(outline, lora, training, tokens, adapted, adapter, device))
    loaded = _HALF if training.base_precision == "bf16" else _FLOAT32
    return MemoryEstimate(
        parts={
            "weights": round(held),
            "adapter": adapter * _FLOAT32,
            "gradients": gradients,
            "optimizer": round(_moment_bytes(sizes, training.optimizer)),
            "activations": peak - gradients,
            "process": PROCESS_BYTES[device],
        },
        loading=count(outline.weights) * loaded + PROCESS_BYTES["cpu"],
        adapter_weights=adapter,
    )


def savings(
    lora: Lora, training: Training, needed: Callable[[Lora, Training], int]
) -> tuple[tuple[str, int], ...]:
    """List the keys that lower a figure, each alone, with how many bytes; the most first.

    Args:
        lora: as the recipe has it.
        training: as the recipe has it.
        needed: gives the bytes of a recipe's blocks.
    """
    now = needed(lora, training)
    found = [(words, now - needed(*changed)) for words, changed in _changes(lora, training)]
    return tuple(sorted((one for one in found if one[1] > now // 100), key=lambda one: -one[1]))


def _changes(lora: Lora, training: Training) -> Iterator[tuple[str, tuple[Lora, Training]]]:
    if not training.gradient_checkpointing:
        changed = replace(training, gradient_checkpointing=True)
        yield "training.gradient_checkpointing: true", (lora, changed)
    for precision in ("bf16", "4bit"):
        if training.base_precision not in (precision, "4bit"):
            changed = replace(training, base_precision=precision)
            yield f"training.base_precision: {precision}", (lora, changed)
    if training.precision == "fp32":
        yield "training.precision: bf16", (lora, replace(training, precision="bf16"))
    if training.optimizer == "adamw":
        yield "training.optimizer: adamw-8bit", (lora, replace(training, optimizer="adamw-8bit"))
    if training.batch_size > 1:
        smaller = training.batch_size // 2
        yield f"training.batch_size: {smaller}", (lora, replace(training, batch_size=smaller))
    half_window = round(training.window_sec / 2, 3)
    yield f"training.window_sec: {half_window:g}", (lora, replace(training, window_sec=half_window))
    for key in ("checkpoint_every", "sample_every"):
        twice = 2 * getattr(training, key)
        if twice <= training.steps:
            yield f"training.{key}: {twice}", (lora, replace(training, **{key: twice}))
    if lora.r > 1:
        yield f"lora.r: {lora.r // 2}", (replace(lora, r=lora.r // 2), training)


def _moments(
    outline: TrainingOutline,
    lora: Lora,
    training: Training,
    tokens: Tokens,
    adapted: list[OutlinedWeight],
    adapter: int,
    device: str,
) -> Iterator[int]:
    """Give the bytes of gradients and activations at each moment that may be the fullest."""
    shape = StepShape(
        batch=training.batch_size,
        frames=max(1, int(training.window_sec * outline.frames_per_sec)),
        text_tokens=tokens.text,
        lyric_tokens=tokens.lyrics,
        ssl_models=2 if training.ssl else 0,
    )
    form = StepForm(
        precision=training.precision,
        base_precision=training.base_precision,
        gradient_checkpointing=training.gradient_checkpointing,
        rank=lora.r,
        dora=lora.dora,
        lyrics_adapted=any(weight.name.startswith("lyric_") for weight in adapted),
    )
    found = outline.activations(shape, form)
    gradients = adapter * _FLOAT32
    # Autocast keeps each adapter weight's copy until the forward pass ends, and without
    # checkpointing the backward pass needs them too.
    copies = adapter * _HALF if form.is_half else 0
    yield found.forward_end + copies + (gradients if training.accumulate > 1 else 0)
    yield found.backward_end + gradients
    # torch's AdamW takes all weights at once on an accelerator, with a root of every moment.
    at_once = device == "cuda" and training.optimizer == "adamw"
    yield gradients + (adapter * _FLOAT32 if at_once else 0)


def _adapted(weights: tuple[OutlinedWeight, ...], lora: Lora) -> Iterator[OutlinedWeight]:
    by_module = {
        weight.name.removesuffix(".weight"): weight
        for weight in weights
        if weight.name.endswith(".weight") and len(weight.shape) > 1
    }
    names = {name for target in lora.targets for name in matching(target, by_module)}
    return (by_module[name] for name in sorted(names))


def _adapter_tensors(weight: OutlinedWeight, lora: Lora) -> Iterator[int]:
    outputs = weight.shape[0]
    yield lora.r * (weight.elements // outputs)
    yield lora.r * outputs
    if lora.dora:
        yield outputs


def _held_bytes(weight: OutlinedWeight, precision: str) -> float:
    """Count the bytes a frozen weight lies in memory with, as `held.hold_base` holds it."""
    if precision == "bf16":
        return weight.elements * _HALF
    if precision == "fp32" or weight.use != "matrix" or not weight.name.startswith(INSIDE):
        return weight.elements * _FLOAT32
    if precision == "8bit":
        return weight.elements + weight.shape[0] * _FLOAT32
    return weight.elements * _4BIT


def _moment_bytes(sizes: list[int], optimizer: str) -> float:
    if optimizer == "adamw":
        return sum(sizes) * _FLOAT32_MOMENTS
    return sum(
        size * (_8BIT_MOMENTS if size >= _SMALLEST_8BIT else _FLOAT32_MOMENTS) for size in sizes
    )
