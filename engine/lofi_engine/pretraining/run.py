"""Makes a base from its recipe, step by step; every step goes on where it was stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_engine.devices import choose_device
from lofi_engine.errors import StageError
from lofi_engine.hashing import hash_value
from lofi_engine.pretraining.pieces import Piece, draw_pieces
from lofi_engine.pretraining.settings import BaseSettings, StepSettings
from lofi_runtime.atomic import read_json, write_json

if TYPE_CHECKING:
    from lofi_engine.pretraining.loop import Progress

STEPS = ("tracks", "dcae", "vocoder", "latents", "sound", "transformer", "base")
"""In order; each needs those before it, but vocoder and DCAE need only the tracks."""
_NEEDS = {
    "tracks": (),
    "dcae": ("tracks",),
    "vocoder": ("tracks",),
    "latents": ("tracks", "dcae"),
    "sound": ("tracks", "dcae", "vocoder", "latents"),
    "transformer": ("tracks", "dcae", "latents"),
    "base": ("dcae", "vocoder", "sound", "transformer"),
}
NETWORKS = ("dcae", "vocoder", "sound", "transformer")
"""Those of them that teach."""
_MADE_OF = "made-of.json"

OnWork = Callable[[str, int, int], None]
"""Told which step works, and how much of how much is done."""


def train_base(
    settings: BaseSettings,
    folder: Path,
    only: Sequence[str] = (),
    *,
    on_work: OnWork = lambda *_: None,
    on_training: Callable[[Progress], None] = lambda _: None,
    processes: int = 0,
    device: str = "",
) -> Path:
    """Make a base, or some steps of it.

    Args:
        settings: its recipe.
        folder: for everything that is made on the way; a base appears in its `base`.
        only: names of `STEPS`; empty takes all.
        on_work: told of tracks and latents.
        on_training: told of networks.
        processes: that synthesise side by side; 0 takes one for each core.
        device: that networks are taught on, see `choose_device`.

    Returns:
        The base's folder; it is there when the last step was done.

    Raises:
        StageError: no such step, an earlier one is missing, or `folder` holds another recipe's.
    """
    asked = _chosen(only)
    workers = processes or os.cpu_count() or 1
    made = _Making(settings, folder, on_work, on_training, workers, choose_device(device))
    for step in asked:
        for needed in _NEEDS[step]:
            if needed not in asked and not made.is_done(needed):
                raise StageError(
                    f"{folder}: '{step}' needs '{needed}', which is not finished",
                    hint=f"run without --only, or with --only {needed} first",
                )
        made.make(step)
    return folder / "base"


def _chosen(only: Sequence[str]) -> tuple[str, ...]:
    for name in only:
        if name not in STEPS:
            raise StageError(f"only: there is no step '{name}'", hint=f"steps: {', '.join(STEPS)}")
    return tuple(step for step in STEPS if not only or step in only)


class _Making:
    """The steps of one base; each marks its folder as done."""

    def __init__(
        self,
        settings: BaseSettings,
        folder: Path,
        on_work: OnWork,
        on_training: Callable[[Progress], None],
        processes: int,
        device: str,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._on_work = on_work
        self._on_training = on_training
        self._processes = processes
        self._device = device
        self._pieces = draw_pieces(settings.tracks, settings.seed)
        self._taught = tuple(piece for piece in self._pieces if not piece.held_out)

    def is_done(self, step: str) -> bool:
        """Whether a step was finished, with these settings."""
        note = self._folder / step / _MADE_OF
        return note.is_file() and read_json(note) == {**self._made_of(step), "done": True}

    def make(self, step: str) -> None:
        """Do a step, or what is left of it."""
        note = self._folder / step / _MADE_OF
        made_of = self._made_of(step)
        if note.is_file() and read_json(note)["settings"] != made_of["settings"]:
            raise StageError(
                f"{note.parent}: was begun with other settings",
                hint="remove that folder to begin this step again, or name another --out",
            )
        if self.is_done(step):
            return
        note.parent.mkdir(parents=True, exist_ok=True)
        write_json(note, {**made_of, "done": False})
        getattr(self, f"_make_{step}")()
        write_json(note, {**made_of, "done": True})

    def _made_of(self, step: str) -> dict[str, Any]:
        """Say what a step depends on, so that a changed recipe is noticed."""
        settings = self._settings
        parts: list[Any] = [settings.seed, asdict(settings.tracks)]
        if step != "tracks":
            parts.append({name: dict(values) for name, values in settings.networks.items()})
        for name in (step, *_NEEDS[step]):
            if name in NETWORKS:
                parts.append(asdict(getattr(settings, name)))
        return {"settings": hash_value(parts)[:16]}

    def _make_tracks(self) -> None:
        from lofi_engine.pretraining.tracks import synthesise

        synthesise(
            self._folder / "tracks",
            self._pieces,
            self._processes,
            lambda done, total: self._on_work("tracks", done, total),
        )

    def _make_dcae(self) -> None:
        self._teach("dcae")

    def _make_vocoder(self) -> None:
        self._teach("vocoder")

    def _make_latents(self) -> None:
        from lofi_engine.pretraining.latents import encode_tracks

        encode_tracks(
            self._taught_base("dcae").dcae,
            self._tracks(self._taught),
            self._folder / "latents",
            lambda done, total: self._on_work("latents", done, total),
            self._device,
        )

    def _make_sound(self) -> None:
        self._teach("sound", self._taught_base("dcae", "vocoder"))

    def _make_transformer(self) -> None:
        self._teach("transformer")

    def _make_base(self) -> None:
        from lofi_engine.pretraining.packing import pack

        base = self._taught_base(*NETWORKS)
        size_bytes = pack(base, self._folder / "base", self._settings.name)
        self._on_work("base", size_bytes, size_bytes)

    def _tracks(self, pieces: Sequence[Piece], most: int = 0) -> Any:
        from lofi_engine.pretraining.tracks import TrackSet

        return TrackSet(self._folder / "tracks", pieces[: most or None])

    def _taught_base(self, *networks: str) -> Any:
        """Build the base with finished networks as they are; a finished one is only read."""
        from lofi_engine.pretraining.networks import build_networks

        base = build_networks(self._settings)
        for name in networks:
            self._teach(name, base)
        return base

    def _teach(self, name: str, base: Any = None) -> None:
        """Teach a network, or read it where it is finished."""
        from lofi_engine.pretraining.loop import Teaching
        from lofi_engine.pretraining.networks import build_networks
        from lofi_engine.pretraining.teach_dcae import teach_dcae
        from lofi_engine.pretraining.teach_sound import teach_sound
        from lofi_engine.pretraining.teach_transformer import teach_transformer
        from lofi_engine.pretraining.teach_vocoder import teach_vocoder

        base = base or build_networks(self._settings)
        settings = getattr(self._settings, name)
        teaching = Teaching(
            settings,
            self._folder / name,
            self._settings.seed,
            report=self._on_training,
            device=self._device,
        )
        if name == "dcae":
            teach_dcae(base.dcae, self._some_tracks(settings), teaching)
        elif name == "vocoder":
            teach_vocoder(base.vocoder, self._some_tracks(settings), teaching)
        elif name == "sound":
            tracks = self._some_tracks(settings)
            teach_sound(base.dcae, base.vocoder, tracks, self._latents(), teaching)
        else:
            teach_transformer(base, self._taught, self._latents(), teaching)

    def _some_tracks(self, settings: StepSettings) -> Any:
        return self._tracks(self._taught, settings.tracks)

    def _latents(self) -> Any:
        import numpy as np

        from lofi_engine.pretraining.latents import FILE

        return np.load(self._folder / "latents" / FILE)
