"""One training from beginning to end, told in plain values, so that other processes can be told.

What it leaves lies in the job's progress folder: checkpoints, sample clips, the board's files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.recipe import model
from lofi_engine.recipe.build import build_value
from lofi_engine.training.history import History
from lofi_engine.training.processes import Processes
from lofi_engine.training.report import Report, ignore_step

if TYPE_CHECKING:
    import torch

    from lofi_engine.models.family import Base
    from lofi_engine.training.loop import Trainer

SAMPLES = "samples"

Emit = Callable[[int, int, str], None]
"""Called with the steps done, of how many, and a line for a human."""


@dataclass(frozen=True)
class TrainingJob:
    """Everything a training depends on, and where it works.

    Args:
        encoded: the encoded set.
        progress: where checkpoints go.
        home: the recipe's folder.
        seed: of all that is drawn.
        threads: torch threads; 0 leaves torch's choice.
        base: what is trained on.
        lora: the adapter's shape.
        training: how.
    """

    encoded: Path
    progress: Path
    home: Path
    seed: int
    threads: int
    base: model.Base
    lora: model.Lora
    training: model.Training

    def as_json(self) -> dict[str, Any]:
        """Give it as JSON values, with absolute paths."""
        places = ("encoded", "progress", "home")
        return {**asdict(self), **{name: str(getattr(self, name).resolve()) for name in places}}


def job_from(values: Mapping[str, Any]) -> TrainingJob:
    """Make a job of what `TrainingJob.as_json` gave."""
    job: TrainingJob = build_value(TrainingJob, values)
    places = {name: Path(values[name]) for name in ("encoded", "progress", "home")}
    return TrainingJob(**{**vars(job), **places})


def train(
    job: TrainingJob, processes: Processes, emit: Emit, warn: Callable[[str], None]
) -> History:
    """Train to the last step, from the newest checkpoint if there is one.

    Args:
        job: what and where.
        processes: who takes part; every one of them calls this.
        emit: shows a step, in the first process.
        warn: takes what the user should know.

    Raises:
        StageError: nothing to train on, an encoded set of another base, a target that is no
            module, or what `Trainer.run` refuses.
    """
    from lofi_engine.threads import use_threads

    use_threads(job.threads)
    trainer = make_trainer(job, processes, warn)
    if not processes.is_first:  # who never reports; two must not write the same files
        return trainer.run(job.seed, ignore_step)
    with _reporter(job, trainer, emit) as report:
        return trainer.run(job.seed, report)


def make_trainer(job: TrainingJob, processes: Processes, warn: Callable[[str], None]) -> Trainer:
    """Load the base, put the adapter on it, and make ready to train.

    Raises:
        StageError: nothing to train on, an encoded set of another base, a target that is no module.
    """
    import torch

    from lofi_engine.models.loading import load_base
    from lofi_engine.training.adapters import add_adapter, save_adapter
    from lofi_engine.training.batches import Sampler
    from lofi_engine.training.encoded import check_encoded_by, read_index
    from lofi_engine.training.features import window_frames
    from lofi_engine.training.held import hold_base
    from lofi_engine.training.loop import Trainer

    training = job.training
    tracks = read_index(job.encoded, "train")
    if not tracks:
        raise StageError("train: the training split is empty", hint="add tracks to the dataset")
    # A quantized base is made of the weights as they were published.
    loaded_as = "bf16" if training.base_precision == "bf16" else "fp32"
    base = load_base(job.base, job.home, precision=loaded_as)
    base.let_go_of_others()  # only samples need them, and read them for as long
    check_encoded_by(job.encoded, base.identity)
    device = _device(processes)
    base.transformer.requires_grad_(False)
    hold_base(base.transformer, training.base_precision)
    base.transformer.to(device)
    generator = torch.Generator().manual_seed(job.seed)
    frames = window_frames(base, training.window_sec)
    sampler = Sampler(
        job.encoded,
        tracks,
        sampling=training.sampling,
        window_frames=frames,
        speaker_width=base.speaker_width,
        dropout=training.condition_dropout,
        generator=generator,
    )

    def write_adapter(folder: Path, weights: Mapping[str, torch.Tensor], step: int) -> None:
        save_adapter(folder, weights, job.lora, {"base": base.identity, "step": str(step)})

    return Trainer(
        base=base,
        model=add_adapter(base.transformer, job.lora, job.seed),
        sampler=sampler,
        settings=training,
        generator=generator,
        folder=job.progress,
        device=device,
        write_adapter=write_adapter,
        warn=warn,
        held_out_loss=_held_out(job, base, frames),
        processes=processes,
    )


def _device(processes: Processes) -> torch.device:
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", processes.local_rank if processes.count > 1 else 0)


def _held_out(job: TrainingJob, base: Base, frames: int) -> Callable[[], float | None]:
    from lofi_engine.training.encoded import read_index
    from lofi_engine.training.validation import validation_error

    tracks = read_index(job.encoded, "validation")
    if not tracks and job.training.early_stop:
        raise StageError(
            "train: training.early_stop needs held-out tracks and there are none",
            hint="raise dataset.holdout_share or leave early_stop out",
        )

    def measure() -> float | None:
        if not tracks:
            return None
        return validation_error(
            base,
            job.encoded,
            tracks,
            shift=job.training.timestep_shift,
            window_frames=frames,
            seed=job.seed,
        )

    return measure


@contextmanager
def _reporter(job: TrainingJob, trainer: Trainer, emit: Emit) -> Iterator[Report]:
    """Give what is called after every step: progress line, TensorBoard files, samples."""
    from lofi_engine.training.board import BOARD, Board
    from lofi_engine.training.encoded import read_index
    from lofi_engine.training.progress_line import ProgressLine, held_memory
    from lofi_engine.training.sample_prompts import clip_length
    from lofi_engine.training.samples import SampleSuite
    from lofi_engine.training.watching import Watch

    steps = job.training.steps
    at = 0

    def show(step: int, line: str) -> None:
        nonlocal at
        at = step
        emit(step, steps, line)

    tracks = read_index(job.encoded, "train")
    suite = SampleSuite(
        trainer.base,
        trainer.model,
        job.progress / SAMPLES,
        style_ids=[style for track in tracks for style in track.style_ids],
        duration_sec=clip_length(job.training.window_sec),
        on_clip=lambda done, total, style: emit(
            at, steps, f"sample {done + 1} of {total}: {style}"
        ),
    )
    watch = Watch(
        folder=job.progress,
        board=Board(job.progress / BOARD),
        suite=suite,
        sample_every=job.training.sample_every,
        line=ProgressLine(steps, held_memory(trainer.device)),
        show=show,
        warn=trainer.warn,
    )
    try:
        yield watch
    finally:
        watch.close()
