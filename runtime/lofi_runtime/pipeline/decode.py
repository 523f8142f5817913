"""Latents to a waveform, in overlapping pieces, so that memory does not grow with the length.

Every piece is decoded with some latent frames of its neighbours on either side, which are thrown
away again but for a short linear crossfade across the border. A decoder that looks no further than
`context_frames` gives what decoding the whole at once gives.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lofi_runtime.errors import BackendError

Floats = npt.NDArray[np.float32]

PIECE_FRAMES = 128
"""Latent frames a piece keeps; 12 s of audio."""
CONTEXT_FRAMES = 16
"""Latent frames decoded and thrown away on either side; 1.5 s."""


def ignore_piece(_done: int, _total: int) -> None:
    """Draw no progress."""


def decode_latents(
    latents: Floats,
    dcae: Callable[[Floats], Floats],
    vocoder: Callable[[Floats], Floats],
    *,
    samples_per_latent: int = 4096,
    piece_frames: int = PIECE_FRAMES,
    context_frames: int = CONTEXT_FRAMES,
    on_piece: Callable[[int, int], None] = ignore_piece,
) -> Floats:
    """Decode one track's latents to stereo.

    Args:
        latents: float32 (1, channels, height, frames).
        dcae: latents (1, channels, height, frames) -> log-mel (1, 2, bands, mel frames).
        vocoder: log-mel (1, bands, mel frames) -> waveform, one value a sample, of any shape;
            called for one channel at a time.
        samples_per_latent: samples for one latent frame.
        piece_frames: latent frames a piece keeps, at least 1.
        context_frames: latent frames of context on either side, at least 1.
        on_piece: `on_piece(done, total)` before each piece; what it raises ends the work.

    Returns:
        float32 (2, frames * samples_per_latent) at the vocoder's sample rate.

    Raises:
        BackendError: the networks give a length that does not fit their input.
    """
    total_frames = latents.shape[-1]
    borders = _borders(total_frames, piece_frames)
    waveform = np.zeros((2, total_frames * samples_per_latent), np.float32)
    half_fade = samples_per_latent // 2
    count = len(borders) - 1
    for piece in range(count):
        on_piece(piece, count)
        first = max(borders[piece] - context_frames, 0)
        last = min(borders[piece + 1] + context_frames, total_frames)
        decoded = _decode_piece(latents[..., first:last], dcae, vocoder, samples_per_latent)
        is_first, is_last = piece == 0, piece == count - 1
        start = borders[piece] * samples_per_latent - (0 if is_first else half_fade)
        end = borders[piece + 1] * samples_per_latent + (0 if is_last else half_fade)
        offset = first * samples_per_latent
        kept = decoded[:, start - offset : end - offset]
        waveform[:, start:end] += _faded(kept, 2 * half_fade, not is_first, not is_last)
    return waveform


def _borders(frames: int, piece_frames: int) -> list[int]:
    """Cut `frames` into as few pieces as needed, all of about one length."""
    count = -(-frames // piece_frames)
    return [round(piece * frames / count) for piece in range(count + 1)]


def _decode_piece(
    latents: Floats,
    dcae: Callable[[Floats], Floats],
    vocoder: Callable[[Floats], Floats],
    samples_per_latent: int,
) -> Floats:
    mel = dcae(latents)
    expected = latents.shape[-1] * samples_per_latent
    channels = [vocoder(mel[:, channel]).reshape(-1) for channel in (0, 1)]
    for channel in channels:
        if channel.size != expected:
            raise BackendError(
                f"the vocoder gave {channel.size} samples for {latents.shape[-1]} latent frames,"
                f" {expected} expected",
                hint="the bundle's graphs do not belong together",
            )
    return np.stack(channels)


def _faded(samples: Floats, length: int, fade_in: bool, fade_out: bool) -> Floats:
    """Fade ends linearly; two such ends laid over each other add up to one."""
    ramp = ((np.arange(length) + 0.5) / length).astype(np.float32)
    faded = samples.copy()
    if fade_in:
        faded[:, :length] *= ramp
    if fade_out:
        faded[:, -length:] *= ramp[::-1]
    return faded
