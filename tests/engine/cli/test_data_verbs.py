"""`lofi-recipe data init`, `import`, `report`, `plan`, `outreach`, called as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from lofi_engine.cli.data.app import app as data_app
from lofi_engine.cli.data.import_ import data_import
from lofi_engine.cli.main import app
from lofi_engine.data.report_page import GENERATOR
from lofi_runtime.errors import LofiError
from tests.support.finished_run import lofi_recipe
from tests.support.ordinary_user import heeding_permissions
from tests.support.recipes import write_recipe

RAW = ("commissioned", "royalty-free", "creative-commons", "partnerships")
MADE_BY_HAND = """[
 {"filename":   "../raw/commissioned/rain.wav",
  "source": {"type": "commissioned", "license": "AI Training Rights", "cost": 75.00,
     "artist": "Ann"}, "style_ids": ["CORE-01"]}
]
"""


def tone(path: Path, duration_sec: float = 1.0) -> Path:
    """Write notes at random that no other path gets."""
    random = np.random.default_rng(list(path.name.encode()))
    pitches_hz = random.uniform(150, 1500, int(duration_sec * 10)).repeat(800)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * np.cumsum(pitches_hz) / 8000), 8000)
    return path


def call(*arguments: object) -> str:
    """Run a verb that must go well; give what it prints on standard output."""
    done = CliRunner().invoke(app, ["data", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*arguments: object) -> str:
    """Run a verb that must end with one line and exit 1; give the line."""
    done = lofi_recipe("data", *arguments)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    return line.removeprefix("lofi-recipe: ")


def ledger_of(folder: Path) -> Path:
    return folder / "metadata" / "sources.json"


@pytest.fixture
def tracks(tmp_path) -> Path:
    """A fresh training folder."""
    call("init", tmp_path / "tracks")
    return tmp_path / "tracks"


def write_rows(folder: Path, rows: dict[str, dict[str, Any]]) -> None:
    """Write rows by path below raw/; `style_ids` and the like beside the source's keys."""
    beside = ("style_ids", "quality_score", "human_verified", "review")
    content = [
        {
            "filename": f"../raw/{name}",
            "source": {key: value for key, value in keys.items() if key not in beside},
            **{key: value for key, value in keys.items() if key in beside},
        }
        for name, keys in rows.items()
    ]
    ledger_of(folder).write_text(json.dumps(content), encoding="utf-8")


def recipe_for(folder: Path, **dataset: Any) -> Path:
    allow = ["commissioned", "partnership", "cc0", "cc-by-4.0", "cc-by-nc-4.0"]
    ledger = f"{folder.name}/metadata/sources.json"
    sources = [{"path": f"{folder.name}/raw/{name}", "ledger": ledger} for name in RAW]
    whole = {"sources": sources, "licenses": {"allow": allow}, **dataset}
    return write_recipe(folder.parent, dataset=whole)


def test_the_help_of_every_verb_ends_with_an_example():
    for command in data_app.registered_commands:
        assert command.name is not None
        said = call(command.name, "--help")
        assert f"lofi-recipe data {command.name}" in " ".join(said.split("Example:")[1].split())


def test_init_makes_the_specification_s_folders_and_a_valid_ledger(tmp_path):
    said = call("init", tmp_path / "new" / "tracks")
    folder = tmp_path / "new" / "tracks"
    made = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert made == {
        "raw", *(f"raw/{name}" for name in RAW),
        "processed", "processed/core", "processed/seasonal", "processed/thematic",
        "processed/instrumental", "processed/vocal",
        "data", "validation", "metadata", "metadata/sources.json", "README.md",
    }  # fmt: skip
    assert json.loads(ledger_of(folder).read_text()) == []
    assert "path: tracks/raw/commissioned" in (folder / "README.md").read_text()
    assert f"lofi-recipe data import {folder}" in said


