"""Settings: what is accepted, what is refused and how, and today's keys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lofi_runtime.paths import default_socket
from tests.support.neovim import Editor, executable_script, running_editor


def refusal(editor: Editor, settings: object) -> str:
    done, message = editor.lua("return { pcall(require('lofi').setup, ...) }", settings)
    assert done is False
    return str(message)


def config(editor: Editor) -> dict[str, object]:
    return dict(editor.lua("return require('lofi.config').get()"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"duratoin_sec": 30}, "'duratoin_sec' is not a setting; did you mean 'duration_sec'?"),
        (
            {"model": {"precison": "int8"}},
            "'model.precison' is not a setting; did you mean 'precision'?",
        ),
        ({"colour": "blue"}, "'colour' is not a setting; known are backend, duration_sec, icons"),
        ({"duration_sec": "long"}, "'duration_sec': must be a whole number, not \"long\""),
        ({"duration_sec": 1.5}, "'duration_sec': must be a whole number, not 1.5"),
        ({"idle_exit_sec": 0}, "'idle_exit_sec': 0 is less than the minimum of 1"),
        ({"notify": "loud"}, "'notify': 'loud' is not one of all, result, off"),
        ({"model": "int8"}, "'model' must be a table, not \"int8\""),
        ({"runtime_path": ""}, "'runtime_path': must not be empty"),
        (["oops"], "'1' is not a setting"),
        ("oops", 'the settings must be a table, not "oops"'),
    ],
)
def test_a_wrong_setting_is_refused_by_name(
    shared_editor: Editor, settings: object, words: str
) -> None:
    assert words in refusal(shared_editor, settings)


def test_all_faults_come_at_once_and_nothing_changes(shared_editor: Editor) -> None:
    before = config(shared_editor)
    message = refusal(shared_editor, {"duration_sec": -1, "notifi": "all", "idle_exit_sec": 5})
    assert len(message.splitlines()) == 2
    assert "did you mean 'notify'?" in message
    assert config(shared_editor) == before


def test_the_default_socket_is_the_runtimes(
    neovim: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def socket_of_plugin() -> str:
        with running_editor(neovim) as editor:
            return str(config(editor)["socket"])

    assert socket_of_plugin() == str(default_socket())
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    expected = str(tmp_path / f"lofi-{os.getuid()}" / "runtime.sock")
    assert socket_of_plugin() == expected


def test_todays_flat_keys_are_mapped_with_one_notice(editor: Editor, tmp_path: Path) -> None:
    for name in ("lofi-daemon", "lofi-runtime"):
        executable_script(tmp_path / name, "true")
    editor.setup(
        daemon_path=str(tmp_path / "lofi-daemon"),
        model_path="/models",
        device="cpu",
        threads=4,
        backend="ace-step",
    )
    settings = config(editor)
    assert settings["runtime_path"] == str(tmp_path / "lofi-runtime")
    assert settings["model"] == {"source": "/models", "backend": "ace_step"}
    (notice,) = editor.shown()
    assert "'daemon_path' is now 'runtime_path'" in notice
    assert "'model_path' is now 'model.source'" in notice


def test_a_daemon_without_a_runtime_beside_it_is_not_used(editor: Editor) -> None:
    editor.setup(daemon_path="/nowhere/lofi-daemon")
    assert config(editor)["runtime_path"] == "lofi-runtime"
    assert "'daemon_path' is not used any more" in editor.shown()[0]


@pytest.mark.parametrize("source", ["hf:someone/lofi-nano", "models/lofi-nano"])
def test_a_model_that_is_no_absolute_folder_is_not_silently_ignored(
    editor: Editor, source: str
) -> None:
    editor.setup(model={"source": source})
    (notice,) = editor.shown()
    assert f"'model.source': \"{source}\" is not used: it must be a bundle's folder" in notice
    assert "absolute or with ~; pulling a model by its name comes later" in notice
    assert "source" not in config(editor)["model"]


def test_a_model_in_the_home_folder_is_used_without_a_word(editor: Editor) -> None:
    editor.setup(model={"source": "~/lofi-nano"})
    assert editor.shown() == []
    assert config(editor)["model"] == {"source": str(Path("~/lofi-nano").expanduser())}


def test_an_adapter_in_the_settings_is_said_to_have_no_effect(editor: Editor) -> None:
    editor.setup(model={"lora": "rainy"})
    assert editor.shown() == ["lofi: 'model.lora' has no effect until the runtime plays adapters"]


def test_setup_says_what_waits_for_a_restart(editor: Editor, run_folder: Path) -> None:
    editor.lua("require('lofi.runtime').state = function() return 'connected' end")
    editor.setup(idle_exit_sec=5, duration_sec=10)
    assert editor.shown() == ["lofi: idle_exit_sec will apply after require('lofi').shutdown()"]
    assert config(editor)["duration_sec"] == 10
