from __future__ import annotations

import datetime
import json
import os
import time

import pytest
import yaml

from lofi_engine.data.ledger import LedgerError
from lofi_engine.data.ledger_edit import LedgerChangedError
from lofi_engine.data.rows import Row, write_rows
from lofi_engine.errors import StageError
from lofi_engine.recipe.load import load_recipe
from lofi_engine.review.measured import Measured
from lofi_engine.review.store import Review
from lofi_engine.review.tracks import list_tracks
from lofi_runtime.errors import StyleError
from tests.support.finished_stages import finish
from tests.support.recipes import make_recipe
from tests.support.review_folder import NAMES, make_review_folder, read_row, row_of, write_ledger

DAY = datetime.date(2026, 3, 4)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_review_folder(tmp_path_factory.mktemp("made"))


@pytest.fixture
def home(made):
    write_ledger(made.parent, [row_of(name) for name in NAMES if name != "no row.flac"])
    return made.parent


def review_of(home):
    recipe = load_recipe(home / "recipe.yaml")
    return Review(recipe, list_tracks(recipe), Measured(recipe), today=lambda: DAY)


def test_every_track_is_listed_once_by_number_and_other_files_are_left_out(home):
    overview = review_of(home).overview()
    assert [one["name"] for one in overview["tracks"]] == [f"raw/{name}" for name in NAMES]
    assert [one["number"] for one in overview["tracks"]] == [0, 1, 2, 3, 4]
    statuses = [one["status"] for one in overview["tracks"]]
    assert statuses == ["open", "open", "no row", "open", "open"]
    assert len(overview["styles"]) == 38
    assert "rainy" in overview["tags"]


def test_accepting_writes_who_when_and_what_into_the_ledger_at_once(home):
    review = review_of(home)
    review.change(1, {"quality_score": 80})
    review.change(1, {"style_ids": ["SEASON-06", "CORE-01"], "tags": ["rainy", " Own  Word "]})
    review.change(1, {"notes": "a click at 0:03\n"})
    assert "human_verified" not in read_row(home, "late train.wav")
    review.change(1, {"accepted": True})
    assert read_row(home, "late train.wav") == {
        **row_of("late train.wav"),
        "quality_score": 80,
        "style_ids": ["SEASON-06", "CORE-01"],
        "review": {"tags": ["rainy", "own word"], "accepted": True, "date": "2026-03-04"},
        "notes": "a click at 0:03",
        "human_verified": True,
    }
    review.change(1, {"accepted": False})
    assert read_row(home, "late train.wav")["review"]["accepted"] is False
    assert review.detail(1)["status"] == "rejected"
    review.change(1, {"accepted": None, "tags": [], "notes": " "})
    row = read_row(home, "late train.wav")
    assert {"review", "human_verified", "notes"}.isdisjoint(row)


def test_reopening_begins_at_the_first_track_nobody_reviewed(home):
    review = review_of(home)
    assert review.overview()["first"] == 0
    review.change(0, {"accepted": True})
    review.change(1, {"accepted": False})
    assert review_of(home).overview()["first"] == 3  # the one without a row cannot be reviewed
    summary = review_of(home).summary()
    assert {key: value for key, value in summary.items() if key != "review"} == {
        "recipe": "small", "tracks": 5, "reviewed": 2, "accepted": 1, "rejected": 1, "open": 2,
        "without_row": 1, "scored": 0, "mean_score": None, "faults": [],
    }  # fmt: skip
    assert summary["review"][1]["status"] == "rejected"
    for number in (3, 4):
        review.change(number, {"accepted": True})
    assert review_of(home).overview()["first"] == 2


def test_a_track_verified_by_hand_counts_as_accepted(home):
    write_ledger(home, [{**row_of(NAMES[0]), "human_verified": True, "quality_score": 92}])
    assert review_of(home).overview()["tracks"][0]["status"] == "accepted"


def test_undo_goes_back_step_by_step_to_the_bytes_there_were(home):
    review = review_of(home)
    before = (home / "sources.json").read_bytes()
    review.change(0, {"quality_score": 80})
    review.change(0, {"quality_score": 80})  # says the same: nothing to undo
    review.change(0, {"accepted": True})
    review.change(1, {"notes": "x"})
    assert review.overview()["undo"] == 3
    assert [review.undo() for _ in range(4)] == [1, 0, 0, None]
    assert (home / "sources.json").read_bytes() == before


def test_what_was_edited_by_hand_meanwhile_is_shown_and_never_overwritten(home):
    review = review_of(home)
    review.change(0, {"notes": "mine"})
    rows = json.loads((home / "sources.json").read_text())
    write_ledger(
        home, [{**rows[0], "notes": "by hand"}, {**rows[1], "quality_score": 7}, *rows[2:]]
    )
    assert review.overview()["tracks"][1]["score"] == 7
    with pytest.raises(LedgerChangedError, match="notes was changed meanwhile"):
        review.change(0, {"notes": "mine, longer"}, seen={"notes": "mine"})
    with pytest.raises(LedgerChangedError, match='it is now "by hand"'):
        review.undo()
    assert review.undo() is None
    review.change(0, {"accepted": True})
    assert read_row(home, NAMES[0])["notes"] == "by hand"


