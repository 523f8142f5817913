from __future__ import annotations

import pytest
import torch

from lofi_engine.training.adapters import adapter_weights, add_adapter, set_adapter_weights
from lofi_engine.training.validation import LEVELS, validation_error
from tests.support.tiny_training import LORA, tiny_base, write_encoded


class Oracle:
    """A base that knows noise and latents: its velocity is the path's own, or off by a little."""

    speaker_width = 4

    def __init__(self, folder, tracks, off=0.0):
        from lofi_engine.training.shards import read_shard

        self.transformer = torch.nn.Linear(1, 1)
        self.latents = [read_shard(folder / track.shard).latents for track in tracks]
        self.off, self.timesteps, self.frames = off, [], []

    def velocity(self, noisy, timestep, _conditioning):
        track = self.latents[len(self.timesteps) // len(LEVELS)][None, ..., : noisy.shape[-1]]
        self.timesteps.append(float(timestep))
        self.frames.append(noisy.shape[-1])
        sigma = timestep / 1000
        return (noisy - track) / sigma + self.off


@pytest.fixture
def encoded(tmp_path):
    return tmp_path, write_encoded(tmp_path, ("validation", "validation"), frames=10)


def error(base, encoded, *, seed=3, frames=6, shift=3.0):
    return validation_error(base, *encoded, shift=shift, window_frames=frames, seed=seed)


def test_a_perfect_base_has_no_error_and_sees_every_level_of_every_track(encoded):
    oracle = Oracle(*encoded)
    assert error(oracle, encoded) < 1e-9
    # Shares 0.101, 0.301, ... from the clean end of the grid, shifted by 3.
    shares = [level + 0.001 for level in LEVELS]
    expected = [1000 * 3 * share / (1 + 2 * share) for share in shares]
    assert oracle.timesteps == pytest.approx(expected * 2, rel=1e-5)
    assert oracle.frames == [6] * 10


def test_the_error_is_the_mean_over_tracks_and_levels(encoded):
    oracle = Oracle(*encoded, off=0.5)
    found = error(oracle, encoded, shift=1.0)
    expected = sum((0.5 * (level + 0.001)) ** 2 for level in LEVELS) / len(LEVELS)
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_track_shorter_than_the_window_is_taken_whole(encoded):
    oracle = Oracle(*encoded)
    error(oracle, encoded, frames=99)
    assert set(oracle.frames) == {10}


def test_the_same_question_has_the_same_answer_and_another_noise_another(encoded):
    base = tiny_base()
    first = error(base, encoded)
    torch.rand(5)
    assert error(base, encoded) == first
    assert error(base, encoded, seed=4) != first


def test_it_asks_in_evaluation_mode_and_changes_nothing(encoded):
    base = tiny_base()
    first = error(base, encoded)
    base.transformer.train()
    assert error(base, encoded) == first
    assert all(part.grad is None for part in base.transformer.parameters())


def test_the_adapter_a_base_carries_counts(encoded):
    base = tiny_base()
    before = error(base, encoded)
    model = add_adapter(base.transformer, LORA, 1)
    assert error(base, encoded) == before
    weights = {name: part + 0.05 for name, part in adapter_weights(model).items()}
    set_adapter_weights(model, weights)
    assert error(base, encoded) != pytest.approx(before, rel=1e-4)
