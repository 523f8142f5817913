"""`lofi-recipe base measure`: help, refusals, and a small measurement."""

from __future__ import annotations

from typer.testing import CliRunner

from lofi_engine.base_quality import run
from lofi_engine.base_quality.document import Document
from lofi_engine.base_quality.results import LOWER, Goal, Result, Row
from lofi_engine.cli.main import app
from lofi_engine.errors import StageError


def _base(*words):
    return CliRunner().invoke(app, ["base", *map(str, words)], standalone_mode=False)


def test_help_names_the_figures_and_ends_with_an_example():
    done = CliRunner().invoke(app, ["base", "measure", "--help"])
    assert done.exit_code == 0
    said = " ".join(done.stdout.split())
    assert "reconstruction,distance,tempo,classifiers,vocals,clean" in said
    assert "Example: lofi-recipe base measure builtin:lofi-nano" in said


def test_an_unknown_figure_a_missing_recipe_and_too_few_clips_are_refused(tmp_path):
    for words, text in (
        (["--only", "tempi"], "there is no figure 'tempi'"),
        (["--recipe", tmp_path / "none.yaml"], "none.yaml: cannot be read"),
        (["--clips", 2], "clips: 2 say nothing"),
        (["--card", tmp_path / "no.md"], "no.md: is no file"),
    ):
        done = _base("measure", "builtin:tiny", "--out", tmp_path / "out", *words)
        assert isinstance(done.exception, StageError)
        assert text in done.exception.message
    assert not (tmp_path / "out").exists()


def test_rows_are_printed_with_their_goals_and_the_page_is_named(tmp_path, monkeypatch):
    def measured(asked, on_progress):
        for done in range(21):
            on_progress("distance", done, 20, "generate generated")
        rows = (Row("distance", 12.5, goal=Goal(3.0, LOWER)), Row("other", None))
        results = {"distance": Result("distance", {}, rows)}
        return Document("tiny", "builtin:tiny@1", {}, asked.base, results)

    monkeypatch.setattr(run, "measure_base", measured)
    done = _base("measure", "builtin:tiny", "--out", tmp_path)
    assert done.return_value == 0
    assert done.stdout.splitlines() == [
        "distance: distance: 12.5 (goal missed)",
        "distance: other: not measured",
        f"{tmp_path / 'quality.md'}",
    ]
    assert done.stderr.splitlines()[:2] == [
        "distance: generate generated: 0/20",
        "distance: generate generated: 2/20",
    ]
    assert len(done.stderr.splitlines()) == 11
