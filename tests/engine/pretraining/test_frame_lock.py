"""What repeats with every mel frame is told from what does not."""

from __future__ import annotations

import math

import torch

from lofi_engine.pretraining.frame_lock import frame_lock

HOP, FRAMES = 512, 32
RATE = 44_100


def _noise(seed=0):
    return torch.randn(4, HOP * FRAMES, generator=torch.Generator().manual_seed(seed))


def _tone(frequency_hz):
    time_sec = torch.arange(HOP * FRAMES) / RATE
    return torch.sin(2 * math.pi * frequency_hz * time_sec).repeat(4, 1) + 0.01 * _noise(9)


def test_noise_and_a_tone_between_lines_are_not_locked():
    assert frame_lock(_noise(1), _noise(2), HOP) < 0.25
    assert frame_lock(_tone(440.0), _tone(440.0), HOP) == 0.0


def test_a_sound_that_repeats_with_every_frame_is_nearly_as_locked_as_can_be():
    buzz = _noise()[:, :HOP].repeat(1, FRAMES)
    found = frame_lock(buzz, _noise(1), HOP)
    assert found > 0.9 * 2 * math.log(FRAMES)
    assert frame_lock(buzz, buzz, HOP) == 0.0


def test_loudness_that_swings_with_every_frame_is_heard_though_the_sound_does_not_repeat():
    swing = 1 + 0.5 * torch.cos(2 * math.pi * torch.arange(HOP * FRAMES) / HOP)
    assert frame_lock(swing * _noise(1), _noise(2), HOP) > 1.5


def test_its_gradient_leads_away_from_the_lock():
    buzz = (_noise()[:, :HOP].repeat(1, FRAMES) + 0.3 * _noise(3)).requires_grad_(True)
    before = frame_lock(buzz, _noise(1), HOP)
    (gradient,) = torch.autograd.grad(before, buzz)
    after = frame_lock(buzz - 3e3 * gradient, _noise(1), HOP)
    assert after < before


def test_silence_gives_a_number():
    silence = torch.zeros(2, HOP * FRAMES)
    assert torch.isfinite(frame_lock(silence, silence, HOP))
