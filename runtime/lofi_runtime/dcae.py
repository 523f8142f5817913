"""The DCAE's decoder of a bundle, as `pipeline.decode` asks for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lofi_runtime.sessions import Sessions

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

FILE = "dcae_decoder.onnx"
_OWN_FRAMES = "own_frames"
_OTHERS = "others"
_KEPT_FRAMES = "kept_frames"
_OPTIONAL = (_OWN_FRAMES, _OTHERS, _KEPT_FRAMES)
_INSIDE = "inside_"


class SessionDcae:
    """`dcae_decoder.onnx`, with the sums of its attentions where the graph gives and takes them.

    A graph from another exporter, or one that was exported before there were such sums, is shown
    latents alone: `attentions` is 0, and each piece of a track longer than one attends to itself
    and its context only. The crossfade leaves no click at a border, but the pieces are not what
    the whole would be: on small networks the difference is 40 to 52 dB below the waveform, 30
    to 37 dB at the worst sample; with the sums it is 118 dB below.

    Args:
        sessions: of the bundle; the graph is loaded now if it was not before.

    Raises:
        BackendError: the graph cannot be loaded.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._mel, *others = sessions.output_names(FILE)
        takes_sums = all(sessions.offers(FILE, name) for name in _OPTIONAL)
        self.attentions = sum(name.startswith(_INSIDE) for name in others) if takes_sums else 0

    def count(
        self, latents: Floats, own_frames: tuple[int, int], known: Sequence[Floats]
    ) -> Floats:
        """Sum what attention number `len(known)` keeps; see `pipeline.decode.Dcae`.

        Raises:
            BackendError: the graph fails on these latents.
        """
        attention = len(known)
        own = np.zeros((self.attentions, 2), np.int64)
        own[attention] = own_frames
        # ONNX Runtime runs all of a graph, whichever outputs are asked for: what comes after the
        # sums wanted is run on one frame.
        kept = np.ones(self.attentions, np.int64)
        kept[:attention] = latents.shape[-1]
        return self._run(latents, f"{_INSIDE}{attention}", own, known, kept)

    def decode(self, latents: Floats, known: Sequence[Floats]) -> Floats:
        """Decode to log-mel; see `pipeline.decode.Dcae`.

        Raises:
            BackendError: the graph fails on these latents.
        """
        if not known:
            return self._sessions.run(FILE, latents, outputs=[self._mel])[0]
        # Every frame is in the known sums already: no attention counts any here.
        own = np.zeros((self.attentions, 2), np.int64)
        kept = np.full(self.attentions, latents.shape[-1], np.int64)
        return self._run(latents, self._mel, own, known, kept)

    def _run(
        self, latents: Floats, output: str, own: Integers, known: Sequence[Floats], kept: Integers
    ) -> Floats:
        optional: dict[str, Floats | Integers] = {_OWN_FRAMES: own, _KEPT_FRAMES: kept}
        if known:
            # Attentions whose sums are not known yet get zeros; nothing is read of what they give.
            others = np.zeros((1, self.attentions, *known[0].shape[1:]), np.float32)
            others[0, : len(known)] = np.concatenate(known)
            optional[_OTHERS] = others
        return self._sessions.run(FILE, latents, optional=optional, outputs=[output])[0]
