"""What the training loop costs outside the model: drawing, reading, noise, bookkeeping.

Each round takes one step of the product's trainer, then the bare one on a batch that lies ready:
forward, backward, clipping, AdamW. Both are of one process, alternately, on `builtin:tiny` at its
four layers and 64 channels: the real model's step is thousands of times longer and the loop's cost
the same, so the share printed is an upper bound.

Wanted: under 3 % of a step.

Run alone: python bench/bench_train_overhead.py [--rounds N] [--window-sec S] [--batch-size N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from tiny_training import TINY, TRAINING, write_tracks

from lofi_engine.recipe.model import Lora, Sampling
from lofi_engine.training.batch_loss import batch_loss
from lofi_engine.training.history import History
from lofi_engine.training.job import TrainingJob, make_trainer
from lofi_engine.training.loop import _Run
from lofi_engine.training.processes import Processes

WANTED = 0.03
TRACKS, TRACK_FRAMES, TOKENS, LYRICS = 8, 1292, 32, 128  # two minutes each


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--window-sec", type=float, default=60.0)
    parser.add_argument("--batch-size", type=int, default=2)
    asked = parser.parse_args()
    training = replace(
        TRAINING,
        batch_size=asked.batch_size,
        window_sec=asked.window_sec,
        sampling=Sampling("style", shuffle_tags=True, recaption_share=0.3),
    )
    lora = Lora(16, 16.0, rslora=True, targets=("to_q", "to_k", "to_v", "to_out.0"))
    with tempfile.TemporaryDirectory() as place:
        encoded = Path(place) / "encoded"
        write_tracks(
            encoded,
            TRACKS,
            frames=TRACK_FRAMES,
            tokens=TOKENS,
            lyrics=LYRICS,
            precision=training.latents_precision,
        )
        job = TrainingJob(encoded, Path(place) / "p", Path(), 1, 1, TINY, lora, training)
        torch.set_num_threads(1)
        trainer = make_trainer(job, Processes(), print)
        run = _Run(trainer, History(), trainer._optimizer(), None)
        trainer.model.train()
        batch, sigmas, noise = run._draw()
        whole, bare = [], []
        for number in range(asked.rounds + 3):
            clock = time.process_time()
            run.history.steps.append(run._step(number + 1))
            middle = time.process_time()
            run.optimizer.zero_grad(set_to_none=True)
            batch_loss(
                trainer.base, batch, sigmas, noise, precision="fp32", ssl_coefficient=0.0
            ).total.backward()
            parts = [part for part in trainer.model.parameters() if part.requires_grad]
            torch.nn.utils.clip_grad_norm_(parts, 0.5)
            run.optimizer.step()
            whole.append(middle - clock)
            bare.append(time.process_time() - middle)
    whole, bare = whole[3:], bare[3:]
    share = statistics.median(a - b for a, b in zip(whole, bare, strict=True)) / statistics.median(
        whole
    )
    print(f"step            {1000 * statistics.median(whole):8.2f} ms of one thread")
    print(f"bare step       {1000 * statistics.median(bare):8.2f} ms")
    print(f"outside         {100 * share:8.2f} %   wanted under {100 * WANTED:.0f} %")
    return 0 if share < WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
