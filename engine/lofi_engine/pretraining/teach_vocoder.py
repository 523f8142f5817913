"""Teaches the vocoder: log-mel to sound.

Spectra at several resolutions say whether it sounds alike; phases are its own. From a stated step
on, discriminators judge too (Kong et al., "HiFi-GAN", 2020).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from lofi_engine.models.ace_step_v1.dcae import SAMPLE_RATE
from lofi_engine.models.ace_step_v1.vocoder import Vocoder
from lofi_engine.pretraining.discriminators import Discriminators
from lofi_engine.pretraining.judging import JudgeWeights, judge_sound
from lofi_engine.pretraining.loop import Loop, Teaching
from lofi_engine.pretraining.spectral_loss import SpectralLoss
from lofi_engine.pretraining.tracks import HOP, TrackSet

_MARGIN = 4
"""Mel frames at both ends of a window that are heard and not judged: their neighbours are not."""
_MEL = 2.0
_WEIGHTS = JudgeWeights(judged=0.3, features=1.0)


def teach_vocoder(
    vocoder: Vocoder,
    tracks: TrackSet,
    teaching: Teaching,
) -> None:
    """Teach a vocoder in place; it goes on from its checkpoint.

    Raises:
        StageError: see `Loop.run`.
    """
    settings = teaching.settings
    frames = round(settings.window_sec * SAMPLE_RATE / HOP) + 2 * _MARGIN
    taught = nn.ModuleDict({"backbone": vocoder.backbone, "head": vocoder.head})
    judges = Discriminators() if settings.adversarial_from else None
    helpers = {"judges": judges} if judges else None
    loop = Loop("vocoder", {"vocoder": taught}, teaching, helpers)
    spectral = SpectralLoss().to(loop.device)
    vocoder.train().to(loop.device)

    def step(number: int) -> Mapping[str, float]:
        windows = tracks.sound_windows(settings.batch_size, frames, _MARGIN, loop.draws)
        mel, sound = (one.to(loop.device) for one in windows)
        with loop.arithmetic():
            made = vocoder(mel)[:, 0].float()
        made = made[:, HOP * _MARGIN : -HOP * _MARGIN]
        losses: dict[str, float] = {}
        total = _heard(vocoder, spectral, made, sound, losses)
        if judges is not None and number >= settings.adversarial_from:
            total = total + judge_sound(loop, judges, made, sound, losses, _WEIGHTS)
        loop.take_step(total, 2.0)
        return losses

    loop.run(step)
    vocoder.eval().to("cpu")


def _heard(
    vocoder: Vocoder, spectral: SpectralLoss, made: Tensor, sound: Tensor, losses: dict[str, float]
) -> Tensor:
    spectra = spectral(made, sound)
    mel = F.l1_loss(vocoder.mel_transform(made), vocoder.mel_transform(sound))
    losses |= {"spectra": spectra.item(), "log_mel": mel.item()}
    total: Tensor = spectra + _MEL * mel
    return total
