"""What a family of models must offer the stages, so that a second one touches no stage.

Importing this module is cheap: torch is named in annotations only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from lofi_engine.models.outline import Outline
    from lofi_engine.models.training_outline import TrainingOutline


@dataclass(frozen=True)
class GraphSpec:
    """One ONNX graph to export.

    Args:
        file: its name in the bundle, e.g. "transformer_decoder.onnx".
        module: takes the inputs positionally, in order, and returns a tensor or a tuple.
        inputs: example tensors by name, in the contract's order.
        outputs: output names, in order.
        dynamic: by input name, which axes are free and what they are called.
        external_weights: the file holding the weights, or None for a self-contained graph.
        defaults: by name, the value that stands for an input its caller leaves out. Such inputs
            come last, after all that must be given; in the graph they are inputs with an
            initializer.
    """

    file: str
    module: torch.nn.Module
    inputs: Mapping[str, torch.Tensor]
    outputs: tuple[str, ...]
    dynamic: Mapping[str, Mapping[int, str]]
    external_weights: str | None = None
    defaults: Mapping[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Conditioning:
    """What the transformer is told, batch first.

    Args:
        text_states: (batch, tokens, text_width) float32.
        text_mask: (batch, tokens) int64.
        speaker: (batch, speaker_width) float32; zeros where there is none.
        lyric_ids: (batch, lyric_tokens) int64.
        lyric_mask: (batch, lyric_tokens) int64.
    """

    text_states: torch.Tensor
    text_mask: torch.Tensor
    speaker: torch.Tensor
    lyric_ids: torch.Tensor
    lyric_mask: torch.Tensor

    def to(self, device: torch.device | str) -> Conditioning:
        """Give the same conditions on another device."""
        return Conditioning(**{name: part.to(device) for name, part in vars(self).items()})


class Base(Protocol):
    """A loaded model: its networks, and what the stages ask of them."""

    identity: str
    """What a cache key records, e.g. "builtin:tiny@1" or the checkpoint's hash."""
    transformer: torch.nn.Module
    """The network that takes adapters; in the precision it was loaded in, in eval mode."""
    sample_rate: int
    """What `decode_audio` answers at, e.g. 44100."""
    frame_samples: int
    """Samples at `sample_rate` of one latent frame, e.g. 4096."""
    speaker_width: int
    """Width of the speaker embedding, e.g. 512."""

    def let_go_of_others(self) -> None:
        """Keep `transformer` alone in memory: what training needs; `whole()` reads the rest."""
        ...

    def whole(self) -> AbstractContextManager[None]:
        """Have every network in memory, and let go again of those that were let go.

        Raises:
            StageError: what was let go cannot be read again.
        """
        ...

    def encode_audio(self, samples: npt.NDArray[np.float32], sample_rate: int) -> torch.Tensor:
        """Encode stereo (2, samples) to latents (8, 16, frames), float32."""
        ...

    def decode_audio(self, latents: torch.Tensor) -> npt.NDArray[np.float32]:
        """Decode latents (batch, 8, 16, frames) to (batch, 2, samples) at `sample_rate`."""
        ...

    def encode_text(self, prompts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode prompts to states (batch, tokens, width) and mask (batch, tokens) int64."""
        ...

    def lyric_ids(self, lyrics: str) -> list[int]:
        """Tokenize lyrics; [0] for instrumentals ("" or "[Instrumental]")."""
        ...

    def text_warnings(self, prompt: str, lyrics: str) -> tuple[str, ...]:
        """Say what of a prompt and of lyrics this model will not hear, one line each.

        What is cut because it is too long, with how many tokens there were and how many are kept,
        and what is in a script or a language that it was not made for.
        """
        ...

    def velocity(
        self, latents: torch.Tensor, timestep: torch.Tensor, conditioning: Conditioning
    ) -> torch.Tensor:
        """Predict the flow's velocity for latents (batch, 8, 16, frames) at timesteps (batch,).

        Differentiable in the transformer's parameters: training calls it too.
        """
        ...

    def velocity_with_projections(
        self,
        latents: torch.Tensor,
        timestep: torch.Tensor,
        conditioning: Conditioning,
        features: Mapping[str, Sequence[torch.Tensor]],
    ) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        """Predict the velocity, and how far inner states are from what audio models heard.

        Args:
            latents: (batch, 8, 16, frames).
            timestep: (batch,).
            conditioning: what the transformer is told.
            features: by model ("mert", "mhubert"), for each batch entry what the model hears in
                the clean sound, (feature frames, width).

        Returns:
            The velocity, and by model a scalar: 1 - cosine similarity, averaged.

        Raises:
            StageError: the base has no projector for a model, or one of another width.
        """
        ...

    def graphs(self) -> tuple[GraphSpec, ...]:
        """List the ONNX graphs to export, with `transformer` as it is now."""
        ...

    def left_out(self, graphs: Sequence[GraphSpec]) -> Mapping[str, int]:
        """Count the weights that none of `graphs` holds, by what they are."""
        ...

    def bundle_files(self) -> Mapping[str, bytes]:
        """Give the bundle's other files: tokenizer.json, lyric_vocabulary.json where it has one."""
        ...


class Family(Protocol):
    """How to load a base of this architecture."""

    name: str

    def definition(self, model: str, revision: str) -> str:
        """Say what a model's name means today: what stands for its revision in cache keys. Light.

        The number of a built-in base's definition, so that one defined anew is not taken for the
        old one; the commit that a Hub revision names in the local cache, since a branch moves;
        otherwise the revision itself.
        """
        ...

    def vocabulary_definition(self, location: str | None) -> str | None:
        """Say what a lyric vocabulary's location means today, for cache keys. Light.

        One on the Hub is given as `hf:owner/name/FILE@COMMIT`, which `load` reads too.
        """
        ...

    def load(
        self,
        model: str,
        *,
        revision: str,
        lyric_vocabulary: str | None,
        home: Path,
        precision: str = "fp32",
        transformer: Path | None = None,
    ) -> Base:
        """Load a base: `builtin:...`, `hf:owner/name`, or a folder relative to `home`.

        Args:
            model: which base.
            revision: of a Hub repository.
            lyric_vocabulary: the lyric tokenizer's file, or None for the base's own.
            home: where relative paths start.
            precision: of the weights, "fp32", "fp16" or "bf16". What the base takes and gives
                stays float32.
            transformer: a safetensors file, an index of shards, or a folder with either, whose
                weights stand in for the base's own transformer's, which are then not read.

        Raises:
            StageError: it is not there or not of this family; says where it was looked for.
        """
        ...

    def config_of(self, base: Base) -> Mapping[str, Any]:
        """Give the base's configuration as JSON values, for manifests."""
        ...

    def pipeline_config(self, base: Base) -> Mapping[str, Any]:
        """Give the figures a runtime needs, as `lofi_runtime.manifest.PipelineConfig` names them.

        Their "model" is `config_of(base)`.
        """
        ...

    def outline(self, model: str, *, revision: str, home: Path) -> Outline:
        """List the weights of a base's graphs from its configuration alone. Light.

        Raises:
            StageError: the base's configuration is not known here.
        """
        ...

    def training_outline(self, model: str, *, revision: str, home: Path) -> TrainingOutline:
        """Say what training an adapter keeps in memory, from the configuration alone. Light.

        Raises:
            StageError: the base's configuration is not known here.
        """
        ...
