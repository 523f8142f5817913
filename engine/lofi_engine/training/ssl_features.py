"""What MERT and mHuBERT hear in a track: features that the base's inner states were drawn towards.

Both are HuBERT networks (Hsu et al. 2021; MERT: Li et al. 2023, mHuBERT-147: Boito et al. 2024) and
both are loaded into transformers' own `HubertModel`. MERT is published with code of its own, which
is never run: with its options `feature_extractor_cqt` and `deepnorm` off that code computes what
`HubertModel` does, by the same names of weights, and a checkpoint with one of them on is refused.
Its third option, `attention_relax`, counts only where `deepnorm` is on.

How a track is heard follows the published trainer: folded to mono, resampled, brought to zero mean
and unit variance over the whole track, cut into chunks whose last is filled up with silence, and of
each chunk's last hidden state so many frames kept as 320 samples begin in it.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import MetricError, StageError
from lofi_engine.metrics.pretrained import (
    FoundModel,
    do_without_broken_torchaudio,
    find_model,
    load_model,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

HOP = 320
"""Samples between two frames of features."""
_SMALLEST_VARIANCE = 1e-7
_TYPES = ("hubert", "mert_model")
_OTHER_NETWORK = {
    "feature_extractor_cqt": "hears a constant-Q transform besides the waveform",
    "deepnorm": "scales its residual connections",
}
"""Options of MERT with which it is no `HubertModel`, and what each does."""
_AFTER_THE_STATES = {
    "lm_head.": "spells letters, of a fine-tuned recognizer",
    "final_proj.": "guesses the pre-training's targets",
}
"""Weights without a place in `HubertModel` that change nothing: they come after the last state."""


@dataclass(frozen=True)
class SslModelKind:
    """How the base's makers let a model listen.

    Args:
        name: as the recipe's `training.ssl` and the features call it.
        sample_rate: what it hears, in Hz.
        chunk_sec: how much it hears at once.
    """

    name: str
    sample_rate: int
    chunk_sec: int


KINDS: Mapping[str, SslModelKind] = {
    "mert": SslModelKind("mert", 24_000, 5),
    "mhubert": SslModelKind("mhubert", 16_000, 30),
}


class SslModel:
    """One model, listening.

    Args:
        kind: how it listens.
        network: a `transformers.HubertModel` in eval mode; on a GPU it listens there.
    """

    def __init__(self, kind: SslModelKind, network: torch.nn.Module) -> None:
        self.kind = kind
        self._network = network

    def features(self, samples: npt.NDArray[np.float32], sample_rate: int) -> torch.Tensor:
        """Give what the model hears in a whole track.

        Args:
            samples: (channels, samples).
            sample_rate: of the samples, in Hz.

        Returns:
            (frames, width) float32, about one frame for 320 samples at the model's own rate.

        Raises:
            StageError: there is less than two samples of sound, or the features are not finite.
        """
        import torch
        import torch.nn.functional as F

        wave = _normalized(samples, sample_rate, self.kind)
        device = next(self._network.parameters()).device
        chunk = self.kind.chunk_sec * self.kind.sample_rate
        heard = []
        with torch.inference_mode():
            for piece in torch.split(wave, chunk):
                filled = F.pad(piece, (0, chunk - len(piece)))
                states = self._network(filled[None].to(device)).last_hidden_state[0]
                heard.append(states[: math.ceil(len(piece) / HOP)].float().cpu())
        features = torch.cat(heard)
        if not bool(torch.isfinite(features).all()):
            raise StageError(
                f"its {self.kind.name} features are not finite", hint="check the model"
            )
        return features


def find_ssl_model(name: str, location: str, home: Path) -> FoundModel:
    """Find a model and see from its configuration that it can listen; needs no torch.

    Args:
        name: "mert" or "mhubert".
        location: a folder that starts at `home`, or `hf:owner/name`, `hf:owner/name@REVISION` in
            the Hub's local cache.
        home: the recipe's folder.

    Raises:
        StageError: it is not there (says how to fetch it), has pickles alone, or is a network that
            transformers' `HubertModel` is not.
    """
    with _stage_errors():
        found = find_model(location, f"training.ssl.{name}", home)
        _refuse_other_networks(found, KINDS[name])
    return found


def load_ssl_model(name: str, location: str, home: Path) -> SslModel:
    """Load a model in float32, on the GPU where there is one.

    Args:
        name: "mert" or "mhubert".
        location: as `find_ssl_model` takes it.
        home: the recipe's folder.

    Raises:
        StageError: what `find_ssl_model` raises; or its weights are damaged, of another shape, too
            few, or more than the network has a place for.
    """
    import torch

    found = find_ssl_model(name, location, home)
    do_without_broken_torchaudio()
    with _stage_errors():
        network = load_model(found, _EveryWeightPlaced(found.kind))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return SslModel(KINDS[name], network.requires_grad_(False).to(device))


class _EveryWeightPlaced:
    """`HubertModel` for `load_model`, refusing a file with weights it has no place for."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def from_pretrained(self, folder: Path, **options: Any) -> tuple[Any, Mapping[str, Any]]:
        from transformers import HubertModel

        network, info = HubertModel.from_pretrained(folder, **options)
        homeless = sorted(
            name for name in info["unexpected_keys"] if not name.startswith((*_AFTER_THE_STATES,))
        )
        if homeless:
            more = f" and {len(homeless) - 1} more" if len(homeless) > 1 else ""
            raise MetricError(
                f"{self._kind}: {folder} holds the weights {homeless[0]}{more}, which a HuBERT "
                "network has no place for",
                hint="name a model of that network: what it hears without them is something else",
            )
        return network, info


