"""Decoding in pieces, with stand-ins that look a known number of frames to either side."""

from __future__ import annotations

import numpy as np
import pytest

from lofi_runtime.errors import BackendError, GenerationCancelled
from lofi_runtime.pipeline.decode import Overlap, decode_latents

SPL = 4096
BANDS = 128
WHOLE = Overlap(10**6, 0, 0)


def smoothed(values, reach):
    """Average over `reach` neighbours on either side of the last axis, zeros beyond the ends."""
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(reach, reach)])
    width = 2 * reach + 1
    kernel = (np.hanning(width + 2)[1:-1] / np.hanning(width + 2).sum()).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=-1)
    return windows @ kernel


def to_mel(latents):
    mixed = np.tanh(latents).reshape(1, 2, 64, -1)
    return np.repeat(np.repeat(mixed, 2, axis=2), 8, axis=3)


class LocalDcae:
    """A decoder that looks `reach` latent frames to either side, and no further."""

    attentions = 0

    def __init__(self, reach):
        self.reach = reach
        self.shown = []

    def count(self, latents, own_frames, known):
        raise AssertionError("nothing to count")

    def decode(self, latents, known):
        assert not known
        self.shown.append(latents.shape[-1])
        return to_mel(smoothed(latents, self.reach))


class GlobalDcae:
    """A decoder whose every layer adds what the whole track is on average."""

    def __init__(self, attentions):
        self.attentions = attentions
        self.counted = np.zeros(attentions)

    def _layers(self, latents, known):
        """The input of each layer, and the last one's output."""
        states, inputs = latents, []
        for layer in range(len(known) + 1):
            states = smoothed(states, 1)
            inputs.append(states)
            if layer < len(known):
                states = states + known[layer][..., :1] / known[layer][..., 1:]
        return inputs

    def _sum(self, states, own_frames):
        first, after = own_frames
        total = states[..., first:after].sum(axis=-1)
        return np.stack([total, np.full_like(total, after - first)], axis=-1)

    def count(self, latents, own_frames, known):
        self.counted[len(known)] += own_frames[1] - own_frames[0]
        return self._sum(self._layers(latents, known)[-1], own_frames)

    def decode(self, latents, known):
        known = list(known)
        while len(known) < self.attentions:
            every_frame = 0, latents.shape[-1]
            known.append(self._sum(self._layers(latents, known)[-1], every_frame))
        return to_mel(self._layers(latents, known)[-1])


def vocoder(mel):
    """A local vocoder: 3 mel frames to either side; every band a tone whose phase is its place."""
    smooth = smoothed(mel, 3)[0]
    tones = np.sin(np.arange(BANDS)[:, None] * np.arange(512) / 80).astype(np.float32)
    return (smooth.T @ tones / 30).reshape(1, 1, -1).astype(np.float32)


def latents(frames):
    return np.random.default_rng(frames).normal(size=(1, 8, 16, frames)).astype(np.float32)


def level_db(error, signal):
    return 10 * np.log10(np.mean(error**2) / np.mean(signal**2) + 1e-30)


def whole(z, dcae):
    return decode_latents(z, dcae, vocoder, dcae_overlap=WHOLE, vocoder_overlap=WHOLE)


@pytest.mark.parametrize("frames", [1, 16, 17, 40, 100])
def test_pieces_equal_the_whole_where_the_decoder_sees_no_further_than_the_context(frames):
    z = latents(frames)
    pieces = decode_latents(
        z, LocalDcae(5), vocoder, dcae_overlap=Overlap(16, 8, 2), vocoder_overlap=Overlap(100, 8, 4)
    )
    assert pieces.shape == (2, frames * SPL)
    assert pieces.dtype == np.float32
    assert level_db(pieces - whole(z, LocalDcae(5)), pieces) < -120


