"""What is expected of a run against what the denoising loop asks of the network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lofi_runtime.pipeline.costs import evaluation_rows
from lofi_runtime.pipeline.denoise import DenoiseSettings, denoise

Floats = npt.NDArray[np.float32]


@pytest.mark.parametrize("scheduler", ["euler", "heun", "pingpong"])
@pytest.mark.parametrize("guidance_scale", [1.0, 15.0])
@pytest.mark.parametrize("steps", [1, 2, 27, 60])
def test_rows_are_those_that_the_loop_asks_for(
    scheduler: str, guidance_scale: float, steps: int
) -> None:
    asked: list[int] = []

    def velocity(latents: Floats, _timesteps: Floats, _rows: str) -> Floats:
        asked.append(len(latents))
        return 0.1 * latents

    settings = DenoiseSettings(
        inference_steps=steps, scheduler=scheduler, guidance_scale=guidance_scale
    )
    start = np.ones((1, 8, 16, 4), np.float32)
    denoise(velocity, start, "asked", "both", settings=settings)
    assert asked == evaluation_rows(steps, scheduler, guidance_scale)
