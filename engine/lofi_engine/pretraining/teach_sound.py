"""Teaches the DCAE's decoder and the vocoder together: latents to sound.

A vocoder alone answers equal mel frames with equal sound: a steady tone becomes a buzz that repeats
with every frame, 86 times a second. The decoder makes eight mel frames of one latent frame and
knows them apart; taught together, it tells the vocoder what it needs to go on where the last frame
ended. The encoder stays as it is, and with it the latents.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lofi_engine.models.ace_step_v1.dcae import SAMPLE_RATE, SAMPLES_PER_FRAME, decode_latents
from lofi_engine.models.ace_step_v1.vocoder import Vocoder
from lofi_engine.pretraining.discriminators import RESOLUTIONS as SEEN
from lofi_engine.pretraining.discriminators import Discriminators
from lofi_engine.pretraining.frame_lock import frame_lock
from lofi_engine.pretraining.judging import JudgeWeights, judge_sound
from lofi_engine.pretraining.loop import Loop, Teaching
from lofi_engine.pretraining.spectral_loss import RESOLUTIONS, SpectralLoss
from lofi_engine.pretraining.tracks import FRAMES_PER_LATENT, HOP, TrackSet

_HEARD = ((128, 32), *RESOLUTIONS, (8192, 2048))
"""Windows shorter than a mel frame hear pulses in it, one of 16 frames hears lines at its rate."""
_JUDGES = (*SEEN, (4096, 1024))
_NOISE = 0.2
"""Deviation of the noise on the latents."""
_BORDER, _MARGIN = 2, 4
"""Latent frames at both ends that are decoded and not vocoded; mel frames that are vocoded and not
judged: their neighbours are not there."""
_MEL, _DECODED, _LOCK = 2.0, 0.5, 0.3
_WEIGHTS = JudgeWeights(judged=0.6, features=2.0)


def teach_sound(
    dcae: nn.Module,
    vocoder: Vocoder,
    tracks: TrackSet,
    latents: npt.NDArray[np.float16],
    teaching: Teaching,
) -> None:
    """Teach a finished DCAE's decoder and a finished vocoder in place.

    Args:
        dcae: its encoder is not touched.
        vocoder: taught.
        tracks: what is heard.
        latents: of the pieces that `tracks` begins with, (pieces, 8, 16, frames).
        teaching: how; it goes on from its checkpoint.

    Raises:
        StageError: see `Loop.run`.
    """
    settings = teaching.settings
    length = max(1, round(settings.window_sec * SAMPLE_RATE / SAMPLES_PER_FRAME))
    decoder = dcae.get_submodule("decoder")
    taught = nn.ModuleDict({"backbone": vocoder.backbone, "head": vocoder.head})
    judges = Discriminators(_JUDGES) if settings.adversarial_from else None
    helpers = {"judges": judges} if judges else None
    loop = Loop("sound", {"decoder": decoder, "vocoder": taught}, teaching, helpers)
    spectral = SpectralLoss(_HEARD).to(loop.device)
    vocoder.train().to(loop.device)
    decoder.train()

    def step(number: int) -> Mapping[str, float]:
        drawn = _windows(tracks, latents, settings.batch_size, length, loop.draws)
        given, sound = (one.to(loop.device) for one in drawn)
        given = given + _NOISE * torch.randn_like(given)
        with loop.arithmetic():
            mel, made = _sound(decoder, vocoder, given)
        losses: dict[str, float] = {}
        total = _heard(vocoder, spectral, (mel, made), sound, losses)
        if judges is not None and number >= settings.adversarial_from:
            channels = made.flatten(0, 1), sound.flatten(0, 1)
            total = total + judge_sound(loop, judges, *channels, losses, _WEIGHTS)
        loop.take_step(total, 2.0)
        return losses

    loop.run(step)
    vocoder.eval().to("cpu")
    decoder.eval()


def _windows(
    tracks: TrackSet,
    latents: npt.NDArray[np.float16],
    count: int,
    length: int,
    draws: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Draw latents (count, 8, 16, frames) and the sound of their middle (count, 2, samples)."""
    room = latents.shape[-1] - length - 2 * _BORDER
    given, heard = [], []
    for _ in range(count):
        place = int(torch.randint(len(tracks.pieces), (1,), generator=draws))
        start = int(torch.randint(room + 1, (1,), generator=draws))
        given.append(latents[place, ..., start : start + length + 2 * _BORDER])
        first = (start + _BORDER) * SAMPLES_PER_FRAME
        heard.append(tracks.sound_window(tracks.pieces[place], first, length * SAMPLES_PER_FRAME))
    return (
        torch.from_numpy(np.stack(given).astype(np.float32)),
        torch.from_numpy(np.stack(heard)),
    )


def _sound(decoder: nn.Module, vocoder: Vocoder, latents: Tensor) -> tuple[Tensor, Tensor]:
    """Give the log-mel (count, 2, 128, frames) of the middle, and its sound (count, 2, samples)."""
    mel = decode_latents(decoder, latents)
    cut = _BORDER * FRAMES_PER_LATENT
    wide = mel[..., cut - _MARGIN : mel.shape[-1] - cut + _MARGIN]
    made = vocoder(wide.flatten(0, 1))[:, 0].float()
    made = made[:, HOP * _MARGIN : -HOP * _MARGIN]
    return mel[..., cut:-cut].float(), made.unflatten(0, (-1, 2))


def _heard(
    vocoder: Vocoder,
    spectral: SpectralLoss,
    made: tuple[Tensor, Tensor],
    sound: Tensor,
    losses: dict[str, float],
) -> Tensor:
    """Compare left, right, middle and side, and both log-mels; and look for the frames' buzz."""
    mel, samples = made
    spectra = spectral(_four(samples), _four(sound))
    true_mel = vocoder.mel_transform(sound.flatten(0, 1))
    log_mel = F.l1_loss(vocoder.mel_transform(samples.flatten(0, 1)), true_mel)
    decoded = F.l1_loss(mel.flatten(0, 1), true_mel)
    # Held to mel frames alone, what repeats moves to latent frames, eight times as long.
    channels = samples.flatten(0, 1), sound.flatten(0, 1)
    lock = torch.stack([frame_lock(*channels, hop) for hop in (HOP, SAMPLES_PER_FRAME)]).sum()
    parts = {"spectra": spectra, "log_mel": log_mel, "decoded": decoded, "lock": lock}
    losses |= {name: part.item() for name, part in parts.items()}
    total: Tensor = spectra + _MEL * log_mel + _DECODED * decoded + _LOCK * lock
    return total


def _four(sound: Tensor) -> Tensor:
    """Turn (count, 2, samples) into (4 * count, samples): both channels, middle, side."""
    left, right = sound.unbind(1)
    return torch.cat([left, right, (left + right) / 2, (left - right) / 2])
