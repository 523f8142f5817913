from __future__ import annotations

import hashlib
import subprocess

import pytest

from lofi_engine.data.rows import LEDGER_NAME, Row, write_rows
from lofi_engine.hashing import hash_file
from lofi_engine.publishing.facts import (
    absolute_paths,
    attributions,
    git_revision,
    ledger_sums,
    published_base,
)
from lofi_engine.recipe.model import Base
from tests.support.releases import RECIPE, make_release

ROWS = (
    Row("raw/a.wav", "accepted", duration_sec=30.1, license="cc-by-4.0", attribution="A, CC BY"),
    Row("raw/b.wav", "accepted", duration_sec=30.2, license="cc0"),
    Row("raw/c.wav", "rejected", duration_sec=99.0, license="cc0", attribution="C, never heard"),
    Row("raw/d.wav", "accepted", duration_sec=0.1, license="cc-by-4.0", attribution="A, CC BY"),
    Row("raw/e.wav", "accepted", duration_sec=0.2),
)


@pytest.fixture
def curated(tmp_path):
    write_rows(tmp_path, ROWS)
    return tmp_path


def test_the_ledger_s_sums_count_accepted_tracks_alone(curated):
    assert ledger_sums(curated) == {
        "tracks": 4,
        "duration_sec": 60.6,
        "licenses": {"cc-by-4.0": 2, "cc0": 1, "unknown": 1},
        "sha256": hash_file(curated / LEDGER_NAME),
    }


def test_each_credit_line_is_given_once_and_only_for_what_was_used(curated):
    assert attributions(curated) == ("A, CC BY",)


def test_a_bundle_is_named_after_model_and_variant():
    assert make_release().bundle("int8") == "lofi-small-int8"


def test_the_recipe_s_hash_is_of_its_text():
    release = make_release()
    assert release.recipe_sha256 == hashlib.sha256(RECIPE.encode()).hexdigest()


def git(folder, *arguments):
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, timeout=30)


def test_the_commit_of_the_recipe_s_repository_is_found_from_below(tmp_path):
    assert git_revision(tmp_path) == ""
    git(tmp_path, "init", "--quiet")
    assert git_revision(tmp_path) == ""
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "first")
    (tmp_path / "recipes").mkdir()
    found = git_revision(tmp_path / "recipes")
    assert len(found) == 40
    assert set(found) <= set("0123456789abcdef")


def test_a_commit_that_is_not_what_lies_there_is_dirty(tmp_path):
    git(tmp_path, "init", "--quiet")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("seed: 1\n")
    git(tmp_path, "add", "recipe.yaml")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    clean = git_revision(tmp_path)
    (tmp_path / "notes.txt").touch()  # nobody committed it, so the commit is not less true
    assert git_revision(tmp_path) == clean
    recipe.write_text("seed: 2\n")
    assert git_revision(tmp_path) == f"{clean}-dirty"


def test_a_tag_does_not_take_the_commit_s_place(tmp_path):
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "first")
    git(tmp_path, "tag", "--annotate", "--message", "release", "v1")
    assert len(git_revision(tmp_path)) == 40


@pytest.mark.parametrize(
    ("model", "published"),
    [
        ("hf:ACE-Step/ACE-Step-v1-3.5B", "hf:ACE-Step/ACE-Step-v1-3.5B"),
        ("builtin:tiny", "builtin:tiny"),
        ("/home/ann/models/my-base", "my-base"),
        ("../models/my-base/", "my-base"),
        (".", "recipes"),
        ("../recipes/..", "home"),
    ],
)
def test_of_a_base_s_folder_the_name_alone_is_published(tmp_path, model, published):
    base = Base("ace-step-v1", model, "main", None)
    found = published_base(base, tmp_path / "home" / "recipes")
    assert (found.model, found.revision) == (published, "main")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("model: /home/ann/base  # mine\n", ("/home/ann/base",)),
        ('sources: [{path: "/data/raw"}, {path: /more}]', ("/data/raw", "/more")),
        ("path: ~/music\npath: ~/music", ("~/music",)),
        ("path: C:\\music\\raw", ("C:\\music\\raw",)),
        ("--set base.model=/data/base", ("/data/base",)),
        ("/at/the/start", ("/at/the/start",)),
        (
            "to: ../a\nmodel: hf:b/c\n# see https://example.org/a, 24/7, and / or\n",
            (),
        ),
    ],
)
def test_absolute_paths_are_found_and_others_are_not(text, found):
    assert absolute_paths(text) == found


def test_without_git_there_is_no_revision(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_revision(tmp_path) == ""