def test_a_new_recipe_over_a_new_folder_runs_with_tracks_in_one_of_the_four(tracks):
    tone(tracks / "raw" / "royalty-free" / "rain.wav", 6.0)
    call("import", tracks)
    text = ledger_of(tracks).read_text().replace('"unknown"', '"cc0"')
    ledger_of(tracks).write_text(text)
    path = tracks.parent / "mine.yaml"
    assert lofi_recipe("init", path).returncode == 0
    recipe = path.read_text()
    synth = next(line for line in recipe.splitlines() if "- synth:" in line)
    ledger = "ledger: tracks/metadata/sources.json"
    four = "\n".join(f"    - {{path: tracks/raw/{name}, {ledger}}}" for name in RAW)
    path.write_text(recipe.replace(synth, four))
    done = lofi_recipe("run", path, "--only", "curate")
    assert done.returncode == 0, done.stderr
    empty = ", ".join(f"'tracks/raw/{name}'" for name in RAW if name != "royalty-free")
    assert f"dataset.sources: {empty} hold no files" in done.stderr
    assert json.loads(call("report", path, "--json"))["tracks"] == 1


def test_init_again_changes_nothing(tracks):
    (tracks / "README.md").write_text("mine")
    ledger_of(tracks).write_text("not even JSON")
    (tracks / "data").rmdir()
    assert f"made {tracks / 'data'}" in call("init", tracks)
    assert "everything is there already" in call("init", tracks)
    assert (tracks / "README.md").read_text() == "mine"
    assert ledger_of(tracks).read_text() == "not even JSON"


def test_init_names_a_file_where_a_folder_belongs(tmp_path):
    (tmp_path / "raw").write_text("in the way")
    assert "raw" in refused("init", tmp_path)
    assert (tmp_path / "raw").read_text() == "in the way"


def test_import_adds_a_row_that_keeps_its_track_out_until_its_terms_are_named(tracks):
    tone(tracks / "raw" / "partnerships" / "label one" / "ü.wav")
    tone(tracks / "raw" / "commissioned" / "rain.wav")
    said = call("import", tracks)
    assert "2 tracks were new, 0 had their row" in said
    assert "../raw/commissioned/rain.wav: commissioned, licence unknown" in said
    first, second = json.loads(ledger_of(tracks).read_text(encoding="utf-8"))
    assert first == {
        "filename": "../raw/commissioned/rain.wav",
        "source": {"type": "commissioned", "license": "unknown"},
        "style_ids": [],
    }
    assert second["filename"] == "../raw/partnerships/label one/ü.wav"
    assert second["source"]["type"] == "partnership"
    found = json.loads(call("report", recipe_for(tracks), "--json"))
    assert (found["tracks"], found["refused"]) == (0, 2)
    assert found["refusals"][0]["reason"] == (
        "its licence is still 'unknown' in sources.json (source.license)"
    )


def test_import_again_adds_nothing_and_leaves_every_byte(tracks):
    tone(tracks / "raw" / "commissioned" / "rain.wav")
    call("import", tracks)
    before = ledger_of(tracks).read_bytes()
    assert "0 tracks were new, 1 had their row" in call("import", tracks)
    assert "0 tracks were new, 1 had their row" in call("import", recipe_for(tracks))
    assert ledger_of(tracks).read_bytes() == before


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_rows_that_are_there_keep_every_byte(tracks, newline):
    text = MADE_BY_HAND.replace("\n", newline)
    ledger_of(tracks).write_bytes(text.encode())
    ledger_of(tracks).chmod(0o640)
    for name in ("rain.wav", "snow.wav"):
        tone(tracks / "raw" / "commissioned" / name)
    assert "1 tracks were new, 1 had their row" in call("import", tracks)
    after = ledger_of(tracks).read_bytes().decode()
    assert after.startswith(text.rstrip().removesuffix("]").rstrip() + ",")
    assert ("\r\n" in after) == (newline == "\r\n")
    assert after.count("\n") == after.count(newline)
    assert [row["filename"] for row in json.loads(after)] == [
        "../raw/commissioned/rain.wav",
        "../raw/commissioned/snow.wav",
    ]
    assert ledger_of(tracks).stat().st_mode & 0o777 == 0o640


