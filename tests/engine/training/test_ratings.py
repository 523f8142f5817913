# ruff: noqa: E501 - a table reads best with one case a line
import json

import pytest

from lofi_engine.errors import StageError
from lofi_engine.training.ratings import Rating, read_ratings, shared_scores

STEPS = ("step-0005000", "step-0010000")
HEAD = "checkpoint,rater,clip,score\n"


def read(folder, text, name="ratings.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_ratings(path, STEPS)


def test_checkpoints_are_called_by_folder_or_step_and_the_base_base(tmp_path):
    text = f"{HEAD}step-0005000,ann,rain,5\n\n10000, bo ,rain,3.5\nbase,ann,rain,1\n"
    expected = (
        Rating("step-0005000", "ann", "rain", 5.0),
        Rating("step-0010000", "bo", "rain", 3.5),
        Rating("base", "ann", "rain", 1.0),
    )
    assert read(tmp_path, text) == expected
    assert read(tmp_path, "\ufeff" + text.replace("\n", "\r\n")) == expected
    rows = [vars(one) for one in expected]
    assert read(tmp_path, json.dumps(rows), "ratings.json") == expected


def test_the_rater_may_be_left_out_and_columns_stand_in_any_order(tmp_path):
    assert read(tmp_path, "score,Clip,checkpoint\n4,rain,5000\n") == (
        Rating("step-0005000", "", "rain", 4.0),
    )
    given = [{"checkpoint": 5000, "clip": "rain", "score": 4}]
    assert read(tmp_path, json.dumps(given), "ratings.json")[0].checkpoint == "step-0005000"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "ratings.csv: no ratings - add some, or leave select.ratings out"),
        (HEAD, "ratings.csv: no ratings - add some, or leave select.ratings out"),
        ("checkpoint,clip\n", "ratings.csv: line 1: the head lacks score - the columns are checkpoint, rater, clip, score"),
        ("checkpoint,clip,score,mood\n", "ratings.csv: line 1: the head has mood - the columns are checkpoint, rater, clip, score"),
        (f"{HEAD}5000,ann,rain,5\n700,ann,rain,5\n", "ratings.csv: line 3: there is no checkpoint '700' - rate step-0005000, step-0010000 or base"),
        (f"{HEAD}step-5000,ann,rain,5\n", "ratings.csv: line 2: there is no checkpoint 'step-5000' - rate step-0005000, step-0010000 or base"),
        (f"{HEAD}5000,ann,rain,6\n", "ratings.csv: line 2: the score is 6 - give 1 (worst) to 5 (best)"),
        (f"{HEAD}5000,ann,rain,0.9\n", "ratings.csv: line 2: the score is 0.9 - give 1 (worst) to 5 (best)"),
        (f"{HEAD}5000,ann,rain,nan\n", "ratings.csv: line 2: the score is nan - give 1 (worst) to 5 (best)"),
        (f"{HEAD}5000,ann,rain,good\n", "ratings.csv: line 2: the score is good - give 1 (worst) to 5 (best)"),
        (f"{HEAD}5000,ann,rain,\n", "ratings.csv: line 2: the score is nothing - give 1 (worst) to 5 (best)"),
        (f"{HEAD}5000,ann,,5\n", "ratings.csv: line 2: no clip is named - say which clip was heard"),
        (f"{HEAD}5000,ann,rain, soft,5\n", "ratings.csv: line 2: 5 values for 4 columns - the columns are checkpoint, rater, clip, score; quote a comma inside a value"),
        (f"{HEAD}5000,ann,rain,5\n5000,bo,rain,5\n5000,ann,rain,4\n", "ratings.csv: line 4: rain of step-0005000 is rated by ann already, line 2 - keep one, or say who else rated it"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(tmp_path, text, said):
    with pytest.raises(StageError) as caught:
        read(tmp_path, text)
    assert str(caught.value) == f"{tmp_path}/{said}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "no ratings"),
        ("{}", "not a list"),
        ("[", "damaged: "),
        ("[5]", "entry 1: not a mapping"),
        ('[{"checkpoint": "base", "clip": "a", "score": true}]', "entry 1: the score is True"),
        ('[{"checkpoint": "base", "clip": "a"}]', "entry 1 lacks score"),
    ],
)
def test_what_is_wrong_in_json_is_said_with_its_entry(tmp_path, text, said):
    with pytest.raises(StageError) as caught:
        read(tmp_path, text, "ratings.json")
    assert str(caught.value).startswith(f"{tmp_path}/ratings.json: {said}")


def test_a_missing_or_unreadable_file_is_named(tmp_path):
    with pytest.raises(StageError, match=r"gone.csv: there is no such file - write it, or set"):
        read_ratings(tmp_path / "gone.csv", STEPS)
    (tmp_path / "latin.csv").write_bytes(HEAD.encode() + b"5000,ann,caf\xe9,5\n")
    with pytest.raises(StageError, match=r"latin.csv: cannot be read: .* - save it as UTF-8"):
        read_ratings(tmp_path / "latin.csv", STEPS)


def test_only_what_a_person_said_of_every_rated_checkpoint_counts():
    ratings = [
        Rating("one", "ann", "rain", 5), Rating("two", "ann", "rain", 3),
        Rating("one", "bo", "rain", 2), Rating("two", "bo", "rain", 4),
        Rating("one", "ann", "jazz", 4), Rating("two", "ann", "jazz", 2),
        Rating("one", "bo", "jazz", 1),  # bo did not hear two's
        Rating("two", "cy", "snow", 5),
    ]  # fmt: skip
    scores, counted = shared_scores(ratings)
    assert scores == {"one": {"jazz": 4.0, "rain": 3.5}, "two": {"jazz": 2.0, "rain": 3.5}}
    assert counted == 6


def test_nothing_shared_is_nothing():
    assert shared_scores([Rating("one", "", "a", 5), Rating("two", "", "b", 5)]) == ({}, 0)
    assert shared_scores([]) == ({}, 0)
