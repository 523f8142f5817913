"""The queue of tracks to generate: one runs, up to ten wait.

Knows nothing of clients' connections or of the worker: it is given `produce`, which makes a track,
and `emit`, which tells what happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from lofi_runtime.errors import GenerationCancelled
from lofi_runtime.pipeline.costs import evaluation_rows
from lofi_runtime.progress import ProgressMeter
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.sources import Source
from lofi_runtime.track import Track, TrackSpec

log = logging.getLogger(__name__)

QUEUE_LIMIT = 10


@dataclass(eq=False)
class Job:
    """A track that waits or runs.

    Args:
        spec: what to make.
        source: what makes it.
        is_high: goes before everything that waits without it.
        owners: the clients that asked for it.
        may_fall_back: whether another variant may make it if this one cannot be loaded; `spec` and
            `source` are then those of the other.
    """

    spec: TrackSpec
    source: Source
    is_high: bool = False
    owners: set[int] = field(default_factory=set)
    may_fall_back: bool = False
    meter: ProgressMeter = field(default_factory=ProgressMeter)
    is_cancelled: bool = False
    track_id: str = field(init=False)
    """What clients were told; no two jobs share one."""

    def __post_init__(self) -> None:
        self.track_id = self.spec.track_id

    def describe(self) -> dict[str, Any]:
        """Return how far it is, as `queue_status` and `status` tell it."""
        return {"prompt": self.spec.prompt, **self.progress()}

    def progress(self) -> dict[str, Any]:
        """Return the parameters of `generation_progress`."""
        told: dict[str, Any] = {
            "track_id": self.track_id,
            "percent": self.meter.percent,
            "current_step": self.meter.current_step,
            "total_steps": self.meter.total_steps,
            "stage": self.meter.stage,
        }
        eta_sec = self.meter.eta_sec
        return told if eta_sec is None else told | {"eta_sec": eta_sec}


@dataclass(frozen=True)
class Cancelled:
    """What a cancel did.

    Args:
        cancelled: whether there was anything to cancel.
        was_generating: whether the track was being made just then.
        withdrawn: the parameters of the `generation_cancelled` that only the client that withdrew
            is to get, because the track goes on for others; else None.
    """

    cancelled: bool
    was_generating: bool
    withdrawn: dict[str, Any] | None = None


OnProgress = Callable[[str, int, int], None]
Produce = Callable[[Job, OnProgress], Awaitable[Track]]
Stop = Callable[[str], None]
Emit = Callable[[str, dict[str, Any], frozenset[int]], None]
"""`emit(event, params, owners)`."""


class JobQueue:
    """Runs one job at a time.

    Args:
        produce: makes a track; raises RpcError or GenerationCancelled.
        stop: asks `produce` to end the track of that id before its next step.
        emit: takes each notification with the clients it concerns.
    """

    def __init__(self, produce: Produce, stop: Stop, emit: Emit) -> None:
        self._produce = produce
        self._stop = stop
        self._emit = emit
        self._changed = asyncio.Event()
        self._after_sec: dict[str, float] = {}
        """Of each model, seconds after the main stage for a second of sound: its last track's."""
        self.current: Job | None = None
        self.waiting: list[Job] = []

    def find(self, track_id: str) -> Job | None:
        """Return the job that makes this track, if one waits or runs and was not cancelled."""
        jobs = [self.current, *self.waiting] if self.current else self.waiting
        for job in jobs:
            if job.track_id == track_id and not job.is_cancelled:
                return job
        return None

    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return self.current is None and not self.waiting

    def submit(self, job: Job) -> Job:
        """Queue a job; a track that is already on its way gets another owner instead.

        Nothing begins before the caller gives control back to the event loop, so an answer
        written at once comes before the track's first notification.

        Raises:
            RpcError: QUEUE_FULL.
        """
        known = self.find(job.track_id)
        if known is not None:
            if known.spec.track_id != job.track_id and not job.may_fall_back:
                raise RpcError(
                    "MODEL_LOAD_FAILED",
                    f"precision {job.spec.precision!r} could not be loaded just now; another"
                    " variant makes this track",
                    hint="ask for precision 'auto', or again when that track is finished",
                )
            # Who named the precision gets it or an error.
            known.may_fall_back &= job.may_fall_back
            known.owners |= job.owners
            if job.is_high and not known.is_high and known in self.waiting:
                self.waiting.remove(known)
                known.is_high = True
                self._insert(known)
            return known
        # The one that may begin at once does not wait.
        room = QUEUE_LIMIT + (self.current is None)
        if len(self.waiting) >= room:
            raise RpcError(
                "QUEUE_FULL",
                f"the queue is full: {QUEUE_LIMIT} tracks wait already",
                hint="cancel one or wait for one to finish",
            )
        self._insert(job)
        self._changed.set()
        return job

    def position(self, job: Job) -> int:
        """Return how many tracks begin before this one; 0 for the next one or one that runs."""
        return self.waiting.index(job) if job in self.waiting else 0

    def begins_now(self, job: Job) -> bool:
        """Whether the job runs, or is about to."""
        return job is self.current or (self.current is None and self.position(job) == 0)

    def cancel(self, track_id: str, owner: int) -> Cancelled:
        """Withdraw a client from a track; with its last owner the track itself is cancelled.

        What others asked for is not this client's to stop: it is told that nothing was cancelled.
        A track without owners (all have left, and it is finished all the same) anyone may stop.
        """
        job = self.find(track_id)
        if job is None or (job.owners and owner not in job.owners):
            return Cancelled(cancelled=False, was_generating=False)
        was_generating = job is self.current
        if job.owners - {owner}:
            job.owners.discard(owner)
            return Cancelled(True, was_generating, withdrawn=_cancelled_params(job))
        self._end(job)
        return Cancelled(True, was_generating)

    def leave(self, owner: int, *, keep: bool = False) -> None:
        """Forget a client that is gone, and cancel every job that nobody else wanted.

        Args:
            owner: the client.
            keep: finish its jobs nevertheless.
        """
        jobs = [self.current, *self.waiting] if self.current else list(self.waiting)
        for job in jobs:
            if owner in job.owners:
                job.owners.discard(owner)
                if not job.owners and not keep and not job.is_cancelled:
                    self._end(job)

    def abandon(self) -> None:
        """Tell that every job ends here; the running one is not waited for."""
        for job in list(self.waiting):
            self._end(job)
        if self.current is not None and not self.current.is_cancelled:
            self.current.is_cancelled = True
            self._emit_cancelled(self.current)

    async def run(self) -> None:
        """Make track after track until this task is cancelled."""
        while True:
            while not self.waiting:
                self._changed.clear()
                await self._changed.wait()
            job = self.waiting.pop(0)
            self.current = job
            try:
                await self._run_one(job)
            except Exception:  # whoever is told of a track must not end all those that follow
                log.exception("track %s: a bug in telling of it", job.track_id)
            finally:
                self.current = None

    async def _run_one(self, job: Job) -> None:
        pace = self._after_sec.get(job.spec.model_version)
        after_sec = None if pace is None else pace * job.spec.duration_sec
        job.meter = ProgressMeter(_step_costs(job.spec), after_sec, job.source.after_rows)
        self._emit("generation_start", _start_params(job), frozenset(job.owners))
        try:
            track = await self._produce(job, lambda *report: self._report(job, *report))
        except GenerationCancelled:
            self._emit_cancelled(job)
        except RpcError as error:
            self._fail(job, error.name, str(error))
        # The boundary of a job: a bug ends this track, not the server.
        except Exception as error:
            log.exception("track %s: a bug", job.track_id)
            self._fail(job, "INTERNAL_ERROR", f"{type(error).__name__}: {error}")
        else:
            if (after_sec := job.meter.since_main_sec) is not None:
                self._after_sec[job.spec.model_version] = after_sec / job.spec.duration_sec
            told = track.to_notification() | {"track_id": job.track_id}
            self._emit("generation_complete", told, frozenset(job.owners))

    def _report(self, job: Job, stage: str, done: int, total: int) -> None:
        if job.meter.update(stage, done, total) and not job.is_cancelled:
            self._emit("generation_progress", job.progress(), frozenset(job.owners))

    def _fail(self, job: Job, name: str, message: str) -> None:
        params = {"track_id": job.track_id, "code": name, "message": message}
        self._emit("generation_error", params, frozenset(job.owners))

    def _end(self, job: Job) -> None:
        """Drop a waiting job at once, or stop the running one before its next step."""
        job.is_cancelled = True
        if job in self.waiting:
            self.waiting.remove(job)
            self._emit_cancelled(job)
        else:
            self._stop(job.track_id)

    def _emit_cancelled(self, job: Job) -> None:
        self._emit("generation_cancelled", _cancelled_params(job), frozenset(job.owners))

    def _insert(self, job: Job) -> None:
        place = len(self.waiting)
        if job.is_high:
            place = next((i for i, other in enumerate(self.waiting) if not other.is_high), place)
        self.waiting.insert(place, job)


def _step_costs(spec: TrackSpec) -> list[int]:
    """Give what each denoising step of a track costs; nothing where a backend does not denoise."""
    if spec.inference_steps is None:
        return []
    scale = spec.guidance_scale if spec.guidance_scale is not None else 1.0
    return evaluation_rows(spec.inference_steps, spec.scheduler or "", scale)


def _cancelled_params(job: Job) -> dict[str, Any]:
    return {
        "track_id": job.track_id,
        "at_step": job.meter.current_step,
        "total_steps": job.meter.total_steps,
    }


def _start_params(job: Job) -> dict[str, Any]:
    return {
        "track_id": job.track_id,
        "prompt": job.spec.prompt,
        "duration_sec": job.spec.duration_sec,
        "seed": job.spec.seed,
        "backend": job.spec.backend,
    }
