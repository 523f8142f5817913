"""A track asked for in a real Neovim, from the stand-in server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fake_runtime import TRACK_ID
from tests.support.neovim import Editor, fake_runtime, is_alive, wait_until


def start_with(editor: Editor, folder: Path, *mode: str, **settings: object) -> None:
    editor.setup(
        runtime_path=str(fake_runtime(folder, *mode)),
        socket=str(folder / "s.sock"),
        idle_exit_sec=1,
        **settings,
    )


def server_pid(folder: Path) -> int:
    return int((folder / "s.pid").read_text())


def test_a_command_starts_the_server_and_ends_with_a_track(
    editor: Editor, run_folder: Path
) -> None:
    start_with(editor, run_folder)
    editor.command("LofiGenerate rainy night coding duration=5")
    assert "5 s of music: /nowhere/a.wav" in editor.wait_until_shown("music")
    assert editor.lua("return require('lofi').statusline()") is None
    assert editor.lua("return require('lofi').status().last_track.track_id") == TRACK_ID


def test_a_callback_gets_the_track_and_the_status_line_shows_the_percentage(
    editor: Editor, run_folder: Path
) -> None:
    start_with(editor, run_folder, "--step-sec", "0.03")
    editor.lua("require('lofi').generate('rain', function(err, track) got = {err, track} end)")
    line = editor.wait_for("(require('lofi').statusline() or ''):match('◌ %d+%%')")
    assert line.startswith("◌ ")
    assert editor.lua("return require('lofi').is_generating()") is True
    assert editor.wait_for("got and got[2].path") == "/nowhere/a.wav"
    assert editor.lua("return require('lofi').is_generating()") is False


def test_events_reach_handlers_and_autocommands(editor: Editor, run_folder: Path) -> None:
    start_with(editor, run_folder)
    editor.lua(
        """seen = {}
        for _, name in ipairs({ 'start', 'progress', 'complete' }) do
          require('lofi').on('generation_' .. name, function(data) table.insert(seen, name) end)
        end
        vim.api.nvim_create_autocmd('User', { pattern = 'LofiGenerationComplete',
          callback = function(args) from_autocommand = { args.data and args.data.path } end })"""
    )
    editor.command("LofiGenerate rain")
    data = editor.wait_for("from_autocommand")
    has_data = editor.lua("return vim.fn.has('nvim-0.8')") == 1
    assert data == (["/nowhere/a.wav"] if has_data else [])
    seen = editor.lua("return seen")
    assert seen[0] == "start"
    assert seen[-1] == "complete"
    assert seen.count("progress") == len(seen) - 2 > 10


def test_cancel_stops_the_track_being_made(editor: Editor, run_folder: Path) -> None:
    start_with(editor, run_folder, "--step-sec", "0.1")
    editor.lua("require('lofi').generate('rain', function(err) ended = err end)")
    editor.wait_for("require('lofi').status().jobs[1].percent")
    editor.command("LofiCancel")
    assert editor.wait_for("ended and ended.name") == "GENERATION_CANCELLED"
    assert editor.lua("return require('lofi').is_generating()") is False
    assert "lofi: cancelled" in editor.shown()


def test_cancel_before_the_server_answered_still_cancels(editor: Editor, run_folder: Path) -> None:
    start_with(editor, run_folder, "--step-sec", "0.1")
    editor.lua("require('lofi').generate('rain', function(err) ended = err end)")
    editor.command("LofiCancel")
    assert editor.wait_for("ended and ended.name") == "GENERATION_CANCELLED"


def test_cancel_with_nothing_to_cancel_says_so(editor: Editor) -> None:
    editor.command("LofiCancel")
    assert editor.shown() == ["lofi: nothing is being generated"]


def test_typing_is_not_blocked_while_generating(editor: Editor, run_folder: Path) -> None:
    start_with(editor, run_folder, "--step-sec", "0.03")
    editor.lua(
        """ticks, longest_ms, uv = 0, 0, vim.uv or vim.loop
        local timer, last = uv.new_timer(), uv.hrtime()
        timer:start(0, 5, vim.schedule_wrap(function()
          local now = uv.hrtime()
          ticks, longest_ms, last = ticks + 1, math.max(longest_ms, (now - last) / 1e6), now
        end))
        require('lofi').generate('rain', function() ended = true end)"""
    )
    for letter in "typing while it generates":
        editor.nvim.input("i" + letter + "<Esc>")
    editor.wait_for("ended")
    assert editor.lua("return ticks") > 40
    assert editor.lua("return longest_ms") < 300
    assert len(editor.nvim.current.line) == len("typing while it generates")


@pytest.mark.parametrize(
    ("mode", "name", "words"),
    [
        ("--fail", "INVALID_DURATION", "is more than the maximum of 3 - ask for less"),
        ("--hang", "TIMEOUT", "did not answer 'generate' within 0.3 s; see :LofiLog"),
        ("--garbage", "BAD_FRAME", "does not speak lofi's protocol"),
        ("--huge", "BAD_FRAME", "a message of more than 2097152 bytes"),
        ("--die", "CONNECTION_CLOSED", "lofi-runtime went away"),
        ("--fail-start", "RUNTIME_FAILED", "ended (exit code 1): lofi-runtime: the disk is full"),
        ("--protocol=2", "PROTOCOL_MISMATCH", "speaks protocol 2, this plugin 1"),
    ],
)
def test_each_failure_becomes_one_readable_message(
    editor: Editor, run_folder: Path, mode: str, name: str, words: str
) -> None:
    start_with(editor, run_folder, mode, request_timeout_ms=300 if mode == "--hang" else 5000)
    editor.lua("require('lofi').on('generation_error', function(data) code = data.code end)")
    editor.command("LofiGenerate rain duration=5")
    assert words in editor.wait_until_shown(words)
    assert editor.lua("return code") == name
    assert len(editor.shown()) == 1
    assert editor.lua("return require('lofi').is_generating()") is False


def test_after_the_server_died_the_next_command_starts_another(
    editor: Editor, run_folder: Path
) -> None:
    start_with(editor, run_folder, "--die")
    editor.command("LofiGenerate rain")
    editor.wait_until_shown("went away")
    fake_runtime(run_folder)
    editor.command("LofiGenerate rain")
    assert "5 s of music" in editor.wait_until_shown("5 s of music")


def test_a_missing_executable_is_named_with_the_command_that_mends_it(editor: Editor) -> None:
    editor.setup(runtime_path="/nowhere/lofi-runtime", socket="/nowhere/s.sock")
    editor.command("LofiGenerate rain")
    message = editor.wait_until_shown("/nowhere/lofi-runtime")
    assert "is not there or is not executable - run `pip install lofi-recipe`" in message


def test_progress_and_the_result_are_one_line_and_never_ask_for_enter(
    editor: Editor, run_folder: Path
) -> None:
    editor.nvim.ui_attach(60, 10, rgb=True)
    editor.lua("vim.notify = _G.plain_notify")
    long_path = "/nowhere" + "/a-folder-with-a-long-name" * 8 + "/a.wav"
    start_with(editor, run_folder, "--step-sec", "0.03", "--path", long_path)
    editor.lua(
        """function last_line()
          local signs = {}
          for column = 1, 60 do signs[column] = vim.fn.screenstring(10, column) end
          return table.concat(signs)
        end"""
    )
    editor.command("LofiGenerate rain")
    editor.wait_for("last_line():find('lofi: %d+%% denoise %d+/20')")
    editor.wait_for("last_line():find('lofi: 5 s of music: /n/a/a', 1, true)")
    assert editor.nvim.api.get_mode()["blocking"] is False


def test_a_callbacks_error_keeps_no_other_track_from_ending(
    editor: Editor, run_folder: Path
) -> None:
    start_with(editor, run_folder, "--die")
    editor.lua(
        """require('lofi').generate('rain', function() error('broken callback') end)
        require('lofi').generate('rain', function(err) name = err.name end)"""
    )
    assert editor.wait_for("name") == "CONNECTION_CLOSED"
    assert editor.lua("return require('lofi').is_generating()") is False


def test_two_requests_for_one_sound_both_get_it(editor: Editor, run_folder: Path) -> None:
    start_with(editor, run_folder)
    editor.lua(
        """paths = {}
        for _ = 1, 2 do
          require('lofi').generate('rain', function(_, track) table.insert(paths, track.path) end)
        end"""
    )
    assert editor.wait_for("paths[2] and paths") == ["/nowhere/a.wav", "/nowhere/a.wav"]


def test_the_server_outlives_the_editor_and_then_ends_by_itself(
    editor: Editor, run_folder: Path
) -> None:
    start_with(editor, run_folder)
    editor.command("LofiGenerate rain")
    editor.wait_until_shown("music")
    pid = server_pid(run_folder)
    editor.quit()
    assert is_alive(pid)
    assert wait_until(lambda: not is_alive(pid))


def test_a_second_editor_uses_the_first_ones_server(
    neovim: Path, editor: Editor, run_folder: Path
) -> None:
    start_with(editor, run_folder)
    editor.lua("require('lofi').get_backends(function(_, answer) backends = answer end)")
    editor.wait_for("backends")
    pid = server_pid(run_folder)
    other = Editor(neovim)
    try:
        start_with(other, run_folder)
        other.lua("require('lofi').get_backends(function(_, answer) backends = answer end)")
        assert other.wait_for("backends")["default_backend"] == "procedural"
    finally:
        other.quit()
    assert server_pid(run_folder) == pid


def test_a_handler_that_leaves_does_not_hide_the_event_from_the_next(editor: Editor) -> None:
    called = editor.lua(
        """local events, called = require('lofi.events'), {}
        local leave
        leave = events.on('generation_start', function() table.insert(called, 'first'); leave() end)
        events.on('generation_start', function() table.insert(called, 'second') end)
        events.emit('generation_start', {})
        events.emit('generation_start', {})
        return called"""
    )
    assert called == ["first", "second", "second"]


def test_a_handlers_error_is_shown_and_stops_nobody(editor: Editor) -> None:
    called = editor.lua(
        """local events, called = require('lofi.events'), {}
        events.on('generation_start', function() error('broken handler') end)
        events.on('generation_start', function() table.insert(called, 'second') end)
        events.emit('generation_start', {})
        return called"""
    )
    assert called == ["second"]
    assert "broken handler" in editor.shown()[0]


def test_an_unknown_event_is_refused_by_name(shared_editor: Editor) -> None:
    message = shared_editor.lua(
        "return select(2, pcall(require('lofi').on, 'generation_done', print))"
    )
    assert "'generation_done' is not an event; did you mean 'generation_" in message
