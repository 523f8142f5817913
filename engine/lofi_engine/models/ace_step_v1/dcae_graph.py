"""The DCAE's decoder rewritten for export: `dcae_decoder.onnx`.

Its attention is linear and looks at every frame of the track. What it keeps of the frames is a sum
(Katharopoulos et al., "Transformers are RNNs", 2020), so that a track decoded in pieces can be
exactly the track decoded whole: the graph gives the sums over the frames it is told to count, and
takes sums over frames it was not shown.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lofi_engine.models.ace_step_v1.attention import LEAST
from lofi_engine.models.ace_step_v1.dcae import decode_latents
from lofi_engine.models.family import GraphSpec

ALL = 2**31 - 1
"""More frames than there are: a slice that ends there takes all."""
_PIECES = 2
"""In the example: sums over so many other pieces."""


@dataclass(frozen=True)
class _Given:
    """What one attention is told for one call.

    Args:
        own_frames: (2,) int64, see `DcaeDecoderGraph.forward`.
        others: (pieces, heads, head_dim + 1, head_dim).
        kept_frames: () int64.
    """

    own_frames: Tensor
    others: Tensor
    kept_frames: Tensor


class _SummedAttention:
    """The DCAE's attention in its linear form, over frames here and elsewhere.

    diffusers takes the quadratic form for very short inputs; both give the same values, and a
    choice by length would be baked into a graph.

    Args:
        attention: a `SanaMultiscaleLinearAttention`, whose processor this becomes.
        steps: how many columns at the attention's resolution make one latent frame.
    """

    def __init__(self, attention: Any, steps: int) -> None:
        self.head_dim = int(attention.attention_head_dim)
        scales = 1 + len(attention.to_qkv_multiscale)
        self.heads = scales * int(attention.to_q.out_features) // self.head_dim
        self._steps = steps
        self._given: _Given | None = None
        self._inside: Tensor | None = None

    def give(self, given: _Given) -> None:
        """Set what the next call is told."""
        self._given = given

    def take(self) -> Tensor:
        """Give the sums of the last call, (batch, heads, head_dim + 1, head_dim), and forget it."""
        if self._inside is None:
            raise RuntimeError("the attention was not called")
        inside, self._inside, self._given = self._inside, None, None
        return inside

    def __call__(self, attention: Any, hidden_states: Tensor) -> Tensor:
        """Attend over (batch, channels, height, columns); only the kept columns come back."""
        query, key, value = self._project(attention, hidden_states)
        if self._given is not None:
            # Not int(): the exporter follows what .item() gives.
            start, stop = (edge.item() * self._steps for edge in self._given.own_frames.unbind())
            kept = self._given.kept_frames.item() * self._steps
            key, value = key[..., start:stop], value[..., start:stop]
            query, hidden_states = query[..., :kept], hidden_states[..., :kept]
        query = query.flatten(3)
        # A column of zeros, since ONNX Runtime 1.20 cannot sum over none where no frame counts.
        key, value = (F.pad(part.flatten(3), (0, 1)) for part in (key, value))
        memory, weight = value @ key.transpose(-1, -2), key.sum(dim=-1).unsqueeze(-2)
        self._inside = torch.cat([memory, weight], dim=-2)
        if self._given is not None:
            others = self._given.others[:, : self.heads].sum(dim=0)
            memory, weight = memory + others[:, :-1], weight + others[:, -1:]
        attended = (memory @ query) / (weight @ query).clamp(min=LEAST)
        attended = torch.unflatten(attended.flatten(1, 2), -1, hidden_states.shape[-2:])
        attended = attended.movedim(1, -1)
        mixed = attention.to_out(attended.to(hidden_states.dtype))
        normed: Tensor = attention.norm_out(mixed).movedim(-1, 1)
        return normed + hidden_states if attention.residual_connection else normed

    def _project(self, attention: Any, hidden_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give query, key and value, each (batch, heads, head_dim, height, columns), float32."""
        last = hidden_states.movedim(1, -1)
        projected = [layer(last) for layer in (attention.to_q, attention.to_k, attention.to_v)]
        scales = [torch.cat(projected, dim=-1).movedim(-1, 1)]
        scales += [scale(scales[0]) for scale in attention.to_qkv_multiscale]
        # Sums over a long track are more than float16 can hold.
        heads = torch.unflatten(torch.cat(scales, dim=1).float(), 1, (-1, 3 * self.head_dim))
        query, key, value = heads.chunk(3, dim=2)
        return F.relu(query), F.relu(key), value


