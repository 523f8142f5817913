"""Synthesises the pieces a base is taught from, once, and reads windows of them.

A piece leaves two files, named after it: its sound at the vocoder's rate as 16-bit samples, and
its log-mel in half precision. What is there is kept, so that a stopped run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lofi_engine.pretraining.pieces import Piece, score_of
from lofi_runtime.atomic import replacing

if TYPE_CHECKING:
    import torch

HOP = 512
FRAMES_PER_LATENT = 8
_FULL_SCALE = 32767.0


def synthesise(
    folder: Path, pieces: Sequence[Piece], processes: int, on_piece: Callable[[int, int], None]
) -> None:
    """Synthesise the pieces that are not in `folder` yet.

    Args:
        folder: made if missing.
        pieces: in any order.
        processes: that work side by side.
        on_piece: called with how many of how many are there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [piece for piece in pieces if not _mel(folder, piece).is_file()]
    done = len(pieces) - len(missing)
    on_piece(done, len(pieces))
    if not missing:
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for _ in pool.map(_Synthesis(folder), missing, chunksize=4):
            done += 1
            on_piece(done, len(pieces))


@dataclass(frozen=True)
class _Synthesis:
    """Synthesises one piece into a folder; plain data, so that other processes can be given it."""

    folder: Path

    def __call__(self, piece: Piece) -> None:
        import torch

        from lofi_engine.models.ace_step_v1.config import VocoderConfig
        from lofi_engine.models.ace_step_v1.dcae import SAMPLE_RATE
        from lofi_engine.models.ace_step_v1.log_mel import LogMel
        from lofi_engine.models.ace_step_v1.sinc_resample import resample_as_trained
        from lofi_runtime import backend
        from lofi_runtime.synth import render

        torch.set_num_threads(1)
        sound = resample_as_trained(render(score_of(piece)), backend.SAMPLE_RATE, SAMPLE_RATE)
        whole = sound.shape[1] // (HOP * FRAMES_PER_LATENT) * HOP * FRAMES_PER_LATENT
        samples = np.clip(np.rint(sound[:, :whole] * _FULL_SCALE), -32768, 32767).astype(np.int16)
        heard = torch.from_numpy(samples.astype(np.float32) / np.float32(_FULL_SCALE))
        config = VocoderConfig(upsample_rates=(512,), upsample_kernel_sizes=(1024,))
        log_mel = LogMel(config)(heard).half().numpy()
        for place, array in (
            (_sound(self.folder, piece), samples),
            (_mel(self.folder, piece), log_mel),
        ):
            with replacing(place) as aside, aside.open("wb") as file:
                np.save(file, array)


class TrackSet:
    """Windows of synthesised pieces; the files are mapped, not read whole.

    Args:
        folder: where `synthesise` wrote them.
        pieces: which of them.
    """

    def __init__(self, folder: Path, pieces: Sequence[Piece]) -> None:
        self.pieces = tuple(pieces)
        self._folder = folder

    def log_mel(self, piece: Piece) -> npt.NDArray[np.float16]:
        """Map a piece's log-mel (2, 128, frames)."""
        mapped: npt.NDArray[np.float16] = np.load(_mel(self._folder, piece), mmap_mode="r")
        return mapped

    def sound(self, piece: Piece) -> npt.NDArray[np.int16]:
        """Map a piece's samples (2, 512 * frames), full scale 32767."""
        mapped: npt.NDArray[np.int16] = np.load(_sound(self._folder, piece), mmap_mode="r")
        return mapped

    def sound_window(self, piece: Piece, first: int, samples: int) -> npt.NDArray[np.float32]:
        """Read a stretch of a piece (2, samples), full scale 1."""
        stretch = self.sound(piece)[:, first : first + samples]
        return np.asarray(stretch, np.float32) / np.float32(_FULL_SCALE)

    def mel_windows(self, count: int, frames: int, draws: torch.Generator) -> torch.Tensor:
        """Draw windows of log-mel (count, 2, 128, frames), each beginning at a latent frame."""
        import torch

        windows = []
        for _ in range(count):
            mel = self.log_mel(self._draw(draws))
            starts = (mel.shape[-1] - frames) // FRAMES_PER_LATENT + 1
            start = FRAMES_PER_LATENT * _below(starts, draws)
            windows.append(np.asarray(mel[..., start : start + frames], np.float32))
        return torch.from_numpy(np.stack(windows))

    def sound_windows(
        self, count: int, frames: int, margin: int, draws: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw windows of one channel: log-mel (count, 128, frames) and its middle as sound.

        Args:
            count: windows.
            frames: mel frames of each.
            margin: frames at both ends whose sound is left out.
            draws: all randomness.

        Returns:
            The log-mel, and samples (count, 512 * (frames - 2 * margin)).
        """
        import torch

        mels, sounds = [], []
        for _ in range(count):
            piece = self._draw(draws)
            mel = self.log_mel(piece)
            channel, start = _below(2, draws), _below(mel.shape[-1] - frames + 1, draws)
            mels.append(np.asarray(mel[channel, :, start : start + frames], np.float32))
            length = HOP * (frames - 2 * margin)
            sounds.append(self.sound_window(piece, HOP * (start + margin), length)[channel])
        return torch.from_numpy(np.stack(mels)), torch.from_numpy(np.stack(sounds))

    def _draw(self, draws: torch.Generator) -> Piece:
        return self.pieces[_below(len(self.pieces), draws)]


def _below(count: int, draws: torch.Generator) -> int:
    import torch

    return int(torch.randint(count, (1,), generator=draws))


def _mel(folder: Path, piece: Piece) -> Path:
    return folder / f"{piece.name}.mel.npy"


def _sound(folder: Path, piece: Piece) -> Path:
    return folder / f"{piece.name}.sound.npy"
