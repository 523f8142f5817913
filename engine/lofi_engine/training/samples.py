"""Clips rendered while training, so that one hears what the loss does not say.

A fixed suite of prompts with one seed: the base's clips once, then the adapter's at every round,
through the runtime's own denoising loop. Rendering leaves training as it was: no random state
moves, and the transformer goes back to the mode and the adapter it had.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.training.checkpoints import name_of
from lofi_engine.training.sample_prompts import (
    INFERENCE_STEPS,
    LYRICS,
    SEED,
    SamplePrompt,
    choose_prompts,
)
from lofi_engine.training.sample_record import BASE, RECORD, Clip, SampleRecord, read_record
from lofi_runtime.atomic import replacing, write_json, write_text

if TYPE_CHECKING:
    import torch
    from peft import PeftModel

    from lofi_engine.models.family import Base
    from lofi_runtime.backend import Audio

PROMPT = "lofi hip hop, chill, piano, 80 bpm, vinyl crackle, late night, instrumental"
LICENSE = "unpublished"

OnClip = Callable[[int, int, str], None]
"""`on_clip(done, total, style)` before each clip."""


def ignore_clip(_done: int, _total: int, _style: str) -> None:
    """Draw no progress."""


class SampleSuite:
    """Renders the suite into a folder that a browser can open at any time.

    The folder holds `index.html`, `samples.json`, and for "base" and each step a folder with a
    FLAC and a spectrogram a style. What an earlier start left there is gone on with.

    Args:
        base: its transformer carries the adapter.
        model: the PEFT model around that transformer.
        folder: where to; made where it is missing.
        style_ids: of every training track, see `choose_prompts`.
        duration_sec: of each clip.
        on_clip: told of each clip.
    """

    def __init__(
        self,
        base: Base,
        model: PeftModel,
        folder: Path,
        *,
        style_ids: Sequence[str],
        duration_sec: int,
        on_clip: OnClip = ignore_clip,
    ) -> None:
        self._base, self._model, self._folder = base, model, folder
        self._duration_sec = duration_sec
        self._on_clip = on_clip
        self._prompts = choose_prompts(style_ids, lyrics=_readable(base))

    def render(self, step: int) -> Path:
        """Render every prompt with the adapter as it is now, and first with the base if need be.

        Returns:
            The page.

        Raises:
            LofiError: the model gave no numbers, the disk is full, or the folder holds a page
                that is not ours.
            RuntimeError: no memory is left.
            OSError: the folder cannot be written.
        """
        from lofi_engine.training.sample_page import PAGE_NAME, check_page, write_page

        check_page(self._folder / PAGE_NAME)
        record = self._record()
        rounds = [name for name in (BASE,) if not self._is_there(record, BASE)] + [name_of(step)]
        total = len(rounds) * len(self._prompts)
        for number, name in enumerate(rounds):
            self._render_round(record, name, number * len(self._prompts), total)
            write_json(self._folder / RECORD, record.as_json())
        page = self._folder / PAGE_NAME
        write_text(page, write_page(record))
        return page

    def _record(self) -> SampleRecord:
        """Go on with the record of an earlier start, unless it asked for something else."""
        from lofi_engine.training.sample_guidance import guidance_of

        fresh = SampleRecord(
            base=self._base.identity,
            guidance=guidance_of(self._base),
            duration_sec=self._duration_sec,
            inference_steps=INFERENCE_STEPS,
            seed=SEED,
            prompts=self._prompts,
        )
        return read_record(self._folder / RECORD, fresh)

    def _is_there(self, record: SampleRecord, name: str) -> bool:
        files = (self._folder / clip.audio for clip in record.rounds.get(name, {}).values())
        return name in record.rounds and all(file.is_file() for file in files)

    def _render_round(self, record: SampleRecord, name: str, done: int, total: int) -> None:
        place = self._folder / name
        place.mkdir(parents=True, exist_ok=True)
        without = self._model.disable_adapter() if name == BASE else contextlib.nullcontext()
        made_by = self._base.identity + ("" if name == BASE else f" with an adapter at {name}")
        clips: dict[str, Clip] = {}
        with without, _at_rest(self._base) as device:
            for number, prompt in enumerate(self._prompts):
                self._on_clip(done + number, total, prompt.style)
                audio = _render(self._base, prompt, self._duration_sec, device)
                clips[prompt.style] = _write(place, prompt, audio, made_by)
        record.rounds[name] = {
            style: clip.beside(self._folder, record.rounds.get(BASE, clips)[style])
            for style, clip in clips.items()
        }


def render_prompt(
    base: Base, prompt: str, *, lyrics: str = "", seed: int = SEED, duration_sec: int, steps: int
) -> Audio:
    """Render a prompt with the transformer as it is now, as a player would from its bundle.

    Args:
        base: its transformer may carry an adapter; no random state moves.
        prompt: the tags.
        lyrics: "" for an instrumental.
        seed: of the starting noise.
        duration_sec: of the clip.
        steps: of denoising.

    Raises:
        StageError: there are lyrics, but the base has no lyric vocabulary.
        BackendError: the model gave values that are not numbers.
        RuntimeError: no memory is left.
    """
    with _at_rest(base) as device:
        return _sound(base, prompt, lyrics, seed, duration_sec, steps, device)


def _render(base: Base, prompt: SamplePrompt, duration_sec: int, device: torch.device) -> Audio:
    asked = (prompt.prompt, prompt.lyrics, SEED)
    return _sound(base, *asked, duration_sec, INFERENCE_STEPS, device)


def _sound(
    base: Base,
    prompt: str,
    lyrics: str,
    seed: int,
    duration_sec: int,
    steps: int,
    device: torch.device,
) -> Audio:
    import torch

    from lofi_engine.training.sample_guidance import ask
    from lofi_runtime.pipeline.denoise import DenoiseSettings, denoise
    from lofi_runtime.pipeline.master import master
    from lofi_runtime.pipeline.noise import starting_noise

    frames = -(-duration_sec * base.sample_rate // base.frame_samples)
    with torch.inference_mode():
        asked = ask(base, prompt, lyrics)
        latents = denoise(
            asked.velocity,
            starting_noise(seed, (1, 8, 16, frames)),
            asked.conditional,
            asked.guided,
            settings=DenoiseSettings(inference_steps=steps),
            seed=seed,
        )
        waveform = base.decode_audio(torch.from_numpy(latents).to(device))[0]
    return master(waveform, base.sample_rate, duration_sec)


@contextlib.contextmanager
def _at_rest(base: Base) -> Iterator[torch.device]:
    """Keep random states, and hold every network in evaluation on the transformer's device.

    Training keeps the networks that decode off the accelerator; there they are many times faster.
    """
    import torch
    from torch import nn

    device = next(base.transformer.parameters()).device
    was_training = base.transformer.training
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), base.whole():
        others: list[Any] = [
            part
            for part in vars(base).values()
            if isinstance(part, nn.Module) and part is not base.transformer
        ]
        base.transformer.eval()
        try:
            for part in others:
                part.to(device)
            yield device
        finally:
            base.transformer.train(was_training)
            for part in others:
                part.to("cpu")
            if device.type == "cuda":
                torch.cuda.empty_cache()


def _write(place: Path, prompt: SamplePrompt, audio: Audio, made_by: str) -> Clip:
    from lofi_engine.gallery.spectrogram import draw_spectrogram
    from lofi_runtime.audio_file import generated_tags, write_audio
    from lofi_runtime.backend import SAMPLE_RATE
    from lofi_runtime.faults import faults

    tags = generated_tags(model=made_by, license=LICENSE, title=prompt.prompt)
    sound, picture = place / f"{prompt.style}.flac", place / f"{prompt.style}.png"
    write_audio(sound, audio.samples, format="flac", tags=tags)
    with replacing(picture) as aside:
        draw_spectrogram(aside, audio.samples, SAMPLE_RATE)
    warnings = audio.warnings + faults(audio.samples)
    return Clip(f"{place.name}/{sound.name}", f"{place.name}/{picture.name}", 0.0, warnings)


def _readable(base: Base) -> str:
    """Give the suite's lyrics, or none where the base cannot read any."""
    try:
        base.lyric_ids(LYRICS)
    except StageError:
        return ""
    return LYRICS