class DcaeDecoderGraph(nn.Module):
    """`dcae_decoder.onnx`: latents to log-mel, scaling on both sides inside.

    Args:
        dcae: an `AutoencoderDC`; its decoder is copied. It may have attention in any stages.
    """

    def __init__(self, dcae: nn.Module) -> None:
        super().__init__()
        self.decoder = copy.deepcopy(dcae.get_submodule("decoder"))
        self._attentions: list[_SummedAttention] = []
        for attention, steps in _attentions(self.decoder):
            attention.processor = _SummedAttention(attention, steps)
            self._attentions.append(attention.processor)

    @property
    def sums_shape(self) -> tuple[int, int, int, int]:
        """Shape (attentions, heads, head_dim + 1, head_dim) of the sums attention keeps.

        The heads are those of every scale. Of a head's rows the last sums the keys, those above it
        the products of values and keys. Where attentions differ in heads, zeros fill up.
        """
        found = self._attentions
        heads = max((attention.heads for attention in found), default=0)
        dim = found[0].head_dim if found else 0
        return len(found), heads, dim + 1, dim

    def forward(
        self,
        latents: Tensor,
        own_frames: Tensor | None = None,
        others: Tensor | None = None,
        kept_frames: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, ...]:
        """Decode as `dcae.decode_latents` does, but for what the last three say, all or none given.

        Args:
            latents: (batch, channels, height, frames).
            own_frames: (attentions, 2) int64: the first frame an attention counts itself, and the
                first after those.
            others: (pieces, *sums_shape): sums over frames counted elsewhere, in any number of
                pieces, the same for every row of the batch.
            kept_frames: (attentions,) int64: so many frames, from the first, go on after an
                attention. ONNX Runtime computes all of a graph; who wants the sums alone keeps one.

        Returns:
            Log-mel (batch, 2, bands, mel frames), then for each attention its sums over its own
            frames, (batch, *sums_shape[1:]) float32; log-mel alone where there is no attention.
        """
        if own_frames is not None and others is not None and kept_frames is not None:
            for index, attention in enumerate(self._attentions):
                given = _Given(own_frames[index], others[:, index], kept_frames[index])
                attention.give(given)
        log_mel = decode_latents(self.decoder, latents)
        most = self.sums_shape[1]
        inside = [
            F.pad(attention.take(), (0, 0, 0, 0, 0, most - attention.heads))
            if attention.heads < most
            else attention.take()
            for attention in self._attentions
        ]
        return (log_mel, *inside) if inside else log_mel


def _attentions(decoder: nn.Module) -> Iterator[tuple[Any, int]]:
    """Give each attention in order of running, and its columns to a latent frame."""
    from diffusers.models.attention_processor import SanaMultiscaleLinearAttention
    from diffusers.models.autoencoders.autoencoder_dc import DCUpBlock2d

    steps = 1
    for stage in reversed(list(decoder.get_submodule("up_blocks").children())):
        for module in stage.modules():
            if isinstance(module, DCUpBlock2d):
                steps *= module.factor
            elif isinstance(module, SanaMultiscaleLinearAttention):
                yield module, steps


def dcae_graph(dcae: nn.Module, example: Tensor) -> GraphSpec:
    """Describe `dcae_decoder.onnx`, with `example` latents (batch, channels, height, frames).

    Who leaves out what may be left out decodes the given frames as a whole track.
    """
    module = DcaeDecoderGraph(dcae).eval()
    shape = module.sums_shape
    attentions = shape[0]
    inputs = {"latents": example}
    dynamic = {"latents": {0: "batch", 3: "frames"}}
    defaults = {}
    if attentions:
        defaults = {
            "own_frames": torch.tensor([[0, ALL]]).repeat(attentions, 1),
            "others": torch.zeros(0, *shape),
            "kept_frames": torch.full((attentions,), ALL),
        }
        inputs["own_frames"] = torch.tensor([[1, 5]]).repeat(attentions, 1)
        inputs["others"] = torch.ones(_PIECES, *shape)
        inputs["kept_frames"] = torch.full((attentions,), 6)
        dynamic["others"] = {0: "pieces"}
    return GraphSpec(
        file="dcae_decoder.onnx",
        module=module,
        inputs=inputs,
        outputs=("mel_spectrogram", *(f"inside_{index}" for index in range(attentions))),
        dynamic=dynamic,
        defaults=defaults,
    )
