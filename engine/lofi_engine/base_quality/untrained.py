"""The same base before anything was taught: what a figure is held against."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError

if TYPE_CHECKING:
    from lofi_engine.models.ace_step_v1.base import AceStepBase
    from lofi_engine.models.family import Base

TRAINED, UNTRAINED, UNTRAINED_TRANSFORMER = "trained", "untrained", "untrained transformer"
NETWORKS = (TRAINED, UNTRAINED, UNTRAINED_TRANSFORMER)
"""A base as it is, with every network untrained, and with its transformer alone untrained."""


def variant(base: Base, which: str, seed: int) -> Base:
    """Give a base of the same configuration and tokenizers, untrained where it is to be.

    Weights are drawn as the libraries draw them where nothing is said.

    Args:
        base: the base that is measured; it is left alone.
        which: one of `NETWORKS`.
        seed: of the weights; no random state moves.

    Raises:
        StageError: the base is of another family.
    """
    if which == TRAINED:
        return base
    import torch

    from lofi_engine.models.ace_step_v1.base import AceStepBase

    if not isinstance(base, AceStepBase):
        raise StageError(f"{base.identity} is not a base of the family ace-step-v1")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh: dict[str, Any] = {"transformer": _transformer(base)}
        if which == UNTRAINED:
            fresh |= _others(base)
    found = replace(base, identity=f"{base.identity}, {which}", read_others=None, **fresh)
    device = next(base.transformer.parameters()).device
    found.transformer.to(device).requires_grad_(False).eval()
    return found


def _transformer(base: AceStepBase) -> Any:
    from lofi_engine.models.ace_step_v1.config import TransformerConfig
    from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer

    return AceStepTransformer(TransformerConfig.from_mapping(base.configs.transformer))


def _others(base: AceStepBase) -> dict[str, Any]:
    from lofi_engine.models.ace_step_v1.config import VocoderConfig
    from lofi_engine.models.ace_step_v1.dcae import build_dcae
    from lofi_engine.models.ace_step_v1.text import TextEncoder, build_umt5
    from lofi_engine.models.ace_step_v1.vocoder import Vocoder

    text = TextEncoder(build_umt5(base.configs.text).eval(), base.text.tokenizer_json)
    return {
        "dcae": build_dcae(base.configs.dcae).eval(),
        "vocoder": Vocoder(VocoderConfig.from_mapping(base.configs.vocoder)).eval(),
        "text": text,
    }
