"""The pieces as latents: what the transformer is taught on, in one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lofi_engine.models.ace_step_v1.dcae import encode_mel
from lofi_engine.pretraining.tracks import TrackSet
from lofi_runtime.atomic import replacing

FILE = "latents.npy"


def encode_tracks(
    dcae: nn.Module,
    tracks: TrackSet,
    folder: Path,
    on_piece: Callable[[int, int], None],
    device: str = "cpu",
) -> npt.NDArray[np.float16]:
    """Encode every piece, (pieces, 8, 16, frames), in the order of `tracks`; once.

    Args:
        dcae: taught.
        tracks: all of one length.
        folder: where the file is kept; made if missing.
        on_piece: called with how many of how many are done.
        device: the encoder is moved to.
    """
    path = folder / FILE
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        encoded = []
        encoder = dcae.get_submodule("encoder").eval().to(device)
        with torch.inference_mode():
            for done, piece in enumerate(tracks.pieces, 1):
                mel = torch.from_numpy(np.asarray(tracks.log_mel(piece), np.float32))
                encoded.append(encode_mel(encoder, mel[None].to(device))[0].half().cpu().numpy())
                on_piece(done, len(tracks.pieces))
        with replacing(path) as aside, aside.open("wb") as file:
            np.save(file, np.stack(encoded))
    read: npt.NDArray[np.float16] = np.load(path)
    return read
