"""Merges the adapter into the base's transformer, with a proof.

The merged network must answer as base plus adapter does, and differently from the base alone:
an adapter that loads and does nothing is the commonest silent failure.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lofi_engine.errors import StageError
from lofi_engine.models.loading import base_of, base_sources, load_base
from lofi_engine.recipe import model
from lofi_engine.stages.base import Outcome, StageContext
from lofi_engine.threads import use_threads
from lofi_engine.training.samples import PROMPT

if TYPE_CHECKING:
    import torch

    from lofi_engine.models.family import Base

VERSION = 2
MAX_MERGE_ERROR = 1e-4
"""Largest difference allowed between merged and base-plus-adapter, over the output's deviation."""

PROBE_FRAMES = 24


@dataclass(frozen=True)
class Settings:
    """What shapes the merge besides the adapter."""

    base: model.Base
    lora: model.Lora


def settings(recipe: model.Recipe) -> Settings:
    """Take what merging needs from the recipe."""
    return Settings(base_of(recipe), recipe.lora)


def sources(recipe: model.Recipe) -> tuple[Path, ...]:
    """The base's own files."""
    return base_sources(recipe)


def run(context: StageContext, settings: Settings) -> Outcome:
    """Merge and write `transformer/diffusion_pytorch_model.safetensors`.

    Raises:
        StageError: the merge is not what base plus adapter is, or changes nothing.
    """
    from lofi_engine.tensors import save_tensors
    from lofi_engine.training.adapters import (
        add_adapter,
        base_of_adapter,
        load_adapter_weights,
        scale_of,
        set_adapter_weights,
    )

    use_threads(context.threads)
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
    merged = adapted.merge_and_unload()  # in place: the weights are never held twice
    base.transformer = merged
    proof = {
        "merge_error": _distance(_probe(base, context.seed), together),
        "adapter_effect": _distance(together, alone),
        "scale": scale_of(settings.lora),
    }
    context.emit(3, 3, "proofs", f"error {proof['merge_error']:.1e}")
    if not proof["merge_error"] <= MAX_MERGE_ERROR:  # also when it is not a number
        raise StageError(
            f"merge: the merged network differs from base plus adapter by "
            f"{proof['merge_error']:.2e}, allowed {MAX_MERGE_ERROR:.0e}",
            hint="this is a fault in the adapter or the base; train again",
        )
    if proof["adapter_effect"] == 0.0:
        raise StageError("merge: the adapter changes nothing", hint="train it again")
    folder = context.work / "transformer"
    folder.mkdir()
    save_tensors(folder / "diffusion_pytorch_model.safetensors", merged.state_dict())
    text = json.dumps(proof, indent=1, sort_keys=True)
    (context.work / "merge.json").write_text(text + "\n", encoding="utf-8")
    return Outcome(facts=proof)


def _refuse_other_base(trained_on: str | None, identity: str) -> None:
    """Refuse an adapter of another base even where its shapes fit: it would merge in silence."""
    if trained_on is not None and trained_on != identity:
        raise StageError(
            f"merge: the adapter was trained on {trained_on}, the base is {identity}",
            hint="name its base in the recipe's base.model, or train again",
        )


def _probe(base: Base, seed: int) -> torch.Tensor:
    """Ask the network for one velocity at fixed noise, text and timestep."""
    import torch

    from lofi_engine.models.family import Conditioning

    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        states, mask = base.encode_text([PROMPT])
        lyric_ids = torch.tensor([base.lyric_ids("")])
        conditioning = Conditioning(
            states, mask, torch.zeros(1, base.speaker_width), lyric_ids, torch.ones_like(lyric_ids)
        )
        latents = torch.randn(1, 8, 16, PROBE_FRAMES, generator=generator)
        return base.velocity(latents, torch.tensor([500.0]), conditioning)


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    from lofi_engine.measuring.distance import largest_distance

    return largest_distance(one.float().cpu().numpy(), other.float().cpu().numpy())
