from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import textwrap

import pytest

from lofi_engine.cli import terminal
from lofi_engine.cli.terminal import JsonLines, LiveLines, PlainLines, describe
from lofi_engine.events import Event


def progress(done, total=10, stage="train", message=""):
    return Event(stage, done, total, "steps", message)


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    return now


def written(sink_type, events):
    stream = io.StringIO()
    sink = sink_type(stream)
    for event in events:
        sink(event)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Event("train", 0, 0, "", "0011aabb", "begin"), "train     begins"),
        (Event("train", 1, 1, "", "3.2 s", "done"), "train     done in 3.2 s"),
        (Event("curate", 0, 0, "", "0011aabb", "cached"), "curate    cached"),
        (Event("select", 0, 0, "", "no gain", "warning"), "select    warning: no gain"),
        (Event("rehearse", 0, 0, "", "base: tiny", "note"), "rehearse  base: tiny"),
        (Event("measure", 0, 0, "", "too far", "failed"), "measure   failed"),
        (progress(3, message="loss 1.0"), "train     3/10 steps  loss 1.0"),
        (progress(3), "train     3/10 steps"),
    ],
)
def test_each_kind_of_event_is_one_line_that_names_its_stage(event, line):
    assert describe(event) == line
    assert written(PlainLines, [event]) == [line]


def test_progress_is_written_every_few_seconds_and_at_the_end(clock):
    stream = io.StringIO()
    sink = PlainLines(stream)
    for done in range(1, 11):
        clock[0] += 2.0
        sink(progress(done))
    counts = [line.split()[1] for line in stream.getvalue().splitlines()]
    assert counts == ["1/10", "4/10", "7/10", "10/10"]


def test_each_stage_is_held_back_on_its_own(clock):
    lines = written(PlainLines, [progress(1), progress(2), progress(1, stage="encode")])
    assert [line.split()[0] for line in lines] == ["train", "encode"]


def test_what_is_not_progress_is_never_held_back(clock):
    warnings = [Event("train", 0, 0, "", f"odd {number}", "warning") for number in range(3)]
    assert len(written(PlainLines, [progress(1), *warnings])) == 4


def test_each_line_is_there_at_once():
    flushed = []

    class Stream(io.StringIO):
        def flush(self):
            flushed.append(self.getvalue())

    sink = PlainLines(Stream())
    sink(Event("train", 0, 0, "", "", "begin"))
    assert flushed == ["train     begins\n"]


def test_json_lines_hold_every_event_whole():
    events = [progress(number, message="täglich\n2") for number in range(3)]
    events.append(Event("train", 1, 1, "", "3.2 s", "done"))
    lines = written(JsonLines, events)
    assert [Event(**json.loads(line)) for line in lines] == events
    assert json.loads(lines[0]) == {
        "stage": "train",
        "done": 0,
        "total": 10,
        "unit": "steps",
        "message": "täglich\n2",
        "kind": "progress",
    }


def test_without_a_terminal_the_live_form_writes_finished_stages_only(capsys):
    with LiveLines() as live:
        live(Event("train", 0, 0, "", "key", "begin"))
        live(progress(3))
        live(Event("train", 0, 0, "", "[bold]odd[/bold] [track]", "warning"))
        live(Event("train", 1, 1, "", "3.2 s", "done"))
    said = capsys.readouterr()
    assert said.out == ""
    assert [line.rstrip() for line in said.err.splitlines() if line.strip()] == [
        "train     warning: [bold]odd[/bold] [track]",
        "train     done in 3.2 s",
    ]


LIVE = """
import time
from lofi_engine.cli.terminal import LiveLines
from lofi_engine.events import Event
with LiveLines() as live:
    live(Event("curate", 0, 0, "", "key", "cached"))
    live(Event("train", 0, 0, "", "key", "begin"))
    live(Event("train", 0, 0, "steps", "starting"))
    live(Event("train", 3, 10, "steps", "loss [red]1.25"))
    time.sleep(0.3)
    live(Event("train", 1, 1, "", "3.2 s", "done"))
"""


def test_on_a_terminal_a_bar_with_count_and_message_is_drawn_and_removed():
    outer, inner = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(LIVE)],
        stdout=subprocess.PIPE,
        stderr=inner,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"},
    )
    os.close(inner)
    seen = b""
    while True:
        try:
            part = os.read(outer, 4096)
        except OSError:  # the last writer is gone
            break
        if not part:
            break
        seen += part
    os.close(outer)
    assert child.communicate(timeout=30)[0] == b""
    assert child.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())
    assert "3/10 steps" in text
    assert "loss [red]1.25" in text
    assert "curate    cached" in text
    assert "train     done in 3.2 s" in text
    assert b"\x1b[?25h" in seen  # the cursor is back
