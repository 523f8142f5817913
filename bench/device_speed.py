"""Seconds of a CUDA device for a minute of audio: every variant of the full-width model.

The whole of a track is timed as a user hears it, prompt to mastered samples, loading not counted:
the product's backend over a full bundle with random weights (`bench_full_size.py` exports it).
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import onnxruntime
from bench_full_size import AllAlike, again, plain
from bench_step import LAYERS
from bench_variants import VARIANTS

from lofi_engine.quantization import work
from lofi_engine.quantization.build import write_variant
from lofi_engine.recipe.model import Variant
from lofi_engine.stages import export, quantize
from lofi_runtime.ace_step import AceStepBackend
from lofi_runtime.atomic import read_json
from lofi_runtime.backend import Request
from lofi_runtime.bundle import Bundle
from lofi_runtime.errors import BackendError
from lofi_runtime.manifest import PipelineConfig
from lofi_runtime.sessions import CPU

CUDA = "CUDAExecutionProvider"
BAR_SEC, BAR_DEVICE = 1.74, "RTX 4090"
"""What the reference publishes for a minute at 27 steps."""
MINUTE_SEC, STEPS = 60, 27
PROMPT = "lofi hip hop, chill, piano, 80 bpm, vinyl crackle, late night, instrumental"


def on_cuda(layers: int, rounds: int, out: dict[str, object]) -> int:
    """Time every variant on the CUDA device and print a table.

    Args:
        layers: of the transformer.
        rounds: tracks of each variant; the median counts.
        out: takes the figures.

    Returns:
        1 where the bar's device misses the bar, 2 where nothing could be timed, else 0.
    """
    offered = onnxruntime.get_available_providers()
    if CUDA not in offered:
        print(f"no CUDA here: ONNX Runtime {onnxruntime.__version__} has no {CUDA}, only "
              f"{', '.join(offered)}; nothing was timed")  # fmt: skip
        return 2
    device = device_name()
    print(f"{device}, {layers} of {LAYERS} layers, {STEPS} steps, {MINUTE_SEC} s of audio, "
          f"ONNX Runtime {onnxruntime.__version__}, medians of {rounds}")  # fmt: skip
    found = time_variants(layers, rounds, (CUDA, CPU), MINUTE_SEC, STEPS)
    print(f"| variant | seconds a minute of audio | bar on an {BAR_DEVICE} |\n|---|---|---|")
    for name, seconds in found.items():
        told = seconds if isinstance(seconds, str) else f"{seconds:.2f} s"
        print(f"| {name} | {told} | {BAR_SEC} s |")
    out |= {"device": device, "layers": layers, "seconds_a_minute": found}
    timed = [seconds for seconds in found.values() if isinstance(seconds, float)]
    if not timed:
        return 2
    if BAR_DEVICE not in device or layers < LAYERS:
        print(f"the bar is for {LAYERS} layers on an {BAR_DEVICE}: not held to it here")
        return 0
    return 0 if min(timed) <= BAR_SEC else 1


def device_name() -> str:
    """Name the first device as its driver does."""
    asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        ran = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "a CUDA device of unknown name"
    return ran.stdout.splitlines()[0].strip()


def time_variants(
    layers: int, rounds: int, providers: Sequence[str], duration_sec: int, steps: int
) -> dict[str, float | str]:
    """Give each variant's seconds for a track, or why it could not be played."""
    found: dict[str, float | str] = {}
    with tempfile.TemporaryDirectory(prefix="bench-device-") as place:
        again("--only-export", place, "--layers", str(layers))
        source = Path(place) / "export"
        config = PipelineConfig(**read_json(source / export.MODEL_FILE)["pipeline"])
        for name, variant in VARIANTS.items():
            with tempfile.TemporaryDirectory(dir=place) as folder:
                store(source, name, variant, Path(folder))
                bundle = Bundle(Path(folder), None, verified=False, stated_config=config)
                request = Request(PROMPT, duration_sec, 0, inference_steps=steps)
                try:
                    found[name] = track_sec(bundle, request, providers, rounds)
                except BackendError as error:
                    found[name] = f"not played: {error.message}"
    return found


def store(source: Path, name: str, variant: Variant, folder: Path) -> None:
    """Store the exported bundle as one variant."""
    graphs, others = quantize.read_listing(source / quantize.EXPORT_RECORD)
    bundle = work.Bundle(source, graphs, others, {}, {}, AllAlike())  # type: ignore[arg-type]
    write_variant(work.Work(name, plain(variant), bundle, folder), lambda *_: None)


def track_sec(bundle: Bundle, request: Request, providers: Sequence[str], rounds: int) -> float:
    """Give the median wall seconds of a track, after one that loads and warms up."""
    check_provider(bundle, providers[0])
    backend = AceStepBackend(bundle, providers=providers)
    taken = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        backend.generate(request, lambda *_: None)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def check_provider(bundle: Bundle, provider: str) -> None:
    """Refuse a device that ONNX Runtime silently passes over: its libraries may be missing.

    Raises:
        BackendError: graphs run elsewhere.
    """
    graph = str(bundle.path("dcae_decoder.onnx"))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    used = onnxruntime.InferenceSession(graph, options, providers=[provider, CPU]).get_providers()
    if provider not in used:
        raise BackendError(f"ONNX Runtime could not start {provider}, only {', '.join(used)}")
