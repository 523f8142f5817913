from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lofi_runtime.pipeline.schedulers import flow_sigmas, make_scheduler

GOLDEN = load_file(Path(__file__).parents[2] / "golden" / "schedulers.safetensors")
CASES = sorted({key.rsplit(".", 1)[0] for key in GOLDEN})


def field(latents, timestep):
    return (0.5 * np.tanh(latents) + 0.1 * np.sin(timestep / 100)).astype(np.float32)


def no_noise(_index):
    raise AssertionError("only PingPong adds noise")


def test_there_are_golden_runs_of_every_scheduler():
    assert len(CASES) == 12


@pytest.mark.parametrize("case", CASES)
def test_a_whole_run_equals_the_reference(case):
    name, steps, omega = case.split(".")
    noise = GOLDEN.get(f"{case}.noise")
    scheduler = make_scheduler(
        name,
        int(steps),
        noise=no_noise if noise is None else lambda index: noise[index],
        omega=float(omega),
    )
    np.testing.assert_allclose(scheduler.sigmas, GOLDEN[f"{case}.sigmas"], rtol=1e-6)
    np.testing.assert_allclose(scheduler.timesteps, GOLDEN[f"{case}.timesteps"], rtol=1e-6)
    latents = GOLDEN[f"{case}.start"]
    for index, timestep in enumerate(scheduler.timesteps):
        latents = scheduler.step(index, field(latents, timestep), latents)
    end = GOLDEN[f"{case}.end"]
    assert latents.dtype == np.float32
    assert np.abs(latents - end).max() / end.std() < 1e-5


@pytest.mark.parametrize("name", ["euler", "heun", "pingpong"])
def test_one_step_along_a_straight_flow_reaches_the_end(name):
    start = np.linspace(-1, 1, 24, dtype=np.float32).reshape(1, 2, 3, 4)
    end = start[:, :, ::-1] * 0.3
    scheduler = make_scheduler(name, 1, noise=no_noise, omega=0.0)
    assert len(scheduler.timesteps) == 1
    np.testing.assert_allclose(scheduler.step(0, start - end, start), end, atol=1e-6)


@pytest.mark.parametrize("omega", [-30.0, 0.0, 2.5, 10.0, 40.0])
def test_omega_scales_what_a_step_differs_from_its_mean(omega):
    start = np.random.default_rng(2).normal(size=(1, 2, 3, 4)).astype(np.float32)
    velocity = start[..., ::-1] * 2 + 1
    plain = {}
    for name in ("euler", "heun"):
        scheduler = make_scheduler(name, 5, noise=no_noise, omega=omega)
        step = (scheduler.sigmas[1] - scheduler.sigmas[0]) * velocity
        gain = 0.9 + 0.2 / (1 + np.exp(-0.1 * omega))
        plain[name] = start + (step - step.mean()) * gain + step.mean()
        np.testing.assert_allclose(scheduler.step(0, velocity, start), plain[name], atol=1e-6)


def test_heun_takes_its_step_again_with_the_mean_slope_and_the_same_omega():
    start = np.random.default_rng(2).normal(size=(1, 2, 3, 4)).astype(np.float32)
    first, second = start * 2 + 1, start[..., ::-1] - 3
    scheduler = make_scheduler("heun", 5, noise=no_noise, omega=10.0)
    there = scheduler.step(0, first, start)
    assert scheduler.sigmas[1] == scheduler.sigmas[2]
    step = (scheduler.sigmas[1] - scheduler.sigmas[0]) * (first + second) / 2
    gain = 0.9 + 0.2 / (1 + np.exp(-1.0))
    expected = start + (step - step.mean()) * gain + step.mean()
    np.testing.assert_allclose(scheduler.step(1, second, there), expected, atol=1e-6)


def test_rows_of_a_batch_do_not_influence_each_other():
    rows = np.random.default_rng(1).normal(size=(2, 2, 3, 4)).astype(np.float32)
    together = make_scheduler("euler", 4, noise=no_noise).step(0, rows, rows)
    alone = make_scheduler("euler", 4, noise=no_noise).step(0, rows[1:], rows[1:])
    np.testing.assert_array_equal(together[1:], alone)


def test_sigma_max_begins_below_one():
    assert flow_sigmas(10)[0] == 1.0
    # A sigma of 0.6 is shifted by 3 twice: to 9/11, then to 27/29.
    assert flow_sigmas(10, sigma_max=0.6)[0] == pytest.approx(27 / 29)


def test_an_unknown_scheduler_and_no_steps_are_refused():
    with pytest.raises(ValueError, match="scheduler is 'dpm', must be one of euler, heun, pingp"):
        make_scheduler("dpm", 4, noise=no_noise)
    with pytest.raises(ValueError, match="inference_steps is 0, must be at least 1"):
        make_scheduler("euler", 0, noise=no_noise)
