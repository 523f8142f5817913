"""The loop on velocity fields whose answer is known; a torch transformer is put in its place in
the engine's tests."""

from __future__ import annotations

import numpy as np
import pytest

from lofi_runtime.errors import GenerationCancelled
from lofi_runtime.pipeline.denoise import DenoiseSettings, denoise
from lofi_runtime.pipeline.noise import starting_noise
from lofi_runtime.pipeline.schedulers import make_scheduler

SHAPE = (1, 8, 16, 12)
START = starting_noise(3, SHAPE)
PLAIN = DenoiseSettings(inference_steps=9, guidance_scale=1.0, omega=0.0)


def towards(latents, timestep, target):
    """The straight flow to `target`, one row of it for each row of latents."""
    sigma = (timestep / np.float32(1000)).reshape(-1, 1, 1, 1)
    return (latents - target) / sigma


def target_of(seed, rows=1):
    return starting_noise(seed, (rows, *SHAPE[1:]))


@pytest.mark.parametrize("scheduler", ["euler", "heun", "pingpong"])
def test_a_straight_flow_ends_at_its_target(scheduler):
    target = target_of(11)
    settings = DenoiseSettings(9, scheduler=scheduler, guidance_scale=1.0, omega=0.0)
    end = denoise(towards, START, target, settings=settings, seed=5)
    np.testing.assert_allclose(end, target, atol=2e-5)


def test_heun_is_more_exact_than_euler_on_a_curved_flow():
    def curved(latents, timestep, _conditioning):  # dx/dsigma = x: x(0) = x(1) / e
        return latents

    errors = {}
    for scheduler in ("euler", "heun"):
        settings = DenoiseSettings(30, scheduler=scheduler, guidance_scale=1.0, omega=0.0)
        end = denoise(curved, START, None, settings=settings)
        errors[scheduler] = np.abs(end - START / np.e).max()
    assert errors["heun"] < errors["euler"] / 10


def test_only_the_middle_half_is_guided_and_in_one_call_of_both_branches():
    calls = []

    def velocity(latents, timestep, conditioning):
        calls.append((len(latents), timestep.shape, timestep.dtype, conditioning))
        assert (timestep == timestep[0]).all()
        return np.zeros_like(latents)

    settings = DenoiseSettings(inference_steps=10)
    denoise(velocity, START, "one", "both", settings=settings)
    assert [call[0] for call in calls] == [1, 1, 2, 2, 2, 2, 2, 1, 1, 1]
    assert [call[3] for call in calls] == ["both" if rows == 2 else "one" for rows, *_ in calls]
    assert all(shape == (rows,) and dtype == np.float32 for rows, shape, dtype, _ in calls)


def test_guidance_moves_the_end_away_from_the_unconditional_target():
    conditional, unconditional = target_of(1), target_of(2)
    both = np.concatenate([conditional, unconditional])
    settings = DenoiseSettings(
        9, guidance="cfg", guidance_scale=3.0, guidance_interval=1.0, omega=0
    )
    end = denoise(towards, START, conditional, both, settings=settings)
    np.testing.assert_allclose(end, 3 * conditional - 2 * unconditional, atol=1e-4)


def test_double_condition_asks_for_three_branches():
    targets = target_of(4, rows=3)
    settings = DenoiseSettings(9, guidance_interval=1.0, text_scale=5.0, lyric_scale=1.5, omega=0.0)
    end = denoise(towards, START, targets[:1], targets, settings=settings)
    expected = -4.0 * targets[1] + 3.5 * targets[2] + 1.5 * targets[0]
    np.testing.assert_allclose(end[0], expected, atol=2e-4)


def test_the_scale_falls_over_the_guided_steps_when_asked():
    settings = DenoiseSettings(27, guidance_decay=1.0)
    guided = settings.guided_steps
    assert (guided.start, guided.stop) == (6, 20)
    assert settings.scale_at(6) == 15.0
    assert settings.scale_at(19) == 3.0
    assert DenoiseSettings(27).scale_at(19) == 15.0


@pytest.mark.parametrize("interval", [0.0, 0.25, 0.5, 0.7, 0.75, 1.0])
def test_guided_steps_are_those_of_the_reference_at_every_number_of_steps(interval):
    for n in range(1, 121):
        guided = DenoiseSettings(n, guidance_interval=interval).guided_steps
        expected = [
            i for i in range(n) if int(n * (1 - interval) / 2) <= i < int(n * (interval / 2 + 0.5))
        ]
        assert list(guided) == expected, n


