"""The one place where a program's failures become an exit code.

0: done; 1: something the user can mend, one line on stderr; 3: a bug, with a log file;
130: interrupted. Light to import, and shared by every command line of the distribution.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from lofi_runtime.errors import LofiError, ManyProblemsError
from lofi_runtime.version import VERSION

EXIT_EXPECTED = 1
EXIT_BUG = 3
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def run_command(program: str, call: Callable[[], int]) -> int:
    """Run `call` and return the program's exit code, whatever happens in it.

    Args:
        program: the console script's name; begins each line on stderr.
        call: the work; returns an exit code. What it raises as SystemExit passes through.

    Returns:
        `call`'s own code; `exit_code` of a LofiError (its message on stderr, each line as it is);
        130 after Ctrl-C; 141 when the reader of stdout went away; 3 for a bug.
    """
    if sys.stdout is None:  # started with it closed: results go nowhere
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    try:
        code = call()
        sys.stdout.flush()
    except ManyProblemsError as error:
        # Each line begins with its own file and place, as editors and compilers expect.
        _say(str(error))
        return error.exit_code
    except LofiError as error:
        _say(f"{program}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        _say(f"{program}: interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Else the interpreter fails once more while it flushes stdout on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_BROKEN_PIPE
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            _say(f"{program}: the disk is full: {error.filename or 'standard output'}")
            # Else the interpreter fails once more while it flushes stdout on its way out.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return EXIT_EXPECTED
        _say(f"{program}: this is a bug: {_one_line(error)}")
        _say(f"{program}: details are in {_write_log(program, error)}; please report it")
        return EXIT_BUG
    return code


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _say(line: str) -> None:
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except OSError:
        # Nobody can be told any more; the exit code still says it.
        pass


def _write_log(program: str, error: Exception) -> Path | str:
    """Write versions, command and traceback to a new file; say why not if no folder takes it."""
    import platformdirs

    text = "\n".join(
        (
            f"{program} {VERSION}",
            f"Python {platform.python_version()} on {platform.platform()}",
            f"command: {sys.argv}",
            *_versions(),
            "",
            "".join(traceback.format_exception(error)),
        )
    )
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    refusal = ""
    for folder in (
        platformdirs.user_log_path("lofi", appauthor=False),
        Path(tempfile.gettempdir()),
    ):
        path = folder / f"{program}-{stamp}-{os.getpid()}.log"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as problem:
            refusal = f"no file ({problem})"
            continue
        return path
    return refusal


def _versions() -> list[str]:
    """Return a line for each library that often matters, without importing any."""
    from importlib.metadata import PackageNotFoundError, version

    lines = []
    for name in ("numpy", "scipy", "onnxruntime", "msgpack", "soundfile", "torch", "onnx"):
        try:
            lines.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            lines.append(f"{name} is not installed")
    return lines
