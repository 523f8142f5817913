"""The `ace_step` backend: a bundle's ONNX graphs behind the Backend protocol.

Text and lyrics are encoded once, twice over: as asked, and as the reference's empty prompt (zero
text states and zero lyric ids under the same masks). A guided step asks the decoder for both in one
call. Entropy-rectified guidance, the reference's default beside APG, is not supported yet: it needs
graphs with a temperature input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lofi_runtime.backend import Audio, Progress, Request
from lofi_runtime.bundle import GRAPHS, LYRIC_VOCABULARY, Bundle
from lofi_runtime.errors import BackendError
from lofi_runtime.pipeline.decode import decode_latents
from lofi_runtime.pipeline.denoise import DenoiseSettings, denoise
from lofi_runtime.pipeline.lyrics import NO_LYRICS, LyricTokenizer, is_instrumental
from lofi_runtime.pipeline.master import master
from lofi_runtime.pipeline.noise import starting_noise
from lofi_runtime.pipeline.text import TextTokenizer
from lofi_runtime.sessions import CPU, Sessions

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Context:
    """What the decoder attends to: states (rows, tokens, width) and mask (rows, tokens)."""

    states: Floats
    mask: Floats


@dataclass(frozen=True)
class Denoised:
    """Final latents (1, channels, height, frames) and what a listener should know of them."""

    latents: Floats
    warnings: tuple[str, ...]


class AceStepBackend:
    """Generates with ACE-Step from a bundle.

    `load` reads everything at once, right after the bundle was checked; a verified bundle is never
    used without it. Of another one that nobody loaded, each graph is loaded when first needed: who
    wants latents alone need not hold the vocoder.

    A request's style is not read here: whoever takes requests writes it into the prompt.

    Args:
        bundle: opened, see `bundle.open_bundle`.
        threads: for one graph; 0 lets ONNX Runtime choose.
        providers: ONNX Runtime execution providers, best first.

    Raises:
        BackendError: the installed ONNX Runtime is too old for the bundle.
    """

    type = "ace_step"

    def __init__(
        self, bundle: Bundle, *, threads: int = 0, providers: Sequence[str] = (CPU,)
    ) -> None:
        self.name = f"ACE-Step ({bundle.name})"
        self.model_version = f"{bundle.name} {bundle.version}"
        self.min_duration_sec = bundle.config.min_duration_sec
        self.max_duration_sec = bundle.config.max_duration_sec
        self._bundle = bundle
        self._config = bundle.config
        self._sessions = Sessions(bundle, threads=threads, providers=providers)
        self._is_loaded = False

    def load(self, progress: Progress = lambda *_: None) -> None:
        """Load tokenizers and graphs; does nothing the second time.

        `progress` hears "load" before each.

        Raises:
            BackendError: a file cannot be loaded, or a graph's inputs are not the manifest's.
            BundleError: a file was changed since the bundle was opened.
            GenerationCancelled: `progress` said so.
        """
        if self._is_loaded:
            return
        total = 1 + len(GRAPHS)
        progress("load", 0, total)
        _ = self._text_tokenizer, self._lyric_tokenizer
        self._sessions.load(lambda done: progress("load", 1 + done, total))
        self._bundle.check_unchanged()
        self._is_loaded = True

    def generate(self, request: Request, progress: Progress) -> Audio:
        """Make the sound; the same request gives the same samples on the same machine.

        `progress` hears "encode", "denoise", "decode" and "master", before each step of each.

        Raises:
            BackendError: a graph could not be loaded or run, or gave values that are not numbers.
            BundleError: a verified bundle was changed before it was loaded.
            GenerationCancelled: `progress` said so.
        """
        denoised = self.latents(request, progress)
        waveform = decode_latents(
            denoised.latents,
            lambda part: self._sessions.run("dcae_decoder.onnx", part)[0],
            lambda mel: self._sessions.run("vocoder.onnx", mel)[0],
            samples_per_latent=self._config.samples_per_latent,
            on_piece=lambda done, total: progress("decode", done, total),
        )
        progress("master", 0, 1)
        audio = master(waveform, self._config.sample_rate, request.duration_sec)
        return Audio(audio.samples, denoised.warnings + audio.warnings)

    def latents(self, request: Request, progress: Progress) -> Denoised:
        """Make the latents only: the stages "encode" and "denoise" of `generate`.

        Raises:
            BackendError: a graph could not be loaded or run.
            BundleError: a verified bundle was changed before it was loaded.
            GenerationCancelled: `progress` said so.
        """
        if self._bundle.verified:
            self.load()
        settings = DenoiseSettings(
            inference_steps=request.inference_steps,
            scheduler=request.scheduler,
            guidance_scale=request.guidance_scale,
            shift=self._config.shift,
        )
        progress("encode", 0, 1)
        lyric_ids, warnings = self._lyric_ids(request.lyrics)
        both = self._encode(request.prompt, lyric_ids)
        return Denoised(self._denoise(request, settings, both, progress), warnings)

    def _lyric_ids(self, lyrics: str) -> tuple[list[int], tuple[str, ...]]:
        """Tokenize lyrics as far as this bundle can, and say what is lost."""
        if is_instrumental(lyrics):
            return list(NO_LYRICS), ()
        tokenizer = self._lyric_tokenizer
        if tokenizer is None:
            return list(NO_LYRICS), ("lyrics ignored: this model has no lyric vocabulary",)
        ids, warnings = tokenizer.encode(lyrics), tokenizer.warnings(lyrics)
        most = self._config.max_lyric_tokens
        if len(ids) > most:
            warnings += (f"lyrics cut: {len(ids)} tokens, this model takes {most}",)
        return ids[:most], warnings

    def _encode(self, prompt: str, lyric_ids: list[int]) -> Context:
        """Encode the request (row 0) and its empty twin (row 1)."""
        ids, mask = self._text_tokenizer.encode([prompt])
        text = self._sessions.run("text_encoder.onnx", ids, mask)[0]
        lyrics = np.array([lyric_ids], np.int64)
        # The reference gives an instrumental's one lyric token a mask of 0.
        lyric_mask = np.full_like(lyrics, lyric_ids != NO_LYRICS)
        rows = [
            self._sessions.run(
                "transformer_encoder.onnx",
                states,
                mask,
                np.zeros((1, self._config.speaker_width), np.float32),
                tokens,
                lyric_mask,
            )
            for states, tokens in ((text, lyrics), (np.zeros_like(text), np.zeros_like(lyrics)))
        ]
        return Context(*(np.concatenate(parts) for parts in zip(*rows, strict=True)))

    def _denoise(
        self, request: Request, settings: DenoiseSettings, both: Context, progress: Progress
    ) -> Floats:
        shape = (
            1,
            self._config.latent_channels,
            self._config.latent_height,
            self._config.frames(request.duration_sec),
        )
        return denoise(
            self._velocity,
            starting_noise(request.seed, shape),
            Context(both.states[:1], both.mask[:1]),
            both if settings.is_guided else None,
            settings=settings,
            seed=request.seed,
            on_step=lambda done, total: progress("denoise", done, total),
        )

    def _velocity(self, latents: Floats, timestep: Floats, context: Context) -> Floats:
        """Ask the decoder; the contract's timestep is one value for all rows.

        A foreign bundle may come from an export that takes one row at a time.
        """
        every_frame = np.ones((len(latents), latents.shape[-1]), np.float32)
        inputs = (latents, every_frame, context.states, context.mask)
        at_once = 1 if self._bundle.is_foreign else len(latents)
        answers = [
            self._sessions.run(
                "transformer_decoder.onnx",
                *(value[row : row + at_once] for value in inputs),
                timestep[:1],
            )[0]
            for row in range(0, len(latents), at_once)
        ]
        return np.concatenate(answers)

    @cached_property
    def _text_tokenizer(self) -> TextTokenizer:
        file = "tokenizer.json"
        try:
            return TextTokenizer(self._text_of(file), max_tokens=self._config.max_text_tokens)
        except ValueError as error:
            raise BackendError(f"{self._bundle.path(file)}: {error}") from error

    @cached_property
    def _lyric_tokenizer(self) -> LyricTokenizer | None:
        """None where the bundle has no vocabulary."""
        if not self._bundle.has_lyrics:
            return None
        try:
            return LyricTokenizer(self._text_of(LYRIC_VOCABULARY))
        except ValueError as error:
            raise BackendError(f"{self._bundle.path(LYRIC_VOCABULARY)}: {error}") from error

    def _text_of(self, file: str) -> str:
        path = self._bundle.path(file)
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BackendError(f"{path}: unreadable ({error})", hint="pull it again") from error
