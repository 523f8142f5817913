"""A base asked for one prompt as players ask a bundle, with torch networks in the graphs' place.

Guidance needs a weaker prediction beside the asked one. Players take the one of entropy-rectified
guidance (`lofi_runtime.pipeline.erg`); a family whose networks cannot weaken their queries is told
nothing instead, which is plain guidance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lofi_runtime.pipeline.erg import QUERY_SCALE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from lofi_engine.models.ace_step_v1.base import AceStepBase
    from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer
    from lofi_engine.models.family import Base, Conditioning

    Floats = npt.NDArray[np.float32]

ENTROPY_RECTIFIED = "entropy-rectified guidance, as players use it"
PLAIN = "plain guidance: this base has no entropy-rectified one, so players sound different"


@dataclass(frozen=True)
class Asked:
    """One prompt as `lofi_runtime.pipeline.denoise.denoise` takes it.

    Args:
        velocity: the network.
        conditional: what is asked, one row.
        guided: the same and its weaker twin, two rows.
    """

    velocity: Callable[[Floats, Floats, Any], Floats]
    conditional: Any
    guided: Any


def guidance_of(base: Base) -> str:
    """Say which guidance `ask` gives a base: `ENTROPY_RECTIFIED` or `PLAIN`."""
    return ENTROPY_RECTIFIED if _can_weaken(base) else PLAIN


def ask(base: Base, prompt: str, lyrics: str) -> Asked:
    """Encode a prompt and lyrics, for a transformer that may carry an adapter.

    Args:
        base: its text encoder is left where it is, its transformer too.
        prompt: the tags.
        lyrics: "" for an instrumental.

    Raises:
        StageError: there are lyrics, but the base has no lyric vocabulary.
    """
    ids = base.lyric_ids(lyrics)
    if _can_weaken(base):
        ace_step: Any = base
        return _entropy_rectified(ace_step, prompt, ids)
    return _plain(base, prompt, ids)


def _can_weaken(base: Base) -> bool:
    from lofi_engine.models.ace_step_v1.base import AceStepBase
    from lofi_engine.models.ace_step_v1.transformer import AceStepTransformer

    return isinstance(base, AceStepBase) and isinstance(base.transformer, AceStepTransformer)


@dataclass(frozen=True)
class _Context:
    """Encoded conditions, and how strongly each row's queries count."""

    states: torch.Tensor
    mask: torch.Tensor
    query_scale: torch.Tensor | float


def _entropy_rectified(base: AceStepBase, prompt: str, ids: list[int]) -> Asked:
    import torch

    transformer: AceStepTransformer = base.transformer  # type: ignore[assignment]
    parameter = next(transformer.final_layer.parameters())
    device, inner = parameter.device, parameter.dtype

    def context(query_scale: float) -> tuple[torch.Tensor, torch.Tensor]:
        told = _told(base, *base.text.encode([prompt], query_scale), ids).to(device)
        return transformer.encode(
            told.text_states.to(inner),
            told.text_mask,
            told.speaker.to(inner),
            told.lyric_ids,
            told.lyric_mask,
            query_scale,
        )

    asked, weak = context(1.0), context(QUERY_SCALE)
    both = [torch.cat(rows) for rows in zip(asked, weak, strict=True)]
    scales = torch.tensor([1.0, QUERY_SCALE], dtype=inner, device=device)

    def velocity(latents: Floats, timestep: Floats, given: _Context) -> Floats:
        noisy = torch.from_numpy(latents).to(device)
        found = transformer.decode(
            noisy.to(inner),
            noisy.new_ones(noisy.shape[0], noisy.shape[-1]),
            given.states,
            given.mask,
            torch.from_numpy(timestep).to(device),
            query_scale=given.query_scale,
        )
        return _array(found)

    # An unguided step reads as it was asked.
    return Asked(velocity, _Context(*asked, 1.0), _Context(both[0], both[1], scales))


def _plain(base: Base, prompt: str, ids: list[int]) -> Asked:
    import torch

    device = next(base.transformer.parameters()).device
    asked = _told(base, *base.encode_text([prompt]), ids)

    def velocity(latents: Floats, timestep: Floats, given: Conditioning) -> Floats:
        noisy, at = (torch.from_numpy(part).to(device) for part in (latents, timestep))
        return _array(base.velocity(noisy, at, given))

    return Asked(velocity, asked.to(device), _with_empty_twin(asked).to(device))


def _array(tensor: torch.Tensor) -> Floats:
    found: Floats = tensor.detach().float().cpu().numpy()
    return found


def _told(base: Base, states: torch.Tensor, mask: torch.Tensor, ids: list[int]) -> Conditioning:
    import torch

    from lofi_engine.models.family import Conditioning
    from lofi_runtime.pipeline.lyrics import NO_LYRICS

    lyric_ids = torch.tensor([ids])
    # The reference gives an instrumental's one lyric token a mask of 0.
    lyric_mask = torch.full_like(lyric_ids, ids != NO_LYRICS)
    return Conditioning(states, mask, torch.zeros(1, base.speaker_width), lyric_ids, lyric_mask)


def _with_empty_twin(asked: Conditioning) -> Conditioning:
    """Add the unconditional row: zero text states and lyric ids under the same masks."""
    import torch

    from lofi_engine.models.family import Conditioning

    def twice(tensor: torch.Tensor) -> torch.Tensor:
        return torch.cat([tensor, tensor])

    def with_zeros(tensor: torch.Tensor) -> torch.Tensor:
        return torch.cat([tensor, torch.zeros_like(tensor)])

    return Conditioning(
        with_zeros(asked.text_states),
        twice(asked.text_mask),
        twice(asked.speaker),
        with_zeros(asked.lyric_ids),
        twice(asked.lyric_mask),
    )
