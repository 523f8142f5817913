"""The plugin's connection: frames, deadlines, and what happens when the peer goes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.neovim import FAKE_RUNTIME, Editor, wait_until

_CONNECT = """
local path = ...
answers, closed = {}, nil
require('lofi.client').connect(path, {
  on_notification = function(method, params) table.insert(answers, method) end,
  on_close = function(err) closed = err end,
}, function(err, connected) client, refused = connected, err end)
"""


@contextmanager
def serving(folder: Path, *mode: str) -> Iterator[Path]:
    """Run the stand-in server; gives its socket."""
    path = folder / "s.sock"
    command = [sys.executable, FAKE_RUNTIME, *mode, "serve", "--idle-exit", "30", "--socket", path]
    with subprocess.Popen(command) as server:
        assert wait_until(path.with_suffix(".pid").exists)
        yield path
        server.kill()


def connect(editor: Editor, path: Path) -> None:
    editor.lua(_CONNECT, str(path))
    editor.wait_for("client ~= nil")


def test_frames_that_come_one_byte_at_a_time_are_put_together(
    editor: Editor, run_folder: Path
) -> None:
    with serving(run_folder, "--split") as path:
        connect(editor, path)
        editor.lua(
            "client:request('generate', { prompt = 'rain' }, 5000,"
            " function(err, result) first = result.track_id end)"
        )
        editor.wait_for("vim.tbl_contains(answers, 'generation_complete')")
    assert editor.lua("return first") == "0123456789abcdef"
    assert editor.lua("return #answers") == 22


def test_messages_cut_anywhere_between_two_reads_are_put_together(
    editor: Editor, run_folder: Path
) -> None:
    with serving(run_folder, "--hang") as path:
        connect(editor, path)
        wrong = editor.lua(
            """local id, wrong = 0, {}
            local function frame(text) -- an answer to the session's next id
              local head = string.char(0x94, 1) .. vim.mpack.encode(id) .. string.char(0xc0)
              id = id + 1
              return head .. vim.mpack.encode({ text = text })
            end
            local cut, length = 1, math.huge
            while cut < length do
              local got = {}
              local stream = frame('one') .. frame(('two'):rep(20)) .. frame('three')
              length = #stream
              for _ = 1, 3 do
                local request = client:request('generate', {}, 5000, function() end)
                client.pending[request].timer:stop()
              end
              client._finish = function(_, _, err, result) table.insert(got, err or result.text) end
              client:_read(nil, stream:sub(1, cut))
              client:_read(nil, stream:sub(cut + 1))
              if table.concat(got, ' ') ~= 'one ' .. ('two'):rep(20) .. ' three' then
                table.insert(wrong, cut)
              end
              cut = cut + 1
            end
            return { wrong, cut }"""
        )
    assert wrong[0] == []
    assert wrong[1] > 90


def test_three_large_messages_all_arrive(editor: Editor, run_folder: Path) -> None:
    with serving(run_folder) as path:
        connect(editor, path)
        editor.lua(
            """for _, letter in ipairs({ 'a', 'b', 'c' }) do
              client:request('large', { letter = letter }, 5000, function(_, result)
                table.insert(answers, result.text:sub(1, 1) .. #result.text)
              end)
            end"""
        )
        assert editor.wait_for("answers[3] and answers") == ["a200000", "b200000", "c200000"]


def test_closing_the_server_fails_what_is_pending(editor: Editor, run_folder: Path) -> None:
    with serving(run_folder, "--hang") as path:
        connect(editor, path)
        editor.lua(
            """for _ = 1, 3 do
              client:request('generate', { prompt = 'rain' }, 60000, function(err, result)
                table.insert(answers, err.name .. tostring(result))
              end)
            end
            client:request('ping', {}, 5000, function() ponged = true end)"""
        )
        editor.wait_for("ponged")
    assert editor.wait_for("answers[3] and answers") == ["CONNECTION_CLOSEDnil"] * 3
    assert editor.wait_for("closed and closed.name") == "CONNECTION_CLOSED"
    editor.lua("client:request('ping', {}, 5000, function(err) late = err end)")
    assert editor.wait_for("late and late.name") == "CONNECTION_CLOSED"


def test_an_answer_after_the_deadline_is_dropped(editor: Editor, run_folder: Path) -> None:
    with serving(run_folder, "--split") as path:
        connect(editor, path)
        editor.lua(
            """client:request('large', { letter = 'a' }, 50, function(err)
              table.insert(answers, err and err.name or 'late answer')
            end)"""
        )
        assert editor.wait_for("answers[1] and answers") == ["TIMEOUT"]
        editor.lua("id = client:request('ping', {}, 5000, function() forgotten = true end)")
        editor.lua("client:forget(id)")
        assert editor.lua("return closed == nil and next(client.pending) == nil")
        assert editor.lua("return forgotten") is None


def test_a_socket_nobody_listens_on_is_a_clear_error(editor: Editor, run_folder: Path) -> None:
    editor.lua(_CONNECT, str(run_folder / "nobody.sock"))
    assert editor.wait_for("refused and refused.name") == "CONNECTION_FAILED"
    assert "nobody listens on" in editor.lua("return refused.message")
