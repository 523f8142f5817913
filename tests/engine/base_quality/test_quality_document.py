"""Results are written and read back, kept while they hold, and shown with their goals."""

from __future__ import annotations

import json

import pytest

from lofi_engine.base_quality.document import FILE, Document
from lofi_engine.base_quality.figures import FIGURES, choose
from lofi_engine.base_quality.results import HIGHER, LOWER, Goal, Result, Row, marks_row, share_row
from lofi_engine.base_quality.settings import QualitySettings
from lofi_engine.base_quality.table import write_section, write_table
from lofi_engine.errors import StageError

ASKED = {"clips": 8, "seed": 0}


def _document(base: str = "builtin:tiny@1", **asked: int) -> Document:
    return Document("tiny", base, {**ASKED, **asked}, "lofi-recipe base measure builtin:tiny")


def _measured() -> Document:
    document = _document()
    goal = Goal(70.0, HIGHER)
    rows = (
        share_row("tempo within 5 %", 3, 8, beside={"chance": 10.0}, goal=goal),
        Row("distance | of *one*", None, note="refused: too few windows", goal=Goal(0.1, LOWER)),
    )
    document.results["tempo"] = Result("tempo", {**ASKED, "tempo_clips": 8}, rows, 1.5)
    return document


def test_what_was_written_is_read_back_for_the_same_base_and_settings(tmp_path):
    written = _measured()
    written.write(tmp_path)
    again = _document()
    again.go_on_with(tmp_path)
    assert again.results == written.results


def test_what_another_process_measured_meanwhile_is_kept_beside_ones_own(tmp_path):
    _measured().write(tmp_path)
    mine = _document()
    mine.results["tempo"] = Result("tempo", ASKED, (), 9.0)
    mine.results["clean"] = Result("clean", ASKED, ())
    mine.go_on_with(tmp_path)
    assert mine.results["tempo"].took_sec == 9.0
    mine.results.pop("tempo")
    mine.go_on_with(tmp_path)
    assert mine.results["tempo"].took_sec == 1.5
    assert "clean" in mine.results


def test_results_of_another_base_or_other_settings_are_not_kept(tmp_path):
    _measured().write(tmp_path)
    for other in (_document(base="sha256:1"), _document(clips=9)):
        other.go_on_with(tmp_path)
        assert other.results == {}


def test_a_file_that_is_no_record_is_named_and_not_replaced(tmp_path):
    (tmp_path / FILE).write_text("[]")
    with pytest.raises(StageError, match=r"quality\.json: is no record of a base's figures"):
        _document().go_on_with(tmp_path)
    assert (tmp_path / FILE).read_text() == "[]"


def test_no_value_is_no_number_in_json(tmp_path):
    _measured().write(tmp_path)
    read = json.loads((tmp_path / FILE).read_text())
    assert read["figures"]["tempo"]["rows"][1]["value"] is None


def test_the_table_says_value_interval_company_goal_and_count():
    page = write_table(_measured())
    assert "# Quality of tiny" in page
    line = next(line for line in page.splitlines() if "tempo within" in line)
    assert line == (
        "| tempo within 5 % | 38 % | 13.7 to 69.4 | chance 10 % | at least 70 %: missed | 8 clips |"
    )
    assert "| distance \\| of \\*one\\* (refused: too few windows) | – | – |  |" in page
    assert "clips 8, seed 0" in page
    assert "With tempo\\_clips 8." in page or "With tempo_clips 8." in page


def test_a_card_gets_the_same_table_one_heading_lower():
    section = write_section(_measured())
    assert section.startswith("## Quality\n\nMeasured on pieces")
    assert "\n### Tempo\n" in section
    assert "| tempo within 5 % | 38 % |" in section


def test_marks_that_are_all_alike_still_have_an_interval():
    row = marks_row("right", [1.0] * 10)
    assert row.value == 100.0
    assert row.low is not None
    assert 60.0 < row.low < 80.0
    assert row.high == 100.0


def test_a_goal_is_missed_by_what_could_not_be_measured():
    assert Row("x", None, goal=Goal(1.0, LOWER)).is_reached is False
    assert Row("x", 0.5, goal=Goal(1.0, LOWER)).is_reached is True
    assert Row("x", 0.5).is_reached is None


def test_figures_are_chosen_by_name_in_their_own_order():
    assert choose("") == tuple(FIGURES)
    assert choose("tempo, distance") == ("distance", "tempo")
    with pytest.raises(StageError, match="there is no figure 'tempi'") as refused:
        choose("tempi")
    assert "did you mean 'tempo'?" in refused.value.hint


def test_settings_out_of_range_are_named_with_what_is_allowed():
    with pytest.raises(StageError, match="clips: 3 say nothing, at least 8 are needed"):
        QualitySettings(clips=3)
    with pytest.raises(StageError, match="duration_sec: 90 is outside 5 to 60"):
        QualitySettings(duration_sec=90)
    with pytest.raises(StageError, match="inference_steps: 0 is outside 1 to 200"):
        QualitySettings(inference_steps=0)


def test_every_purpose_and_number_has_noise_of_its_own():
    settings = QualitySettings()
    seeds = {settings.noise_seed(purpose, number) for purpose in "ab" for number in range(50)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert QualitySettings(seed=1).noise_seed("a", 0) not in seeds
