"""The queue alone: who goes next, who is told, what a cancel does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lofi_runtime.errors import GenerationCancelled
from lofi_runtime.jobs import Job, JobQueue, OnProgress
from lofi_runtime.library import PROCEDURAL_SOURCE
from lofi_runtime.manifest import Speed
from lofi_runtime.pipeline.costs import evaluation_rows
from lofi_runtime.progress import ProgressMeter
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.track import Track, TrackSpec


class Desk:
    """A queue whose tracks end when the test says so."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any], frozenset[int]]] = []
        self.made: list[str] = []
        self.ends: dict[str, asyncio.Future[None]] = {}
        self.queue = JobQueue(self.produce, self.stop, lambda *event: self.told.append(event))

    async def produce(self, job: Job, on_progress: OnProgress) -> Track:
        self.made.append(job.spec.prompt)
        self.ends[job.track_id] = asyncio.get_running_loop().create_future()
        on_progress("denoise", 1, 4)
        await self.ends[job.track_id]
        spec = {"backend": "procedural", "model_version": "x", "seed": 1, "prompt": job.spec.prompt}
        return Track(
            Path("/x.wav"),
            {
                "track_id": job.track_id,
                "spec": spec,
                "duration_sec": 5.0,
                "sample_rate": 48000,
                "generation_time_sec": 0.0,
                "warnings": [],
            },
        )

    def stop(self, track_id: str) -> None:
        self.ends[track_id].set_exception(GenerationCancelled("stopped"))

    def names(self) -> list[str]:
        return [name.removeprefix("generation_") for name, _, _ in self.told]


def job(prompt: str, owner: int = 1, *, high: bool = False) -> Job:
    spec = TrackSpec(prompt, 5, 1, "", "", "procedural", "x")
    return Job(spec, PROCEDURAL_SOURCE, is_high=high, owners={owner})


def at_desk(work: Callable[[Desk], Awaitable[None]]) -> Desk:
    desks: list[Desk] = []

    async def main() -> None:
        desk = Desk()
        desks.append(desk)
        running = asyncio.create_task(desk.queue.run())
        await work(desk)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), 5))
    return desks[0]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_nothing_begins_before_control_returns_to_the_loop() -> None:
    async def work(desk: Desk) -> None:
        await settle()
        first = desk.queue.submit(job("a"))
        assert desk.told == []
        assert desk.queue.begins_now(first)
        await settle()
        assert desk.names() == ["start", "progress"]

    at_desk(work)


def test_tracks_are_made_in_order_with_high_ones_first() -> None:
    async def work(desk: Desk) -> None:
        for item in (job("a"), job("b"), job("c"), job("d", high=True), job("e", high=True)):
            desk.queue.submit(item)
            await settle()
        for _ in range(5):
            assert desk.queue.current is not None
            desk.ends[desk.queue.current.track_id].set_result(None)
            await settle()
        assert desk.queue.is_idle()

    assert at_desk(work).made == ["a", "d", "e", "b", "c"]


def test_ten_may_wait_besides_the_one_that_runs() -> None:
    async def work(desk: Desk) -> None:
        for number in range(11):
            desk.queue.submit(job(str(number)))
        with pytest.raises(RpcError, match="the queue is full: 10 tracks wait already"):
            desk.queue.submit(job("one too many"))
        await settle()
        assert len(desk.queue.waiting) == 10
        with pytest.raises(RpcError):
            desk.queue.submit(job("one too many"))

    at_desk(work)


def test_a_track_that_waits_already_gets_another_owner_and_can_be_raised() -> None:
    async def work(desk: Desk) -> None:
        for name in ("a", "b", "c"):
            desk.queue.submit(job(name))
        await settle()
        same = desk.queue.submit(job("c", owner=2, high=True))
        assert desk.queue.position(same) == 0
        assert same.owners == {1, 2}
        assert [item.spec.prompt for item in desk.queue.waiting] == ["c", "b"]

    at_desk(work)


