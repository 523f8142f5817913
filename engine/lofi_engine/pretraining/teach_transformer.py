"""Teaches the transformer, and the text and lyric encoders with it, by flow matching.

As ACE-Step v1 is trained (`lofi_engine.training.flow`), but for two things: the loss is the
velocity's own error, which asks as much of the last steps as of the first, and an instrumental's
lyric mask is 0, as players give it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lofi_engine.models.ace_step_v1.base import AceStepBase
from lofi_engine.models.ace_step_v1.dcae import SAMPLE_RATE, SAMPLES_PER_FRAME
from lofi_engine.models.family import Conditioning
from lofi_engine.pretraining.loop import Loop, Teaching
from lofi_engine.pretraining.pieces import Piece, captions_of, lyrics_of, score_of
from lofi_engine.training.flow import add_noise, draw_sigmas
from lofi_runtime.synth.score import BEATS_PER_BAR

_SHIFT = 3.0
_DROPPED = 0.12
"""Share of windows without text, and as large a share without lyrics: guidance needs both."""
_FULL_CAPTION = 0.35
"""Share of windows with the caption that says everything; the others share the rest."""
_BANDS = ((0.0, 0.5), (0.5, 0.8), (0.8, 1.01))


@dataclass(frozen=True)
class _Taught:
    """One piece as the transformer is given it.

    Args:
        captions: the full one first.
        lyric_ids: (tokens,); [0] for an instrumental.
        bar_frames: latent frames of a bar, no whole number.
    """

    captions: tuple[str, ...]
    lyric_ids: Tensor
    bar_frames: float


def teach_transformer(
    base: AceStepBase,
    pieces: Sequence[Piece],
    latents: npt.NDArray[np.float16],
    teaching: Teaching,
) -> None:
    """Teach the transformer and the text encoder in place; it goes on from its checkpoint.

    Args:
        base: its other networks are not touched.
        pieces: what is taught.
        latents: of the pieces, (pieces, 8, 16, frames).
        teaching: how.

    Raises:
        StageError: see `Loop.run`.
    """
    settings = teaching.settings
    taught = [_taught(base, piece) for piece in pieces]
    networks = {"transformer": base.transformer.train(), "text": base.text.network.train()}
    loop = Loop("transformer", networks, teaching)
    frames = min(round(settings.window_sec * SAMPLE_RATE / SAMPLES_PER_FRAME), latents.shape[-1])

    def step(_number: int) -> Mapping[str, float]:
        chosen = torch.randint(len(taught), (settings.batch_size,), generator=loop.draws).tolist()
        windows = _windows(latents, taught, chosen, frames, loop.draws)
        levels = draw_sigmas(len(chosen), _SHIFT, loop.draws)
        drawn = torch.randn(windows.shape, generator=loop.draws)
        clean, sigmas, noise = (one.to(loop.device) for one in (windows, levels, drawn))
        with loop.arithmetic():
            told = _conditioning(base, [taught[place] for place in chosen], loop)
            velocity = base.velocity(add_noise(clean, noise, sigmas), sigmas * 1000, told)
        error = (velocity.float() - (noise - clean)).square().flatten(1).mean(1)
        loop.take_step(error.mean(), 1.0)
        return {"velocity": error.mean().item(), **_by_band(error.detach(), sigmas)}

    loop.run(step)
    base.transformer.eval()
    base.text.network.eval()


def _taught(base: AceStepBase, piece: Piece) -> _Taught:
    bar_sec = 60.0 * BEATS_PER_BAR / score_of(piece).tempo_bpm
    return _Taught(
        captions_of(piece),
        torch.tensor(base.lyric_ids(lyrics_of(piece))),
        bar_sec * SAMPLE_RATE / SAMPLES_PER_FRAME,
    )


def _windows(
    latents: npt.NDArray[np.float16],
    taught: Sequence[_Taught],
    chosen: Sequence[int],
    frames: int,
    draws: torch.Generator,
) -> Tensor:
    """Cut windows that begin with a bar, as tracks do: where beats fall follows from the tempo."""
    room = latents.shape[-1] - frames
    cut = []
    for place, share in zip(chosen, torch.rand(len(chosen), generator=draws).tolist(), strict=True):
        bars = int(share * (room // taught[place].bar_frames + 1))
        start = round(bars * taught[place].bar_frames)
        cut.append(latents[place, ..., start : start + frames])
    return torch.from_numpy(np.stack(cut).astype(np.float32))


def _conditioning(base: AceStepBase, taught: Sequence[_Taught], loop: Loop) -> Conditioning:
    texts = [_caption(one, loop.draws) for one in taught]
    states, text_mask = base.text.encode_with_gradient(texts)
    lyric_ids = pad_sequence([one.lyric_ids for one in taught], batch_first=True)
    # An instrumental is the one token 0, masked; longer lyrics are padded with 0 behind them.
    lengths = torch.tensor([len(one.lyric_ids) * int(one.lyric_ids.any()) for one in taught])
    lyric_mask = (torch.arange(lyric_ids.shape[1])[None] < lengths[:, None]).long()
    kept = (torch.rand(2, len(taught), generator=loop.draws) >= _DROPPED).long()
    kept_text, kept_lyrics = kept.to(loop.device)
    lyric_ids, lyric_mask = lyric_ids.to(loop.device), lyric_mask.to(loop.device)
    return Conditioning(
        text_states=states * kept_text[:, None, None],
        text_mask=text_mask,
        speaker=torch.zeros(len(taught), base.speaker_width, device=loop.device),
        lyric_ids=lyric_ids * kept_lyrics[:, None],
        lyric_mask=lyric_mask * kept_lyrics[:, None],
    )


def _caption(one: _Taught, draws: torch.Generator) -> str:
    share, place = torch.rand(2, generator=draws).tolist()
    if share < _FULL_CAPTION:
        return one.captions[0]
    return one.captions[int(place * len(one.captions))]


def _by_band(error: Tensor, sigmas: Tensor) -> dict[str, float]:
    """Give the error by noise level, where the batch has any of it."""
    found = {}
    for low, high in _BANDS:
        inside = (sigmas >= low) & (sigmas < high)
        if inside.any():
            found[f"velocity {low:g} to {min(high, 1):g}"] = error[inside].mean().item()
    return found
