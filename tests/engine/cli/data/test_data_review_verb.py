from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.recipes import write_recipe
from tests.support.review_folder import NAMES, make_review_folder, read_row, row_of, write_ledger

PROGRAM = Path(sys.executable).with_name("lofi-recipe")


def call(*arguments, cwd):
    return subprocess.run(
        [PROGRAM, "data", "review", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_review_folder(tmp_path_factory.mktemp("verb")).parent


def test_json_says_what_is_reviewed_and_ends(home):
    accepted = {**row_of(NAMES[0]), "human_verified": True, "quality_score": 90}
    write_ledger(home, [accepted, row_of(NAMES[1])])
    done = call("recipe.yaml", "--json", cwd=home)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["tracks"], summary["accepted"], summary["mean_score"]) == (5, 1, 90.0)
    assert summary["review"][0] == {
        "name": f"raw/{NAMES[0]}", "status": "accepted", "score": 90, "style_ids": ["CORE-01"],
        "tags": [],
    }  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_an_address_serves_it_and_ends_cleanly_when_stopped(home, number):
    write_ledger(home, [row_of(NAMES[0])])
    process = subprocess.Popen(
        [PROGRAM, "data", "review", "recipe.yaml"],
        cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        url = process.stdout.readline().strip()
        body = json.dumps({"changes": {"accepted": True}}).encode()
        headers = {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url + "api/tracks/0", body, headers)).close()
        urllib.request.urlopen(url + "picture/0").close()  # the child that decodes is at work
        process.send_signal(number)
        said, told = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, told
    assert said == ("1 of 5 tracks are reviewed: 1 accepted, 0 rejected, 4 without a ledger row\n")
    assert "Traceback" not in told
    assert read_row(home, NAMES[0])["human_verified"] is True


def test_a_port_that_is_taken_is_one_line(home):
    write_ledger(home, [row_of(NAMES[0])])
    process = subprocess.Popen(
        [PROGRAM, "data", "review", "recipe.yaml"],
        cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        port = process.stdout.readline().split(":")[2].partition("/")[0]
        done = call("recipe.yaml", "--port", port, cwd=home)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"--port {port}: Address already in use - leave --port out" in done.stderr


def test_a_ledger_or_a_folder_that_is_not_there_is_one_line(home, tmp_path):
    (home / "sources.json").unlink(missing_ok=True)
    done = call("recipe.yaml", cwd=home)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "ledger sources.json: " in done.stderr
    assert "No such file" in done.stderr
    done = call(write_recipe(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "no folder of tracks to review, only synthesised ones" in done.stderr


def test_help_ends_with_an_example():
    done = subprocess.run(
        [PROGRAM, "data", "review", "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip().endswith("Example: lofi-recipe data review recipe.yaml --open")
