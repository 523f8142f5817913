"""A track decoded in pieces is the track decoded whole: real networks, torch and ONNX Runtime."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from lofi_engine.models.ace_step_v1.config import VocoderConfig
from lofi_engine.models.ace_step_v1.dcae import build_dcae
from lofi_engine.models.ace_step_v1.dcae_graph import ALL, DcaeDecoderGraph
from lofi_engine.models.ace_step_v1.graph_modules import VocoderGraph
from lofi_engine.models.ace_step_v1.tiny import build_tiny
from lofi_engine.models.ace_step_v1.vocoder import Vocoder
from lofi_runtime.bundle import Bundle
from lofi_runtime.dcae import SessionDcae
from lofi_runtime.pipeline.decode import (
    DCAE_OVERLAP,
    VOCODER_OVERLAP,
    Overlap,
    decode_latents,
)
from lofi_runtime.sessions import Sessions
from tests.golden.fill import fill_
from tests.support.exported_tiny import exported_tiny
from tests.support.golden import notes

WHOLE = Overlap(10**6, 0, 0)
SHORT = Overlap(16, DCAE_OVERLAP.context_frames, DCAE_OVERLAP.fade_frames)
SHORT_MEL = Overlap(128, VOCODER_OVERLAP.context_frames, VOCODER_OVERLAP.fade_frames)
PIECE = DCAE_OVERLAP.piece_frames
LENGTHS = [40, PIECE, PIECE + 1, 2 * PIECE + 44]

# The published networks' layers and kernels, with fewer channels: they see as many frames.
_PUBLISHED_DCAE = notes("ace_step_v1_state_dict")["music_dcae_f8c8"]["config"]
NARROW_DCAE = _PUBLISHED_DCAE | {
    "attention_head_dim": 8,
    "encoder_block_out_channels": [8, 8, 16, 32],
    "decoder_block_out_channels": [8, 8, 16, 32],
}
NARROW_VOCODER = VocoderConfig(dims=(8, 8, 8, 8), num_mels=8, upsample_initial_channel=128)


class TorchDcae:
    """The graph's module behind the runtime's protocol; remembers what it was shown."""

    def __init__(self, dcae):
        self.module = DcaeDecoderGraph(dcae).eval()
        self.attentions = self.module.sums_shape[0]
        self.decoded = []

    @torch.no_grad()
    def _run(self, latents, own_frames, known, kept):
        others = torch.zeros(1, *self.module.sums_shape)
        for index, sums in enumerate(known):
            others[0, index] = torch.from_numpy(sums[0])
        z = torch.from_numpy(np.ascontiguousarray(latents))
        given = torch.tensor(own_frames), others, torch.tensor(kept)
        return [output.numpy() for output in self.module(z, *given)]

    def count(self, latents, own_frames, known):
        before = len(known)
        after = self.attentions - before - 1
        own = [(0, 0)] * before + [own_frames] + [(0, 0)] * after
        kept = [latents.shape[-1]] * before + [1] * (1 + after)
        return self._run(latents, own, known, kept)[1 + before]

    def decode(self, latents, known):
        attentions = self.module.sums_shape[0]
        own = [(0, 0 if len(known) else ALL)] * attentions
        mel = self._run(latents, own, known, [ALL] * attentions)[0]
        self.decoded.append((latents.shape[-1], mel))
        return mel


class LoneDcae(TorchDcae):
    """The same, as a graph that neither gives nor takes sums."""

    def __init__(self, dcae):
        super().__init__(dcae)
        self.attentions = 0


def torch_vocoder(vocoder):
    module = VocoderGraph(vocoder).eval()

    @torch.no_grad()
    def vocode(mel):
        return module(torch.from_numpy(np.ascontiguousarray(mel))).numpy()

    return vocode


@cache
def networks(name):
    """Give (DCAE, vocoder) of torch."""
    torch.manual_seed(0)
    if name == "tiny":
        base = build_tiny()
        return base.dcae, base.vocoder
    if name == "golden":
        config = VocoderConfig.from_mapping(notes("vocoder_small")["config"])
        return fill_(build_dcae(notes("dcae_small")["config"])), fill_(Vocoder(config)).eval()
    return fill_(build_dcae(NARROW_DCAE)), fill_(Vocoder(NARROW_VOCODER)).eval()


@cache
def exported():
    return Sessions(Bundle(exported_tiny()[0], None, verified=False), threads=1)


def session_vocoder(mel):
    return exported().run("vocoder.onnx", mel)[0]


def latents(frames):
    return np.random.default_rng(frames).normal(size=(1, 8, 16, frames)).astype(np.float32)


def levels_db(found, expected):
    """Give peak and rms of the difference, each against the signal's own, without its mean."""
    error = found.astype(np.float64) - expected
    signal = expected - expected.mean(dtype=np.float64)
    peak = np.abs(error).max() / np.abs(signal).max()
    rms = np.sqrt(np.mean(error**2) / np.mean(signal**2))
    return 20 * np.log10(peak + 1e-15), 20 * np.log10(rms + 1e-15)


