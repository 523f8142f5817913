from __future__ import annotations

import hashlib
import subprocess

import pytest

from lofi_engine.data.rows import LEDGER_NAME, Row, write_rows
from lofi_engine.hashing import hash_file
from lofi_engine.publishing.facts import attributions, git_revision, ledger_sums
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


def test_without_git_there_is_no_revision(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_revision(tmp_path) == ""
