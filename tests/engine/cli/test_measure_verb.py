"""`lofi-recipe measure` as it is called, on real files."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from lofi_engine.cli.main import app
from lofi_engine.metrics.folder import ClipFolder
from tests.support.audio_folder import tune
from tests.support.finished_run import lofi_recipe
from tests.support.ordinary_user import heeding_permissions
from tests.support.real_track import REAL_TRACK, needs_real_track

NAMES = ("a", "b", "c")


def make(folder, names=NAMES, *, sample_rate=22_050, channels=2, noise=0.0, duration_sec=2.0):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for seed, name in enumerate(names):
        samples = tune(duration_sec, sample_rate, seed=seed)[:, :channels]
        # Every clip gets more noise than the one before.
        samples = samples + noise * (seed + 1) * rng.standard_normal(samples.shape)
        soundfile.write(folder / f"{name}.wav", samples, sample_rate, subtype="PCM_16")
    return folder


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A with noise, B without, C of other names; the work is done where they lie."""
    make(tmp_path / "A", noise=0.01)
    make(tmp_path / "B")
    make(tmp_path / "C", ("x", "y"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def measure(*arguments):
    return CliRunner().invoke(app, ["measure", *map(str, arguments)])


def refusal(*arguments):
    done = lofi_recipe("measure", *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    return [line for line in done.stderr.splitlines() if not line.startswith("read ")]


def test_the_real_command_prints_a_table_and_keeps_progress_apart(folders):
    done = lofi_recipe("measure", "A", "B", "--metric", "mel", "--metric", "mrstft", cwd=folders)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    hash_of_b = ClipFolder(Path("B")).content_hash()
    assert lines[0][:7] == ["judged", "A", "3", "clips", "6", "s", "22050"]
    assert lines[1][-2:] == ["hash", hash_of_b]
    assert lines[3] == ["metric", "value", "interval", "better", "n", "of", "against", "embedding"]
    mel, mrstft = lines[4:]
    assert (mel[0], mel[2], mel[4]) == ("mel", "dB", "to")
    assert mel[6:] == ["lower", "3", "pairs", "A", "B", f"({hash_of_b})"]
    assert mrstft[0] == "mrstft"
    low, value, high = (float(mel[at]) for at in (3, 1, 5))
    assert 0 < low < value < high
    assert "mel       3/3 clips  c" in done.stderr


def test_json_holds_the_figures_in_full_in_a_stable_order(folders):
    said = measure("A", "B", "--metric", "mel", "--json", "--seed", "3")
    assert said.exit_code == 0, said.stderr
    found = json.loads(said.stdout)
    assert list(found) == [
        "format", "made_with", "seed", "sets", "figures", "differences", "notes", "refused",
        "left_out",
    ]  # fmt: skip
    assert (found["format"], found["seed"]) == (1, 3)
    assert [(one["role"], one["label"]) for one in found["sets"]] == [
        ("judged", "A"), ("against", "B"),
    ]  # fmt: skip
    (mel,) = found["figures"]
    assert list(mel["each"]) == ["a", "b", "c"]
    assert mel["value"] == pytest.approx(sum(mel["each"].values()) / 3)
    assert mel["interval"]["drawn"] == "clips"
    assert mel["reference_hash"] == found["sets"][1]["hash"]
    assert measure("A", "B", "--metric", "mel", "--json", "--seed", "3").stdout == said.stdout


def test_without_names_what_can_run_does_and_the_rest_says_why_not(folders):
    found = json.loads(measure("A", "--json").stdout or "null")
    assert found["figures"] == []
    said = json.loads(measure("A", "B", "--json").stdout)
    ran = {one["metric"] for one in said["figures"]}
    left_out = {one["metric"]: one["reason"] for one in said["left_out"]}
    assert {"mel", "mrstft"} <= ran
    assert said["refused"] == []
    assert "more or longer clips, or --project" in left_out["fad"]
    assert left_out["clap"] == "needs a CLAP model: --clap FOLDER, or hf:owner/name"
    assert left_out["latent-snr"] == "no clip in A has latents"
    assert not ran & left_out.keys()


def test_where_nothing_can_run_that_is_said_and_exit_1(folders):
    said = measure("A")
    assert said.exit_code == 1
    assert said.stderr.endswith(
        "no metric can run with what is given - what each one lacks stands under left out\n"
    )
    assert "\nleft out:\n  fad " in said.stdout


def test_a_metric_that_refuses_does_not_lose_the_others(folders):
    said = measure("A", "B", "--metric", "fad", "--metric", "lyrics", "--metric", "mel")
    assert said.exit_code == 1
    assert "\nmel " in said.stdout
    refused = [one for one in said.stderr.splitlines() if one.startswith("lofi-recipe: ")]
    assert refused[0].startswith("lofi-recipe: fad: ")
    assert refused[1].startswith("lofi-recipe: lyrics: ")
    assert len(refused) == 2


def test_two_sets_held_against_a_third_are_compared(folders):
    make(folders / "D")
    said = measure("A", "D", "--reference", "B", "--metric", "mel", "--json")
    assert said.exit_code == 0, said.stderr
    found = json.loads(said.stdout)
    (row,) = found["differences"]
    assert [one["role"] for one in found["sets"]] == ["judged", "against", "reference"]
    assert row["verdict"] == "worse"
    assert row["second"]["value"] == 0.0
    assert row["value"] == row["first"]["value"] > 0
    table = measure("A", "D", "--reference", "B", "--metric", "mel").stdout
    assert "verdict" in table
    assert "worse" in table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("A", "A"), "A and A are the same folder - a set held against itself says nothing"),
        (("A", "A/../A"), "are the same folder"),
        (("A", "nowhere"), "nowhere: is not there - name a folder of audio files"),
        (("A", "empty"), "empty: no audio is in it - audio is wav, "),
        (("A", "A/a.wav"), "A/a.wav: is a file, not a folder"),
        (("A", "B", "--metric", "mell"), "there is no metric 'mell' - did you mean 'mel'? there"),
        (("A", "B", "--page", "A/page"), "A/page: lies inside A, which is measured"),
    ],
)
def test_what_would_mean_nothing_is_refused_in_one_line(folders, arguments, message):
    (folders / "empty").mkdir()
    (line,) = refusal(*arguments)
    assert line.startswith("lofi-recipe: ")
    assert message in line