def test_a_ledger_broken_by_hand_keeps_its_list_and_says_what_is_wrong(home):
    review = review_of(home)
    good = (home / "sources.json").read_text()
    (home / "sources.json").write_text(good[:-4])
    overview = review.overview()
    assert [one["status"] for one in overview["tracks"]][:2] == ["open", "open"]
    assert "sources.json:" in overview["faults"][0]
    assert "not JSON" in overview["faults"][0]
    with pytest.raises(LedgerError, match="not JSON"):
        review.change(0, {"accepted": True})
    assert (home / "sources.json").read_text() == good[:-4]
    with pytest.raises(LedgerError, match="not JSON"):
        review_of(home)
    (home / "sources.json").write_text(good)
    review.change(0, {"accepted": True})
    assert review.overview()["faults"] == []


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"accepted": "yes"}, "accepted: 'yes' is not true, false or null"),
        ({"quality_score": True}, "quality_score: 'True' is not 0 to 100 or null"),
        ({"quality_score": 101}, "quality_score: '101' is not 0 to 100 or null"),
        ({"quality_score": float("nan")}, "quality_score: 'nan' is not 0 to 100 or null"),
        ({"tags": "rain"}, "tags: 'rain' is not a list of words"),
        ({"tags": ["a, b"]}, "tags: 'a, b' is not one tag: words without a comma"),
        ({"tags": [str(n) for n in range(65)]}, "tags: 65 words, at most 64 are kept"),
        ({"notes": None}, "notes: 'None' is not text"),
        ({"filename": "/etc/passwd"}, "'filename' is nothing that a review changes"),
        ({"source": {}}, "'source' is nothing that a review changes"),
    ],
)
def test_what_is_no_review_is_refused_by_name(home, wanted, told):
    before = (home / "sources.json").read_bytes()
    with pytest.raises(StageError) as refused:
        review_of(home).change(0, wanted)
    assert str(refused.value) == told
    assert (home / "sources.json").read_bytes() == before


def test_an_unknown_style_is_refused_with_the_near_one(home):
    with pytest.raises(StyleError, match="there is no style 'CORE-99' - did you mean CORE-0"):
        review_of(home).change(0, {"style_ids": ["CORE-99"]})


def test_a_track_without_a_row_says_which_command_makes_one(home):
    review = review_of(home)
    assert "lofi-recipe data import" in review.detail(2)["why"]
    with pytest.raises(StageError, match=r"sources.json has no row for it, .* data import"):
        review.change(2, {"accepted": True})
    with pytest.raises(StageError, match="there is no track 5"):
        review.detail(5)


def test_a_source_without_a_ledger_says_so(home):
    recipe = make_recipe(
        home / "bare",
        dataset={"sources": [{"path": "../raw"}], "licenses": {"require_ai_training": False}},
    )
    review = Review(recipe, list_tracks(recipe), Measured(recipe))
    assert review.detail(0)["why"].startswith("its source in the recipe names no ledger")
    assert review.summary()["without_row"] == 5


def test_a_recipe_that_only_synthesises_has_nothing_to_review(tmp_path):
    with pytest.raises(StageError, match="no folder of tracks to review, only synthesised ones"):
        list_tracks(make_recipe(tmp_path))


def test_a_licence_that_the_model_s_own_cannot_keep_is_told_as_curating_tells_it(home):
    source = {"type": "commissioned", "license": "cc-by-nc-4.0", "artist": "Ann"}
    write_ledger(home, [{**row_of(NAMES[0]), "source": {**source, "ai_training": True}}])
    recipe = home / "recipe.yaml"
    content = yaml.safe_load(recipe.read_text())
    content["dataset"]["licenses"]["allow"].append("cc-by-nc-4.0")
    recipe.write_text(yaml.safe_dump(content))
    gate = review_of(home).detail(0)["gate"]
    assert gate.startswith("licence 'cc-by-nc-4.0' may not go into a model under 'apache-2.0': it")


def test_texts_licence_and_measurements_are_shown_where_there_are_any(home):
    write_ledger(home, [{**row_of(NAMES[0]), "source": {"type": "own", "license": "cc-by-4.0"}}])
    folder = finish(home / "recipe.yaml", "curate")["curate"]
    row = Row(f"raw/{NAMES[0]}", "rejected", reason="silent", measurements={"rms_dbfs": -20.5})
    write_rows(folder, [row])
    now = time.time()
    os.utime(folder / "artifact.json", (now + 5, now + 5))
    detail = review_of(home).detail(0)
    assert detail["sidecars"] == {
        "prompt": "lofi hip hop, rain, 80 bpm\n",
        "lyrics": "[Verse]\nCity lights\n",
    }
    assert detail["gate"].startswith("licence 'cc-by-4.0' is not allowed")
    review_of(home).change(0, {"accepted": False})
    assert review_of(home).detail(0)["gate"] == detail["gate"]  # the verdict is said elsewhere
    measured = detail["measured"]
    assert (measured["status"], measured["reason"]) == ("rejected", "silent")
    assert measured["measurements"] == {"rms_dbfs": -20.5}
    assert measured["outdated"] is False
    assert review_of(home).detail(1)["measured"] is None
    # The ledger is an input of curating: writing a review must not make the measurements vanish.
    review_of(home).change(0, {"quality_score": 50})
    assert review_of(home).detail(0)["measured"] is not None
    os.utime(home / "raw" / NAMES[0], (now + 60, now + 60))
    assert review_of(home).detail(0)["measured"]["outdated"] is True