def test_a_ledger_that_is_a_link_stays_one(tracks, tmp_path):
    kept = tmp_path / "kept.json"
    ledger_of(tracks).rename(kept)
    ledger_of(tracks).symlink_to(kept)
    tone(tracks / "raw" / "commissioned" / "rain.wav")
    call("import", tracks)
    assert ledger_of(tracks).is_symlink()
    assert len(json.loads(kept.read_text())) == 1


@pytest.mark.parametrize("content", ["", "[{", '{"a": 1}', '[{"filename": "x"}]', "\ufeff[]"])
def test_a_ledger_that_cannot_be_read_is_never_written_over(tracks, content):
    ledger_of(tracks).write_text(content, encoding="utf-8")
    tone(tracks / "raw" / "commissioned" / "rain.wav")
    assert refused("import", tracks).startswith("ledger sources.json:")
    assert ledger_of(tracks).read_text(encoding="utf-8") == content


def test_import_dry_run_writes_nothing(tracks):
    tone(tracks / "raw" / "commissioned" / "rain.wav")
    assert "1 rows would be added" in call("import", tracks, "--dry-run")
    assert ledger_of(tracks).read_text() == "[]\n"


def test_import_tells_rows_without_a_file_and_files_that_are_no_tracks(tracks):
    write_rows(tracks, {"commissioned/gone.wav": {"type": "commissioned", "license": "x"}})
    (tracks / "raw" / "commissioned" / "notes.docx").write_text("words")
    found = json.loads(call("import", tracks, "--json"))
    assert list(found["missing"].values()) == [["../raw/commissioned/gone.wav"]]
    assert found["passed_over"]["raw/commissioned/notes.docx"].startswith("not an audio file")
    said = call("import", tracks)
    assert f"{ledger_of(tracks)}: the file of '../raw/commissioned/gone.wav' is not there" in said


def test_a_row_that_could_mean_two_files_is_told_and_doubled_by_none(tracks):
    tone(tracks / "raw" / "commissioned" / "a.wav")
    tone(tracks / "raw" / "partnerships" / "a.wav")
    ledger_of(tracks).write_text(
        json.dumps([{"filename": "a.wav", "source": {"type": "own", "license": "cc0"}}])
    )
    said = call("import", tracks)
    assert "no row for raw/commissioned/a.wav: the entry 'a.wav' in sources.json could" in said
    assert len(json.loads(ledger_of(tracks).read_text())) == 1


def test_import_of_a_recipe_asks_how_a_track_was_acquired_where_its_path_does_not_tell(tmp_path):
    tone(tmp_path / "mine" / "a.wav")
    (tmp_path / "sources.json").write_text("[]")
    dataset = {"sources": [{"path": "mine", "ledger": "sources.json"}]}
    recipe = write_recipe(tmp_path, dataset=dataset)
    assert "mine/a.wav: its path does not say how it was acquired" in refused("import", recipe)
    call("import", recipe, "--type", "own")
    (row,) = json.loads((tmp_path / "sources.json").read_text())
    assert (row["filename"], row["source"]["type"]) == ("mine/a.wav", "own")


def test_import_says_what_is_missing(tmp_path, tracks):
    assert "none of raw/commissioned" in refused("import", tmp_path)
    dataset = {"sources": [{"path": "mine"}], "licenses": {"require_ai_training": False}}
    recipe = write_recipe(tmp_path, dataset=dataset)
    assert "dataset.sources[0]: 'mine' has no ledger" in refused("import", recipe)
    (tracks / "raw" / "commissioned").rmdir()
    line = refused("import", recipe_for(tracks))
    assert "the folder 'tracks/raw/commissioned' is not there" in line


CONTRACT = {"type": "commissioned", "license": "Contract", "ai_training": True, "artist": "Ann"}
COMMONS = {"type": "creative-commons", "ai_training": True, "ai_training_evidence": "mail"}


