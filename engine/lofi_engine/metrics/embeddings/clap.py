"""CLAP: one space for sounds and the words that describe them (Wu et al., ICASSP 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.pretrained import (
    do_without_broken_torchaudio,
    find_model,
    load_extractor,
    load_model,
    load_tokenizer,
)
from lofi_engine.metrics.unrelated import CAPTIONS, likeness, unrelated_sounds

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]
    Vectors = npt.NDArray[np.float64]

KIND = "CLAP model"
HOP_SEC = 5.0
COLLAPSED_ABOVE = 0.99
"""Captions or sounds that have nothing in common and are more alike than this: no model to trust.
Working checkpoints have about 0.2 to 0.3 between captions, collapsed ones 0.999."""
_BATCH = 8


class ClapEmbedding:
    """Embeds windows of sound, and texts, with a `transformers.ClapModel`.

    Windows are mono, at the sample rate and of the length the model's feature extractor states
    (48 kHz and 10 s for every published one): shorter ones it would repeat, longer ones crop at
    random. Windows follow each other every `hop_sec`. Vectors have length 1.

    Args:
        location: a folder, or `hf:owner/name`, `hf:owner/name@REVISION` in the Hub's local cache.
        home: where a relative folder starts; None for the working folder.
        hop_sec: from one window to the next.

    Raises:
        MetricError: the model is not there, damaged or of another kind; or it is collapsed: the
            median cosine of captions, or of sounds, that have nothing in common is above 0.99.
    """

    channels = 1

    def __init__(
        self, location: str | Path, *, home: Path | None = None, hop_sec: float = HOP_SEC
    ) -> None:
        found = find_model(location, KIND, home)
        if found.config.get("model_type") != "clap":
            raise MetricError(
                f"{KIND}: {found.folder} is a model of type '{found.config.get('model_type')}'",
                hint="name one of type 'clap', such as hf:laion/clap-htsat-unfused",
            )
        do_without_broken_torchaudio()
        from transformers import ClapModel

        self._extractor, self._tokenizer = load_extractor(found), load_tokenizer(found)
        self._model = load_model(found, ClapModel)
        self.folder = found.folder
        self.name = f"clap:{found.name}"
        self.hop_sec = hop_sec
        self.dimensions = int(self._model.config.projection_dim)
        self.sample_rate = int(self._extractor.sampling_rate)
        self.window_sec = float(self._extractor.nb_max_samples / self.sample_rate)
        self.longest_text = _longest_text(self._tokenizer, self._model.config.text_config)
        self._refuse_collapsed()

    def embed(self, windows: Samples) -> Vectors:
        """Embed windows of sound.

        Args:
            windows: float32 (windows, 1, samples) at `sample_rate`, each of `window_sec`.

        Returns:
            float64 (windows, dimensions), each of length 1.

        Raises:
            MetricError: windows of another shape, or an embedding that is not finite.
        """
        import numpy as np
        import torch

        expected = (len(windows), 1, self._extractor.nb_max_samples)
        if windows.shape != expected:
            raise MetricError(
                f"{self.name}: windows of shape {windows.shape}, not {expected}",
                hint=f"cut mono windows of {self.window_sec:g} s at {self.sample_rate} Hz",
            )
        parts: list[Vectors] = []
        for start in range(0, len(windows), _BATCH):
            batch = [window[0] for window in windows[start : start + _BATCH]]
            features = self._extractor(
                batch, sampling_rate=self.sample_rate, return_tensors="pt"
            ).input_features.float()
            # A fused model's extractor calls one window at random longer than it is.
            longer = torch.zeros((len(batch), 1), dtype=torch.bool)
            with torch.inference_mode():
                found = self._model.get_audio_features(input_features=features, is_longer=longer)
            parts.append(self._unit(found, "a sound"))
        return np.concatenate(parts) if parts else np.zeros((0, self.dimensions))

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed texts, each by itself; of one longer than `longest_text` tokens the start counts.

        Returns:
            float64 (texts, dimensions), each of length 1.

        Raises:
            MetricError: an embedding is not finite.
        """
        import numpy as np
        import torch

        parts: list[Vectors] = []
        for text in texts:
            tokens = self._tokenizer(
                [text], truncation=True, max_length=self.longest_text, return_tensors="pt"
            )
            with torch.inference_mode():
                found = self._model.get_text_features(
                    input_ids=tokens.input_ids, attention_mask=tokens.attention_mask
                )
            parts.append(self._unit(found, f"'{text[:60]}'"))
        return np.concatenate(parts) if parts else np.zeros((0, self.dimensions))

    def is_cut(self, text: str) -> bool:
        """Whether a text has more tokens than the model reads."""
        return len(self._tokenizer(text, verbose=False).input_ids) > self.longest_text

    def _unit(self, found: Any, what: str) -> Vectors:
        """Give a model's answer as vectors of length 1."""
        import numpy as np

        # A tensor up to transformers 4, an output that holds it from 5 on.
        tensor = getattr(found, "pooler_output", found)
        vectors: Vectors = tensor.double().numpy()
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise MetricError(
                f"{self.name}: {what} embeds as NaN, infinity or zero",
                hint="the model is damaged: use another",
            )
        vectors /= lengths
        return vectors

    def _refuse_collapsed(self) -> None:
        sounds = unrelated_sounds(self.sample_rate, self.window_sec)[:, None]
        for what, vectors in (
            (f"{len(CAPTIONS)} unrelated captions", self.embed_texts(CAPTIONS)),
            (f"{len(sounds)} unrelated sounds", self.embed(sounds)),
        ):
            cosine = likeness(vectors)
            if cosine > COLLAPSED_ABOVE:
                raise MetricError(
                    f"{self.name}: {what} embed alike, with a median cosine of {cosine:.4f} "
                    f"(at most {COLLAPSED_ABOVE} is allowed), so no score of it means anything",
                    hint="use another model, such as hf:laion/clap-htsat-unfused",
                )


def _longest_text(tokenizer: Any, config: Any) -> int:
    """Give how many tokens the text model has positions for; RoBERTa's start after its padding."""
    positions = int(config.max_position_embeddings) - int(config.pad_token_id or 0) - 1
    return min(positions, int(tokenizer.model_max_length))
