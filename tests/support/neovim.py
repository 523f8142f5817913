"""A real Neovim that tests drive over RPC, with the plugin and nothing else of the user's."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pynvim

REPOSITORY = Path(__file__).parents[2]
PLUGIN = REPOSITORY / "nvim-plugin"
FAKE_RUNTIME = Path(__file__).with_name("fake_runtime.py")

# Collects what a user would have been shown, in the order it was.
_RECORDER = """
_G.shown, _G.plain_notify = {}, vim.notify
vim.notify = function(text, level) table.insert(_G.shown, { text = text, level = level }) end
"""


def executable_script(path: Path, *command: str | Path) -> Path:
    """Write a shell script that runs `command` with whatever arguments it is given."""
    words = " ".join(f"'{word}'" for word in command)
    path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    path.chmod(0o755)
    return path


def fake_runtime(folder: Path, *mode: str) -> Path:
    """Make an executable that is the stand-in server in a mode ("--hang")."""
    return executable_script(folder / "fake-runtime", sys.executable, FAKE_RUNTIME, *mode)


class Editor:
    """One Neovim.

    Args:
        program: its executable.
        before: a Vim command that runs before plugins load.
    """

    def __init__(self, program: Path, before: str = "") -> None:
        argv = [str(program), "--embed", "--headless", "--clean", "-n"]
        argv += ["--cmd", f"set runtimepath^={PLUGIN}", *(["--cmd", before] if before else [])]
        self.nvim = pynvim.attach("child", argv=argv)
        self._has_quit = False
        self.lua(_RECORDER)

    def lua(self, code: str, *args: Any) -> Any:
        """Run Lua; `...` in it are the arguments."""
        return self.nvim.exec_lua(code, *args)

    def command(self, command: str) -> None:
        self.nvim.command(command)

    def setup(self, **settings: Any) -> None:
        """Call `require("lofi").setup`."""
        self.lua("require('lofi').setup(...)", settings)

    def wait_for(self, expression: str, *, timeout_sec: float = 15) -> Any:
        """Return a Lua expression's value as soon as it is neither nil nor false."""
        end = time.monotonic() + timeout_sec
        while time.monotonic() < end:
            value = self.lua(f"return {expression}")
            if value not in (None, False):
                return value
            time.sleep(0.01)
        raise AssertionError(f"{expression} did not come true; shown: {self.shown()}")

    def shown(self) -> list[str]:
        """Return the texts of all notifications so far."""
        return [entry["text"] for entry in self.lua("return _G.shown")]

    def wait_until_shown(self, words: str) -> str:
        """Return the first notification that contains `words`, once there is one."""
        code = (
            "(function() for _, entry in ipairs(_G.shown) do "
            f"if entry.text:find([[{words}]], 1, true) then return entry.text end end end)()"
        )
        return str(self.wait_for(code))

    def quit(self) -> None:
        """Leave, whatever is unsaved; does nothing the second time."""
        if self._has_quit:
            return
        self._has_quit = True
        # The channel ends with the editor, in the middle of the request that asked for it.
        with contextlib.suppress(EOFError, OSError):
            self.nvim.command("qall!")
        with contextlib.suppress(EOFError, OSError):
            self.nvim.close()


@contextmanager
def running_editor(program: Path, before: str = "") -> Iterator[Editor]:
    """Run a Neovim until the context ends."""
    editor = Editor(program, before)
    try:
        yield editor
    finally:
        editor.quit()


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and waits for its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def end_process(pid: int) -> None:
    """End a server that a test started, if it still runs."""
    if is_alive(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_until(condition: Any, *, timeout_sec: float = 10) -> bool:
    """Return True as soon as `condition()` holds, False when it never does."""
    end = time.monotonic() + timeout_sec
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