def _normalized(
    samples: npt.NDArray[np.float32], sample_rate: int, kind: SslModelKind
) -> torch.Tensor:
    """Fold to mono at the model's rate, with zero mean and unit variance; (samples,)."""
    import torch

    from lofi_engine.models.ace_step_v1.sinc_resample import resample_as_trained

    mono = samples.mean(axis=0, keepdims=True, dtype=samples.dtype)
    length = samples.shape[1] * kind.sample_rate // sample_rate
    if length < 2:
        raise StageError(f"{samples.shape[1]} samples are too short for {kind.name} to hear")
    wave = torch.from_numpy(resample_as_trained(mono, sample_rate, kind.sample_rate)[0, :length])
    return (wave - wave.mean()) / (wave.var() + _SMALLEST_VARIANCE).sqrt()


def _refuse_other_networks(found: FoundModel, kind: SslModelKind) -> None:
    config = found.config
    if config.get("model_type") not in _TYPES:
        raise MetricError(
            f"{found.kind}: {found.folder} holds a {config.get('model_type', 'nameless')} model; "
            f"{' or '.join(_TYPES)} is needed",
        )
    for option, does in _OTHER_NETWORK.items():
        if config.get(option):
            raise MetricError(
                f"{found.kind}: {found.folder} has {option} on: it {does}, which cannot be loaded "
                "without running its own code",
                hint="name a model without it",
            )
    stride = math.prod(config.get("conv_stride", (HOP,)))
    if stride != HOP:
        raise MetricError(
            f"{found.kind}: {found.folder} makes a frame of {stride} samples, {HOP} are needed"
        )
    rate = config.get("sample_rate") or _preprocessor(found).get("sampling_rate")
    if rate not in (None, kind.sample_rate):
        raise MetricError(
            f"{found.kind}: {found.folder} listens at {rate} Hz, {kind.sample_rate} Hz is needed"
        )


def _preprocessor(found: FoundModel) -> Mapping[str, Any]:
    """Read what lies beside a model about how it listens; nothing where nothing does."""
    try:
        said = json.loads((found.folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


@contextlib.contextmanager
def _stage_errors() -> Iterator[None]:
    try:
        yield
    except MetricError as error:
        raise StageError(error.message, hint=error.hint) from error
