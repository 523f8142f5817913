"""The whole way: a command in a real Neovim, the real server, a file with music in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.finished_run import FinishedRun
from tests.support.neovim import Editor, end_process, is_alive, running_editor, wait_until

LOFI_RUNTIME = Path(sys.prefix) / "bin" / "lofi-runtime"


@pytest.fixture
def ready_editor(editor: Editor, run_folder: Path) -> Iterator[Editor]:
    """An editor set up for the real runtime; the server is asked to end afterwards."""
    editor.setup(runtime_path=str(LOFI_RUNTIME), socket=str(run_folder / "s.sock"), idle_exit_sec=1)
    yield editor
    editor.lua("require('lofi').shutdown(function() ended = true end)")
    editor.wait_for("ended")


def test_a_command_ends_with_a_file_of_music(ready_editor: Editor) -> None:
    ready_editor.command("LofiGenerate rainy night coding duration=5 backend=procedural")
    ready_editor.wait_until_shown("5 s of music: ")
    track = ready_editor.lua("return require('lofi').status().last_track")
    samples, sample_rate = soundfile.read(track["path"])
    assert sample_rate == track["sample_rate"] == 48_000
    assert samples.shape == (5 * 48_000, 2)
    assert np.sqrt(np.mean(samples**2)) > 0.01
    assert np.abs(samples).max() <= 1.0
    assert track["prompt"] == "rainy night coding"


def test_what_the_server_refuses_is_one_readable_line(ready_editor: Editor) -> None:
    ready_editor.command("LofiGenerate rain duration=9999")
    message = ready_editor.wait_until_shown("9999")
    assert "duration_sec" in message
    assert "\n" not in message
    ready_editor.command("LofiGenerate rain duration=5 style=SEASON-99")
    assert "SEASON-99" in ready_editor.wait_until_shown("SEASON-99")


def test_a_track_is_cancelled_in_the_queue(ready_editor: Editor) -> None:
    ready_editor.lua(
        """names = {}
        for seed = 1, 2 do
          require('lofi').generate({ prompt = 'rain', seed = seed, duration_sec = 60,
            backend = 'procedural' }, function(err) table.insert(names, err and err.name) end)
        end"""
    )
    ready_editor.wait_for("require('lofi').status().jobs[2].track_id")
    ready_editor.command("LofiCancel!")
    assert ready_editor.wait_for("names[2] and names") == ["GENERATION_CANCELLED"] * 2


def test_status_backends_and_health_speak_of_the_real_server(ready_editor: Editor) -> None:
    ready_editor.command("LofiBackends")
    assert "procedural" in ready_editor.wait_until_shown("backends (default: ")
    ready_editor.command("LofiStatus")
    assert "editors connected: 1" in ready_editor.wait_until_shown("runtime 0")
    ready_editor.command("checkhealth lofi")
    report = "\n".join(ready_editor.nvim.current.buffer[:])
    assert "plugin and runtime both speak protocol 1" in report
    assert "backend procedural" in report
    assert "ERROR" not in report


def test_the_server_says_what_the_plugin_completes(ready_editor: Editor) -> None:
    ready_editor.lua("require('lofi').get_backends(function() connected = true end)")
    ready_editor.wait_for("connected")
    told = ready_editor.lua(
        "local values = require('lofi.completion').values"
        " return { values('backend'), values('scheduler'), values('priority') }"
    )
    assert [sorted(values) for values in told] == [
        ["ace_step", "procedural"],
        ["euler", "heun", "pingpong"],
        ["high", "normal"],
    ]


def test_two_editors_that_start_at_once_share_one_server(
    neovim: Path, ready_editor: Editor, run_folder: Path
) -> None:
    ask = "require('lofi.runtime').request('ping', {}, function(_, pong) pid = pong.pid end)"
    with running_editor(neovim) as other:
        settings = {"runtime_path": str(LOFI_RUNTIME), "socket": str(run_folder / "s.sock")}
        other.setup(**settings, idle_exit_sec=1)
        ready_editor.lua(ask)
        other.lua(ask)
        assert ready_editor.wait_for("pid") == other.wait_for("pid")
        log = Path(other.lua("return require('lofi.server_process').log_path()"))
        # Both had started a server; the second one gives way.
        assert wait_until(lambda: "is already running on" in log.read_text())


def test_after_a_killed_server_the_next_command_starts_another(ready_editor: Editor) -> None:
    ask = "pid = nil require('lofi.runtime').request('ping', {}, function(_, r) pid = r.pid end)"
    ready_editor.lua(ask)
    pid = ready_editor.wait_for("pid")
    end_process(pid)
    ready_editor.wait_for("require('lofi').status().runtime == 'stopped'")
    ready_editor.lua(ask)
    assert ready_editor.wait_for("pid") != pid


def test_after_a_shutdown_the_next_command_starts_another(ready_editor: Editor) -> None:
    pids = """pids = {}
        local function ask() require('lofi.runtime').request('ping', {}, function(err, pong)
          table.insert(pids, err and err.message or pong.pid)
          if not pids[2] then require('lofi').shutdown(ask) end
        end) end
        ask()"""
    ready_editor.lua(pids)
    first, second = ready_editor.wait_for("pids[2] and pids")
    assert isinstance(second, int)
    assert second != first


def test_the_real_server_ends_when_no_editor_is_left(editor: Editor, run_folder: Path) -> None:
    editor.setup(runtime_path=str(LOFI_RUNTIME), socket=str(run_folder / "s.sock"), idle_exit_sec=1)
    editor.lua(
        "require('lofi.runtime').request('ping', {}, function(_, result) pid = result.pid end)"
    )
    pid = editor.wait_for("pid")
    editor.quit()
    try:
        assert is_alive(pid)
        assert wait_until(lambda: not is_alive(pid))
        assert not (run_folder / "s.sock").exists()
    finally:
        end_process(pid)


@pytest.mark.pipeline
@pytest.mark.timeout(900)
def test_a_variant_that_a_recipe_published_plays_in_the_editor(
    editor: Editor, run_folder: Path, finished_run: FinishedRun
) -> None:
    editor.setup(
        runtime_path=str(LOFI_RUNTIME),
        socket=str(run_folder / "s.sock"),
        idle_exit_sec=1,
        model={"source": str(finished_run.bundle("int8"))},
    )
    editor.command("LofiGenerate rainy night coding duration=5 steps=4")
    editor.wait_until_shown("5 s of music: ")
    track = editor.lua("return require('lofi').status().last_track")
    assert track["backend"] == "ace_step"
    assert track["model_version"] == "small-int8 0.1.0"
    samples, sample_rate = soundfile.read(track["path"])
    assert (sample_rate, samples.shape) == (48_000, (5 * 48_000, 2))
    assert np.sqrt(np.mean(samples**2)) > 1e-3
    editor.lua("require('lofi').shutdown(function() ended = true end)")
    editor.wait_for("ended")
