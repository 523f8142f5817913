"""A speech recogniser that writes down what is sung: CTC models such as Wav2Vec2, or Whisper."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import MetricError
from lofi_engine.metrics.pretrained import (
    do_without_broken_torchaudio,
    find_model,
    load_extractor,
    load_model,
    load_tokenizer,
    quiet,
)
from lofi_runtime.pipeline.lyric_languages import script_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

KIND = "speech recogniser"
LONGEST_SEC = 30.0
"""What is heard at a time: Whisper's window; a CTC model's memory grows with the square of it."""
SHORTEST_SEC = 0.5
_FRAME_SEC = 0.1


class SpeechRecognizer:
    """Writes down what it hears, in whatever language its model was trained on.

    Sound longer than 30 s (or than a Whisper model's own window) is cut into pieces of equal
    length, each cut moved to the quietest tenth of a second near it, and the texts are joined.
    Whisper decodes greedily and tells the language of each piece by itself.

    Args:
        location: a folder, or `hf:owner/name`, `hf:owner/name@REVISION` in the Hub's local cache.
        home: where a relative folder starts; None for the working folder.

    Raises:
        MetricError: the model is not there, damaged, or no recogniser.
    """

    def __init__(self, location: str | Path, *, home: Path | None = None) -> None:
        found = find_model(location, KIND, home)
        do_without_broken_torchaudio()
        cls = _model_class(found.config, found.folder)
        self.is_whisper = found.config.get("model_type") == "whisper"
        self._extractor, self._tokenizer = load_extractor(found), load_tokenizer(found)
        self._model = load_model(found, cls)
        self.name = found.name
        self.sample_rate = int(self._extractor.sampling_rate)
        self.longest_sec = LONGEST_SEC
        if self.is_whisper:
            self.longest_sec = min(LONGEST_SEC, float(self._extractor.chunk_length))

    def hear(self, samples: Samples, sample_rate: int) -> str:
        """Write down what is sung.

        Args:
            samples: float32 (channels, samples).
            sample_rate: in Hz; the mean of the channels is resampled to the model's own.

        Raises:
            MetricError: it is shorter than half a second.
        """
        from lofi_runtime.pipeline.resample import resample

        if samples.shape[1] < SHORTEST_SEC * sample_rate:
            raise MetricError(
                f"{samples.shape[1] / sample_rate:.2f} s of sound hold no words",
                hint=f"use clips of at least {SHORTEST_SEC:g} s",
            )
        mono = resample(samples.mean(axis=0, keepdims=True), sample_rate, self.sample_rate)[0]
        cuts = quiet_cuts(mono, self.sample_rate, self.longest_sec)
        texts = (self._hear_piece(mono[a:b]) for a, b in pairwise(cuts))
        return " ".join(text for text in texts if text)

    def unwritable(self, words: tuple[str, ...]) -> float:
        """Give the share of letters it has no way to write: those of another script, mostly."""
        letters = [letter for word in words for letter in word if letter.isalpha()]
        if not letters:
            return 0.0
        return sum(not self._writes(letter) for letter in letters) / len(letters)

    def _writes(self, letter: str) -> bool:
        if not self.is_whisper:
            vocabulary = self._tokenizer.get_vocab()
            return any(case in vocabulary for case in (letter, letter.upper()))
        is_multilingual = getattr(self._model.generation_config, "is_multilingual", True)
        return is_multilingual or script_of(letter) == "LATIN"

    def _hear_piece(self, mono: Samples) -> str:
        import torch

        inputs = self._extractor(mono, sampling_rate=self.sample_rate, return_tensors="pt")
        with torch.inference_mode(), quiet():
            text = self._whisper(inputs) if self.is_whisper else self._ctc(inputs)
        return " ".join(text.split())

    def _whisper(self, inputs: Any) -> str:
        tokens = self._model.generate(
            inputs["input_features"], do_sample=False, num_beams=1, return_timestamps=False
        )
        return str(self._tokenizer.batch_decode(tokens, skip_special_tokens=True)[0])

    def _ctc(self, inputs: Any) -> str:
        tokens = self._model(**inputs).logits.argmax(dim=-1)
        text = str(self._tokenizer.batch_decode(tokens)[0])
        # Left out afterwards: before, two equal letters around one would become one letter.
        for special in self._tokenizer.all_special_tokens:
            text = text.replace(special, "")
        return text


def quiet_cuts(mono: Samples, sample_rate: int, longest_sec: float) -> list[int]:
    """Give where pieces of at most `longest_sec` start and end, in samples, from 0 to the end."""
    import numpy as np

    margin_sec = longest_sec / 15
    count = math.ceil(len(mono) / sample_rate / (longest_sec - 2 * margin_sec))
    if len(mono) <= longest_sec * sample_rate:
        return [0, len(mono)]
    frame, margin = round(_FRAME_SEC * sample_rate), round(margin_sec * sample_rate)
    cuts = [0]
    for number in range(1, count):
        start = len(mono) * number // count - margin
        near = mono[start : start + 2 * margin]
        frames = near[: len(near) // frame * frame].reshape(-1, frame)
        quietest = int(np.square(frames, dtype=np.float64).sum(axis=1).argmin())
        cuts.append(start + quietest * frame + frame // 2)
    return [*cuts, len(mono)]


def _model_class(config: Any, folder: Path) -> Any:
    from transformers import AutoModelForCTC, WhisperForConditionalGeneration

    architectures = config.get("architectures") or []
    if config.get("model_type") == "whisper":
        return WhisperForConditionalGeneration
    if any(name.endswith("ForCTC") for name in architectures):
        return AutoModelForCTC
    raise MetricError(
        f"{KIND}: {folder} is a {', '.join(architectures) or config.get('model_type')}",
        hint="name a Whisper model or one for CTC, such as Wav2Vec2ForCTC",
    )
