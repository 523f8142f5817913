"""Decoding in pieces, with stand-ins that look a known number of frames to either side."""

from __future__ import annotations

import numpy as np
import pytest

from lofi_runtime.errors import BackendError, GenerationCancelled
from lofi_runtime.pipeline.decode import decode_latents

SPL = 4096
BANDS = 128


def smoothed(values, reach):
    """Average over `reach` neighbours on either side of the last axis, zeros beyond the ends."""
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(reach, reach)])
    width = 2 * reach + 1
    kernel = (np.hanning(width + 2)[1:-1] / np.hanning(width + 2).sum()).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=-1)
    return windows @ kernel


def dcae(reach):
    """A local decoder: reach in latent frames."""

    def decode(latents):
        mixed = np.tanh(smoothed(latents, reach)).reshape(1, 2, 64, -1)
        return np.repeat(np.repeat(mixed, 2, axis=2), 8, axis=3)

    return decode


def vocoder(mel):
    """A local vocoder: 3 mel frames to either side; every band a tone whose phase is its place."""
    smooth = smoothed(mel, 3)[0]
    tones = np.sin(np.arange(BANDS)[:, None] * np.arange(512) / 80).astype(np.float32)
    return (smooth.T @ tones / 30).reshape(1, 1, -1).astype(np.float32)


def latents(frames):
    return np.random.default_rng(frames).normal(size=(1, 8, 16, frames)).astype(np.float32)


def level_db(error, signal):
    return 10 * np.log10(np.mean(error**2) / np.mean(signal**2) + 1e-30)


@pytest.mark.parametrize("frames", [1, 16, 17, 40, 100])
def test_pieces_equal_the_whole_where_the_decoder_sees_no_further_than_the_context(frames):
    z = latents(frames)
    whole = decode_latents(z, dcae(5), vocoder, piece_frames=1000)
    pieces = decode_latents(z, dcae(5), vocoder, piece_frames=16, context_frames=8)
    assert whole.shape == pieces.shape == (2, frames * SPL)
    assert level_db(pieces - whole, whole) < -120


def test_pieces_stay_below_60_db_where_the_decoder_sees_a_little_further():
    def far(z):
        return dcae(3)(z) + 1e-3 * dcae(12)(z)

    z = latents(70)
    whole = decode_latents(z, far, vocoder, piece_frames=1000)
    pieces = decode_latents(z, far, vocoder, piece_frames=16, context_frames=6)
    assert np.abs(pieces - whole).max() > 0
    assert level_db(pieces - whole, whole) < -60


def test_no_piece_is_longer_than_asked_whatever_the_length():
    longest = 0

    def watched(z):
        nonlocal longest
        longest = max(longest, z.shape[-1])
        return np.zeros((1, 2, BANDS, 8 * z.shape[-1]), np.float32)

    def silent(mel):
        return np.zeros(512 * mel.shape[-1], np.float32)

    for frames in (10, 129, 400, 2584):
        decode_latents(latents(frames), watched, silent, piece_frames=32, context_frames=4)
    assert longest == 40


def test_progress_comes_before_each_piece_and_may_stop_the_work():
    heard = []

    def stop(done, total):
        heard.append((done, total))
        if done == 2:
            raise GenerationCancelled("cancelled")

    with pytest.raises(GenerationCancelled):
        decode_latents(
            latents(40), dcae(1), vocoder, piece_frames=10, context_frames=2, on_piece=stop
        )
    assert heard == [(0, 4), (1, 4), (2, 4)]


def test_a_vocoder_of_another_hop_is_refused():
    with pytest.raises(BackendError, match="gave 20480 samples for 10 latent frames, 40960 expec"):
        decode_latents(latents(10), dcae(1), lambda mel: vocoder(mel)[..., ::2])
