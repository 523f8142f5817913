"""Training that encodes inside every step, as the reference trainer does: what ours is held to.

Every network is in memory for the whole training: the transformer with its adapter, the DCAE, the
vocoder, the text encoder, and where asked two audio models. A step reads its tracks' files, lets
the audio models hear them, encodes prompt and sound, tokenizes the lyrics, and only then trains.

The networks are the product's own, and so are the draws: with equal seeds both trainings see the
same windows, texts, noise levels, noise and dropout. Loop, loss and schedule are written anew, so
that equal losses say something. Where the reference could be done better without leaving its way,
it is: audio models hear one chunk at a time, where the reference stacks a track's chunks into one
batch, and nothing is copied between processes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lofi_engine.audio.decode import decode
from lofi_engine.data.descriptions import read_descriptions
from lofi_engine.models.family import Base
from lofi_engine.models.loading import load_base
from lofi_engine.training.adapters import add_adapter
from lofi_engine.training.batches import Batch, Sampler
from lofi_engine.training.encoded import EncodedTrack, read_index
from lofi_engine.training.features import Features, window_frames
from lofi_engine.training.job import TrainingJob
from lofi_engine.training.shards import PROMPT
from lofi_engine.training.ssl_features import KINDS, SslModel, load_ssl_model
from lofi_engine.training.texts import other_texts

BETAS, WEIGHT_DECAY = (0.8, 0.9), 1e-2
GRID = 1000
SEEDS = 2**62
"""Seeds of the dropout inside the networks are drawn below this."""


@dataclass
class Clock:
    """Adds up the processor's seconds by what they went to."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def counting(self, what: str) -> Iterator[None]:
        """Count what is done inside as `what`."""
        before = time.process_time()
        yield
        self.seconds[what] = self.seconds.get(what, 0.0) + time.process_time() - before


class EncodingSampler(Sampler):
    """Draws what `Sampler` draws, and encodes it there and then.

    Args:
        job: of the training that encoded beforehand; of its encoded set only the index counts.
        inputs: what curate and describe left.
        base: encodes.
        listeners: the audio models, by name.
        generator: all randomness.
    """

    def __init__(
        self,
        job: TrainingJob,
        inputs: Mapping[str, Path],
        base: Base,
        listeners: Mapping[str, SslModel],
        generator: torch.Generator,
    ) -> None:
        super().__init__(
            job.encoded,
            read_index(job.encoded, "train"),
            sampling=job.training.sampling,
            window_frames=window_frames(base, job.training.window_sec),
            speaker_width=base.speaker_width,
            dropout=job.training.condition_dropout,
            generator=generator,
        )
        self.clock = Clock()
        self._seed = job.seed
        self._audio = inputs["curate"] / "tracks"
        self._described = {one.track: one for one in read_descriptions(inputs["describe"])}
        self._base, self._listeners = base, listeners

    @torch.no_grad()
    def _read(self, track: EncodedTrack, text: str) -> Features:
        described = self._described[track.track]
        with self.clock.counting("reading"):
            sound = decode(self._audio / f"{track.track}.flac")
        with self.clock.counting("audio models"):
            heard = {
                name: listener.features(sound.samples, sound.sample_rate).clone()
                for name, listener in self._listeners.items()
            }
        with self.clock.counting("text"):
            texts = {PROMPT: described.prompt, **other_texts(described, self._seed)}
            states, mask = self._base.encode_text([texts[text]])
            lyrics = self._base.lyric_ids(described.lyrics)
        with self.clock.counting("latents"):
            latents = self._base.encode_audio(sound.samples, sound.sample_rate)
        kept = states[0][mask[0].bool()]
        return Features(latents, kept, torch.tensor(lyrics, dtype=torch.int64), heard)


class InStepTraining:
    """A training of one process in float32.

    Args:
        job: what and how; what the reference trainer does not have is not read.
        inputs: what curate and describe left.
    """

    def __init__(self, job: TrainingJob, inputs: Mapping[str, Path]) -> None:
        training = job.training
        self._training = training
        self._base = load_base(job.base, job.home)
        self._base.transformer.requires_grad_(False)
        self._model = add_adapter(self._base.transformer, job.lora, job.seed)
        self._listeners = {
            name: load_ssl_model(name, getattr(training.ssl, name), job.home)
            for name in (KINDS if training.ssl else ())
        }
        self._generator = torch.Generator().manual_seed(job.seed)
        self._sampler = EncodingSampler(job, inputs, self._base, self._listeners, self._generator)
        self._adapter = [part for part in self._model.parameters() if part.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._adapter, lr=training.learning_rate, betas=BETAS, weight_decay=WEIGHT_DECAY
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda done: 1 - done / training.steps
        )
        transformer: Any = self._base.transformer
        transformer.gradient_checkpointing = training.gradient_checkpointing
        self._model.train()

    @property
    def seconds(self) -> Mapping[str, float]:
        """The processor's seconds so far, by what they went to."""
        return self._sampler.clock.seconds

    def step(self) -> float:
        """Encode a batch and train on it; give its loss."""
        batch = self._sampler.draw(self._training.batch_size)
        with self._sampler.clock.counting("network"):
            loss = self._loss(batch)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self._adapter, self._training.clip_grad_norm)
            self._optimizer.step()
            self._schedule.step()
        return loss.item()

    def _loss(self, batch: Batch) -> torch.Tensor:
        """Flow matching with a preconditioned output, and the projection losses' mean."""
        clean = batch.latents
        level = self._levels(len(clean))[:, None, None, None]
        noise = torch.randn(clean.shape, generator=self._generator)
        torch.manual_seed(int(torch.randint(SEEDS, (1,), generator=self._generator)))
        shown = level * noise + (1 - level) * clean
        timesteps = level.flatten() * GRID
        projections: list[torch.Tensor] = []
        if batch.ssl:
            said, by_model = self._base.velocity_with_projections(
                shown, timesteps, batch.conditioning, batch.ssl
            )
            projections = list(by_model.values())
        else:
            said = self._base.velocity(shown, timesteps, batch.conditioning)
        loss = torch.nn.functional.mse_loss(shown - level * said, clean)
        if projections and self._training.ssl:
            loss = loss + self._training.ssl.coefficient * sum(projections) / len(projections)
        return loss

    def _levels(self, count: int) -> torch.Tensor:
        """Draw noise levels, logit-normal over the grid, moved up by the shift."""
        normal = torch.randn(count, generator=self._generator)
        place = (normal.sigmoid() * GRID).long().clamp(max=GRID - 1)
        level = 1 - place / GRID
        shift = self._training.timestep_shift
        return shift * level / (1 + (shift - 1) * level)
