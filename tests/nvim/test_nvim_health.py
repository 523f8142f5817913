"""`:checkhealth lofi` in a real Neovim."""

from __future__ import annotations

from pathlib import Path

from tests.support.neovim import Editor, fake_runtime


def report(editor: Editor) -> str:
    editor.command("checkhealth lofi")
    return "\n".join(editor.nvim.current.buffer[:])


def test_a_working_installation_is_reported_line_by_line(editor: Editor, run_folder: Path) -> None:
    socket = run_folder / "s.sock"
    editor.setup(runtime_path=str(fake_runtime(run_folder)), socket=str(socket), idle_exit_sec=1)
    text = report(editor)
    assert "OK Neovim 0." in text.replace("OK: ", "OK ")
    assert "lofi-runtime 0.0.0 (stand-in) at " in text
    assert f"connected to lofi-runtime 0.0.0 on {socket}" in text
    assert "plugin and runtime both speak protocol 1" in text
    assert "the default backend is procedural" in text
    assert "ERROR" not in text
    assert "WARN" not in text


def test_a_missing_runtime_ends_with_the_command_that_mends_it(editor: Editor) -> None:
    editor.setup(runtime_path="no-such-runtime")
    text = report(editor)
    assert "'no-such-runtime' is not on the PATH" in text
    assert "run `pip install lofi-recipe`" in text
    assert "connected" not in text


def test_a_runtime_of_another_protocol_is_named(editor: Editor, run_folder: Path) -> None:
    runtime = fake_runtime(run_folder, "--protocol=2")
    editor.setup(runtime_path=str(runtime), socket=str(run_folder / "s.sock"), idle_exit_sec=1)
    text = report(editor)
    assert "speaks protocol 2, this plugin 1" in text
    assert "pip install --upgrade lofi-recipe" in text


def test_a_runtime_that_does_not_start_is_reported_with_its_own_words(
    editor: Editor, run_folder: Path
) -> None:
    runtime = fake_runtime(run_folder, "--fail-start")
    editor.setup(runtime_path=str(runtime), socket=str(run_folder / "s.sock"))
    text = report(editor)
    assert "the disk is full" in text
    assert "run `lofi-runtime serve` in a terminal" in text


def test_a_second_plugin_of_the_name_is_found(editor: Editor, tmp_path: Path) -> None:
    other = tmp_path / "lua" / "lofi"
    other.mkdir(parents=True)
    (other / "init.lua").write_text("return {}")
    editor.command(f"set runtimepath+={tmp_path}")
    editor.setup(runtime_path="no-such-runtime")
    assert "more than one plugin is named lofi" in report(editor)
