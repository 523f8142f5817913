"""lofi.nvim's daemon as a bundle sees it: the files it looks for and every call it makes.

What it feeds, by position or by name, in which types and shapes, and what it takes from the
answers, after its sources (daemon/src/models/ace_step). Its random numbers are not its own here.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

from lofi_engine.onnx_graphs.oldest import LOFI_NVIM_DAEMON

Array = npt.NDArray[Any]

REQUIRED_FILES = (
    "text_encoder.onnx",
    "transformer_encoder.onnx",
    "transformer_decoder.onnx",
    "transformer_decoder_weights.bin",
    "dcae_decoder.onnx",
    "vocoder.onnx",
    "tokenizer.json",
)
GRAPHS = tuple(file for file in REQUIRED_FILES if file.endswith(".onnx"))

# What the daemon has written into its source.
TEXT_WIDTH, CONTEXT_WIDTH = 768, 2560
SPEAKER_WIDTH = 512
CHANNELS, HEIGHT = 8, 16
MAX_TOKENS = 512
CHUNK_FRAMES = 128
SAMPLE_RATE, SAMPLES_PER_FRAME = 44100, 4096
ONNX_RUNTIME = LOFI_NVIM_DAEMON
"""What its crate, ort 2.0.0-rc.9, comes with."""

_SHIFT, _GUIDANCE = 3.0, 7.0


class Daemon:
    """Loads a bundle and generates with it.

    Args:
        folder: of the bundle.
        text_width: in place of 768, for a smaller base.
        context_width: in place of 2560.

    Raises:
        FileNotFoundError: names the files it would refuse to start without.
    """

    def __init__(
        self, folder: Path, *, text_width: int = TEXT_WIDTH, context_width: int = CONTEXT_WIDTH
    ) -> None:
        missing = [file for file in REQUIRED_FILES if not (folder / file).exists()]
        if missing:
            raise FileNotFoundError(", ".join(missing))
        self.text_width = text_width
        self.context_width = context_width
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.sessions = {
            file: onnxruntime.InferenceSession(
                str(folder / file), providers=["CPUExecutionProvider"]
            )
            for file in GRAPHS
        }

    def generate(self, prompt: str, *, duration_sec: float, steps: int) -> Array:
        """Generate mono audio (samples,) at 44.1 kHz."""
        text, text_mask = self.encode_text(prompt)
        empty, empty_mask = self.encode_text("")
        context = self.encode_context(text, text_mask)
        other_context = self.encode_context(empty, empty_mask)
        frames = max(1, math.ceil(np.float32(duration_sec * SAMPLE_RATE / SAMPLES_PER_FRAME)))
        shape = (1, CHANNELS, HEIGHT, frames)
        latents = np.random.default_rng(42).standard_normal(shape, dtype=np.float32)
        sigmas = _sigmas(steps)
        for sigma, following in zip(sigmas, [*sigmas[1:], np.float32(0)], strict=True):
            timestep = np.float32(sigma * 1000)
            conditional = self.predict_noise(latents, timestep, *context)
            unconditional = self.predict_noise(latents, timestep, *other_context)
            guided = unconditional + np.float32(_GUIDANCE) * (conditional - unconditional)
            latents = latents + guided * (following - sigma)
        return self.synthesize(self.decode(latents))

    def encode_text(self, prompt: str) -> tuple[Array, Array]:
        """Give states (1, tokens, text_width) and mask (1, tokens)."""
        encoding = self.tokenizer.encode(prompt)
        ids = np.array([encoding.ids[:MAX_TOKENS]], np.int64)
        mask = np.array([encoding.attention_mask[:MAX_TOKENS]], np.int64)
        states = self._by_position("text_encoder.onnx", ids, mask)
        return _expect(states, np.float32, (1, ids.shape[1], self.text_width)), mask

    def encode_context(self, text: Array, text_mask: Array) -> tuple[Array, Array]:
        """Give the context (batch, tokens, context_width) and its mask, for no speaker or lyric."""
        batch, tokens, _ = text.shape
        answers = self._by_name(
            "transformer_encoder.onnx",
            encoder_text_hidden_states=text.reshape(batch, tokens, self.text_width),
            text_attention_mask=text_mask,
            speaker_embeds=np.zeros((batch, SPEAKER_WIDTH), np.float32),
            lyric_token_idx=np.zeros((batch, 1), np.int64),
            lyric_mask=np.zeros((batch, 1), np.int64),
        )
        length = 1 + tokens + 1
        context = answers["encoder_hidden_states"]
        mask = answers["encoder_hidden_mask"]
        return (
            _expect(context, np.float32, (batch, length, self.context_width)),
            _expect(mask, np.float32, (batch, length)),
        )

    def predict_noise(
        self, latents: Array, timestep: np.float32, context: Array, context_mask: Array
    ) -> Array:
        """Give the velocity (1, 8, 16, frames)."""
        batch, _, _, frames = latents.shape
        answers = self._by_name(
            "transformer_decoder.onnx",
            hidden_states=latents.astype(np.float32),
            attention_mask=np.ones((batch, frames), np.float32),
            encoder_hidden_states=context,
            encoder_hidden_mask=context_mask,
            timestep=np.array([timestep], np.float32),
        )
        return _expect(answers["sample"], np.float32, latents.shape)

    def decode(self, latents: Array) -> Array:
        """Give mel (1, 128, 8 * frames) of the first channel, in pieces of 128 frames.

        The last piece is filled up with zeros, and its mel cut in proportion.
        """
        frames = latents.shape[-1]
        pieces = []
        for start in range(0, frames, CHUNK_FRAMES):
            part = latents[..., start : start + CHUNK_FRAMES]
            padded = np.zeros((1, CHANNELS, HEIGHT, CHUNK_FRAMES), np.float32)
            padded[..., : part.shape[-1]] = part
            mel = self._by_name("dcae_decoder.onnx", latents=padded)["mel_spectrogram"]
            _expect(mel, np.float32, (1, 2, 128, 8 * CHUNK_FRAMES))
            # The first so many numbers of the answer, which are its first channel.
            first = mel.reshape(-1)[: mel.shape[2] * mel.shape[3]].reshape(1, *mel.shape[2:])
            pieces.append(first[..., : first.shape[-1] * part.shape[-1] // CHUNK_FRAMES])
        return np.concatenate(pieces, axis=2)

    def synthesize(self, mel: Array) -> Array:
        """Give the waveform, whatever its axes, as (samples,)."""
        waveform = self._by_position("vocoder.onnx", mel)
        if waveform.dtype != np.float32:
            raise TypeError(f"the vocoder answers {waveform.dtype}")
        return waveform.reshape(-1)

    def _by_position(self, file: str, *arrays: Array) -> Array:
        """Feed the graph's first inputs in its own order; take its first output."""
        session = self.sessions[file]
        names = [value.name for value in session.get_inputs()][: len(arrays)]
        answers: list[Array] = session.run(None, dict(zip(names, arrays, strict=True)))
        return answers[0]

    def _by_name(self, file: str, **arrays: Array) -> dict[str, Array]:
        """Feed inputs by name; every output is worked out, and found by its name."""
        session = self.sessions[file]
        names = [value.name for value in session.get_outputs()]
        return dict(zip(names, session.run(None, arrays), strict=True))


def _expect(array: Array, dtype: type, shape: tuple[int, ...]) -> Array:
    """Refuse what the daemon would refuse: another type, or another number of axes."""
    if array.dtype != dtype or array.shape != shape:
        raise TypeError(f"{array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}")
    return array


def _sigmas(steps: int) -> list[np.float32]:
    times = [1 - step / steps for step in range(steps)]
    return [np.float32(_SHIFT * time / (1 + (_SHIFT - 1) * time)) for time in times]
