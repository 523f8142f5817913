"""Whether a training fits this machine's disk and memory, refused with the numbers where not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lofi_engine.errors import StageError
from lofi_engine.models.loading import family_of
from lofi_engine.models.training_outline import TrainingOutline
from lofi_engine.recipe.model import Lora, Training
from lofi_engine.training.disk import estimate_training_disk
from lofi_engine.training.encoded import EncodedTrack
from lofi_engine.training.job import TrainingJob
from lofi_engine.training.machine import free_accelerator_memory, free_disk, free_memory
from lofi_engine.training.memory import (
    MemoryEstimate,
    Tokens,
    estimate_training_memory,
    savings,
)
from lofi_engine.training.shards import read_tensor

MOST_ERROR = 1.15
"""A training is refused only where it cannot fit even if the estimate is this much too high."""
_HINTS = 4
_WORTH_SAYING = 1_000_000


@dataclass(frozen=True)
class Demand:
    """What a training takes, for whatever blocks its recipe might have.

    Args:
        job: the training.
        outline: of its base.
        window_sec: of the longest track.
        tokens: of the longest conditions.
        steps_left: how many steps are still to come.
    """

    job: TrainingJob
    outline: TrainingOutline
    window_sec: float
    tokens: Tokens
    steps_left: int

    def disk(self, lora: Lora, training: Training) -> dict[str, int]:
        """Give the bytes it will write, by what they are."""
        return estimate_training_disk(self.outline, lora, training, steps_left=self.steps_left)

    def memory(self, lora: Lora, training: Training, device: str) -> MemoryEstimate:
        """Give what one of its processes holds on a device, "cpu" or "cuda"."""
        seen = replace(training, window_sec=min(training.window_sec, self.window_sec))
        return estimate_training_memory(self.outline, lora, seen, self.tokens, device=device)


def demand_of(job: TrainingJob, tracks: Sequence[EncodedTrack], steps_left: int) -> Demand:
    """Read from a base's configuration and an encoded set what a training will see.

    Raises:
        StageError: the configuration is not known here, or a shard is damaged.
    """
    base = job.base
    outline = family_of(base).training_outline(base.model, revision=base.revision, home=job.home)
    lyrics = (len(read_tensor(job.encoded / track.shard, "lyric_ids")) for track in tracks)
    return Demand(
        job,
        outline,
        max(track.frames for track in tracks) / outline.frames_per_sec,
        Tokens(text=max(track.tokens for track in tracks), lyrics=max(lyrics)),
        steps_left,
    )


def check_disk(demand: Demand) -> str:
    """Refuse a training whose checkpoints and samples the disk cannot hold.

    Returns:
        What is needed and what there is, in words.

    Raises:
        StageError: it cannot; with the numbers and the keys that lower them.
    """
    job = demand.job
    parts, free = demand.disk(job.lora, job.training), free_disk(job.progress)
    needed = sum(parts.values())
    if needed > free:
        lower = savings(job.lora, job.training, lambda *blocks: sum(demand.disk(*blocks).values()))
        raise StageError(
            f"train: checkpoints and samples take about {size_in_words(needed)} of disk "
            f"({_parts_in_words(parts)}), {size_in_words(free)} are free in {job.progress.parent}",
            hint=f"make room, or lower it with {_in_words(lower)}",
        )
    return f"{size_in_words(needed)} of {size_in_words(free)} free"


def check_memory(demand: Demand, warn: Callable[[str], None]) -> str:
    """Refuse a training that the accelerator's memory, or else the machine's, cannot hold.

    Returns:
        What is needed and what there is, in words.

    Raises:
        StageError: it cannot; with the numbers and the keys that lower them.
    """
    job, accelerator, free = demand.job, free_accelerator_memory(), free_memory()
    processes = job.training.processes
    if accelerator is None:

        def together(lora: Lora, training: Training) -> int:
            return training.processes * demand.memory(lora, training, "cpu").host

        return _check(demand, "cpu", together, free, "memory", warn)
    loading = processes * demand.memory(job.lora, job.training, "cuda").loading
    if loading > free * MOST_ERROR:
        raise StageError(
            f"train: loading the base takes about {size_in_words(loading)} of memory, "
            f"{size_in_words(free)} are free",
            hint="lower training.processes, or set training.base_precision: bf16",
        )

    def each(lora: Lora, training: Training) -> int:
        return demand.memory(lora, training, "cuda").training

    return _check(demand, "cuda", each, accelerator, "the accelerator's memory", warn)


def _check(
    demand: Demand,
    device: str,
    needed_of: Callable[[Lora, Training], int],
    free: int,
    where: str,
    warn: Callable[[str], None],
) -> str:
    job = demand.job
    needed = needed_of(job.lora, job.training)
    parts = demand.memory(job.lora, job.training, device).parts
    said = (
        f"train: this training takes about {size_in_words(needed)} of {where} "
        f"({_parts_in_words(parts)}), {size_in_words(free)} are free"
    )
    lower = _in_words(savings(job.lora, job.training, needed_of))
    if needed > free * MOST_ERROR:
        raise StageError(said, hint=f"lower it with {lower}")
    if needed > free:
        warn(f"{said}: it may run out; {lower} would lower it")
    return f"{size_in_words(needed)} of {size_in_words(free)} free"


def size_in_words(size_bytes: int) -> str:
    """Write bytes as people do, e.g. "3.3 GB"."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"


def _parts_in_words(parts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {size_in_words(size)}" for name, size in parts.items())


def _in_words(lower: Sequence[tuple[str, int]]) -> str:
    helpful = [(change, size) for change, size in lower if size >= _WORTH_SAYING]
    said = (f"{change} (saves {size_in_words(size)})" for change, size in helpful[:_HINTS])
    return ", ".join(said) or "fewer checkpoints, shorter windows or a larger machine"