def test_a_folder_inside_the_other_is_refused(folders):
    make(folders / "A" / "inner")
    (line,) = refusal("A", "A/inner")
    assert "A/inner lies inside A - the same clips would be in both sets: move it out" in line


def test_every_unreadable_file_of_all_folders_has_its_line(folders):
    (folders / "A" / "empty.wav").write_bytes(b"")
    (folders / "B" / "text.mp3").write_text("no music\n" * 99, encoding="utf-8")
    lines = refusal("A", "B", "--metric", "mel")
    assert [line.partition(":")[0] for line in lines] == ["A/empty.wav", "B/text.mp3"]


@pytest.mark.parametrize(
    ("sample_rate", "channels", "said"),
    [(16_000, 2, "16000 Hz stereo"), (22_050, 1, "22050 Hz mono"), (48_000, 1, "22050 Hz mono")],
)
def test_other_formats_are_refused_and_folded_where_that_is_wanted(
    folders, sample_rate, channels, said
):
    make(folders / "D", sample_rate=sample_rate, channels=channels)
    (line,) = refusal("A", "D", "--metric", "mel")
    assert line.startswith("lofi-recipe: A: a is 22050 Hz stereo, D: a is ")
    assert line.endswith(f" - --convert brings every clip to {said}")
    done = measure("A", "D", "--metric", "mel", "--convert")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.count(f"{said}, converted") == 2
    found = json.loads(measure("A", "D", "--metric", "mel", "--convert", "--json").stdout)
    assert [one["converted"] for one in found["sets"]] == [True, True]


def test_converting_what_is_alike_changes_nothing(folders):
    plain = measure("A", "B", "--metric", "mel", "--json").stdout
    assert measure("A", "B", "--metric", "mel", "--json", "--convert").stdout == plain
    assert '"converted": false' in plain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((), "name a folder of audio, or pass --list"), (("A", "--reference", "B"), "two folders")],
)
def test_wrong_usage_is_exit_2(folders, arguments, message):
    said = measure(*arguments)
    assert said.exit_code == 2
    assert message in " ".join(said.stderr.split())


def test_the_list_says_what_every_metric_tells_and_needs():
    done = lofi_recipe("measure", "--list")
    assert done.returncode == 0
    blocks = {block.split("\n")[0]: block for block in done.stdout.strip().split("\n\n")}
    assert list(blocks)[:3] == ["fad", "clap", "mrstft"]
    assert len(blocks) == 14
    assert "a second folder (the reference)" in blocks["fad"]
    assert "needs: prompts, a CLAP model (--clap)" in blocks["clap"]
    assert "pip install 'lofi-recipe[visqol]'" in blocks["visqol"]
    assert "ranks: buzz, clipping, low-pass, noise, quantization" in blocks["mel"]


