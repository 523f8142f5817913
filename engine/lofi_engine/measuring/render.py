"""Renders a bundle that is not published yet, by the code that will play it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_runtime.backend import Request
from lofi_runtime.manifest import Speed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lofi_runtime.ace_step import AceStepBackend
    from lofi_runtime.bundle import Bundle

QUALITY_THREADS = 1
"""One thread sums in one order, so the same release gives the same distances."""


@dataclass(frozen=True)
class Probe:
    """What is rendered: a prompt of a style and a seed, the same for every variant."""

    prompt: str
    seed: int
    style: str = ""

    @property
    def name(self) -> str:
        """What its clip is called in every bundle's set, such as "0007-core-01"."""
        return "-".join(filter(None, (f"{self.seed:04d}", self.style.lower())))


def open_unpublished(folder: Path, pipeline: Mapping[str, Any], threads: int) -> AceStepBackend:
    """Open graphs that have no manifest yet.

    Args:
        folder: the bundle's files.
        pipeline: the figures a manifest will hold (`PipelineConfig`).
        threads: for one graph; 0 lets ONNX Runtime choose.
    """
    from lofi_runtime.ace_step import AceStepBackend

    return AceStepBackend(unpublished_bundle(folder, pipeline), threads=threads)


def final_latents(
    backend: AceStepBackend,
    probes: Sequence[Probe],
    *,
    steps: int,
    duration_sec: int,
    on_probe: Callable[[int], None] = lambda _done: None,
) -> list[npt.NDArray[np.float32]]:
    """Denoise every probe; give the final latents, each (1, 8, 16, frames).

    `on_probe` is called with how many are done, after each.
    """
    found = []
    for probe in probes:
        found.append(backend.latents(_request(probe, steps, duration_sec), _silent).latents)
        on_probe(len(found))
    return found


def sounds(
    folder: Path,
    pipeline: Mapping[str, Any],
    latents: Sequence[npt.NDArray[np.float32]],
    *,
    duration_sec: int,
    threads: int = QUALITY_THREADS,
) -> Iterator[npt.NDArray[np.float32]]:
    """Decode and master final latents one by one, as `AceStepBackend.generate` would have.

    Args:
        folder: the bundle's files.
        pipeline: as of `open_unpublished`.
        latents: each (1, 8, 16, frames), by the same bundle.
        duration_sec: of each sound.
        threads: for one graph.

    Yields:
        float32 (2, samples) at 48 kHz.

    Raises:
        BackendError: a graph cannot be loaded or run, or gives what is no number.
    """
    from lofi_runtime.dcae import SessionDcae
    from lofi_runtime.pipeline.decode import decode_latents
    from lofi_runtime.pipeline.master import master
    from lofi_runtime.sessions import Sessions

    bundle = unpublished_bundle(folder, pipeline)
    sessions = Sessions(bundle, threads=threads)
    dcae = SessionDcae(sessions)
    for one in latents:
        waveform = decode_latents(
            one,
            dcae,
            lambda mel: sessions.run("vocoder.onnx", mel)[0],
            samples_per_latent=bundle.config.samples_per_latent,
            mel_frames_per_latent=bundle.config.mel_frames_per_latent,
        )
        yield master(waveform, bundle.config.sample_rate, duration_sec).samples


def time_render(backend: AceStepBackend, probe: Probe, *, steps: int, duration_sec: int) -> Speed:
    """Give the wall time of one whole render over the audio's length, loading not counted.

    One short render comes first, so that the graphs are loaded and warm.
    """
    backend.generate(_request(probe, 1, backend.min_duration_sec), _silent)
    began: dict[str, float] = {}

    def note(stage: str, _done: int, _total: int) -> None:
        began.setdefault(stage, time.perf_counter())

    clock = time.perf_counter()
    backend.generate(_request(probe, steps, duration_sec), note)
    end = time.perf_counter()
    after_sec = end - began["decode"]
    return Speed((end - clock) / duration_sec, after_sec / duration_sec, steps)


def unpublished_bundle(folder: Path, pipeline: Mapping[str, Any]) -> Bundle:
    """Give graphs that have no manifest yet as a bundle; arguments as of `open_unpublished`."""
    from lofi_runtime.bundle import Bundle
    from lofi_runtime.manifest import PipelineConfig

    return Bundle(folder, None, verified=False, stated_config=PipelineConfig(**pipeline))


def _request(probe: Probe, steps: int, duration_sec: int) -> Request:
    return Request(
        prompt=probe.prompt, duration_sec=duration_sec, seed=probe.seed, inference_steps=steps
    )


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Draw nothing."""