def test_only_what_nobody_else_wanted_is_cancelled_when_a_client_leaves() -> None:
    async def work(desk: Desk) -> None:
        desk.queue.submit(job("a", owner=1))
        await settle()
        desk.queue.submit(job("b", owner=1))
        desk.queue.submit(job("b", owner=2))
        desk.queue.submit(job("c", owner=1))
        desk.queue.leave(1)
        await settle()
        assert desk.queue.current is not None
        assert desk.queue.current.spec.prompt == "b"
        assert desk.queue.waiting == []
        assert desk.names().count("cancelled") == 2

    at_desk(work)


def test_no_progress_is_told_after_a_cancel() -> None:
    async def work(desk: Desk) -> None:
        reports: list[OnProgress] = []
        made = desk.produce

        async def produce(item: Job, on_progress: OnProgress) -> Track:
            reports.append(on_progress)
            return await made(item, on_progress)

        desk.queue._produce = produce
        item = desk.queue.submit(job("a"))
        await settle()
        assert desk.queue.cancel(item.track_id, owner=1).was_generating
        reports[0]("denoise", 2, 4)
        await settle()
        assert desk.names() == ["start", "progress", "cancelled"]
        assert desk.told[-1][1]["at_step"] == 2

    at_desk(work)


def test_a_cancel_withdraws_one_owner_and_the_last_one_stops_the_track() -> None:
    async def work(desk: Desk) -> None:
        for owner in (1, 2):
            item = desk.queue.submit(job("a", owner=owner))
        await settle()
        told = desk.queue.cancel(item.track_id, owner=1)
        assert (told.cancelled, told.was_generating) == (True, True)
        assert told.withdrawn is not None
        assert not item.is_cancelled
        assert not desk.queue.cancel(item.track_id, owner=1).cancelled
        told = desk.queue.cancel(item.track_id, owner=2)
        assert (told.cancelled, told.withdrawn) == (True, None)
        await settle()
        assert desk.told[-1][0] == "generation_cancelled"
        assert desk.told[-1][2] == {2}

    at_desk(work)


def test_a_track_kept_for_a_gone_client_may_be_stopped_by_anyone() -> None:
    async def work(desk: Desk) -> None:
        desk.queue.submit(job("a"))
        await settle()
        item = desk.queue.submit(job("b"))
        desk.queue.leave(1, keep=True)
        assert desk.queue.waiting == [item]
        assert desk.queue.cancel(item.track_id, owner=2).cancelled

    at_desk(work)


def test_a_bug_in_one_track_leaves_the_next_one_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def work(desk: Desk) -> None:
        desk.queue.submit(job("a"))
        desk.queue.submit(job("b"))
        await settle()
        assert desk.queue.current is not None
        desk.ends[desk.queue.current.track_id].set_exception(ZeroDivisionError("oops"))
        await settle()
        assert desk.told[2][1]["code"] == "INTERNAL_ERROR"
        assert desk.made == ["a", "b"]

    at_desk(work)
    assert "ZeroDivisionError: oops" in caplog.text


def test_abandoning_tells_of_every_job() -> None:
    async def work(desk: Desk) -> None:
        desk.queue.submit(job("a"))
        await settle()
        desk.queue.submit(job("b"))
        desk.queue.abandon()
        assert desk.names().count("cancelled") == 2

    at_desk(work)


def test_percent_never_falls_and_stops_at_99() -> None:
    meter = ProgressMeter(clock=lambda: 0.0)
    seen = []
    for stage, total in (("load", 1), ("encode", 1), ("denoise", 27), ("decode", 3), ("write", 1)):
        for done in range(total + 1):
            meter.update(stage, done, total)
            seen.append(meter.percent)
    assert seen == sorted(seen)
    assert seen[-1] == 99
    assert max(b - a for a, b in pairwise(seen)) <= 5


