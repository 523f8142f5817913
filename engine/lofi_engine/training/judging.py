"""Asks the base and every checkpoint the same questions, one after the other on one loaded base.

Losses come first: they are quick, and what cannot be judged at all is found before hours of
rendering. Answers are kept, so that a stopped run goes on.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.errors import StageError
from lofi_engine.recipe import model
from lofi_engine.training.encoded import EncodedTrack
from lofi_engine.training.ratings import BASE
from lofi_engine.training.selection_clips import AskedClip, Heard, forget, hear, render_clips
from lofi_engine.training.validation import mean_error, validation_errors
from lofi_runtime.atomic import read_json, write_json
from lofi_runtime.errors import BackendError

if TYPE_CHECKING:
    from lofi_engine.metrics.clap import ClapScore
    from lofi_engine.models.family import Base

Emit = Callable[[int, int, str], None]
"""Called with the checks done, of how many, and a line for a human."""
LoadClap = Callable[[], "ClapScore | None"]


@dataclass(frozen=True)
class Questions:
    """What the base and every checkpoint are asked.

    Args:
        encoded: the encoded set.
        tracks: of it, to denoise.
        shift: the timestep shift of training.
        window_sec: how much of each track.
        seed: of the noise.
        clips: to render; none leaves sounds out.
        duration_sec: of each clip.
        steps: of denoising each clip.
    """

    encoded: Path
    tracks: tuple[EncodedTrack, ...]
    shift: float
    window_sec: float
    seed: int
    clips: tuple[AskedClip, ...]
    duration_sec: int
    steps: int


class Judge:
    """Holds the base, in full precision where there is room for it.

    Args:
        reference: which base.
        home: the recipe's folder.
        lora: the adapters' shape.
        places: the checkpoints' folders, earliest first.
        questions: what is asked.
        kept: where answers are kept.
        aside: an empty folder for clips as long as they are needed.
        emit: shows progress.
        warn: takes what the user should know.

    Raises:
        StageError: the base is not there, or another one encoded the tracks.
    """

    def __init__(
        self,
        reference: model.Base,
        home: Path,
        lora: model.Lora,
        places: Sequence[Path],
        questions: Questions,
        *,
        kept: Path,
        aside: Path,
        emit: Emit,
        warn: Callable[[str], None],
    ) -> None:
        from lofi_engine.models.loading import load_base
        from lofi_engine.training.adapters import add_adapter
        from lofi_engine.training.encoded import check_encoded_by
        from lofi_engine.training.fitting import settle

        self._places = {BASE: None, **{place.name: place for place in places}}
        self._questions = questions
        self._aside = aside
        self._emit = emit
        self._done = 0
        self._total = len(self._places) * (2 if questions.clips else 1)
        self._base = load_base(reference, home)
        check_encoded_by(questions.encoded, self._base.identity)
        self.precision = settle(self._base.transformer, warn)
        self._adapted = add_adapter(self._base.transformer, lora, questions.seed)
        # Answers in one precision compare with none in another.
        self._kept = kept / self.precision

    def losses(self) -> dict[str, list[list[float]]]:
        """Give the denoising errors of `validation_errors`, by "base" and checkpoint.

        Raises:
            StageError: an error is not a number, or an adapter does not fit; names the checkpoint.
        """
        return {name: self._answer("loss", name, self._loss) for name in self._places}

    def sounds(self, load_clap: LoadClap) -> dict[str, Heard]:
        """Render every checkpoint's clips and give what is heard, by "base" and checkpoint.

        Args:
            load_clap: gives what listens for prompts; called at most once.

        Raises:
            StageError: the model gave values that are not numbers; names the checkpoint.
        """
        loaded: list[ClapScore | None] = []

        def listen(name: str) -> dict[str, Any]:
            if not loaded:
                loaded.append(load_clap())
            return self._sound(name, loaded[0])

        return {name: Heard(**self._answer("sound", name, listen)) for name in self._places}

    def _answer(self, what: str, name: str, ask: Callable[[str], Any]) -> Any:
        """Give a kept answer, or ask and keep it."""
        path = self._kept / what / f"{name}.json"
        found = read_json(path) if path.is_file() else None
        if found is None:
            self._tell(f"{name}: {what}")
            found = ask(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, found)
        self._done += 1
        self._tell(f"{name}: loss {mean_error(found):.5f}" if what == "loss" else f"{name}: heard")
        return found

    def _loss(self, name: str) -> list[list[float]]:
        from lofi_engine.training.features import window_frames

        asked = self._questions
        with self._as(name) as base:
            errors = validation_errors(
                base,
                asked.encoded,
                asked.tracks,
                shift=asked.shift,
                window_frames=window_frames(base, asked.window_sec),
                seed=asked.seed,
            )
        if not math.isfinite(error := mean_error(errors)):
            raise StageError(
                f"select: the error of {name} on the tracks it is judged on is {error}",
                hint="train again with a lower training.learning_rate",
            )
        return errors

    def _sound(self, name: str, clap: ClapScore | None) -> dict[str, Any]:
        from lofi_engine.measuring.clip_sets import RenderedClips

        asked, folder = self._questions, self._aside / name
        clips = RenderedClips(name, folder)
        with self._as(name) as base:
            try:
                render_clips(
                    base,
                    asked.clips,
                    clips,
                    duration_sec=asked.duration_sec,
                    steps=asked.steps,
                    on_clip=lambda done, total: self._tell(f"{name}: clip {done + 1} of {total}"),
                )
            except BackendError as error:
                raise StageError(
                    f"select: {name}: {error.message}",
                    hint="train again with a lower training.learning_rate",
                ) from error
        heard = hear(clips, clap)
        forget(folder)
        if heard.unheard and name == BASE:
            raise StageError(
                f"select: the clips of the base cannot be heard: {heard.unheard}",
                hint="set select.weights.fad and select.weights.prompt to 0",
            )
        return heard.as_json()

    @contextlib.contextmanager
    def _as(self, name: str) -> Iterator[Base]:
        """Give the base as it is with a checkpoint's adapter, or without any."""
        from lofi_engine.training.adapters import load_adapter_weights, set_adapter_weights

        place = self._places[name]
        if place is None:
            with self._adapted.disable_adapter():
                yield self._base
            return
        set_adapter_weights(self._adapted, load_adapter_weights(place), source=place)
        yield self._base

    def _tell(self, message: str) -> None:
        self._emit(self._done, self._total, message)
