"""The small rooms: settings, vocabulary, networks, tracks, the spectral loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lofi_engine.errors import StageError
from lofi_engine.pretraining.networks import build_networks
from lofi_engine.pretraining.pieces import draw_pieces
from lofi_engine.pretraining.settings import BaseSettings
from lofi_engine.pretraining.spectral_loss import SpectralLoss
from lofi_engine.pretraining.tracks import TrackSet, synthesise
from lofi_engine.pretraining.vocabulary import NUMBERS, number_ids, text_tokenizer
from lofi_runtime.shared_data import shared_folder
from tests.support.small_base import TEXT, small_settings, write_recipe

LARGEST_BYTES = 25_000_000


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("name: small", "nam: small", r"small-base\.yaml: .*'nam'"),
        ("seed: 3", "seed: -1", r"seed: -1 is less than the minimum"),
        ("dcae: {steps: 4", "dcae: {steps: 0", r"dcae\.steps: 0 is less than the minimum"),
        ("version: 1", "version: 2", r"version: 1 was expected"),
        ("seed: 3", "seed: 3\nseed: 4", r"small-base\.yaml:"),
        ("window_sec: 0.4", "window_sec: 30", r"dcae\.window_sec: 30 is outside 0 to 4\.9"),
        ("window_sec: 0.1", "window_sec: 30", r"vocoder\.window_sec: 30 is outside 0\.05 to 4\.8"),
        ("window_sec: 0.2", "window_sec: 4.6", r"sound\.window_sec: 4\.6 is outside 0\.15 to 4\.5"),
        ("window_sec: 0.2", "window_sec: 0.1", r"sound\.window_sec: 0\.1 is outside 0\.15 to 4\.5"),
        ("0.1, learning", "0.1, robust_from: 2, learning", r"vocoder\.robust_from: has no effect"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(tmp_path, old, new, text):
    with pytest.raises(StageError, match=text):
        small_settings(tmp_path, TEXT.replace(old, new))


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path):
    with pytest.raises(StageError, match=r"none\.yaml: cannot be read"):
        BaseSettings.read(tmp_path / "none.yaml")
    path = write_recipe(tmp_path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StageError, match="is not UTF-8 text"):
        BaseSettings.read(path)


def test_networks_that_cannot_be_built_are_refused(tmp_path):
    odd = TEXT.replace("upsample_rates: [8, 8, 8]", "upsample_rates: [8, 8, 4]")
    with pytest.raises(StageError, match="upsample_rates multiply to 256"):
        build_networks(small_settings(tmp_path, odd))


def test_the_nano_has_room_in_25_megabytes():
    base = build_networks(BaseSettings.read(shared_folder("recipes") / "nano-base.yaml"))
    networks = (base.transformer, base.dcae, base.vocoder, base.text.network)
    weights = sum(one.numel() for network in networks for one in network.parameters())
    files = len(base.text.tokenizer_json.encode()) + len((base.lyric_vocabulary or "").encode())
    assert 20_000_000 < 2 * weights + files < LARGEST_BYTES - 150_000


def test_the_same_seed_builds_the_same_networks(tmp_path):
    first, second = (build_networks(small_settings(tmp_path)) for _ in range(2))
    for name, value in first.transformer.state_dict().items():
        assert torch.equal(value, second.transformer.state_dict()[name]), name


def test_tempos_are_tokens_of_their_own_and_near_ones_begin_alike(tmp_path):
    base = build_networks(small_settings(tmp_path))
    ids = number_ids(base.text.tokenizer_json)
    assert len({*ids.values()}) == len(NUMBERS)
    table = base.text.network.get_parameter("shared.weight")
    near, far = (
        torch.cosine_similarity(table[ids[80]], table[ids[other]], dim=0).item()
        for other in (81, 120)
    )
    assert near > 0.6 > far
    assert base.text.count("rain, 74 bpm") == 5


def test_a_vocabulary_that_is_too_small_is_refused():
    with pytest.raises(StageError, match=r"vocab_size: 500 is too small; \d+ tokens are needed"):
        text_tokenizer(500)


def test_synthesised_windows_are_the_sound_and_its_mel(tmp_path):
    settings = small_settings(tmp_path)
    pieces = draw_pieces(settings.tracks, settings.seed)[:2]
    counts = []
    for _ in range(2):
        synthesise(tmp_path / "tracks", pieces, 1, lambda done, of: counts.append((done, of)))
    assert counts == [(0, 2), (1, 2), (2, 2), (2, 2)]
    tracks = TrackSet(tmp_path / "tracks", pieces)
    mel, sound = tracks.log_mel(pieces[0]), tracks.sound(pieces[0])
    assert mel.dtype == np.float16
    assert sound.shape == (2, mel.shape[-1] * 512)
    assert mel.shape[:2] == (2, 128)
    assert mel.shape[-1] % 8 == 0
    draws = torch.Generator().manual_seed(0)
    assert tracks.mel_windows(3, 16, draws).shape == (3, 2, 128, 16)
    heard, cut = tracks.sound_windows(3, 20, 4, draws)
    assert heard.shape == (3, 128, 20)
    assert cut.shape == (3, 512 * 12)
    # Loud frames of the one are loud in the other.
    power = cut.unflatten(-1, (12, 512)).square().mean(-1).log().flatten()
    level = heard[..., 4:16].mean(1).flatten()
    assert float(torch.corrcoef(torch.stack([power, level]))[0, 1]) > 0.6


def test_the_spectral_loss_is_nothing_for_equals_and_grows_with_the_difference():
    loss = SpectralLoss()
    noise = torch.randn(1, 16_384, generator=torch.Generator().manual_seed(0))
    tone = torch.sin(torch.arange(16_384) * 0.05)[None]
    assert float(loss(tone, tone)) == 0.0
    slight, strong = (float(loss(tone + level * noise, tone)) for level in (0.01, 0.3))
    assert 0.0 < slight < strong
    assert float(loss(-tone, tone)) < 0.05 * strong
