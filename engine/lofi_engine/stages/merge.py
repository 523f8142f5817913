"""Merges the adapter into the base's transformer, with a proof.

The merged network must answer as base plus adapter does, and differently from the base alone:
an adapter that loads and does nothing is the commonest silent failure.

It always goes into the base at full precision, also where training held the base in fewer bits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.models.loading import base_of, base_sources, load_base
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.threads import use_threads
from lofi_engine.training.samples import PROMPT

if TYPE_CHECKING:
    import torch

    from lofi_engine.models.family import Base

VERSION = 3
MAX_MERGE_ERROR = 1e-4
"""Largest difference allowed between merged and base-plus-adapter, over the output's deviation."""

PROBE_FRAMES = 24
TIMESTEPS = (100.0, 500.0, 900.0)
_LYRIC_TOKENS = 8
_LYRIC_IDS = 64
"""Tokens of random lyrics are drawn below this; every vocabulary is larger."""
FEW_BITS = ("8bit", "4bit")


@dataclass(frozen=True)
class Settings:
    """What shapes the merge besides the adapter.

    `trained_on` is the precision the base was held in while training: merging says where that was
    another than it merges into.
    """

    base: model.Base
    lora: model.Lora
    trained_on: str


def settings(recipe: model.Recipe) -> Settings:
    """Take what merging needs from the recipe."""
    return Settings(base_of(recipe), recipe.lora, recipe.training.base_precision)


def sources(recipe: model.Recipe) -> tuple[Path, ...]:
    """The base's own files."""
    return base_sources(recipe)


def run(context: StageContext, settings: Settings) -> Outcome:
    """Merge and write `transformer/diffusion_pytorch_model.safetensors`.

    Raises:
        StageError: the adapter does not fit, or is another base's; the merge is not what base plus
            adapter is, or changes nothing.
    """
    from lofi_engine.tensors import save_tensors
    from lofi_engine.training.adapters import (
        add_adapter,
        base_of_adapter,
        load_adapter_weights,
        scale_of,
        set_adapter_weights,
    )
    from lofi_engine.training.merging import merge_adapter

    use_threads(context.threads)
    if settings.trained_on in FEW_BITS:
        context.warn(
            f"trained on a base held in {settings.trained_on}, merged into the base in float32: "
            "the difference between the two is in no weight of the adapter"
        )
    base = load_base(settings.base, context.home)
    base.transformer.eval()
    alone = _probe(base, context.seed)
    context.emit(1, 3, "proofs", "base alone")
    adapted = add_adapter(base.transformer, settings.lora, context.seed)
    adapted.eval()
    adapter = context.inputs["select"] / "adapter"
    set_adapter_weights(adapted, load_adapter_weights(adapter), source=adapter)
    _refuse_other_base(base_of_adapter(adapter), base.identity)
    together = _probe(base, context.seed)
    context.emit(2, 3, "proofs", "base with adapter")
    merged = merge_adapter(adapted)  # in place: the weights are never held twice
    base.transformer = merged
    proof: dict[str, Any] = {
        "merge_error": _distance(_probe(base, context.seed), together),
        "adapter_effect": _distance(together, alone),
        "scale": scale_of(settings.lora),
        "probes": len(TIMESTEPS),
        "merged_into": "fp32",
        "trained_on": settings.trained_on,
    }
    context.emit(3, 3, "proofs", f"error {proof['merge_error']:.1e}")
    _refuse_unproven(proof)
    folder = context.work / "transformer"
    folder.mkdir()
    save_tensors(folder / "diffusion_pytorch_model.safetensors", merged.state_dict())
    text = json.dumps(proof, indent=1, sort_keys=True)
    (context.work / "merge.json").write_text(text + "\n", encoding="utf-8")
    return Outcome(facts=proof)


def _refuse_unproven(proof: dict[str, Any]) -> None:
    """Refuse a merge that is not base plus adapter, or not another network than the base."""
    if not proof["merge_error"] <= MAX_MERGE_ERROR:  # also when it is not a number
        raise StageError(
            f"merge: the merged network differs from base plus adapter by "
            f"{proof['merge_error']:.2e}, allowed {MAX_MERGE_ERROR:.0e}",
            hint="this is a fault in the adapter or the base; train again",
        )
    if proof["adapter_effect"] == 0.0:
        raise StageError("merge: the adapter changes nothing", hint="train it again")


def _refuse_other_base(trained_on: str | None, identity: str) -> None:
    """Refuse an adapter of another base even where its shapes fit: it would merge in silence."""
    if trained_on is not None and trained_on != identity:
        raise StageError(
            f"merge: the adapter was trained on {trained_on}, the base is {identity}",
            hint="name its base in the recipe's base.model, or train again",
        )


def _probe(base: Base, seed: int) -> list[torch.Tensor]:
    """Ask the network for velocities at random noise, lyrics and voices; the same ones each time.

    Voices and lyrics are random too: with none of them their adapters would do nothing, and the
    proof would not see them.
    """
    import torch

    from lofi_engine.models.family import Conditioning

    generator = torch.Generator().manual_seed(seed)
    answers = []
    with torch.inference_mode():
        states, mask = base.encode_text([PROMPT])
        for timestep in TIMESTEPS:
            latents = torch.randn(1, 8, 16, PROBE_FRAMES, generator=generator)
            speaker = torch.randn(1, base.speaker_width, generator=generator)
            shape = (1, _LYRIC_TOKENS)
            lyric_ids = torch.randint(1, _LYRIC_IDS, shape, generator=generator)
            told = Conditioning(states, mask, speaker, lyric_ids, torch.ones_like(lyric_ids))
            answers.append(base.velocity(latents, torch.tensor([timestep]), told))
    return answers


def _distance(some: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> float:
    """Give the largest distance over all probes; not a number where one of them is none."""
    import numpy as np

    from lofi_engine.measuring.distance import largest_distance

    found = [
        largest_distance(one.float().cpu().numpy(), other.float().cpu().numpy())
        for one, other in zip(some, others, strict=True)
    ]
    return float(np.max(found))
