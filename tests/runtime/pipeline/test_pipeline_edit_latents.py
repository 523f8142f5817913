"""Edits over velocity fields whose answer is known; `test_pipeline_trajectory` has the goldens."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from lofi_runtime.errors import GenerationCancelled
from lofi_runtime.pipeline.denoise import DenoiseSettings, denoise
from lofi_runtime.pipeline.edit import AudioToAudio, Extend, Repaint, Retake
from lofi_runtime.pipeline.edit_latents import EditNoise, edit_latents, edit_noise, second_shape
from lofi_runtime.pipeline.noise import EDIT_STREAM, starting_noise

SHAPE = (1, 8, 16, 24)
SOURCE = starting_noise(100, SHAPE)
PLAIN = DenoiseSettings(10, guidance_scale=1.0)
F = np.float32


def curved(latents, timestep, conditioning):
    """A field of each value alone: no frame knows of another."""
    sigma = (timestep / F(1000)).reshape(-1, 1, 1, 1)
    return np.tanh(latents) + sigma * F(0.5)


def blurred(latents, timestep, conditioning):
    """A field in which every frame sees its neighbours."""
    return np.tanh(latents + np.roll(latents, 1, axis=-1) + np.roll(latents, -1, axis=-1))


def edited(edit, *, velocity=curved, source=SOURCE, noise=None, settings=PLAIN, **more):
    noise = noise or edit_noise(edit, source.shape, seed=7, source_seed=3)
    return edit_latents(velocity, edit, source, noise, None, settings=settings, **more)


# Retake


@pytest.mark.parametrize("scheduler", ["euler", "heun", "pingpong"])
def test_a_retake_with_variance_0_makes_the_same_track_again(scheduler):
    settings = DenoiseSettings(6, scheduler=scheduler, guidance_scale=1.0)
    again = denoise(curved, starting_noise(3, SHAPE), None, settings=settings, seed=3)
    np.testing.assert_array_equal(edited(Retake(0.0), settings=settings), again)


def test_a_retake_with_variance_1_starts_from_the_second_noise_alone():
    second = starting_noise(7, SHAPE, stream=EDIT_STREAM)
    expected = denoise(curved, second, None, settings=PLAIN)
    np.testing.assert_allclose(edited(Retake(1.0)), expected, atol=1e-6)


def test_noises_are_mixed_by_angle_so_that_the_mixture_stays_standard_normal():
    one, other = starting_noise(1, SHAPE), starting_noise(2, SHAPE)
    starts = []

    def velocity(latents, timestep, conditioning):
        starts.append(latents)
        return np.zeros_like(latents)

    edited(Retake(0.3), velocity=velocity, noise=EditNoise(one, other))
    expected = np.cos(0.3 * np.pi / 2) * one + np.sin(0.3 * np.pi / 2) * other
    np.testing.assert_allclose(starts[0], expected, atol=1e-6)
    assert abs(starts[0].std() - 1.0) < 0.05


# Repaint


@pytest.mark.parametrize("variance", [0.05, 0.4, 1.0])
def test_a_repaint_leaves_the_frames_outside_its_range_as_they_were(variance):
    found = edited(Repaint(5, 11, variance), velocity=blurred)
    np.testing.assert_array_equal(found[..., :5], SOURCE[..., :5])
    np.testing.assert_array_equal(found[..., 11:], SOURCE[..., 11:])
    assert (np.abs(found[..., 5:11] - SOURCE[..., 5:11]).max(axis=(0, 1, 2)) > 0.01).all()


def test_a_repaint_with_variance_0_gives_the_source_back_without_asking_the_network():
    heard = []
    found = edited(Repaint(5, 11, 0.0), velocity=None, on_step=lambda *step: heard.append(step))
    np.testing.assert_array_equal(found, SOURCE)
    assert not np.shares_memory(found, SOURCE)
    assert heard == []


def test_a_repaint_with_variance_1_owes_nothing_to_what_was_in_the_range():
    other = SOURCE.copy()
    other[..., 5:11] = -3.0
    np.testing.assert_allclose(
        edited(Repaint(5, 11, 1.0)), edited(Repaint(5, 11, 1.0), source=other), atol=1e-6
    )


@pytest.mark.parametrize(
    ("steps", "variance", "asked"), [(10, 0.6, 6), (10, 0.05, 1), (27, 0.5, 14), (4, 1.0, 4)]
)
def test_a_repaint_leaves_out_the_first_steps_of_the_schedule(steps, variance, asked):
    assert asked == steps - int(steps * (1 - variance))
    timesteps, heard = [], []

    def velocity(latents, timestep, conditioning):
        timesteps.append(timestep[0])
        return np.zeros_like(latents)

    settings = DenoiseSettings(steps, guidance_scale=1.0)
    edited(
        Repaint(5, 11, variance),
        velocity=velocity,
        settings=settings,
        on_step=lambda *step: heard.append(step),
    )
    assert heard == [(done, asked) for done in range(asked)]
    whole = []
    denoise(
        lambda latents, timestep, _: whole.append(timestep[0]) or latents,
        SOURCE,
        None,
        settings=settings,
    )
    assert timesteps == whole[steps - asked :]


def test_a_repaint_is_plain_euler_with_the_source_blended_back():
    from lofi_runtime.pipeline.schedulers import flow_sigmas

    noise, steps, variance = EditNoise(starting_noise(1, SHAPE), starting_noise(2, SHAPE)), 8, 0.75
    mask = (np.arange(24) >= 5) & (np.arange(24) < 11)
    angle = variance * np.pi / 2
    turned = np.cos(angle) * noise.start + np.sin(angle) * noise.second
    z0 = np.where(mask, turned, noise.start).astype(np.float64)
    sigmas = [*flow_sigmas(steps).astype(np.float64), 0.0]
    x = (1 - sigmas[2]) * SOURCE + sigmas[2] * z0
    for now, after in pairwise(sigmas[2:]):
        slope = blurred(x, None, None)
        x = np.where(mask, x + (after - now) * slope, (1 - after) * SOURCE + after * z0)
    for scheduler in ("euler", "heun", "pingpong"):
        settings = DenoiseSettings(steps, scheduler=scheduler, guidance_scale=1.0, omega=10.0)
        found = edited(Repaint(5, 11, variance), velocity=blurred, noise=noise, settings=settings)
        np.testing.assert_allclose(found, x, atol=1e-5)


def test_a_repaint_is_guided_at_the_same_steps_of_the_schedule_as_a_whole_run():
    rows = []

    def velocity(latents, timestep, conditioning):
        rows.append(len(latents))
        return np.zeros_like(latents)

    noise = edit_noise(Repaint(5, 11, 0.6), SHAPE, seed=1)
    edit_latents(
        velocity,
        Repaint(5, 11, 0.6),
        SOURCE,
        noise,
        "one",
        "both",
        settings=DenoiseSettings(10),
    )
    # Of ten steps 2 to 6 are guided, and the first four are left out.
    assert rows == [2, 2, 2, 1, 1, 1]


# Extend


def test_an_extension_keeps_the_source_between_its_new_frames():
    found = edited(Extend(4, 6), velocity=blurred)
    assert found.shape == (1, 8, 16, 34)
    np.testing.assert_array_equal(found[..., 4:28], SOURCE)
    assert (found[..., :4].std(axis=(0, 1, 2)) > 0.05).all()
    assert (found[..., 28:].std(axis=(0, 1, 2)) > 0.05).all()


def test_both_sides_at_once_are_what_each_side_is_alone_where_no_frame_sees_another():
    both = edited(Extend(4, 6))
    np.testing.assert_array_equal(both[..., :28], edited(Extend(left_frames=4)))
    np.testing.assert_array_equal(both[..., 4:], edited(Extend(right_frames=6)))


def test_both_sides_at_once_see_each_other_through_the_source():
    short = SOURCE[..., :1]
    both = edited(Extend(2, 2), velocity=blurred, source=short)
    alone = edited(Extend(left_frames=2), velocity=blurred, source=short)
    assert np.abs(both[..., :2] - alone[..., :2]).max() > 1e-3


def test_an_extension_may_be_longer_than_its_source_and_uses_no_noise_twice():
    assert second_shape(Extend(30, 50), SHAPE) == (1, 8, 16, 80)
    assert second_shape(Extend(3, 5), SHAPE) == SHAPE
    found = edited(Extend(30, 50))
    np.testing.assert_array_equal(found[..., 30:54], SOURCE)
    new = np.concatenate([found[..., :30], found[..., 54:]], axis=-1).reshape(128, 80)
    assert len(np.unique(new[0])) == 80


@pytest.mark.parametrize(
    ("edit", "most"),
    [(Extend(left_frames=9), 20), (Extend(right_frames=9), 20), (Repaint(10, 15), 9)],
)
def test_a_track_above_the_limit_is_seen_in_a_window_and_joined(edit, most):
    widths = []

    def velocity(latents, timestep, conditioning):
        widths.append(latents.shape[-1])
        return curved(latents, timestep, conditioning)

    found = edited(edit, velocity=velocity, max_frames=most)
    assert set(widths) == {most}
    np.testing.assert_array_equal(found, edited(edit))


def test_a_window_sees_the_source_that_is_nearest():
    from lofi_runtime.pipeline.repaint import window_around

    assert window_around(0, 9, 33, 20) == slice(0, 20)
    assert window_around(24, 33, 33, 20) == slice(13, 33)
    assert window_around(10, 15, 24, 9) == slice(8, 17)
    assert window_around(22, 24, 24, 9) == slice(15, 24)
    assert window_around(0, 5, 24, 24) == slice(0, 24)


# Audio to audio


@pytest.mark.parametrize(("scheduler", "asked"), [("euler", 6), ("heun", 11), ("pingpong", 6)])
def test_audio_to_audio_starts_from_the_noised_source_and_walks_a_part(scheduler, asked):
    starts, timesteps = [], []

    def velocity(latents, timestep, conditioning):
        starts.append(latents)
        timesteps.append(timestep[0])
        return np.zeros_like(latents)

    noise = EditNoise(starting_noise(1, SHAPE))
    settings = DenoiseSettings(10, scheduler=scheduler, guidance_scale=1.0)
    edited(AudioToAudio(0.4), velocity=velocity, noise=noise, settings=settings)
    # A sigma of 0.6 shifted by 3 is 9/11; shifted twice it is 27/29.
    np.testing.assert_allclose(starts[0], 2 / 11 * SOURCE + 9 / 11 * noise.start, atol=1e-6)
    assert timesteps[0] == pytest.approx(27_000 / 29)
    assert len(timesteps) == asked


@pytest.mark.parametrize("scheduler", ["euler", "heun", "pingpong"])
def test_audio_to_audio_reaches_the_target_of_a_straight_flow(scheduler):
    target = starting_noise(11, SHAPE)

    def towards(latents, timestep, conditioning):
        return (latents - target) / (timestep / F(1000)).reshape(-1, 1, 1, 1)

    settings = DenoiseSettings(12, scheduler=scheduler, guidance_scale=1.0, omega=0.0)
    found = edited(AudioToAudio(0.3), velocity=towards, settings=settings)
    np.testing.assert_allclose(found, target, atol=2e-5)


def test_audio_to_audio_with_heun_is_more_exact_than_with_euler():
    def found(scheduler, steps):
        settings = DenoiseSettings(steps, scheduler=scheduler, guidance_scale=1.0, omega=0.0)
        return edited(AudioToAudio(0.5), settings=settings)

    exact = found("heun", 400)
    errors = {name: np.abs(found(name, 40) - exact).max() for name in ("euler", "heun")}
    assert errors["heun"] < errors["euler"] / 10


def test_pingpong_adds_the_given_noise_at_every_step_of_audio_to_audio():
    from lofi_runtime.pipeline.schedulers import flow_sigmas

    noise, added = EditNoise(starting_noise(1, SHAPE)), starting_noise(2, (5, *SHAPE))
    settings = DenoiseSettings(10, scheduler="pingpong", guidance_scale=1.0)
    found = edited(
        AudioToAudio(0.5), noise=noise, settings=settings, step_noise=lambda index: added[index]
    )
    x = F(0.25) * SOURCE + F(0.75) * noise.start  # 0.5 shifted by 3 is 3/4
    sigmas = [*flow_sigmas(5, sigma_max=0.5), F(0)]
    for index in range(5):
        clean = x - sigmas[index] * curved(x, np.array([sigmas[index] * F(1000)]), None)
        x = (1 - sigmas[index + 1]) * clean + sigmas[index + 1] * added[index]
    np.testing.assert_allclose(found, x, atol=1e-5)


def test_a_strength_of_0_hears_nothing_of_the_source():
    noise = EditNoise(starting_noise(1, SHAPE))
    expected = denoise(curved, noise.start, None, settings=PLAIN)
    np.testing.assert_array_equal(edited(AudioToAudio(0.0), noise=noise), expected)


@pytest.mark.parametrize("strength", [1.0, 0.9995])
def test_a_strength_of_1_gives_the_source_back(strength):
    found = edited(AudioToAudio(strength), velocity=None)
    np.testing.assert_array_equal(found, SOURCE)
    assert not np.shares_memory(found, SOURCE)


def test_at_least_one_step_is_walked_where_noise_was_added():
    heard = []
    edited(AudioToAudio(0.98), on_step=lambda *step: heard.append(step))
    assert heard == [(0, 1)]


# All edits

EDITS = [Retake(0.5), Repaint(5, 11, 0.7), Extend(4, 6), AudioToAudio(0.5)]


@pytest.mark.parametrize("edit", EDITS)
def test_the_source_is_left_alone_and_rows_do_not_see_each_other(edit):
    settings = DenoiseSettings(8, guidance="apg", guidance_scale=7.0)
    rows = starting_noise(9, (2, *SHAPE[1:]))
    kept = rows.copy()
    noise = edit_noise(edit, rows.shape, seed=1)

    def towards(latents, timestep, conditioning):
        return np.tanh(latents - conditioning)

    def made(part):
        both = np.repeat([F(1.0), F(-1.0)], len(rows[part])).reshape(-1, 1, 1, 1)
        mine = EditNoise(noise.start[part], None if noise.second is None else noise.second[part])
        return edit_latents(
            towards, edit, rows[part], mine, both[: len(rows[part])], both, settings=settings
        )

    together = made(slice(0, 2))
    np.testing.assert_array_equal(rows, kept)
    np.testing.assert_allclose(together[1:], made(slice(1, 2)), atol=1e-5)


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_can_be_cancelled_between_evaluations(edit):
    calls = []

    def velocity(latents, timestep, conditioning):
        calls.append(timestep)
        return np.zeros_like(latents)

    def stop_at_two(done, total):
        if done == 2:
            raise GenerationCancelled("cancelled")

    with pytest.raises(GenerationCancelled, match="cancelled"):
        edited(edit, velocity=velocity, on_step=stop_at_two)
    assert len(calls) == 2


@pytest.mark.parametrize("edit", EDITS)
def test_noise_of_another_shape_than_the_source_is_refused(edit):
    noise = edit_noise(edit, (1, 8, 16, 25), seed=1)
    with pytest.raises(ValueError, match=r"start noise is of shape \(1, 8, 16, 25\); a source of"):
        edited(edit, noise=noise)


def test_a_second_noise_that_is_missing_or_too_short_is_refused():
    start = starting_noise(1, SHAPE)
    with pytest.raises(ValueError, match=r"the second noise is missing; a source of shape \(1, 8"):
        edited(Retake(), noise=EditNoise(start))
    with pytest.raises(ValueError, match=r"second noise is of shape .*24\); .* needs .*16, 30\)"):
        edited(Extend(right_frames=30), noise=EditNoise(start, start))


def test_a_source_without_its_batch_axis_is_refused():
    with pytest.raises(ValueError, match=r"have shape \(8, 16, 24\), must be \(batch, channels,"):
        edited(Retake(), source=SOURCE[0], noise=edit_noise(Retake(), SHAPE, seed=1))


def test_a_source_that_is_not_finite_is_refused():
    source = SOURCE.copy()
    source[0, 0, 0, :3] = [np.nan, np.inf, -np.inf]
    with pytest.raises(ValueError, match="the source latents hold 3 values that are not finite"):
        edited(Repaint(5, 11), source=source)


def test_guidance_without_its_conditioning_and_no_steps_are_refused():
    with pytest.raises(ValueError, match=r"guidance scale 15.0 needs the guided conditioning"):
        edited(Repaint(5, 11), settings=DenoiseSettings(9))
    for edit in EDITS:
        with pytest.raises(ValueError, match="inference_steps is 0, must be at least 1"):
            edited(edit, settings=DenoiseSettings(0, guidance_scale=1.0))


def test_an_edit_draws_its_start_from_the_source_and_the_rest_from_its_own_seed():
    drawn = edit_noise(Retake(), SHAPE, seed=7, source_seed=3)
    np.testing.assert_array_equal(drawn.start, starting_noise(3, SHAPE))
    np.testing.assert_array_equal(drawn.second, starting_noise(7, SHAPE, stream=2**63))
    assert drawn.step_seed == 3
    alone = edit_noise(AudioToAudio(), SHAPE, seed=7, source_seed=3)
    np.testing.assert_array_equal(alone.start, starting_noise(7, SHAPE))
    assert (alone.second, alone.step_seed) == (None, 7)


def test_an_edit_with_its_sources_seed_still_has_two_noises():
    drawn = edit_noise(Repaint(5, 11), SHAPE, seed=3, source_seed=3)
    assert abs(np.corrcoef(drawn.start.ravel(), drawn.second.ravel())[0, 1]) < 0.05
