"""Whether a long track that is decoded in pieces shows where they meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

_NEAR_SEC = 0.1


class TorchDcae:
    """A DCAE's decoder as `lofi_runtime.pipeline.decode.Dcae` asks for it, without ONNX.

    Args:
        dcae: an `AutoencoderDC`; its decoder is copied.
    """

    def __init__(self, dcae: Any) -> None:
        from lofi_engine.models.ace_step_v1.dcae_graph import DcaeDecoderGraph

        self._graph = DcaeDecoderGraph(dcae).eval()
        self.attentions = self._graph.sums_shape[0]

    def count(
        self, latents: Floats, own_frames: tuple[int, int], known: Sequence[Floats]
    ) -> Floats:
        """Sum what attention number `len(known)` keeps of some frames."""
        import torch

        own = torch.zeros(self.attentions, 2, dtype=torch.int64)
        own[len(known)] = torch.tensor(own_frames)
        found = self._run(latents, own, known)[1 + len(known)].numpy()
        counted: Floats = found
        return counted

    def decode(self, latents: Floats, known: Sequence[Floats]) -> Floats:
        """Decode to log-mel (1, 2, bands, mel frames)."""
        import torch

        if not known:
            with torch.inference_mode():
                found = self._graph(torch.from_numpy(latents))
            mel: Floats = (found[0] if isinstance(found, tuple) else found).numpy()
            return mel
        own = torch.zeros(self.attentions, 2, dtype=torch.int64)
        told: Floats = self._run(latents, own, known)[0].numpy()
        return told

    def _run(self, latents: Floats, own: Any, known: Sequence[Floats]) -> Any:
        import torch

        kept = torch.full((self.attentions,), latents.shape[-1], dtype=torch.int64)
        others = torch.zeros(1, *self._graph.sums_shape)
        for place, sums in enumerate(known):
            others[0, place] = torch.from_numpy(sums[0])
        with torch.inference_mode():
            return self._graph(torch.from_numpy(latents), own, others, kept)


def seam_db(base: Any, latents: Floats) -> tuple[float, int]:
    """Give how far a track decoded in pieces is from the whole, near the borders.

    Args:
        base: on the CPU.
        latents: float32 (1, 8, 16, frames), longer than a piece.

    Returns:
        The difference's level within 0.1 s of the borders against the track's, in dB; and how
        many borders there are.
    """
    import numpy as np
    import torch

    from lofi_runtime.pipeline.decode import decode_latents

    whole = base.decode_audio(torch.from_numpy(latents))[0]

    def vocode(mel: Floats) -> Floats:
        with torch.inference_mode():
            found: Floats = base.vocoder(torch.from_numpy(np.ascontiguousarray(mel))).numpy()
        return found

    joined = decode_latents(latents, TorchDcae(base.dcae), vocode)
    borders = _borders(latents.shape[-1])
    reach = round(_NEAR_SEC * base.sample_rate)
    near = np.concatenate(
        [(joined - whole)[:, max(at - reach, 0) : at + reach] for at in borders], axis=1
    )
    level = float(np.square(whole, dtype=np.float64).mean())
    left = float(np.square(near, dtype=np.float64).mean())
    return 10 * float(np.log10(max(left, 1e-20) / max(level, 1e-20))), len(borders)


def _borders(frames: int) -> list[int]:
    """Give where pieces of the DCAE and of the vocoder meet, in samples."""
    from lofi_runtime.pipeline.decode import DCAE_OVERLAP, VOCODER_OVERLAP

    found: set[int] = set()
    for count, overlap, samples in (
        (frames, DCAE_OVERLAP, 4096),
        (8 * frames, VOCODER_OVERLAP, 512),
    ):
        pieces = -(-count // overlap.piece_frames)
        found |= {round(piece * count / pieces) * samples for piece in range(1, pieces)}
    return sorted(found)
