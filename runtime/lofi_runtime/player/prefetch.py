"""Music that does not end: when nothing waits in the playlist, the next track is generated.

A prefetch begins only when nothing else is generated or waits, so that it never stands before a
client's request; it is tried once for each track that plays.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lofi_runtime.jobs import Job, JobQueue
from lofi_runtime.player.player import PLAYING, Player
from lofi_runtime.requests import RANDOM_SEED_LIMIT, chosen_style, shipped
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.rpc.schema import check_params
from lofi_runtime.styles.writer import TaxonomyWriter
from lofi_runtime.track import Track
from lofi_runtime.tracks import TrackStore

log = logging.getLogger(__name__)

OWNER = 0
"""Whose jobs these are; clients' numbers begin at 1."""

SAME_PROMPT, PRESET_CYCLE, RANDOM_PRESET = "same_prompt", "preset_cycle", "random_preset"

_STYLE_ID = re.compile(r"[A-Z]+-[0-9]{2}")
_KEPT = (
    "duration_sec", "backend", "lora", "inference_steps", "scheduler", "guidance_scale",
)  # fmt: skip
"""Not the precision: a track tells the one it was made with, which may have failed since."""
_ENDS = ("generation_complete", "generation_error", "generation_cancelled")

Specify = Callable[[dict[str, Any]], Job]


class Prefetch:
    """Keeps one track ahead of the player while it is enabled.

    Args:
        player: what plays; its `on_change` and `expects_more` are taken.
        jobs: where tracks are generated.
        store: where they end up.
        specify: makes a job of checked parameters of `generate`; raises RpcError.
        is_wanted: whether anybody listens; without a client nothing is generated.
    """

    def __init__(
        self,
        player: Player,
        jobs: JobQueue,
        store: TrackStore,
        specify: Specify,
        is_wanted: Callable[[], bool],
    ) -> None:
        self._player = player
        self._jobs = jobs
        self._store = store
        self._specify = specify
        self._is_wanted = is_wanted
        self.enabled = False
        self.strategy = SAME_PROMPT
        self.presets: list[str] = []
        self._next_preset = 0
        self._tried = 0
        self._job_id = ""
        self._waits = False
        self._random = random.Random()
        player.on_change = self.consider
        player.expects_more = lambda: self.pending > 0

    @property
    def pending(self) -> int:
        """How many tracks are on their way, or wait for their turn to be generated."""
        return int(bool(self._job_id) or self._waits)

    def describe(self) -> dict[str, Any]:
        """Return the answer of `prefetch_config`."""
        return {
            "enabled": self.enabled,
            "strategy": self.strategy,
            "presets": list(self.presets),
            "pending": self.pending,
        }

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Change `enabled`, `strategy` or `presets`; what is left out stays.

        Raises:
            RpcError: INVALID_STYLE, a preset looks like a style's id but is none; INVALID_PARAMS,
                the strategy needs presets. Nothing has changed then.
        """
        strategy = changes.get("strategy", self.strategy)
        presets: Sequence[str] = changes.get("presets", self.presets)
        for preset in presets:
            if _STYLE_ID.fullmatch(preset):
                chosen_style(preset)
        if strategy != SAME_PROMPT and not presets:
            raise RpcError(
                "INVALID_PARAMS",
                f"presets: strategy {strategy!r} needs at least one",
                hint="give prompts or ids of styles",
            )
        if list(presets) != self.presets:
            self._next_preset = 0
        self.enabled = changes.get("enabled", self.enabled)
        self.strategy, self.presets = strategy, list(presets)
        self._tried = 0
        if self.enabled:
            self.consider()
        else:
            self._give_up()

    def consider(self) -> None:
        """Generate the next track if it is time to."""
        current = self._player.current
        if self._job_id or not self.enabled:
            return
        is_last = self._player.state == PLAYING and current is not None
        is_last = is_last and not self._player.loop and not len(self._player.playlist)
        is_asked = is_last and current is not None and current.number != self._tried
        self._waits = (is_asked or self._player.waits_for_more) and self._is_wanted()
        if self._waits and self._jobs.is_idle():
            self._waits = False
            self._submit()

    def hear(self, event: str, params: Mapping[str, Any]) -> None:
        """Take a notification of the queue; called before the queue has moved on."""
        if event not in _ENDS:
            return
        # Whatever ended may leave the queue idle, but only once this has returned.
        asyncio.get_running_loop().call_soon(self.consider)
        if params["track_id"] != self._job_id:
            return
        self._job_id = ""
        if event != "generation_complete":
            self._player.waits_for_more = False
            return
        track = self._store.find(params["track_id"])
        if track is not None and self.enabled:
            self._append(track, params["track_id"])

    def _submit(self) -> None:
        last = self._player.last
        track = self._store.find(last.track_id) if last else None
        if last is None or track is None:
            self._player.waits_for_more = False
            return
        self._tried = last.number
        try:
            job = self._specify(check_params("generate", self._params_after(track)))
        except RpcError as error:
            log.warning("no track can be prefetched: %s", error)
            self._player.waits_for_more = False
            return
        known = self._store.find(job.track_id)
        if known is not None:
            self._append(known, job.track_id)
            return
        job.owners.add(OWNER)
        self._job_id = self._jobs.submit(job).track_id

    def _append(self, track: Track, track_id: str) -> None:
        try:
            self._player.add(track, track_id)
        except RpcError as error:
            log.warning("a prefetched track was left out: %s", error)

    def _params_after(self, track: Track) -> dict[str, Any]:
        """Return the parameters of `generate` for what follows a track."""
        before = track.sidecar["generate"]
        params = {name: before[name] for name in _KEPT if name in before}
        # A new seed: the same one would make the same track again.
        params["seed"] = seed = self._random.randrange(RANDOM_SEED_LIMIT)
        if self.strategy == SAME_PROMPT:
            words = ("prompt", "lyrics", "style")
            return params | {name: before[name] for name in words if name in before}
        preset = self._choose()
        if not _STYLE_ID.fullmatch(preset):
            return params | {"prompt": preset}
        style = chosen_style(preset)
        written = TaxonomyWriter(shipped()).write(preset, seed, style)
        return params | {"prompt": written.prompt, "style": preset}

    def _choose(self) -> str:
        if self.strategy == RANDOM_PRESET:
            return self._random.choice(self.presets)
        preset = self.presets[self._next_preset % len(self.presets)]
        self._next_preset += 1
        return preset

    def _give_up(self) -> None:
        """Withdraw what is on its way; a client that asked for the same track still gets it."""
        job_id, self._job_id, self._waits = self._job_id, "", False
        self._player.waits_for_more = False
        if job_id:
            self._jobs.cancel(job_id, OWNER)
