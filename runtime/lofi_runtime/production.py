"""Makes the tracks of jobs: by the worker, into the store, by another variant where one fails."""

from __future__ import annotations

import asyncio
import logging
import time

from lofi_runtime.errors import GenerationCancelled
from lofi_runtime.fallback import Fallback
from lofi_runtime.jobs import Job, OnProgress
from lofi_runtime.library import Library
from lofi_runtime.requests import with_source
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.track import Track
from lofi_runtime.tracks import TrackStore
from lofi_runtime.worker import Task, Worker

log = logging.getLogger(__name__)


class Production:
    """What a `JobQueue` calls.

    Args:
        library: what is installed.
        store: where tracks go.
        worker: what makes them.
        max_bytes: of all tracks together; what was used longest ago goes.
        max_count: of tracks.
        deadline_sec: for a whole track, however many variants are tried.
    """

    def __init__(
        self,
        library: Library,
        store: TrackStore,
        worker: Worker,
        *,
        max_bytes: int,
        max_count: int,
        deadline_sec: float,
    ) -> None:
        self._library = library
        self._store = store
        self._worker = worker
        self._max_bytes = max_bytes
        self._max_count = max_count
        self._deadline_sec = deadline_sec

    async def produce(self, job: Job, on_progress: OnProgress) -> Track:
        """Make a job's track.

        Raises:
            RpcError: it cannot be made, or not be kept.
            GenerationCancelled: nobody wants it any more.
        """
        ends_at = time.monotonic() + self._deadline_sec
        fallback = Fallback(self._library)
        if job.may_fall_back and job.source.folder and self._library.has_failed(job.source):
            # It failed for another track while this one waited.
            job.source = self._library.pick(job.spec.backend, lora=job.source.model)
            job.spec = with_source(job.spec, job.source)
        while True:
            try:
                track = self._made_before(job) or await self._make(job, ends_at, on_progress)
            except RpcError as error:
                if error.name != "MODEL_LOAD_FAILED" or not _has_others(job):
                    raise
                if job.is_cancelled:
                    raise GenerationCancelled(f"track {job.track_id} was cancelled") from error
                log.warning("%s could not be loaded: %s", job.source.model_version, error)
                job.spec, job.source = fallback.after(job.spec, job.source, str(error))
            else:
                if job.is_cancelled:
                    raise GenerationCancelled(f"track {job.track_id} was cancelled")
                self._store.also_known_as(job.track_id, job.spec.track_id)
                return track

    def _made_before(self, job: Job) -> Track | None:
        """Find what the job has fallen back to, if it is in the store."""
        has_changed = job.spec.track_id != job.track_id
        return self._store.find(job.spec.track_id) if has_changed else None

    async def _make(self, job: Job, ends_at: float, on_progress: OnProgress) -> Track:
        began = time.monotonic()
        part = self._store.part_path(job.track_id)
        request = self._store.request_for(job.spec)
        form = self._store.audio_format
        task = Task(job.track_id, job.source, request, part, form, ends_at=ends_at)
        try:
            done = await self._worker.generate(task, on_progress)
            # Another runtime on this store may hold its lock: nobody else is to wait for that.
            track = await asyncio.to_thread(
                self._store.keep,
                job.spec,
                part,
                duration_sec=done["duration_sec"],
                generation_time_sec=time.monotonic() - began,
                warnings=[*job.source.notes, *done["warnings"]],
                license_name=job.source.license_name,
            )
        finally:
            self._store.discard(part)
        await self._shrink(job.spec.track_id)
        return track

    async def _shrink(self, kept: str) -> None:
        try:
            await asyncio.to_thread(self._store.shrink, self._max_bytes, self._max_count, kept)
        except RpcError as error:  # the track itself is there
            log.warning("the track store keeps more than it may: %s", error)


def _has_others(job: Job) -> bool:
    return job.may_fall_back and job.source.folder is not None
