"""`lofi-recipe ladder` on real files: table, JSON, page, exit code."""

from __future__ import annotations

import json

import pytest
import soundfile
from typer.testing import CliRunner

from lofi_engine.cli import ladder as verb
from lofi_engine.cli.main import app
from lofi_engine.errors import MetricError
from tests.support.ladder_metrics import StandInMetric, error_power, noisy_tones


@pytest.fixture
def folder(tmp_path):
    clips = noisy_tones(12)
    (tmp_path / "tones").mkdir()
    for name in clips.names:
        samples = clips.clip(name).samples
        soundfile.write(tmp_path / "tones" / f"{name}.wav", samples.T, 48_000, subtype="FLOAT")
    return tmp_path / "tones"


def _ladder(*words):
    return CliRunner().invoke(app, ["ladder", *map(str, words)], standalone_mode=False)


def test_any_folder_is_climbed_and_the_table_says_what_is_ranked_from_where(folder):
    done = _ladder(folder, "--metric", "mel", "--degradation", "noise")
    assert done.return_value == 0
    lines = done.stdout.splitlines()
    assert lines[0] == f"6 clips of {folder}, and as many to hold them against"
    assert lines[1].split() == ["metric", "noise"]
    assert lines[2].split() == ["mel", "ranked,", "50", "dB", "SNR", "*"]
    assert "5/5 levels  mel: noise at 10 dB SNR" in done.stderr


def test_json_has_every_level_with_both_intervals(folder):
    done = _ladder(folder, "--metric", "mel", "--degradation", "buzz", "--json")
    told = json.loads(done.stdout)
    assert (told["degraded"], told["false_claims"]) == (6, 0)
    (climb,) = told["climbs"]
    assert (climb["metric"], climb["degradation"], climb["verdict"]) == ("mel", "buzz", "ranked")
    assert climb["held_against"] == "the same clips undegraded"
    assert [level["level"] for level in climb["levels"]] == [50, 40, 30, 20, 10]
    worst = climb["levels"][-1]
    assert worst["change_interval"][0] <= worst["change"] <= worst["change_interval"][1]


def test_the_page_names_the_command_that_makes_it(folder, tmp_path):
    page = tmp_path / "page.md"
    done = _ladder(
        folder, "--metric", "mel", "--degradation", "clipping", "--seed", 3, "--markdown", page
    )
    assert done.return_value == 0
    text = page.read_text()
    assert (
        f"`lofi-recipe ladder {folder} --metric mel --degradation clipping --markdown {page} "
        "--seed 3`" in text
    )
    assert "| mel | ranked, 0.1 % of samples * |" in text


def test_a_claim_that_does_not_hold_is_printed_and_ends_with_1(folder, monkeypatch):
    deaf = StandInMetric(lambda judged, reference: 1.0, frozenset({"tempo"}), name="deaf")
    heard = StandInMetric(error_power, frozenset({"noise"}), name="heard")
    monkeypatch.setattr(verb, "make_metrics", lambda names, options: [deaf, heard])
    done = _ladder(folder, "--degradation", "tempo", "--degradation", "noise")
    assert done.return_value == 1
    assert done.stderr.splitlines()[-1] == (
        "false claim: deaf claims to rank tempo: blind (no level is told from the undegraded)"
    )


def test_unknown_words_and_a_page_that_cannot_be_written_are_named(folder, tmp_path):
    for words, said in (
        (("--metric", "mell"), "there is no metric 'mell'"),
        (("--degradation", "hiss"), "there is no degradation 'hiss'"),
        (
            ("--metric", "mel", "--degradation", "noise", "--markdown", tmp_path / "no" / "a.md"),
            "a.md: the page cannot be written there",
        ),
    ):
        failed = _ladder(folder, *words)
        assert isinstance(failed.exception, MetricError)
        assert said in str(failed.exception)


def test_clips_of_several_forms_are_brought_to_one_when_asked(folder):
    samples, sample_rate = soundfile.read(folder / "clip 02.wav")
    soundfile.write(folder / "clip 02.wav", samples[:, 0], sample_rate, subtype="FLOAT")
    refused = _ladder(folder, "--metric", "mel", "--degradation", "noise")
    assert isinstance(refused.exception, MetricError)
    assert "--convert" in refused.exception.hint
    done = _ladder(folder, "--metric", "mel", "--degradation", "noise", "--convert")
    assert done.return_value == 0