def check_equal(z, dcae, vocoder, **overlaps):
    pieces = decode_latents(z, dcae, vocoder, **overlaps)
    whole = decode_latents(z, dcae, vocoder, dcae_overlap=WHOLE, vocoder_overlap=WHOLE)
    assert pieces.shape == whole.shape == (2, 4096 * z.shape[-1])
    assert max(levels_db(pieces, whole)) < -80


@pytest.mark.parametrize("frames", [9, 16, 17, 90])
@pytest.mark.parametrize("name", ["tiny", "golden", "published layers"])
def test_a_track_in_pieces_is_the_whole_track(name, frames):
    dcae, vocoder = networks(name)
    overlaps = {"dcae_overlap": SHORT, "vocoder_overlap": SHORT_MEL}
    check_equal(latents(frames), TorchDcae(dcae), torch_vocoder(vocoder), **overlaps)


@pytest.mark.parametrize("frames", LENGTHS)
def test_exported_graphs_in_pieces_are_the_whole(frames):
    dcae = SessionDcae(exported())
    assert dcae.attentions == 1
    check_equal(latents(frames), dcae, session_vocoder)


def test_graphs_and_torch_agree_on_a_track_in_pieces():
    z = latents(60)
    overlaps = {"dcae_overlap": SHORT, "vocoder_overlap": SHORT_MEL}
    dcae, vocoder = networks("tiny")
    by_torch = decode_latents(z, TorchDcae(dcae), torch_vocoder(vocoder), **overlaps)
    by_graphs = decode_latents(z, SessionDcae(exported()), session_vocoder, **overlaps)
    assert max(levels_db(by_graphs, by_torch)) < -80


def silent(mel):
    return np.zeros(512 * mel.shape[-1], np.float32)


@pytest.mark.parametrize("name", ["tiny", "golden", "published layers"])
def test_neighbouring_pieces_agree_at_their_border(name):
    dcae = TorchDcae(networks(name)[0])
    frames = 3 * SHORT.piece_frames
    decode_latents(latents(frames), dcae, silent, dcae_overlap=SHORT)
    (shown, left), (_, middle), (last, right) = dcae.decoded
    piece, context = SHORT.piece_frames, SHORT.context_frames
    assert (shown, last) == (piece + context, piece + context)
    starts = {0: 0, 1: piece - min(context, piece), 2: 2 * piece - context}
    for border, one, two in ((piece, (0, left), (1, middle)), (2 * piece, (1, middle), (2, right))):
        around = [
            mel[..., 8 * (border - starts[index]) - 4 :][..., :8] for index, mel in (one, two)
        ]
        assert max(levels_db(*around)) < -80


