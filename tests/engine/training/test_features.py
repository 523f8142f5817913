from __future__ import annotations

from types import SimpleNamespace

import torch

from lofi_engine.training.features import Features, stack_conditioning, window_frames
from tests.support.tiny_training import features


def test_the_features_of_a_window_are_those_of_its_time():
    """Counted features: 100 latent frames, 700 and 465 frames of features of the same sound."""
    counted = {
        "mert": torch.arange(700.0)[:, None].expand(700, 2),
        "mhubert": torch.arange(465.0)[:, None].expand(465, 2),
    }
    made = Features(torch.zeros(8, 16, 100), torch.zeros(1, 4), torch.tensor([0]), counted)
    cut = made.window_ssl(40, 10)
    assert cut["mert"][:, 0].tolist() == list(range(280, 350))
    assert cut["mhubert"][:, 0].tolist() == list(range(186, 232))  # 186.0 to 232.5, to even
    whole = made.window_ssl(0, 100)
    assert all(torch.equal(whole[name], counted[name]) for name in counted)
    # Windows side by side share no frame and leave none out.
    parts = [made.window_ssl(start, 5)["mhubert"] for start in range(0, 100, 5)]
    assert torch.equal(torch.cat(parts), counted["mhubert"])
    assert features(1).window_ssl(0, 4) == {}


def test_conditions_of_different_lengths_are_padded_and_masked():
    short, long = features(1, tokens=2, lyrics=1), features(2, tokens=4, lyrics=3)
    stacked = stack_conditioning([short, long], speaker_width=6)
    assert stacked.text_states.shape == (2, 4, 64)
    assert stacked.text_mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert stacked.lyric_mask.tolist() == [[1, 0, 0], [1, 1, 1]]
    assert torch.equal(stacked.text_states[0, :2], short.text_states)
    assert not stacked.text_states[0, 2:].any()
    assert stacked.lyric_ids[0].tolist() == [*short.lyric_ids.tolist(), 0, 0]
    assert torch.equal(stacked.lyric_ids[1], long.lyric_ids)
    assert stacked.speaker.shape == (2, 6)
    assert not stacked.speaker.any()
    assert stacked.text_mask.dtype == stacked.lyric_mask.dtype == torch.int64


def test_one_track_needs_no_padding():
    one = Features(torch.zeros(8, 16, 3), torch.ones(3, 64), torch.tensor([0]))
    stacked = stack_conditioning([one], speaker_width=2)
    assert stacked.text_mask.tolist() == [[1, 1, 1]]
    assert stacked.lyric_mask.tolist() == [[1]]


def test_a_window_is_whole_latent_frames_and_at_least_one():
    base = SimpleNamespace(sample_rate=44_100, frame_samples=4096)
    assert window_frames(base, 10.0) == 107
    assert window_frames(base, 0.01) == 1
