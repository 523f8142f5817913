"""The top handler: every way to fail has its exit code and its line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lofi_runtime.errors import LofiError
from lofi_runtime.top import run_command


def raising(error: BaseException) -> int:
    raise error


def test_the_calls_own_code_is_returned() -> None:
    assert run_command("lofi", lambda: 5) == 5


def test_an_expected_error_is_its_message_alone(capsys: pytest.CaptureFixture[str]) -> None:
    error = LofiError("no such file: x", hint="make it")
    assert run_command("lofi", lambda: raising(error)) == 1
    assert capsys.readouterr().err == "lofi: no such file: x - make it\n"


def test_an_error_may_choose_its_code() -> None:
    error = LofiError("no")
    error.exit_code = 7
    assert run_command("lofi", lambda: raising(error)) == 7


def test_ctrl_c_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("lofi", lambda: raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "lofi: interrupted\n"


def test_a_bug_is_3_with_a_log_file_that_has_versions_and_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert run_command("lofi", lambda: raising(ZeroDivisionError("a\nb"))) == 3
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "lofi: this is a bug: ZeroDivisionError: a b"
    (log,) = tmp_path.rglob("lofi-*.log")
    assert str(log) in said[1]
    text = log.read_text()
    assert "Traceback (most recent call last)" in text
    assert "numpy " in text
    assert "Python 3" in text


def test_a_bugs_log_falls_back_to_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run_command("lofi", lambda: raising(RuntimeError())) == 3
    assert len(list(tmp_path.glob("lofi-*.log"))) == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_a_reader_that_went_away_is_no_traceback() -> None:
    script = (
        "import sys; from lofi_runtime.top import run_command\n"
        "def work():\n"
        "    for number in range(100_000): print(number)\n"
        "    return 0\n"
        "sys.exit(run_command('lofi', work))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.readline()
        program.stdout.close()
        assert program.wait(10) == 141
        assert program.stderr.read() == b""


def test_the_top_handler_is_light_to_import() -> None:
    script = (
        "import lofi_runtime.top, sys\n"
        "sys.exit(str({'numpy', 'typer', 'rich', 'jsonschema'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.strip() == "set()"
