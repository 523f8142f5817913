"""Whole denoising runs and edits over the engine's torch transformer equal the reference's."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lofi_runtime.pipeline.denoise import DenoiseSettings, denoise
from lofi_runtime.pipeline.edit import AudioToAudio, Extend, Repaint, Retake, frame_of
from lofi_runtime.pipeline.edit_latents import EditNoise, edit_latents
from lofi_runtime.pipeline.schedulers import flow_sigmas, make_scheduler
from tests.support.small_transformer import small_contexts, small_velocity

pytest.importorskip("torch")

GOLDEN = Path(__file__).parents[2] / "golden"
CASES = json.loads((GOLDEN / "trajectory_small.json").read_text(encoding="utf-8"))["cases"]
RUNS = load_file(GOLDEN / "trajectory_small.safetensors")
EDIT_CASES = json.loads((GOLDEN / "edit_small.json").read_text(encoding="utf-8"))["cases"]
EDITS = load_file(GOLDEN / "edit_small.safetensors")


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_trajectory_equals_the_reference(case):
    given = CASES[case]
    settings = DenoiseSettings(
        inference_steps=given["infer_steps"],
        scheduler=given["scheduler_type"],
        guidance=given["cfg_type"],
        guidance_scale=given["guidance_scale"],
        guidance_interval=given.get("guidance_interval", 0.5),
        omega=given["omega_scale"],
    )
    start = RUNS[f"{case}.noise"]
    found = denoise(small_velocity, start, *small_contexts(), settings=settings)
    expected = RUNS[f"{case}.latents"]
    assert np.abs(found - expected).max() / expected.std() < 1e-4


def edit_of(name, given):
    """The edit that a golden case asks for, in the reference's seconds."""
    if name == "audio2audio":
        return AudioToAudio(given["ref_audio_strength"])
    start, end = frame_of(given["repaint_start"]), frame_of(given["repaint_end"])
    if name == "retake":
        return Retake(given["retake_variance"])
    if name == "repaint":
        return Repaint(start, end, given["retake_variance"])
    frames = EDITS["source_latents"].shape[-1]
    return Extend(left_frames=max(0, -start), right_frames=max(0, end - frames))


@pytest.mark.parametrize("case", sorted(EDIT_CASES))
def test_an_edit_equals_the_reference(case):
    given = EDIT_CASES[case]
    found = edit_latents(
        small_velocity,
        edit_of(case, given),
        EDITS["source_latents"],
        EditNoise(EDITS["noise"], EDITS["retake_noise"]),
        *small_contexts(),
        settings=DenoiseSettings(given["steps"], guidance_scale=given["guidance_scale"]),
    )
    expected = EDITS[f"{case}.latents"]
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() / expected.std() < 1e-4


def test_a_repaint_of_the_whole_source_equals_a_retake_of_the_reference():
    found = edit_latents(
        small_velocity,
        Repaint(0, 43, 0.3),
        EDITS["source_latents"],
        EditNoise(EDITS["noise"], EDITS["retake_noise"]),
        *small_contexts(),
        settings=DenoiseSettings(10, guidance_scale=7.0),
    )
    expected = EDITS["retake.latents"]
    assert np.abs(found - expected).max() / expected.std() < 1e-4


UNGUIDED = DenoiseSettings(6, guidance_scale=1.0)
NOISE = EditNoise(EDITS["noise"], EDITS["retake_noise"])


def asked(latents, sigma):
    timestep = np.full(len(latents), sigma * np.float32(1000), np.float32)
    return small_velocity(latents.astype(np.float32), timestep, small_contexts()[0])


def test_both_sides_at_once_are_the_references_steps_over_one_longer_track():
    source, conditional = EDITS["source_latents"], small_contexts()[0]
    found = edit_latents(
        small_velocity, Extend(9, 12), source, NOISE, conditional, settings=UNGUIDED
    )
    x0 = np.pad(source, [(0, 0)] * 3 + [(9, 12)])
    z0 = np.concatenate([NOISE.second[..., :9], NOISE.start, NOISE.second[..., -12:]], axis=-1)
    mask = np.array([True] * 9 + [False] * 43 + [True] * 12)
    sigmas = [*flow_sigmas(6), np.float32(0)]
    x = z0
    for now, after in pairwise(sigmas):
        moved = x + (after - now) * asked(x, now)
        x = np.where(mask, moved, (1 - after) * x0 + after * z0)
    np.testing.assert_array_equal(found[..., 9:52], source)
    assert np.abs(found - x).max() / x.std() < 1e-5


@pytest.mark.parametrize("scheduler", ["heun", "pingpong"])
def test_audio_to_audio_walks_its_part_of_the_schedule_with_every_scheduler(scheduler):
    source, conditional = EDITS["source_latents"], small_contexts()[0]
    added = EDITS["retake_noise"]
    found = edit_latents(
        small_velocity,
        AudioToAudio(0.5),
        source,
        NOISE,
        conditional,
        settings=replace(UNGUIDED, scheduler=scheduler),
        step_noise=lambda index: added[..., ::-1] * (-1) ** index,
    )
    walk = make_scheduler(
        scheduler, 3, sigma_max=0.5, noise=lambda index: added[..., ::-1] * (-1) ** index
    )
    x = (source + 3 * NOISE.start) / 4  # a sigma of 0.5 shifted by 3 is 3/4
    for index, sigma in enumerate(walk.sigmas[:-1]):
        x = walk.step(index, asked(x, sigma), x)
    assert np.abs(found - x).max() / x.std() < 1e-5
