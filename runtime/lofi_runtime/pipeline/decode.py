"""Latents to a waveform in overlapping pieces, so that memory does not grow with the length.

Latents become log-mel, and log-mel the waveform; each network is shown one piece at a time, with
some frames of its neighbours on either side. What comes of those is thrown away but for a short
linear crossfade across the border. A network that looks no further than that context gives what it
gives of the whole at once.

The DCAE does look further: its attention is linear over all frames of the track. But all it keeps
of them is a sum, so each piece is counted first, one pass over the pieces for each attention, and
then decoded knowing the sums of the whole track (Katharopoulos et al., "Transformers are RNNs",
2020).

What grows with the length is the result, and its log-mel, a quarter of its size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lofi_runtime.errors import BackendError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Overlap:
    """How a track is cut.

    Args:
        piece_frames: frames a piece keeps, at least 1.
        context_frames: frames shown and thrown away on either side, at least `fade_frames / 2`.
            A piece is exact if they are what the network sees, and half the fade.
        fade_frames: frames across a border over which one piece gives way to the next, at most
            `piece_frames / 2`.
    """

    piece_frames: int
    context_frames: int
    fade_frames: int


DCAE_OVERLAP = Overlap(piece_frames=128, context_frames=17, fade_frames=1)
"""In latent frames, 93 ms each. The published DCAE's convolutions look 16.25 to either side."""
VOCODER_OVERLAP = Overlap(piece_frames=1024, context_frames=96, fade_frames=8)
"""In mel frames, 12 ms each. The published vocoder looks 90.6 to either side."""


class Dcae(Protocol):
    """The DCAE's decoder, and the sums its attentions keep of the frames they have seen.

    Sums are float32 arrays of one shape; whoever adds them up need not know which.
    """

    @property
    def attentions(self) -> int:
        """How many attentions look at the whole track and can be told of it; 0 where none."""
        ...

    def count(
        self, latents: Floats, own_frames: tuple[int, int], known: Sequence[Floats]
    ) -> Floats:
        """Sum what attention number `len(known)` keeps of some frames.

        Args:
            latents: (1, channels, height, frames).
            own_frames: the first frame to sum over, and the first after those.
            known: the whole track's sums of the attentions before.
        """
        ...

    def decode(self, latents: Floats, known: Sequence[Floats]) -> Floats:
        """Decode to log-mel (1, 2, bands, mel frames).

        Args:
            latents: (1, channels, height, frames).
            known: the whole track's sums of every attention; none if the latents are all of it.
        """
        ...


def ignore_piece(_done: int, _total: int) -> None:
    """Draw no progress."""


def decode_latents(
    latents: Floats,
    dcae: Dcae,
    vocoder: Callable[[Floats], Floats],
    *,
    samples_per_latent: int = 4096,
    mel_frames_per_latent: int = 8,
    dcae_overlap: Overlap = DCAE_OVERLAP,
    vocoder_overlap: Overlap = VOCODER_OVERLAP,
    on_piece: Callable[[int, int], None] = ignore_piece,
) -> Floats:
    """Decode one track's latents to stereo.

    Args:
        latents: float32 (1, channels, height, frames).
        dcae: decodes latents to log-mel.
        vocoder: log-mel (1, bands, mel frames) -> waveform, one value a sample, of any shape;
            called for one channel at a time.
        samples_per_latent: samples for one latent frame.
        mel_frames_per_latent: mel frames for one latent frame.
        dcae_overlap: how latents are cut; a track that fits one piece is decoded at once.
        vocoder_overlap: how log-mel is cut.
        on_piece: `on_piece(done, total)` before each piece of every pass, the counting ones and
            the vocoder's included; what it raises ends the work.

    Returns:
        float32 (2, frames * samples_per_latent) at the vocoder's sample rate.

    Raises:
        BackendError: the networks give a length that does not fit their input.
    """
    frames = latents.shape[-1]
    pieces = _cut(frames, dcae_overlap)
    mel_pieces = _cut(frames * mel_frames_per_latent, vocoder_overlap)
    passes = dcae.attentions if len(pieces) > 1 else 0
    progress = _Progress(on_piece, (passes + 1) * len(pieces) + len(mel_pieces))
    known: list[Floats] = []
    for _ in range(passes):
        known.append(_count(latents, dcae, pieces, known, progress))

    def to_mel(piece: _Piece) -> Floats:
        progress.advance()
        return dcae.decode(latents[..., piece.first : piece.last], known)

    mel = _join("DCAE", pieces, to_mel, mel_frames_per_latent, dcae_overlap.fade_frames)

    def to_waveform(piece: _Piece) -> Floats:
        progress.advance()
        shown = mel[..., piece.first : piece.last]
        return np.stack([vocoder(shown[:, channel]).reshape(-1) for channel in (0, 1)])

    hop = samples_per_latent // mel_frames_per_latent
    return _join("vocoder", mel_pieces, to_waveform, hop, vocoder_overlap.fade_frames)


