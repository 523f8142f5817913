"""The `ace_step` backend: a bundle's ONNX graphs behind the Backend protocol.

Text and lyrics are encoded once, twice over where anything is guided: as asked (row 0), and as what
guidance steers away from (row 1), see `pipeline.erg`. Entropy-rectified guidance, the reference's
default beside APG, is on where the bundle's graphs can weaken their queries; older bundles are
guided away from the empty prompt. A guided step asks the decoder for both rows in one call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lofi_runtime.backend import Audio, Progress, Request
from lofi_runtime.bundle import GRAPHS, LYRIC_VOCABULARY, Bundle
from lofi_runtime.dcae import SessionDcae
from lofi_runtime.decoder import MAX_KEY_VALUE_BYTES, WHOLE, Conditioning, Context, Decoder
from lofi_runtime.devices import CPU as CPU_DEVICE
from lofi_runtime.devices import NAMES
from lofi_runtime.editing import edit_in_frames, read_source
from lofi_runtime.errors import BackendError
from lofi_runtime.pipeline.decode import decode_latents
from lofi_runtime.pipeline.denoise import DenoiseSettings, denoise
from lofi_runtime.pipeline.edit_latents import edit_latents, edit_noise
from lofi_runtime.pipeline.erg import FULL_ERG, QUERY_SCALE, QUERY_SCALE_INPUT, Erg
from lofi_runtime.pipeline.lyrics import NO_LYRICS, LyricTokenizer, is_instrumental
from lofi_runtime.pipeline.master import master
from lofi_runtime.pipeline.noise import starting_noise
from lofi_runtime.pipeline.text import TextTokenizer
from lofi_runtime.sessions import CPU, Sessions

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

TEXT, ENCODER = "text_encoder.onnx", "transformer_encoder.onnx"
_AGAIN = "pull it again"
PLAIN: Mapping[str, Floats] = {}
WEAK: Mapping[str, Floats] = {QUERY_SCALE_INPUT: np.array([QUERY_SCALE], np.float32)}


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
        erg: which parts guidance weakens, as far as the bundle's graphs can.
        max_key_value_bytes: see `decoder.Decoder`.
        sessions: over the same bundle, where a caller has its own; `threads` and `providers` are
            theirs then.

    Raises:
        BackendError: the installed ONNX Runtime is too old for the bundle.
    """

    type = "ace_step"

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int = 0,
        providers: Sequence[str] = (CPU,),
        erg: Erg = FULL_ERG,
        max_key_value_bytes: int = MAX_KEY_VALUE_BYTES,
        sessions: Sessions | None = None,
    ) -> None:
        self.name = f"ACE-Step ({bundle.name})"
        self.model_version = f"{bundle.name} {bundle.version}"
        self.min_duration_sec = bundle.config.min_duration_sec
        self.max_duration_sec = bundle.config.max_duration_sec
        self._bundle = bundle
        self._config = bundle.config
        self._sessions = sessions or Sessions(bundle, threads=threads, providers=providers)
        self._decoder = Decoder(bundle, self._sessions, max_key_value_bytes)
        self._erg = erg
        self._is_loaded = False

    @property
    def device(self) -> str:
        """What it computes on, see `devices.DEVICES`."""
        return NAMES.get(self._sessions.provider, CPU_DEVICE)

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
        files = [file for graph in GRAPHS for file in self._in_use(graph)]
        total = 1 + len(files)
        progress("load", 0, total)
        _ = self._text_tokenizer, self._lyric_tokenizer
        self._sessions.load(files, lambda done: progress("load", 1 + done, total))
        self._bundle.check_unchanged()
        self._is_loaded = True

    def generate(self, request: Request, progress: Progress) -> Audio:
        """Make the sound; the same request gives the same samples on the same machine.

        `progress` hears "encode", "denoise", "decode" and "master", before each step of each, and
        "load" where this context needs the decoder's other form.

        Raises:
            BackendError: the duration is out of range, or a graph could not be loaded or run, or
                gave values that are not numbers.
            BundleError: a verified bundle was changed before it was loaded.
            GenerationCancelled: `progress` said so.
        """
        self._check_duration(request.duration_sec)
        denoised = self.latents(request, progress)
        latents = denoised.latents
        waveform = decode_latents(
            latents,
            SessionDcae(self._sessions),
            lambda mel: self._sessions.run("vocoder.onnx", mel)[0],
            samples_per_latent=self._config.samples_per_latent,
            mel_frames_per_latent=self._config.mel_frames_per_latent,
            on_piece=lambda done, total: progress("decode", done, total),
        )
        progress("master", 0, 1)
        audio = master(waveform, self._config.sample_rate, request.duration_sec)
        return Audio(audio.samples, denoised.warnings + audio.warnings, latents)

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
        text_warnings = self._text_warnings(request.prompt)
        lyric_ids, lyric_warnings = self._lyric_ids(request.lyrics)
        context = self._encode(request.prompt, lyric_ids, is_guided=settings.is_guided)
        conditioning = self._decoder.prepare(context, lambda: progress("load", 0, 1))
        latents = self._denoise(request, settings, conditioning, progress)
        return Denoised(latents, text_warnings + lyric_warnings)

    def _in_use(self, graph: str) -> tuple[str, ...]:
        """Name the files that do a required graph's work."""
        return self._decoder.files if graph == WHOLE else (graph,)

    def _check_duration(self, duration_sec: int) -> None:
        if not self.min_duration_sec <= duration_sec <= self.max_duration_sec:
            raise BackendError(
                f"duration_sec: {duration_sec} is outside {self.min_duration_sec} to"
                f" {self.max_duration_sec}, the range of {self.name}"
            )

    def _text_warnings(self, prompt: str) -> tuple[str, ...]:
        count, most = self._text_tokenizer.count(prompt), self._config.max_text_tokens
        return (f"prompt cut: {count} tokens, this model takes {most}",) if count > most else ()

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

    def _encode(self, prompt: str, lyric_ids: list[int], *, is_guided: bool) -> Context:
        """Encode the request (row 0) and, where it is guided, the weaker twin (row 1)."""
        ids, mask = self._text_tokenizer.encode([prompt])
        text = self._sessions.run(TEXT, ids, mask)[0]
        lyrics = np.array([lyric_ids], np.int64)
        # The reference gives an instrumental's one lyric token a mask of 0.
        masks = mask, np.full_like(lyrics, lyric_ids != NO_LYRICS)
        asked = self._context(text, lyrics, masks)
        if not is_guided:
            return Context(*asked)
        if self._erg.lyric and self._weakens(ENCODER):
            weak = self._context(self._weak_text(ids, mask, text), lyrics, masks, WEAK)
        else:
            weak = self._context(np.zeros_like(text), np.zeros_like(lyrics), masks)
        states, mask_of_both = (np.concatenate(rows) for rows in zip(asked, weak, strict=True))
        scale = np.array([1.0, QUERY_SCALE], np.float32) if self._erg.diffusion else None
        return Context(states, mask_of_both, scale)

    def _weak_text(self, ids: Ids, mask: Ids, text: Floats) -> Floats:
        """Read the prompt with scaled queries, or give zeros shaped like `text`."""
        if self._erg.text and self._weakens(TEXT):
            return self._sessions.run(TEXT, ids, mask, optional=WEAK)[0]
        return np.zeros_like(text)

    def _context(
        self,
        text: Floats,
        lyrics: Ids,
        masks: tuple[Ids, Ids],
        optional: Mapping[str, Floats] = PLAIN,
    ) -> tuple[Floats, Floats]:
        """Encode one row, without a speaker, to states and mask."""
        speaker = np.zeros((1, self._config.speaker_width), np.float32)
        states, mask = self._sessions.run(
            ENCODER, text, masks[0], speaker, lyrics, masks[1], optional=optional
        )
        return states, mask

    def _weakens(self, file: str) -> bool:
        return self._sessions.offers(file, QUERY_SCALE_INPUT)

    def _denoise(
        self,
        request: Request,
        settings: DenoiseSettings,
        conditioning: Conditioning,
        progress: Progress,
    ) -> Floats:
        # An unguided step reads as it was asked: the first row's scale is 1.
        plain = replace(conditioning.first(1), query_scale=None)
        guided = conditioning if settings.is_guided else None

        def on_step(done: int, total: int) -> None:
            progress("denoise", done, total)

        if request.edit is not None:
            edit = edit_in_frames(request.edit, request.duration_sec, self._config)
            source = read_source(request.edit, self._config)
            seed = request.edit["source_seed"]
            noise = edit_noise(edit, source.shape, seed=request.seed, source_seed=seed)
            return edit_latents(
                self._decoder.velocity,
                edit,
                source,
                noise,
                plain,
                guided,
                settings=settings,
                max_frames=self._config.frames(self.max_duration_sec),
                on_step=on_step,
            )
        shape = (
            1,
            self._config.latent_channels,
            self._config.latent_height,
            self._config.frames(request.duration_sec),
        )
        return denoise(
            self._decoder.velocity,
            starting_noise(request.seed, shape),
            plain,
            guided,
            settings=settings,
            seed=request.seed,
            on_step=on_step,
        )

    @cached_property
    def _text_tokenizer(self) -> TextTokenizer:
        file = "tokenizer.json"
        try:
            return TextTokenizer(self._text_of(file), max_tokens=self._config.max_text_tokens)
        except ValueError as error:
            raise BackendError(f"{self._bundle.path(file)}: {error}", hint=_AGAIN) from error

    @cached_property
    def _lyric_tokenizer(self) -> LyricTokenizer | None:
        """None where the bundle has no vocabulary."""
        if not self._bundle.has_lyrics:
            return None
        try:
            return LyricTokenizer(self._text_of(LYRIC_VOCABULARY))
        except ValueError as error:
            path = self._bundle.path(LYRIC_VOCABULARY)
            raise BackendError(f"{path}: {error}", hint=_AGAIN) from error

    def _text_of(self, file: str) -> str:
        path = self._bundle.path(file)
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BackendError(f"{path}: unreadable ({error})", hint=_AGAIN) from error