@pytest.mark.parametrize("decay", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("steps", [2, 3, 10, 27])
def test_every_guided_step_is_taken_with_the_scale_of_the_references_formula(steps, decay):
    moves = []

    def velocity(latents, timestep, value):
        moves.append(latents[0, 0, 0, 0])
        return np.broadcast_to(np.float32(value).reshape(-1, 1, 1, 1), latents.shape).copy()

    settings = DenoiseSettings(
        steps, guidance="cfg", guidance_scale=9.0, guidance_decay=decay, min_guidance_scale=2.0
    )
    start = np.zeros(SHAPE, np.float32)
    end = denoise(velocity, start, [1.0], [1.0, 0.0], settings=settings)
    # The empty prediction is 0 and the asked one 1: a step moves by its scale, or by 1.
    sigmas = make_scheduler("euler", steps, noise=None).sigmas
    taken = np.diff([*moves, end[0, 0, 0, 0]]) / np.diff(sigmas)
    first, last = int(steps * 0.25), int(steps * 0.75)
    expected = np.ones(steps)
    for i in range(first, last):
        progress = (i - first) / max(last - first - 1, 1)
        expected[i] = 9.0 - (9.0 - 2.0) * progress * decay
    np.testing.assert_allclose(taken, expected, rtol=1e-4)


@pytest.mark.parametrize("scheduler", ["euler", "heun", "pingpong"])
def test_branches_of_their_own_strength_are_combined_as_if_each_was_asked_alone(scheduler):
    """Entropy-rectified guidance: what weakens a branch travels in its conditioning."""
    targets = target_of(4, rows=3)
    scales = np.float32([1.0, 0.01, 1.0]).reshape(-1, 1, 1, 1)

    def velocity(latents, timestep, conditioning):
        target, query_scale = conditioning
        assert len(latents) == len(target) == len(query_scale)
        return np.tanh(query_scale * latents) - target

    def row(k):
        return targets[k : k + 1], scales[k : k + 1]

    settings = DenoiseSettings(9, scheduler, text_scale=5.0, lyric_scale=1.5)
    found = denoise(velocity, START, row(0), (targets, scales), settings=settings, seed=2)
    walk = make_scheduler(scheduler, 9, noise=lambda i: starting_noise(2, SHAPE, stream=1 + i))
    x = START
    for i, timestep in enumerate(walk.timesteps):
        asked, empty, text = (velocity(x, timestep, row(k)) for k in range(3))
        guided = (1 - 5.0) * empty + (5.0 - 1.5) * text + 1.5 * asked
        x = walk.step(i, guided.astype(np.float32) if 2 <= i < 6 else asked, x)
    np.testing.assert_allclose(found, x, atol=1e-4)


def test_apg_keeps_its_momentum_through_the_guided_steps_of_a_run():
    asked, empty = target_of(1), target_of(2)

    def velocity(latents, timestep, target):
        return np.tanh(latents) - target

    settings = DenoiseSettings(8, guidance_scale=6.0)
    found = denoise(velocity, START, asked, np.concatenate([asked, empty]), settings=settings)
    x, running = START.astype(np.float64), 0.0
    sigmas = make_scheduler("euler", 8, noise=None).sigmas.astype(np.float64)
    gain = 0.9 + 0.2 / (1 + np.exp(-0.1 * 10.0))

    def length(values):
        return np.sqrt((values**2).sum(axis=(-2, -1), keepdims=True))

    for i in range(8):
        slope = np.tanh(x) - asked
        if 2 <= i < 6:
            running = (slope - (np.tanh(x) - empty)) + -0.75 * running
            update = running * np.minimum(1.0, 2.5 / length(running))
            along = slope / length(slope)
            update = update - (update * along).sum(axis=(-2, -1), keepdims=True) * along
            slope = slope + (6.0 - 1.0) * update
        step = (sigmas[i + 1] - sigmas[i]) * slope
        x = x + (step - step.mean()) * gain + step.mean()
    np.testing.assert_allclose(found, x, atol=1e-5)


def test_pingpong_repeats_with_its_seed_and_differs_with_another():
    def velocity(latents, timestep, _conditioning):
        return np.tanh(latents)

    settings = DenoiseSettings(6, scheduler="pingpong", guidance_scale=1.0)
    ends = [denoise(velocity, START, None, settings=settings, seed=seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(ends[0], ends[1])
    assert np.abs(ends[0] - ends[2]).max() > 0.1


def test_progress_comes_before_each_evaluation_and_may_stop_the_run():
    heard, calls = [], []

    def velocity(latents, timestep, _conditioning):
        calls.append(float(timestep[0]))
        return np.zeros_like(latents)

    def stop_at_four(done, total):
        heard.append((done, total))
        if done == 4:
            raise GenerationCancelled("cancelled")

    with pytest.raises(GenerationCancelled, match="cancelled"):
        denoise(velocity, START, None, settings=PLAIN, on_step=stop_at_four)
    assert heard == [(step, 9) for step in range(5)]
    assert len(calls) == 4


def test_guidance_without_its_conditioning_is_refused():
    with pytest.raises(ValueError, match=r"guidance scale 15.0 needs the guided conditioning"):
        denoise(towards, START, target_of(1), settings=DenoiseSettings(9))


def test_a_run_too_short_to_be_guided_needs_no_unconditional():
    settings = DenoiseSettings(1)
    assert not settings.is_guided
    end = denoise(towards, START, target_of(1), settings=settings)
    assert end.shape == SHAPE


@pytest.mark.parametrize(
    ("setting", "value", "span"),
    [
        ("guidance_scale", float("nan"), "0 to 200"),
        ("guidance_interval", 1.5, "0 to 1"),
        ("guidance_decay", -0.1, "0 to 1"),
        ("text_scale", float("inf"), "0 to 200"),
        ("omega", -1e4, "-100 to 100"),
        ("shift", 0.0, "0.01 to 100"),
        ("sigma_max", 0.0, "0.001 to 1"),
    ],
)
def test_a_setting_out_of_its_range_is_refused_by_name(setting, value, span):
    with pytest.raises(ValueError, match=rf"^{setting} is {value}, must be from {span}$"):
        DenoiseSettings(**{setting: value})