class _Progress:
    """Counts pieces over every pass."""

    def __init__(self, on_piece: Callable[[int, int], None], total: int) -> None:
        self._on_piece = on_piece
        self._total = total
        self._done = 0

    def advance(self) -> None:
        """Tell that the next piece begins."""
        self._on_piece(self._done, self._total)
        self._done += 1


@dataclass(frozen=True)
class _Piece:
    """Frames `start` to `end`, shown with their context as `first` to `last`."""

    start: int
    end: int
    first: int
    last: int


def _cut(frames: int, overlap: Overlap) -> list[_Piece]:
    """Cut `frames` into as few pieces as needed, all of about one length."""
    count = -(-frames // overlap.piece_frames)
    borders = [round(piece * frames / count) for piece in range(count + 1)]
    context = overlap.context_frames
    return [
        _Piece(start, end, max(start - context, 0), min(end + context, frames))
        for start, end in pairwise(borders)
    ]


def _count(
    latents: Floats,
    dcae: Dcae,
    pieces: Sequence[_Piece],
    known: Sequence[Floats],
    progress: _Progress,
) -> Floats:
    """Sum what the next attention keeps of the whole track; each frame counts in one piece."""
    total = np.zeros((), np.float64)
    for piece in pieces:
        progress.advance()
        own_frames = piece.start - piece.first, piece.end - piece.first
        total = total + dcae.count(latents[..., piece.first : piece.last], own_frames, known)
    return total.astype(np.float32)


def _join(
    network: str,
    pieces: Sequence[_Piece],
    decode: Callable[[_Piece], Floats],
    scale: int,
    fade_frames: int,
) -> Floats:
    """Decode pieces and lay them over each other; a frame is `scale` values of the last axis."""
    frames, half_fade = pieces[-1].end, fade_frames * scale // 2
    joined = np.zeros(0, np.float32)
    for piece in pieces:
        decoded = decode(piece)
        expected = (piece.last - piece.first) * scale
        if decoded.shape[-1] != expected:
            raise BackendError(
                f"the {network} gave {decoded.shape[-1]} values for {piece.last - piece.first}"
                f" frames, {expected} expected",
                hint="the bundle's graphs do not belong together",
            )
        if len(pieces) == 1:
            return decoded
        if piece.start == 0:
            joined = np.zeros((*decoded.shape[:-1], frames * scale), np.float32)
        fade_in = half_fade if piece.start > 0 else 0
        fade_out = half_fade if piece.end < frames else 0
        start, end = piece.start * scale - fade_in, piece.end * scale + fade_out
        kept = decoded[..., start - piece.first * scale : end - piece.first * scale]
        joined[..., start:end] += _faded(kept, 2 * fade_in, 2 * fade_out)
    return joined


def _faded(values: Floats, fade_in: int, fade_out: int) -> Floats:
    """Fade ends linearly; two such ends laid over each other add up to one."""
    gain = np.ones(values.shape[-1], np.float32)
    gain[:fade_in] = (np.arange(fade_in) + 0.5) / max(fade_in, 1)
    gain[gain.size - fade_out :] = (np.arange(fade_out)[::-1] + 0.5) / max(fade_out, 1)
    return values * gain