def test_a_graph_without_sums_still_plays_long_tracks_less_exactly():
    dcae, _ = networks("tiny")
    z = latents(90)
    mels = []
    for stand_in, overlap in ((TorchDcae(dcae), WHOLE), (LoneDcae(dcae), SHORT)):
        heard = []

        def listen(mel, heard=heard):
            heard.append(mel)
            return silent(mel)

        decode_latents(z, stand_in, listen, dcae_overlap=overlap, vocoder_overlap=WHOLE)
        mels.append(np.stack(heard))
    _, rms = levels_db(mels[1], mels[0])
    assert -60 < rms < -20


@torch.no_grad()
def test_the_context_is_all_that_the_published_dcae_sees():
    torch.manual_seed(0)
    module = DcaeDecoderGraph(build_dcae(NARROW_DCAE)).eval().double()
    attentions = module.sums_shape[0]
    # What is seen by the convolutions alone: the attentions' sums are the same for both.
    given = (
        torch.zeros(attentions, 2, dtype=torch.int64),
        100 * torch.rand(1, *module.sums_shape),
        torch.full((attentions,), ALL),
    )
    changed = DCAE_OVERLAP.context_frames
    plain = torch.from_numpy(latents(2 * changed + 1)).double()
    other = plain.clone()
    other[..., changed] += 50
    mels = [module(z, *given)[0] for z in (plain, other)]
    seen = (mels[0] != mels[1]).any(dim=2).any(dim=1)[0].nonzero()
    reach = max(8 * changed - int(seen.min()), int(seen.max()) - (8 * changed + 7))
    fade = 4 * DCAE_OVERLAP.fade_frames
    assert 8 * (changed - 1) < reach + fade <= 8 * changed


@torch.no_grad()
def test_the_context_is_all_that_the_published_vocoder_sees():
    changed = VOCODER_OVERLAP.context_frames
    mel = np.zeros((1, 128, 2 * changed + 1), np.float32)
    mel[..., changed] = np.nan
    waveform = torch_vocoder(networks("published layers")[1])(mel).reshape(-1)
    reach = 512 * changed - int(np.isnan(waveform).argmax())
    fade = 256 * VOCODER_OVERLAP.fade_frames
    assert 500 * changed < reach + fade <= 512 * changed


def test_no_graph_is_handed_more_for_a_longer_track():
    sizes = {}

    class Watched(Sessions):
        def run(self, file, *inputs, **named):
            given = [*inputs, *named.get("optional", {}).values()]
            largest = max(value.size for value in given)
            sizes[frames] = max(sizes.get(frames, 0), largest)
            return super().run(file, *inputs, **named)

    sessions = Watched(Bundle(exported_tiny()[0], None, verified=False), threads=1)
    for frames in (4 * PIECE, 8 * PIECE):
        decode_latents(latents(frames), SessionDcae(sessions), silent)
    assert sizes[4 * PIECE] == sizes[8 * PIECE] == 8 * 16 * (PIECE + 34)


PEAK = """
import sys
from pathlib import Path

import numpy as np

from lofi_runtime.bundle import Bundle
from lofi_runtime.dcae import SessionDcae
from lofi_runtime.pipeline.decode import decode_latents
from lofi_runtime.sessions import Sessions

sessions = Sessions(Bundle(Path(sys.argv[1]), None, verified=False), threads=1)
latents = np.random.default_rng(0).normal(size=(1, 8, 16, int(sys.argv[2]))).astype(np.float32)
decode_latents(latents, SessionDcae(sessions), lambda mel: sessions.run("vocoder.onnx", mel)[0])
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads Linux's peak memory")
def test_peak_memory_grows_by_the_result_and_its_log_mel_alone():
    peaks = []
    lengths = (431, 1292)  # 40 s and 120 s
    for frames in lengths:
        program = [sys.executable, "-c", PEAK, str(exported_tiny()[0]), str(frames)]
        answer = subprocess.run(program, capture_output=True, text=True, check=True, timeout=300)
        peaks.append(1024 * int(answer.stdout))
    result_bytes = (lengths[1] - lengths[0]) * 4096 * 2 * 4
    # Decoded whole, 120 s need a gigabyte more than 20 s.
    assert peaks[1] - peaks[0] < 1.25 * result_bytes + 24 * 2**20