@pytest.fixture
def mixed(tracks) -> Path:
    """Tracks of every kind of terms; gives the recipe."""
    rows: dict[str, dict[str, Any]] = {
        "commissioned/good.wav": {
            **CONTRACT,
            "ai_training_evidence": "contract.pdf",
            "cost": 75.5,
            "style_ids": ["CORE-01", "THEME-03"],
            "quality_score": 90,
            "human_verified": True,
        },
        "commissioned/claimed.wav": {**CONTRACT, "cost": 20, "style_ids": ["SEASON-06"]},
        "commissioned/silent on it.wav": {"type": "commissioned", "license": "Deal", "cost": 10},
        "creative-commons/credited.wav": {
            **COMMONS,
            "license": "CC BY 4.0",
            "artist": "Cy <&>",
            "title": "Rain",
        },
        "creative-commons/nameless.wav": {**COMMONS, "license": "CC BY 4.0"},
        "creative-commons/nc.wav": {**COMMONS, "license": "CC BY-NC 4.0", "artist": "Di"},
        "creative-commons/heard.wav": {
            **COMMONS,
            "license": "cc0",
            "review": {"accepted": False, "date": "2025-03-01"},
        },
        "partnerships/gone.wav": {"type": "partnership", "license": "Deal", "cost": 4},
    }
    for name in rows:
        if "gone" not in name:
            tone(tracks / "raw" / name, duration_sec=3.6)
    tone(tracks / "raw" / "royalty-free" / "no row.wav")
    write_rows(tracks, rows)
    return recipe_for(tracks, budget={"max_usd": 200}, target_tracks=10)


REFUSED = {
    "commissioned/silent on it.wav": "no AI-training right recorded for licence 'deal'",
    "creative-commons/nameless.wav": (
        "licence 'cc-by-4.0' asks for credit and sources.json names neither artist nor attribution"
    ),
    "creative-commons/nc.wav": (
        "licence 'cc-by-nc-4.0' may not go into a model under 'apache-2.0': it forbids commercial "
        "use, which the model's licence must forbid as well (NC)"
    ),
    "creative-commons/heard.wav": "a listener refused it on 2025-03-01 (review.accepted)",
    "royalty-free/no row.wav": "no licence entry in sources.json",
}


def test_a_report_says_what_is_there_and_what_is_refused_and_why(mixed):
    found = json.loads(call("report", mixed, "--json"))
    assert (found["basis"], found["tracks"], found["refused"]) == ("ledger", 3, 5)
    assert {each["first"].removeprefix("tracks/raw/"): each["reason"] for each in
            found["refusals"]} == REFUSED  # fmt: skip
    assert found["hours"] == pytest.approx(3 * 3.6 / 3600, abs=5e-4)
    assert (found["cost_usd"], found["paid_usd"], found["max_usd"]) == (95.5, 109.5, 200)
    assert {each["name"]: each["tracks"] for each in found["licenses"]} == {
        "contract": 2,
        "cc-by-4.0": 1,
    }
    groups = {each["name"]: (each["tracks"], each["wanted"]) for each in found["groups"]}
    assert groups == {
        "core": (1, 4),
        "seasonal": (1, 2),
        "thematic": (0, 1),
        "instrumental": (0, 2),
        "vocal": (0, 1),
    }
    assert found["without_style"] == 1
    assert (found["human_verified"], found["mean_listener_score"]) == (1, 90)
    assert found["missing"] == ["../raw/partnerships/gone.wav"]
    assert (
        found["attributions"]
        == found["attributions_built"]
        == ['"Rain" by Cy <&>, CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)']
    )
    assert found["notes"] == [
        "tracks/raw/commissioned/claimed.wav: its right to train under 'contract' has no "
        "evidence; say in source.ai_training_evidence where it can be read"
    ]


def test_the_table_holds_the_same(mixed):
    said = call("report", mixed)
    assert said.startswith("3 of the 10 tracks wanted, 0.00 hours; 5 refused; 95.50 USD for")
    assert "109.50 USD in all of a budget of 200.00 USD" in said
    assert "the sound itself not yet looked at; licences held against a model under apache" in said
    for name, reason in REFUSED.items():
        assert any(name in line and reason in line for line in said.splitlines()), name
    assert "1 rows have no file:\n  ../raw/partnerships/gone.wav" in said


