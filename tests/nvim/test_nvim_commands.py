"""What the words after a command mean, and what Tab offers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.neovim import PLUGIN, REPOSITORY, Editor, fake_runtime
from tests.support.programs import require


def parse(editor: Editor, *words: str) -> tuple[str | None, dict[str, object] | None]:
    problem, options = editor.lua(
        "local problem, options = require('lofi.commands').parse(...)"
        " return { problem or vim.NIL, options or vim.NIL }",
        list(words),
    )
    return problem, options


def complete(editor: Editor, line: str) -> list[str]:
    return list(editor.nvim.funcs.getcompletion(line, "cmdline"))


def test_nothing_is_loaded_until_a_command_is_used(editor: Editor) -> None:
    loaded = (
        "return vim.tbl_filter(function(name) return name:find('^lofi') end,"
        " vim.tbl_keys(package.loaded))"
    )
    assert editor.lua(loaded) == []
    assert editor.lua("return require('lofi') and 1") == 1
    assert editor.lua(loaded) == ["lofi"]
    assert len((PLUGIN / "plugin" / "lofi.lua").read_text().splitlines()) < 15


def test_words_are_the_prompt_and_pairs_are_settings(shared_editor: Editor) -> None:
    words = [
        "rainy",
        "night",
        "duration=60",
        "coding",
        "style=SEASON-06",
        "seed=7",
        "backend=ace-step",
    ]
    assert parse(shared_editor, *words) == (
        None,
        {
            "prompt": "rainy night coding",
            "duration_sec": 60,
            "style": "SEASON-06",
            "seed": 7,
            "backend": "ace_step",
        },
    )


def test_a_number_in_the_prompt_stays_in_the_prompt(shared_editor: Editor) -> None:
    assert parse(shared_editor, "jazz", "from", "1962")[1] == {"prompt": "jazz from 1962"}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ["rain", "duratoin=5"],
            "'duratoin' is not a setting of a track; did you mean 'duration'?",
        ),
        (["rain", "duration_sec=5"], "did you mean 'duration'?"),
        (["rain", "duration=long"], "duration: 'long' is not a number"),
        (["rain", "duration="], "'duration=' has no value"),
        (["rain", "seed=1", "seed=2"], "'seed' is given twice"),
        (["duration=5"], "say what you want to hear"),
        ([], "say what you want to hear"),
    ],
)
def test_a_wrong_word_is_refused_by_name(
    shared_editor: Editor, words: list[str], problem: str
) -> None:
    assert problem in (parse(shared_editor, *words)[0] or "")


def test_a_refused_command_shows_one_error_and_starts_nothing(editor: Editor) -> None:
    editor.command("LofiGenerate rain duratoin=5")
    assert len(editor.shown()) == 1
    assert editor.lua("return require('lofi').status().runtime") == "stopped"


def test_tab_completes_keys_and_values(shared_editor: Editor) -> None:
    assert complete(shared_editor, "LofiGenerate rain s") == [
        "scheduler=",
        "seed=",
        "steps=",
        "style=",
    ]
    assert "duration=" not in complete(shared_editor, "LofiGenerate rain duration=5 ")
    assert complete(shared_editor, "LofiGenerate rain style=season-0")[5] == "style=SEASON-06"
    assert complete(shared_editor, "LofiGenerate rain backend=") == [
        "backend=ace_step",
        "backend=procedural",
    ]
    assert "duration=60" in complete(shared_editor, "LofiGenerate rain duration=")


def test_tab_offers_an_adapter_once_the_server_plays_them(editor: Editor) -> None:
    assert complete(editor, "LofiGenerate rain l") == ["lyrics="]
    assert "lora" not in parse(editor, "rain", "colour=blue")[0]
    editor.lua(
        "require('lofi.runtime').capabilities = function()"
        " return { features = { lora = true } } end"
    )
    assert complete(editor, "LofiGenerate rain l") == ["lora=", "lyrics="]


def test_an_adapter_is_refused_clearly(editor: Editor, run_folder: Path) -> None:
    editor.setup(
        runtime_path=str(fake_runtime(run_folder)),
        socket=str(run_folder / "s.sock"),
        idle_exit_sec=1,
    )
    editor.command("LofiGenerate rain lora=rainy")
    message = editor.wait_until_shown("lora")
    assert "lora: this runtime plays no adapters yet; leave it out" in message
    assert editor.lua("return require('lofi').is_generating()") is False


def test_the_styles_offered_are_those_of_the_taxonomy(shared_editor: Editor) -> None:
    files = sorted((REPOSITORY / "recipes" / "styles").glob("*.yaml"))
    ids = [style["id"] for file in files for style in yaml.safe_load(file.read_text())["styles"]]
    assert len(ids) == 38
    assert shared_editor.lua("return require('lofi.completion').style_ids()") == sorted(ids)


def test_status_does_not_start_a_server(editor: Editor, run_folder: Path) -> None:
    editor.setup(runtime_path=str(fake_runtime(run_folder)), socket=str(run_folder / "s.sock"))
    editor.command("LofiStatus")
    assert "the runtime does not run" in editor.wait_until_shown("the runtime")
    assert not (run_folder / "s.pid").exists()


def test_log_opens_what_the_server_wrote(editor: Editor, run_folder: Path) -> None:
    editor.command("LofiLog")
    assert "there is no log yet" in editor.shown()[0]
    editor.setup(
        runtime_path=str(fake_runtime(run_folder, "--fail-start")),
        socket=str(run_folder / "s.sock"),
    )
    editor.command("LofiGenerate rain")
    editor.wait_until_shown("the disk is full")
    editor.command("LofiLog")
    assert editor.nvim.current.buffer[:] == ["lofi-runtime: the disk is full"]
    assert editor.lua("return vim.bo.readonly")


def test_help_finds_its_tags(shared_editor: Editor, tmp_path: Path) -> None:
    docs = tmp_path / "doc"
    docs.mkdir()
    (docs / "lofi.txt").write_text((PLUGIN / "doc" / "lofi.txt").read_text())
    shared_editor.command(f"helptags {docs}")
    tags = {line.split("\t")[0] for line in (docs / "tags").read_text().splitlines()}
    commands = shared_editor.lua(
        "return vim.tbl_filter(function(n) return n:find('^Lofi') end,"
        " vim.tbl_keys(vim.api.nvim_get_commands({})))"
    )
    functions = shared_editor.lua("return vim.tbl_keys(require('lofi'))")
    events = shared_editor.lua("return vim.tbl_values(require('lofi.events').NAMES)")
    settings = shared_editor.lua("return require('lofi.config').keys()")
    assert {f":{name}" for name in commands} <= tags
    assert {f"lofi.{name}()" for name in functions} <= tags
    assert set(events) <= tags
    assert {f"lofi-config-{name}" for name in settings} <= tags


def test_luacheck_finds_nothing() -> None:
    command = [require("luacheck"), "nvim-plugin", "--no-color"]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