def test_stages_that_alternate_or_are_unknown_do_not_turn_progress_back() -> None:
    meter = ProgressMeter(clock=lambda: 0.0)
    meter.update("mix", 4, 7)
    before = meter.percent
    meter.update("render", 5, 10)
    assert meter.percent == before
    meter.update("dither", 0, 0)
    assert (meter.percent, meter.stage) == (before, "dither")


def test_the_estimate_comes_from_the_main_stage_after_its_first_steps() -> None:
    now = [0.0]
    meter = ProgressMeter(clock=lambda: now[0])
    meter.update("load", 3, 4)
    assert meter.eta_sec is None
    for step in range(11):
        meter.update("denoise", step, 20)
        assert (meter.eta_sec is None) == (step < 2)
        now[0] += 1.0
    assert meter.eta_sec == pytest.approx(10 + 20 / 85 * 8 - 1, abs=0.1)
    now[0] += 100
    assert meter.eta_sec == 0.0


def estimates(meter: ProgressMeter, now: list[float], seconds: list[float]) -> list[float]:
    """Walk a main stage whose steps take so long; give how far each estimate of the whole is off.

    One second follows the main stage.
    """
    wanted, found = sum(seconds) + 1.0, []
    for step, taken in enumerate(seconds):
        meter.update("denoise", step, len(seconds))
        if meter.eta_sec is not None:
            found.append((now[0] + meter.eta_sec) / wanted - 1.0)
        now[0] += taken
    return found


def test_guided_steps_are_expected_to_take_longer_before_the_first_of_them() -> None:
    rows = evaluation_rows(27, "euler", 15.0)
    assert (rows[:6], sum(rows)) == ([1] * 6, 27 + 14)
    now = [0.0]
    meter = ProgressMeter(rows, after_sec=1.0, clock=lambda: now[0])
    # A step of two rows takes 1.8 times as long as one of a single row.
    off = estimates(meter, now, [1.0 if count == 1 else 1.8 for count in rows])
    assert len(off) == 25
    assert max(map(abs, off)) < 0.1
    assert abs(off[-1]) < 0.001


def test_what_follows_the_main_stage_is_learned_from_the_model_s_last_track() -> None:
    now = [0.0]
    meter = ProgressMeter(clock=lambda: now[0])
    estimates(meter, now, [1.0] * 10)
    assert meter.since_main_sec is None
    meter.update("decode", 0, 3)
    now[0] += 2.5
    meter.update("write", 0, 1)
    assert meter.since_main_sec == 2.5


def test_before_a_model_s_first_track_its_manifest_says_what_follows_the_denoising() -> None:
    # As published: 8 steps (4 guided) in 0.12 s for a second of sound, and 0.05 s for the rest.
    speed = Speed(render_time_ratio=0.17, after_time_ratio=0.05, steps=8)
    assert speed.after_rows == pytest.approx(0.05 / 0.12 * 12)
    now = [0.0]
    rows = evaluation_rows(27, "euler", 15.0)
    meter = ProgressMeter(rows, after_cost=speed.after_rows, clock=lambda: now[0])
    estimates(meter, now, [0.2 * count for count in rows])
    meter.update("denoise", 26, 27)
    assert meter.eta_sec == pytest.approx(5.0 * 0.2 + 0.2 - 0.2, abs=0.3)


def test_a_bug_in_telling_of_a_track_leaves_the_next_one_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_event: str, _params: dict[str, Any], _owners: frozenset[int]) -> None:
        raise RuntimeError("nobody listens")

    async def work(desk: Desk) -> None:
        desk.queue._emit, heard = broken, desk.queue._emit
        desk.queue.submit(job("a"))
        await settle()
        assert desk.queue.is_idle()
        desk.queue._emit = heard
        desk.queue.submit(job("b"))
        await settle()
        assert desk.names() == ["start", "progress"]

    at_desk(work)
    assert "nobody listens" in caplog.text