def test_asked_for_evidence_a_claim_alone_is_refused(mixed):
    found = json.loads(
        call("report", mixed, "--json", "--set", "dataset.licenses.require_evidence=true")
    )
    reasons = {each["first"]: each["reason"] for each in found["refusals"]}
    assert reasons["tracks/raw/commissioned/claimed.wav"] == (
        "its right to train under 'contract' has no evidence (source.ai_training_evidence)"
    )


def test_a_model_that_forbids_commerce_takes_what_forbids_it(mixed):
    found = json.loads(call("report", mixed, "--json", "--set", "publish.license=cc-by-nc-4.0"))
    assert found["tracks"] == 4
    assert "cc-by-nc-4.0" in {each["name"] for each in found["licenses"]}


def test_the_page_is_whole_needs_nothing_and_says_the_same(mixed, tmp_path):
    page = tmp_path / "tracks.html"
    call("report", mixed, "--html", page)
    text = page.read_text(encoding="utf-8")
    assert "3 of the 10 tracks wanted" in text
    assert "Cy &lt;&amp;&gt;" in text
    assert "<&>" not in text
    assert not any(word in text for word in ("<script", "<link", "<img", "src=", "@import"))
    pictures = [part.split("</svg>")[0] for part in text.split("<svg")[1:]]
    assert len(pictures) == 7
    for picture in pictures:
        ElementTree.fromstring(f"<svg{picture}</svg>")
    again = page.read_bytes()
    call("report", mixed, "--html", page)
    assert page.read_bytes() == again


def test_a_page_never_takes_the_place_of_something_else(mixed, tmp_path):
    before = ledger_of(tmp_path / "tracks").read_bytes()
    assert "is no page's name" in refused("report", mixed, "--html", ledger_of(tmp_path / "tracks"))
    assert ledger_of(tmp_path / "tracks").read_bytes() == before
    other = tmp_path / "mine.html"
    other.write_text("<p>mine</p>")
    assert "is there and no report of ours" in refused("report", mixed, "--html", other)
    assert other.read_text() == "<p>mine</p>"
    other.write_text(GENERATOR)
    call("report", mixed, "--html", other)


def test_a_report_before_the_folders_are_made_says_so(tmp_path):
    said = call("report", recipe_for(tmp_path / "tracks"))
    assert "the folder 'tracks/raw/commissioned' is not there" in said
    assert said.startswith("0 of the 500 tracks wanted")


def test_a_style_the_taxonomy_lacks_refuses_its_track(tracks):
    tone(tracks / "raw" / "commissioned" / "a.wav")
    rows = {"commissioned/a.wav": {**CONTRACT, "style_ids": ["CORE-99"]}}
    write_rows(tracks, rows)
    found = json.loads(call("report", recipe_for(tracks), "--json"))
    assert found["refusals"][0]["reason"].startswith("there is no style 'CORE-99' - did you mean")


def test_a_run_refuses_what_the_report_foretold_and_is_then_counted_itself(mixed):
    short = ("--set", "dataset.quality.min_duration_sec=1")
    (mixed.parent / "tracks" / "raw" / "partnerships" / "notes.txt").write_text("words")
    foretold = json.loads(call("report", mixed, "--json", *short))
    done = lofi_recipe("run", mixed, "--only", "curate", *short)
    assert done.returncode == 0, done.stderr
    found = json.loads(call("report", mixed, "--json", *short))
    assert found["basis"] == "curated"
    alike = (
        "tracks", "refused", "cost_usd", "paid_usd", "groups", "styles", "refusals", "missing",
        "attributions", "attributions_built", "human_verified", "listener_scores",
    )  # fmt: skip
    assert {key: found[key] for key in alike} == {key: foretold[key] for key in alike}
    assert set(foretold["notes"]) <= set(found["notes"])
    assert json.loads(call("report", mixed, "--json"))["basis"] == "ledger"


