"""What `data report` shows of names and files that would spoil a terminal, by the real command."""

from __future__ import annotations

import json

import numpy as np
import soundfile

from lofi_engine.cli.columns import in_columns
from tests.support.finished_run import lofi_recipe
from tests.support.recipes import write_recipe


def test_a_line_break_in_a_name_is_shown_as_an_escape_and_letters_stay_as_they_are():
    assert list(in_columns([("a\nb\x1b[2J", "x"), ("vöcal 雨", "y")])) == [
        "a\\nb\\x1b[2J  x",
        "vöcal 雨      y",
    ]


def test_broken_mp3_files_and_odd_names_leave_the_report_s_lines_whole(tmp_path):
    tracks = tmp_path / "tracks"
    tracks.mkdir()
    (tracks / "text.mp3").write_text("hello\n")
    soundfile.write(tracks / "two\nlines.wav", np.zeros(8000), 8000)
    rows = [
        {"filename": name, "source": {"type": "own", "license": "deal", "ai_training": right}}
        for name, right in (("text.mp3", True), ("two\nlines.wav", False))
    ]
    (tracks / "sources.json").write_text(json.dumps(rows), encoding="utf-8")
    source = {"path": "tracks", "ledger": "tracks/sources.json"}
    recipe = write_recipe(tmp_path, dataset={"sources": [source], "licenses": {"allow": ["own"]}})
    done = lofi_recipe("data", "report", recipe)
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = (line for line in done.stdout.splitlines() if "two" in line)
    assert line.endswith("tracks/two\\nlines.wav  no AI-training right recorded for licence 'deal'")


def test_reasons_counted_together_keep_the_numbers_they_share(tmp_path):
    tracks = tmp_path / "tracks"
    tracks.mkdir()
    for number in (1, 2):
        soundfile.write(tracks / f"{number}.wav", np.full(8000 * number, 0.1), 8000)
    recipe = write_recipe(
        tmp_path,
        dataset={
            "sources": [{"path": "tracks"}, {"synth": {"tracks": 2, "duration_sec": 40}}],
            "licenses": {"require_ai_training": False, "allow": ["unknown", "cc0"]},
            "quality": {"min_duration_sec": 30},
        },
    )
    assert lofi_recipe("run", recipe, "--only", "curate").returncode == 0
    refusals = json.loads(lofi_recipe("data", "report", recipe, "--json").stdout)["refusals"]
    assert "too short: N s, at least 30 s are needed" in [each["reason"] for each in refusals]