def test_pieces_stay_below_60_db_where_the_decoder_sees_a_little_further():
    class Far(LocalDcae):
        def decode(self, latents, known):
            return to_mel(smoothed(latents, 3)) + 1e-3 * to_mel(smoothed(latents, 12))

    z = latents(70)
    at_once = whole(z, Far(12))
    pieces = decode_latents(z, Far(12), vocoder, dcae_overlap=Overlap(16, 6, 2))
    assert np.abs(pieces - at_once).max() > 0
    assert level_db(pieces - at_once, at_once) < -60


@pytest.mark.parametrize("attentions", [1, 3])
@pytest.mark.parametrize("frames", [7, 16, 17, 90])
def test_pieces_equal_the_whole_where_attention_looks_at_all_of_the_track(attentions, frames):
    z = latents(frames)
    dcae = GlobalDcae(attentions)
    pieces = decode_latents(z, dcae, vocoder, dcae_overlap=Overlap(16, 6, 1))
    assert level_db(pieces - whole(z, GlobalDcae(attentions)), pieces) < -120
    # Every frame counts once for every attention, unless the track is decoded at once.
    assert (dcae.counted == (frames if frames > 16 else 0)).all()


def test_without_the_sums_the_same_decoder_is_not_exact():
    class Forgetful(GlobalDcae):
        def decode(self, latents, known):
            return super().decode(latents, ())

    z = latents(90) + np.linspace(0, 1, 90, dtype=np.float32)
    pieces = decode_latents(z, Forgetful(1), vocoder, dcae_overlap=Overlap(16, 6, 1))
    assert level_db(pieces - whole(z, GlobalDcae(1)), pieces) > -40


def test_no_piece_is_longer_than_asked_whatever_the_length():
    dcae = LocalDcae(1)
    shown = []

    def silent(mel):
        shown.append(mel.shape[-1])
        return np.zeros(512 * mel.shape[-1], np.float32)

    for frames in (10, 129, 400, 2584):
        decode_latents(
            latents(frames),
            dcae,
            silent,
            dcae_overlap=Overlap(32, 4, 1),
            vocoder_overlap=Overlap(300, 20, 8),
        )
    assert max(dcae.shown) == 40
    assert max(shown) == 340


def test_progress_counts_every_piece_of_every_pass():
    heard = []
    decode_latents(
        latents(40),
        GlobalDcae(2),
        vocoder,
        dcae_overlap=Overlap(10, 4, 1),
        vocoder_overlap=Overlap(160, 8, 8),
        on_piece=lambda *step: heard.append(step),
    )
    # Two counting passes and one decoding pass over 4 pieces, and 2 pieces for the vocoder.
    assert heard == [(done, 14) for done in range(14)]
    heard.clear()
    decode_latents(latents(40), GlobalDcae(2), vocoder, on_piece=lambda *step: heard.append(step))
    assert heard == [(0, 2), (1, 2)]


@pytest.mark.parametrize("last", [0, 2, 5, 9, 13])
def test_progress_comes_before_each_piece_and_may_stop_the_work_in_any_pass(last):
    heard = []

    def stop(done, total):
        heard.append(done)
        if done == last:
            raise GenerationCancelled("cancelled")

    with pytest.raises(GenerationCancelled):
        decode_latents(
            latents(40),
            GlobalDcae(2),
            vocoder,
            dcae_overlap=Overlap(10, 4, 1),
            vocoder_overlap=Overlap(160, 8, 8),
            on_piece=stop,
        )
    assert heard == list(range(last + 1))


def test_networks_that_do_not_belong_together_are_refused():
    with pytest.raises(BackendError, match="vocoder gave 20480 values for 80 frames, 40960 expec"):
        decode_latents(latents(10), LocalDcae(1), lambda mel: vocoder(mel)[..., ::2])
    with pytest.raises(BackendError, match="DCAE gave 80 values for 10 frames, 160 expected"):
        decode_latents(latents(10), LocalDcae(1), vocoder, mel_frames_per_latent=16)