def styled(folder, amounts):
    """Write four clips of each of two styles: a tone of the style's, of another pitch each."""
    folder.mkdir()
    time = np.arange(4 * 22_050) / 22_050
    for style, hertz in (("CORE-01", 220.0), ("CORE-02", 1_500.0)):
        for take in range(4):
            pitch = hertz * (1 + amounts * take)
            noise = 0.01 * np.random.default_rng(take).standard_normal(len(time))
            tone = 0.3 * np.sin(2 * np.pi * pitch * time) * (np.mod(time, 0.5) < 0.3)
            soundfile.write(folder / f"{style}-{take}.wav", tone + noise, 22_050)


def test_styles_that_became_one_clip_each_fail_with_exit_1(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    styled(tmp_path / "base", 0.2)
    styled(tmp_path / "ours", 0.002)
    said = measure("ours", "base", "--metric", "style-collapse", "--page", "page")
    assert said.exit_code == 1
    row = next(line for line in said.stdout.splitlines() if line.startswith("style-collapse-div"))
    assert " FAILED " in row
    (line,) = [one for one in said.stderr.splitlines() if one.startswith("lofi-recipe: ")]
    assert line.startswith("lofi-recipe: style-collapse-diversity: ours: collapsed")
    page = html.unescape(Path("page/index.html").read_text(encoding="utf-8"))
    assert page.count('<b class="failed">failed</b> ours: ') == 1
    assert line.partition("ours: ")[2] in page


def test_strange_names_stay_in_their_line(folders):
    strange = "night\nrain"
    for place in ("A", "B"):
        (folders / place / "a.wav").rename(folders / place / f"{strange}.wav")
    said = measure("A", "B", "--metric", "mel", "--metric", "fad")
    assert "night\nrain" not in said.stdout + said.stderr
    assert r"night\nrain" in said.stderr


def test_a_page_is_written_beside_the_table(folders):
    said = measure("A", "B", "--metric", "mel", "--page", "page", "--page-clips", "2")
    assert said.exit_code == 0, said.stderr
    assert said.stdout.splitlines()[-1] == "page/index.html"
    text = Path("page/index.html").read_text(encoding="utf-8")
    assert text.index("<h3>c</h3>") < text.index("<h3>b</h3>")
    assert "<h3>a</h3>" not in text
    again = measure("A", "B", "--metric", "mel", "--page", "page", "--json")
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout) == json.loads(Path("page/measure.json").read_text())


def test_a_foreign_folder_is_refused_before_anything_is_measured(folders):
    (folders / "home").mkdir()
    (folders / "home" / "index.html").write_text("<p>my page", encoding="utf-8")
    (line,) = refusal("A", "B", "--page", "home")
    assert "home: holds other files and will not be written to" in line
    assert [path.name for path in (folders / "home").iterdir()] == ["index.html"]


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_measured(folders):
    (folders / "closed").mkdir(mode=0o555)
    with heeding_permissions():
        said = measure("A", "B", "--metric", "mel", "--page", "closed/page")
    assert said.exit_code == 1
    assert said.stdout == ""
    assert str(said.exception) == (
        "closed/page: the page cannot be written: Permission denied - name another folder"
    )
    assert measure("A", "B", "--metric", "mel", "--page", "new/page").exit_code == 0
    assert sorted(path.name for path in Path("new").iterdir()) == ["page"]


@needs_real_track
def test_real_music_with_noise_gives_sensible_figures_against_itself(tmp_path):
    track = ClipFolder(REAL_TRACK.parent)
    clip = track.clip(track.names[0])
    for place, noise in (("A", 0.003), ("B", 0.0)):
        (tmp_path / place).mkdir()
        for number in range(3):
            start = number * 6 * clip.sample_rate
            part = clip.samples[:, start : start + 6 * clip.sample_rate].T
            heard = part + noise * np.random.default_rng(number).standard_normal(part.shape)
            soundfile.write(tmp_path / place / f"{number}.flac", heard, clip.sample_rate)
    arguments = (tmp_path / "A", tmp_path / "B", "--metric", "mel", "--metric", "fad")
    said = measure(*arguments, "--project", "--json")
    assert said.exit_code == 0, said.stderr
    mel, fad, *_ = json.loads(said.stdout)["figures"]
    assert 0.1 < mel["value"] < 30
    assert (fad["n"], fad["embedding"]) == (9, "lofi-sound-v1/random-4")
    assert 0 < fad["value"] < 1_000