def test_a_plan_says_what_is_wanted_and_what_it_may_cost(mixed):
    found = json.loads(call("plan", mixed, "--json"))
    styles = {each["id"]: each for each in found["styles"]}
    assert len(styles) == 38
    assert found["missing"] == sum(each["missing"] for each in styles.values()) == 9
    assert (styles["CORE-01"]["wanted"], styles["CORE-01"]["missing"]) == (1, 0)
    assert styles["CORE-02"]["cost_usd"] == [30, 100]
    assert found["ordered_usd"] == [270, 900]
    assert found["mixed_usd"] == [5 * 30 + 500 + 2000, 5 * 100 + 2000 + 10000]
    assert found["left_usd"] == 90.5
    assert found["affordable"] == [0, 3]
    assert [tier["type"] for tier in found["tiers"]] == [
        "commissioned",
        "royalty-free",
        "creative-commons",
        "partnership",
    ]
    said = call("plan", mixed)
    assert "CORE-01" not in said
    assert "90.50 USD of the budget are left: 0 to 3 made to order" in said
    assert "that is less than even the lower end" in said
    assert "Fiverr Pro (50 to 150 USD a track)" in said
    assert "CORE-01" in call("plan", mixed, "--all")


def test_a_plan_of_nothing_yet_costs_what_the_specification_says(tmp_path):
    found = json.loads(call("plan", recipe_for(tmp_path / "tracks"), "--json"))
    assert found["missing"] == 500
    assert found["mixed_usd"] == [10_000, 37_000]
    assert found["left_usd"] is None


def test_the_letter_has_every_point_of_the_specification(tmp_path):
    recipe = write_recipe(tmp_path, publish={"model_name": "rain-machine"})
    arguments = ("--artist", "Ann & Co", "--tracks", 4, "--fee", 500, "--from", "Bo")
    said = call("outreach", recipe, *arguments, "--style", "SEASON-06")
    lines = said.splitlines()
    assert lines[0].startswith("Subject: ")
    assert lines[2] == "Hello Ann & Co,"
    assert lines[-1] == "Bo"
    assert max(map(len, lines)) <= 100
    flat = " ".join(said.split())
    for point in (
        "rain-machine, an open lofi music model for developers",
        "license 4 tracks from your catalogue for training",
        "I am looking for Rainy Day Lofi above all",
        "500.00 USD, 125.00 USD a track, paid once, for the right to train and nothing else",
        "your recordings are never passed on",
        "credited by name in the model's documentation",
        "marked as AI-generated",
        "published under apache-2.0",
        "talking about terms?",
    ):
        assert point in flat, point
    assert "[your name]" in call("outreach", recipe, "--artist", "Ann", "--tracks", 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--artist", "a\nBcc: b", "--tracks", 1), "--artist: 'a\\nBcc: b' is no name"),
        (("--artist", " ", "--tracks", 1), "--artist: ' ' is no name"),
        (("--artist", "Ann", "--tracks", 0), "--tracks: 0 is less than 1"),
        (("--artist", "Ann", "--tracks", 1, "--fee", "nan"), "--fee: nan is no sum of money"),
        (("--artist", "Ann", "--tracks", 1, "--style", "CORE-1"), "there is no style 'CORE-1'"),
    ],
)
def test_a_letter_nobody_could_send_is_not_written(tmp_path, arguments, said):
    assert said in refused("outreach", write_recipe(tmp_path), *arguments)


def test_a_ledger_that_may_not_be_written_is_named(tracks):
    tone(tracks / "raw" / "commissioned" / "rain.wav")
    ledger_of(tracks).parent.chmod(0o500)
    try:
        with heeding_permissions(), pytest.raises(LofiError) as caught:
            data_import(tracks)
    finally:
        ledger_of(tracks).parent.chmod(0o700)
    assert "ledger sources.json: cannot be written" in str(caught.value)
