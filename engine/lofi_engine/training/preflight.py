"""What is found out before the first step of a training that may take days.

Whether disk and memory suffice, how long it will take by a few steps that are thrown away, and that
its model can be exported. What was tried is kept beside the checkpoints, so that a resumed training
does not try it again.
"""

from __future__ import annotations

import gc
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from lofi_engine.hashing import hash_value
from lofi_engine.models.outline import count
from lofi_engine.training.checkpoints import steps_done
from lofi_engine.training.encoded import read_index
from lofi_engine.training.export_proof import left_out_because, prove_export
from lofi_engine.training.fits import Demand, check_disk, check_memory, demand_of, size_in_words
from lofi_engine.training.hours import (
    Extras,
    duration_in_words,
    step_seconds,
    training_seconds,
)
from lofi_engine.training.job import TrainingJob, make_trainer
from lofi_engine.training.machine import free_disk, free_memory
from lofi_engine.training.processes import Processes
from lofi_engine.training.report import ignore_warning
from lofi_engine.training.sample_prompts import INFERENCE_STEPS, clip_length
from lofi_runtime.atomic import write_json
from lofi_runtime.styles.taxonomy import GROUPS

if TYPE_CHECKING:
    from lofi_engine.training.report import StepReport

REMEMBERED = "preflight.json"
CALIBRATION_STEPS = 4
LONGEST_CALIBRATION_SEC = 60.0
"""After this no further step is begun, once two were taken."""
_PACKAGES = ("torch", "peft", "onnx", "onnxscript", "onnxruntime", "transformers", "diffusers")
"""Another version of these makes void what was tried."""
_GUIDED_ROWS = 3
"""Rows of a guided denoising step: with the prompt, without, and weakened."""
_FLOAT32 = 4


@dataclass(frozen=True)
class Tried:
    """What trying found.

    Args:
        step_sec: seconds of a step.
        export: how the proof of the export ended, in words.
    """

    step_sec: float
    export: str


def run_preflight(
    job: TrainingJob, note: Callable[[str], None], warn: Callable[[str], None]
) -> None:
    """Refuse what cannot fit, and say in one line how long the training takes and what it needs.

    Training afterwards is, bit for bit, what it would have been without.

    Args:
        job: what is about to be trained.
        note: takes the line.
        warn: takes what may go wrong.

    Raises:
        StageError: disk or memory do not suffice, the model cannot be exported, or what
            `make_trainer` refuses.
    """
    started = time.monotonic()
    done = steps_done(job.progress)
    tracks = read_index(job.encoded, "train")
    if done >= job.training.steps or not tracks:
        return  # without tracks the trainer says what to do
    demand = demand_of(job, tracks, job.training.steps - done)
    disk, memory = check_disk(demand), check_memory(demand, warn)
    tried = _remembered(job)
    if tried is None:
        tried = _try(job, demand)
        job.progress.mkdir(parents=True, exist_ok=True)
        write_json(job.progress / REMEMBERED, {"key": _key(job), **asdict(tried)})
    seconds = training_seconds(tried.step_sec, job.training, _extras(job), done=done)
    took = time.monotonic() - started
    note(
        f"about {duration_in_words(seconds)} for {demand.steps_left} steps of "
        f"{tried.step_sec:.2g} s; disk {disk}; memory {memory}; export {tried.export} "
        f"(found out in {took:.0f} s)"
    )


def _try(job: TrainingJob, demand: Demand) -> Tried:
    step_sec = calibrate(job)
    seconds = training_seconds(step_sec, job.training, _extras(job))
    transformer_bytes = count(demand.outline.weights) * _FLOAT32
    why = left_out_because(
        seconds, transformer_bytes, memory=free_memory(), disk=free_disk(job.progress)
    )
    if why is not None:
        return Tried(step_sec, f"not tried: {why}")
    place = job.progress / ".export"
    record = prove_export(job.base, job.lora, job.home, place, seed=job.seed)
    worst = max(parity.relative_difference for parity in record.parity)
    size = record.size_bytes + (record.weights.size_bytes if record.weights else 0)
    return Tried(step_sec, f"works ({size_in_words(size)}, {worst:.1e} from torch)")


class _Enough(Exception):  # noqa: N818 - nothing is wrong
    """The calibration has seen its steps."""


def calibrate(job: TrainingJob) -> float:
    """Take a few steps of a training and throw away what they made.

    In this process alone, whatever `training.processes` says: every process computes as much.

    Returns:
        Seconds of a step.

    Raises:
        StageError: what `make_trainer` and a step refuse.
    """
    import torch

    from lofi_engine.threads import use_threads

    use_threads(job.threads)
    place = job.progress / ".calibration"
    shutil.rmtree(place, ignore_errors=True)
    never = job.training.steps + CALIBRATION_STEPS
    training = replace(job.training, processes=1, checkpoint_every=never)
    clock = [time.monotonic()]

    def report(said: StepReport) -> None:
        clock.append(time.monotonic())
        enough = said.step >= min(CALIBRATION_STEPS, job.training.steps)
        if enough or (said.step >= 2 and clock[-1] - clock[0] > LONGEST_CALIBRATION_SEC):
            raise _Enough

    with torch.random.fork_rng():
        trainer = make_trainer(
            replace(job, progress=place, training=training), Processes(), ignore_warning
        )
        clock[0] = time.monotonic()
        try:
            trainer.run(job.seed, report)
        except _Enough:
            pass
        finally:
            shutil.rmtree(place, ignore_errors=True)
    del trainer
    gc.collect()  # modules and their hooks refer to each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return step_seconds(clock)


def _extras(job: TrainingJob) -> Extras:
    window_sec = job.training.window_sec
    passes = len(GROUPS) * INFERENCE_STEPS * _GUIDED_ROWS
    return Extras(
        held_out_tracks=len(read_index(job.encoded, "validation")),
        clip_windows=passes * clip_length(window_sec) / window_sec,
    )


def _remembered(job: TrainingJob) -> Tried | None:
    try:
        values = json.loads((job.progress / REMEMBERED).read_text(encoding="utf-8"))
        return Tried(values["step_sec"], values["export"]) if values["key"] == _key(job) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _key(job: TrainingJob) -> str:
    """Name everything that what was tried hangs on: the base, how it is trained, the software."""
    import torch

    return hash_value(
        {
            "base": asdict(job.base),
            "lora": asdict(job.lora),
            "training": asdict(job.training),
            "threads": job.threads,
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "versions": {name: version(name) for name in _PACKAGES},
        }
    )
