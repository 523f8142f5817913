"""A loaded ACE-Step v1 base: its networks behind the `Base` protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lofi_engine.errors import StageError
from lofi_engine.models.ace_step_v1.config import ErgConfig
from lofi_engine.models.ace_step_v1.dcae import (
    SAMPLE_RATE,
    SAMPLES_PER_FRAME,
    decode_latents,
    encode_mel,
)
from lofi_engine.models.ace_step_v1.sinc_resample import resample_as_trained
from lofi_engine.models.ace_step_v1.text import TextEncoder
from lofi_engine.models.ace_step_v1.vocoder import Vocoder
from lofi_engine.models.family import Conditioning, GraphSpec

if TYPE_CHECKING:
    from lofi_runtime.pipeline.lyrics import LyricTokenizer


@dataclass(frozen=True)
class Configs:
    """The networks' configurations as the Hub's config.json files hold them."""

    transformer: Mapping[str, Any]
    dcae: Mapping[str, Any]
    vocoder: Mapping[str, Any]
    text: Mapping[str, Any]


@dataclass(frozen=True)
class Others:
    """The networks of a base besides the transformer.

    Args:
        dcae: as `AceStepBase` has it.
        vocoder: as `AceStepBase` has it.
        text: the network of the text encoder.
    """

    dcae: nn.Module
    vocoder: Vocoder
    text: nn.Module


class _LetGo(nn.Module):
    """Stands where a network was until it is read again."""

    def __getattr__(self, name: str) -> Any:
        raise StageError(
            f"the base's other networks were let go, so '{name}' is not there",
            hint="ask within `whole()`",
        )


@dataclass
class AceStepBase:
    """The networks of one base; the stages see it as `lofi_engine.models.family.Base`.

    Args:
        identity: what a cache key records.
        configs: the networks' configurations.
        transformer: an `AceStepTransformer`, or one with an adapter around it.
        dcae: a `diffusers.AutoencoderDC`.
        vocoder: turns log-mel into a waveform.
        text: encodes prompts.
        lyric_vocabulary: a `tokenizers` JSON, or None where the base has none.
        read_others: reads the other networks again as they were read at first; None where they
            cannot be, and are then never let go.
    """

    identity: str
    configs: Configs
    transformer: nn.Module
    dcae: nn.Module
    vocoder: Vocoder
    text: TextEncoder
    lyric_vocabulary: str | None
    sample_rate: int = SAMPLE_RATE
    frame_samples: int = SAMPLES_PER_FRAME
    read_others: Callable[[], Others] | None = None
    speaker_width: int = field(init=False)

    def __post_init__(self) -> None:
        self.speaker_width = int(self.configs.transformer["speaker_embedding_dim"])
        # The transformer's configuration names the text encoder's layers too.
        erg = ErgConfig.from_mapping(self.configs.transformer.get("erg", {}))
        self.text.erg_layers = erg.text_encoder_layers

    def let_go_of_others(self) -> None:
        """Keep the transformer alone in memory; `whole()` reads the other networks again."""
        if self.read_others is not None:
            gone: Any = _LetGo()
            self._put(Others(gone, gone, gone))

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Have every network in memory, and let go again of those that were let go."""
        if self.read_others is None or not isinstance(self.dcae, _LetGo):
            yield
            return
        self._put(self.read_others())
        try:
            yield
        finally:
            self.let_go_of_others()

    def _put(self, others: Others) -> None:
        self.dcae, self.vocoder, self.text.network = others.dcae, others.vocoder, others.text

    @torch.no_grad()
    def encode_audio(self, samples: npt.NDArray[np.float32], sample_rate: int) -> Tensor:
        """Encode stereo (2, samples) at `sample_rate` to latents (8, 16, frames), float32.

        The end is padded with silence to a whole latent frame of 4096 samples at 44.1 kHz.

        Raises:
            StageError: the array is not stereo, is empty, or holds something not finite.
        """
        if samples.ndim != 2 or samples.shape[0] != 2 or samples.shape[1] == 0:
            raise StageError(f"audio to encode has shape {samples.shape}; (2, samples) is needed")
        if not np.isfinite(samples).all():
            raise StageError("audio to encode holds values that are not finite")
        samples = resample_as_trained(samples, sample_rate, SAMPLE_RATE)
        waveform = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
        padded = F.pad(waveform, (0, -waveform.shape[1] % SAMPLES_PER_FRAME))
        log_mel = self.vocoder.mel_transform(padded)[None]
        return encode_mel(self.dcae.get_submodule("encoder"), log_mel)[0]

    @torch.no_grad()
    def decode_audio(self, latents: Tensor) -> npt.NDArray[np.float32]:
        """Decode latents (batch, 8, 16, frames) to (batch, 2, 4096 * frames) at 44.1 kHz.

        One item and one channel at a time: the vocoder's memory grows with both.
        """
        decoder = self.dcae.get_submodule("decoder")
        here = next(decoder.parameters())
        decoded = []
        for item in latents.to(here):
            log_mel = decode_latents(decoder, item[None])
            channels = [self.vocoder(log_mel[:, channel])[:, 0] for channel in range(2)]
            decoded.append(torch.cat(channels))
        return torch.stack(decoded).cpu().numpy()

    def encode_text(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Encode prompts to states (batch, tokens, width) and mask (batch, tokens) int64.

        Prompts are cut at 256 tokens, as the published model was trained.
        """
        return self.text.encode(prompts)

    def lyric_ids(self, lyrics: str) -> list[int]:
        """Tokenize lyrics; [0] for instrumentals ("", "[Instrumental]" or "[inst]").

        Lyrics are cut at 4096 tokens, as the published model was trained.

        Raises:
            StageError: there are lyrics, but the base has no lyric vocabulary.
        """
        from lofi_runtime.pipeline.lyrics import MAX_TOKENS, NO_LYRICS, is_instrumental

        if is_instrumental(lyrics):
            return list(NO_LYRICS)
        return self._lyric_tokenizer().encode(lyrics)[:MAX_TOKENS]

    def text_warnings(self, prompt: str, lyrics: str) -> tuple[str, ...]:
        """Say what of a prompt and of lyrics this model will not hear, one line each.

        Raises:
            StageError: there are lyrics, but the base has no lyric vocabulary.
        """
        from lofi_runtime.pipeline import lyrics as lyric
        from lofi_runtime.pipeline import text

        kept = f"the first {text.MAX_TOKENS - 1} and the end"
        found = _cut("prompt", self.text.count(prompt), text.MAX_TOKENS, kept)
        if lyric.is_instrumental(lyrics):
            return found
        tokenizer = self._lyric_tokenizer()
        found += tokenizer.warnings(lyrics)
        kept = f"the first {lyric.MAX_TOKENS}"
        return found + _cut("lyrics", len(tokenizer.encode(lyrics)), lyric.MAX_TOKENS, kept)

    def _lyric_tokenizer(self) -> LyricTokenizer:
        from lofi_runtime.pipeline.lyrics import LyricTokenizer

        if self.lyric_vocabulary is None:
            raise StageError(
                f"{self.identity} has no lyric vocabulary, so it cannot read lyrics",
                hint="name one in the recipe's base.lyric_vocabulary",
            )
        return LyricTokenizer(self.lyric_vocabulary)

    def velocity(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        """Predict the flow's velocity for latents (batch, 8, 16, frames) at timesteps (batch,).

        All frames count: latents of different lengths are never batched.
        """
        velocity: Tensor = self.transformer(
            latents,
            latents.new_ones(latents.shape[0], latents.shape[-1]),
            conditioning.text_states,
            conditioning.text_mask,
            conditioning.speaker,
            conditioning.lyric_ids,
            conditioning.lyric_mask,
            timestep,
        )
        return velocity

    def velocity_with_projections(
        self,
        latents: Tensor,
        timestep: Tensor,
        conditioning: Conditioning,
        features: Mapping[str, Sequence[Tensor]],
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Predict the velocity, and how far inner states are from what audio models heard.

        All frames count, as in `velocity`.

        Args:
            latents: (batch, 8, 16, frames).
            timestep: (batch,).
            conditioning: what the transformer is told.
            features: by model ("mert", "mhubert"), for each batch entry (feature frames, width).

        Returns:
            The velocity, and by model `ssl_loss.projection_loss`.

        Raises:
            StageError: the base has no projector for a model, or one of another width.
        """
        from lofi_engine.models.ace_step_v1.projections import projection_losses

        return projection_losses(self.transformer, latents, timestep, conditioning, features)

    def graphs(self) -> tuple[GraphSpec, ...]:
        """List the graphs to export, with `transformer` as it is now.

        Raises:
            StageError: the transformer still carries an adapter; merge it first.
        """
        from lofi_engine.models.ace_step_v1.graphs import bundle_graphs

        return bundle_graphs(self)

    def left_out(self, graphs: Sequence[GraphSpec]) -> Mapping[str, int]:
        """Count the weights that none of `graphs` holds, by what they are."""
        from lofi_engine.models.ace_step_v1.left_out import left_out

        return left_out(self, graphs)

    def bundle_files(self) -> Mapping[str, bytes]:
        """Give tokenizer.json, and lyric_vocabulary.json where the base has one."""
        files = {"tokenizer.json": self.text.tokenizer_json.encode()}
        if self.lyric_vocabulary is not None:
            files["lyric_vocabulary.json"] = self.lyric_vocabulary.encode()
        return files


def _cut(what: str, tokens: int, most: int, kept: str) -> tuple[str, ...]:
    return (f"{what} cut: it has {tokens} tokens, {kept} are kept",) if tokens > most else ()
