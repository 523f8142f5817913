import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from lofi_engine.cli.migrate import run_migrate
from lofi_engine.errors import RecipeError
from lofi_engine.recipe.load import load_recipe
from tests.support.programs import require
from tests.support.recipe_texts import GOOD

FIXTURE = Path(__file__).parents[1] / "recipe" / "fixtures" / "v0.yaml"


@pytest.fixture
def old(tmp_path):
    return shutil.copy(FIXTURE, tmp_path / "old.yaml")


def test_the_change_is_shown_and_nothing_written(old, capsys):
    before = old.read_bytes()
    assert run_migrate(old) == 0
    diff = capsys.readouterr().out
    assert diff.startswith(f"--- {old}\n+++ {old} (migrated)\n@@ ")
    assert "\n-tiers:\n" in diff
    assert "\n+variants:\n" in diff
    assert old.read_bytes() == before
    assert os.listdir(old.parent) == ["old.yaml"]


def test_the_shown_change_is_a_patch_that_makes_it(old, capsys, tmp_path):
    require("patch")
    run_migrate(old)
    patch = capsys.readouterr().out
    copy = shutil.copy(old, tmp_path / "copy.yaml")
    subprocess.run(["patch", "-s", str(copy)], input=patch, text=True, check=True)
    run_migrate(old, write=True)
    assert copy.read_bytes() == old.read_bytes()


def test_write_replaces_the_file_and_keeps_its_mode(old, capsys):
    old.chmod(0o640)
    assert run_migrate(old, write=True) == 0
    assert load_recipe(old).lora.r == 64
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert os.listdir(old.parent) == ["old.yaml"]
    assert f"{old}: line 33: tiers is now variants\n" in capsys.readouterr().out


def test_a_link_still_points_at_its_file(old, tmp_path):
    link = tmp_path / "link.yaml"
    link.symlink_to("old.yaml")
    run_migrate(link, write=True)
    assert link.is_symlink()
    assert load_recipe(old).version == 1


def test_windows_line_ends_survive_on_disk(old):
    old.write_bytes(old.read_bytes().replace(b"\n", b"\r\n"))
    run_migrate(old, write=True)
    content = old.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n") > 30


@pytest.mark.parametrize("write", [False, True])
def test_a_current_recipe_is_left_alone(tmp_path, capsys, write):
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    before = path.stat()
    assert run_migrate(path, write) == 0
    assert capsys.readouterr().out == f"{path}: already version 1\n"
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_what_would_not_load_afterwards_is_refused_and_nothing_written(old):
    old.write_text(old.read_text().replace("rank: 64", "rank: 0"))
    before = old.read_bytes()
    with pytest.raises(RecipeError) as raised:
        run_migrate(old, write=True)
    assert raised.value.problems == (
        f"{old}: not migrated: mend these first (named and placed as after the migration)",
        f"{old}:19:11: lora.r: 0 is less than the minimum of 1",
    )
    assert old.read_bytes() == before
