from __future__ import annotations

import numpy as np
import pytest
import torch

from lofi_engine.training.flow import (
    TRAIN_TIMESTEPS,
    add_noise,
    denoising_loss,
    draw_sigmas,
    shifted_sigmas,
)


@pytest.mark.parametrize("shift", [1.0, 2.0, 3.0, 6.5])
def test_the_grid_is_the_shifted_formula(shift):
    share = np.arange(1000, 0, -1) / 1000
    expected = shift * share / (1 + (shift - 1) * share)
    sigmas = shifted_sigmas(shift)
    assert sigmas.dtype == torch.float32
    np.testing.assert_allclose(sigmas.numpy(), expected, rtol=1e-7)
    assert bool((sigmas[1:] < sigmas[:-1]).all())


def test_the_grid_at_shift_3_has_the_reference_s_numbers():
    sigmas = shifted_sigmas(3.0)
    assert sigmas.shape == (TRAIN_TIMESTEPS,)
    assert sigmas[0] == 1.0
    assert float(sigmas[-1]) == pytest.approx(3 * 0.001 / (1 + 2 * 0.001), rel=1e-6)
    # ACE-Step's FlowMatchEulerDiscreteScheduler, 1000 training timesteps, shift 3.0.
    reference = {1: 0.9996665, 250: 0.9, 500: 0.75, 750: 0.5, 900: 0.25, 998: 0.005976096}
    for index, value in reference.items():
        assert float(sigmas[index]) == pytest.approx(value, rel=1e-6)


def test_without_a_shift_the_grid_is_even():
    torch.testing.assert_close(shifted_sigmas(1.0), torch.arange(1000, 0, -1) / 1000)


def test_drawn_sigmas_are_logit_normal_over_the_grid():
    sigmas = draw_sigmas(40_000, 1.0, torch.Generator().manual_seed(3)).double()
    # Undo the grid: index i holds 1 - i/1000, and i/1000 is the sigmoid of a normal draw.
    normal = torch.logit((1 - sigmas + 0.0005).clamp(1e-4, 1 - 1e-4))
    assert float(normal.mean()) == pytest.approx(0.0, abs=0.02)
    assert float(normal.std()) == pytest.approx(1.0, abs=0.02)
    quantiles = torch.quantile(normal, torch.tensor([0.1, 0.25, 0.75, 0.9], dtype=torch.float64))
    expected = torch.tensor([-1.2816, -0.6745, 0.6745, 1.2816], dtype=torch.float64)
    torch.testing.assert_close(quantiles, expected, atol=0.03, rtol=0)


def test_the_shift_moves_the_draws_towards_noise():
    draws = {
        shift: draw_sigmas(4000, shift, torch.Generator().manual_seed(3)) for shift in (1.0, 3.0)
    }
    assert float(draws[1.0].median()) == pytest.approx(0.5, abs=0.02)
    assert float(draws[3.0].median()) == pytest.approx(0.75, abs=0.02)
    assert bool((draws[3.0] >= draws[1.0]).all())


def test_drawn_sigmas_lie_on_the_grid_and_repeat_with_their_generator():
    grid = set(shifted_sigmas(3.0).tolist())
    one = draw_sigmas(500, 3.0, torch.Generator().manual_seed(1))
    again = draw_sigmas(500, 3.0, torch.Generator().manual_seed(1))
    other = draw_sigmas(500, 3.0, torch.Generator().manual_seed(2))
    assert set(one.tolist()) <= grid
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_the_path_from_latents_to_noise_is_straight():
    latents, noise = torch.randn(2, 3, 8, 16, 5)
    ends = torch.tensor([0.0, 1.0, 0.25])
    noisy = add_noise(latents, noise, ends)
    assert torch.equal(noisy[0], latents[0])
    assert torch.equal(noisy[1], noise[1])
    torch.testing.assert_close(noisy[2], 0.25 * noise[2] + 0.75 * latents[2])


def test_the_loss_is_zero_exactly_where_the_velocity_is_that_of_the_path():
    latents, noise = torch.randn(2, 4, 8, 16, 6, dtype=torch.float64)
    sigmas = torch.tensor([1.0, 0.75, 0.3, 0.003], dtype=torch.float64)
    noisy = add_noise(latents, noise, sigmas)
    loss = denoising_loss(noise - latents, noisy, latents, sigmas)
    assert loss.shape == (4,)
    assert float(loss.max()) < 1e-28
    wrong = denoising_loss(latents - noise, noisy, latents, sigmas)
    assert bool((wrong > 1e-6).all())


def test_the_loss_is_the_velocity_s_squared_error_times_the_squared_sigma():
    latents, noise, off = torch.randn(3, 2, 8, 16, 6, dtype=torch.float64)
    sigmas = torch.tensor([0.9, 0.2], dtype=torch.float64)
    noisy = add_noise(latents, noise, sigmas)
    loss = denoising_loss(noise - latents + off, noisy, latents, sigmas)
    torch.testing.assert_close(loss, sigmas**2 * off.square().flatten(1).mean(1))


def test_the_loss_of_one_entry_does_not_see_the_others():
    latents, noise, velocity = torch.randn(3, 3, 8, 16, 6)
    sigmas = torch.tensor([0.9, 0.5, 0.2])
    noisy = add_noise(latents, noise, sigmas)
    whole = denoising_loss(velocity, noisy, latents, sigmas)
    alone = denoising_loss(velocity[1:2], noisy[1:2], latents[1:2], sigmas[1:2])
    torch.testing.assert_close(whole[1:2], alone)


def test_masked_frames_count_as_right_and_the_error_for_the_share_that_counts():
    # The reference's own arithmetic: the mean over all frames, times the mask's mean.
    latents = torch.zeros(2, 8, 16, 4)
    noisy = torch.ones(2, 8, 16, 4)
    velocity = torch.zeros_like(noisy)  # so the implied latents are all one off
    sigmas = torch.tensor([0.5, 0.9])
    mask = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]])
    found = denoising_loss(velocity, noisy, latents, sigmas, mask)
    assert found.tolist() == [1.0, 0.25 * 0.25]
    plain = denoising_loss(velocity, noisy, latents, sigmas)
    assert plain.tolist() == [1.0, 1.0]
