from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from lofi_engine.cli.main import app
from lofi_runtime.styles.taxonomy import load_styles, shipped_styles
from tests.support.finished_run import lofi_recipe


def styles(*arguments):
    return CliRunner().invoke(app, ["styles", *map(str, arguments)])


def test_all_styles_are_listed_with_name_tempo_and_description():
    done = lofi_recipe("styles")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 38
    assert lines[0].startswith("CORE-01    Classic Lofi Hip Hop ")
    assert "72-90 bpm" in lines[0]
    assert "boom-bap drums" in lines[0]


def test_help_ends_with_an_example():
    said = " ".join(styles("--help").stdout.split())
    assert said.endswith("Example: lofi-recipe styles --search rainy")


def test_one_style_is_shown_in_full():
    said = styles("season-06")
    assert said.exit_code == 0
    assert said.stdout.startswith("SEASON-06  Rainy Day Lofi")
    assert "melancholic" in said.stdout
    assert "e.g. " in said.stdout


def test_a_search_lists_the_best_first_and_finding_nothing_is_exit_1():
    said = styles("--search", "rainy")
    assert said.exit_code == 0
    assert said.stdout.startswith("SEASON-06")
    nothing = styles("--search", "bagpipes")
    assert nothing.exit_code == 1
    assert "no style fits 'bagpipes'" in nothing.stderr


def test_json_has_every_field():
    (one,) = json.loads(styles("THEME-01", "--json").stdout)
    assert one["name"] == "Coffee Shop Lofi"
    assert one["tags"]["production"][0] == "café ambience"
    assert len(json.loads(styles("--json").stdout)) == 38


def test_an_unknown_style_is_one_line_and_exit_1():
    done = lofi_recipe("styles", "SEASON-66")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "there is no style 'SEASON-66' - did you mean SEASON-0" in done.stderr


def test_a_clean_prompt_is_ok_and_a_bad_one_is_told():
    assert styles("--lint", "lofi hip hop, chill, piano, 80 bpm, instrumental").stdout == "ok\n"
    bad = styles("--lint", "rodes, slow tempo, 120 bpm")
    assert bad.exit_code == 1
    assert bad.stdout.splitlines() == [
        "'rodes' is not a known tag; did you mean 'rhodes'?",
        "'slow tempo' and '120 bpm' contradict each other (tempo)",
    ]


def test_a_file_of_prompts_is_checked_line_by_line(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("# classics\npiano, 80 bpm\n\nwinter, summer\nkazooo\n")
    said = styles("--lint", path)
    assert said.exit_code == 1
    assert said.stdout.splitlines() == [
        "prompts.txt:4: 'winter' and 'summer' contradict each other (season)",
        "prompts.txt:5: 'kazooo' is not a known tag",
    ]
    rows = json.loads(styles("--lint", path, "--json").stdout)
    assert rows[0] == {
        "where": "prompts.txt:4",
        "prompt": "winter, summer",
        "kind": "contradiction",
        "tags": ["winter", "summer"],
        "about": "season",
        "nearest": "",
    }


def test_a_tracks_prompt_file_is_one_prompt(tmp_path):
    path = tmp_path / "a_prompt.txt"
    path.write_text("winter,\npiano,\nsummer\n")
    assert styles("--lint", path).stdout.startswith("a_prompt.txt: 'winter' and 'summer'")


def test_a_file_that_is_not_there_or_no_text_is_an_error(tmp_path):
    done = lofi_recipe("styles", "--lint", "nowhere.txt")
    assert done.returncode == 1
    assert "nowhere.txt: cannot be read: No such file" in done.stderr
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    done = lofi_recipe("styles", "--lint", tmp_path / "bytes.txt")
    assert "cannot be read: not UTF-8 text" in done.stderr


def test_a_taxonomy_of_ones_own_is_listed_and_its_tags_are_known(tmp_path):
    folder = shutil.copytree(shipped_styles(), tmp_path / "styles")
    path = folder / "core.yaml"
    path.write_text(path.read_text().replace("jazz samples", "kazoo samples"))
    assert styles("--folder", folder, "--search", "kazoo").stdout.startswith("CORE-01")
    assert styles("--folder", folder, "--lint", "kazoo samples").stdout == "ok\n"
    assert styles("--lint", "kazoo samples").exit_code == 1


def test_lyrics_templates_are_printed_and_filled():
    template = styles("VOCAL-03", "--lyrics-template")
    assert template.stdout.startswith("[Verse 1]\n{4 lines, introspective theme}")
    filled = styles("VOCAL-03", "--lyrics-template", "--fill", "--seed", "3")
    assert "{" not in filled.stdout
    assert filled.stdout == styles("vocal-03", "--lyrics-template", "--fill", "--seed", "3").stdout
    every = styles("--lyrics-template").stdout
    voices = [style.id for style in load_styles().values() if style.vocal]
    assert all(f"# {style_id} " in every for style_id in voices)


def test_a_gallery_is_rendered_and_its_page_named(tmp_path):
    done = lofi_recipe(
        "styles", "CORE-01", "season-06", "--render", tmp_path / "gallery", "--duration-sec", "5"
    )
    assert done.returncode == 0, done.stderr
    page = tmp_path / "gallery" / "index.html"
    assert done.stdout.strip() == str(page)
    assert "SEASON-06" in page.read_text(encoding="utf-8")
    assert (tmp_path / "gallery" / "CORE-01.ogg").stat().st_size > 10_000
    assert "2/2 clips" in done.stderr


def test_listing_and_linting_import_nothing_heavy():
    heavy = "torch onnxruntime transformers librosa scipy soundfile numpy"
    code = (
        "import sys; from lofi_engine.cli.styles import run_lint, run_styles;"
        "run_styles([]); run_lint('piano'); run_styles([], search='rainy');"
        f"print([name for name in {heavy.split()} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", [["--duration-sec", "4"], ["--nonsense"]])
def test_wrong_usage_exits_2(arguments):
    assert styles(*arguments).exit_code == 2
