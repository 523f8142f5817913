"""Renders a bundle that is not published yet, by the code that will play it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_runtime.backend import Request

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_runtime.ace_step import AceStepBackend

QUALITY_THREADS = 1
"""One thread sums in one order, so the same release gives the same distances."""


@dataclass(frozen=True)
class Probe:
    """What is rendered: a prompt and a seed, the same for every variant."""

    prompt: str
    seed: int


def open_unpublished(folder: Path, pipeline: Mapping[str, Any], threads: int) -> AceStepBackend:
    """Open graphs that have no manifest yet.

    Args:
        folder: the bundle's files.
        pipeline: the figures a manifest will hold (`PipelineConfig`).
        threads: for one graph; 0 lets ONNX Runtime choose.
    """
    from lofi_runtime.ace_step import AceStepBackend
    from lofi_runtime.bundle import Bundle
    from lofi_runtime.manifest import PipelineConfig

    bundle = Bundle(folder, None, verified=False, stated_config=PipelineConfig(**pipeline))
    return AceStepBackend(bundle, threads=threads)


def final_latents(
    backend: AceStepBackend, probes: Sequence[Probe], *, steps: int, duration_sec: int
) -> list[npt.NDArray[np.float32]]:
    """Denoise every probe; give the final latents, each (1, 8, 16, frames)."""
    return [
        backend.latents(_request(probe, steps, duration_sec), _silent).latents for probe in probes
    ]


def render_time_ratio(
    backend: AceStepBackend, probe: Probe, *, steps: int, duration_sec: int
) -> float:
    """Give the wall time of one whole render over the audio's length, loading not counted.

    One short render comes first, so that the graphs are loaded and warm.
    """
    backend.generate(_request(probe, 1, backend.min_duration_sec), _silent)
    clock = time.perf_counter()
    backend.generate(_request(probe, steps, duration_sec), _silent)
    return (time.perf_counter() - clock) / duration_sec


def _request(probe: Probe, steps: int, duration_sec: int) -> Request:
    return Request(
        prompt=probe.prompt, duration_sec=duration_sec, seed=probe.seed, inference_steps=steps
    )


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Draw nothing."""
