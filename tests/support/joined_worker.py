"""What the processes of a launched job run in tests: joins, reduces, refuses, dies or waits."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch

from lofi_engine.errors import StageError
from lofi_engine.training.adapters import adapter_weights, save_adapter
from lofi_engine.training.job import job_from, make_trainer
from lofi_engine.training.launch import answer_line, write_error
from lofi_engine.training.processes import join_processes


def main(job_path: Path) -> None:
    job = json.loads(job_path.read_text(encoding="utf-8"))
    try:
        processes = join_processes(job["processes"])
        getattr(sys.modules[__name__], job["do"])(job, processes)
        if job["do"] != "wait":
            processes.leave()
    except StageError as error:
        write_error(job_path, error)
        sys.exit(1)


def reduce(_job, processes):
    parts = [torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(2))]
    parts[0].grad = torch.full((3,), float(processes.rank))
    processes.average_gradients(parts)
    said = {
        "count": processes.count,
        "mean": processes.mean(10.0 * processes.rank),
        "any": [processes.any(processes.rank == 1), processes.any(False)],
        "gradient": parts[0].grad.tolist(),
        "none": parts[1].grad is None,
        "gathered": processes.gather({"rank": processes.rank}),
        "threads": torch.get_num_threads(),
    }
    processes.wait()
    if processes.is_first:
        sys.stdout.write("a library talks here\n")
        answer_line(said)


def refuse(_job, processes):
    raise StageError(f"training: refused by {processes.count}", hint="do otherwise")


def die(_job, processes):
    if processes.rank == 1:
        raise MemoryError("no room left")
    processes.wait()


def train(job, processes):
    told = job_from(job["job"])
    torch.set_num_threads(1)
    trainer = make_trainer(told, processes, print)
    history = trainer.run(told.seed, lambda said: None)
    place = Path(job["place"]) / f"rank-{processes.rank}"
    save_adapter(place, adapter_weights(trainer.model), told.lora, {})
    if processes.is_first:
        answer_line({"losses": history.losses, "windows": len(history.steps[0].windows)})


def wait(job, processes):
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    if processes.is_first:
        answer_line({"waiting": os.getpid()})
    while not stopped:
        time.sleep(0.01)
    Path(job["place"], f"ended-{processes.rank}").write_text("with a checkpoint")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
