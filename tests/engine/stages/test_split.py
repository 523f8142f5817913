from __future__ import annotations

import json
from pathlib import Path

import pytest

from lofi_engine.data.descriptions import Description, write_descriptions
from lofi_engine.data.rows import Row, write_rows
from lofi_engine.stages import split
from tests.support.recipes import make_recipe
from tests.support.stage_runs import StageRun, run_stage


@pytest.fixture
def divide(tmp_path):
    """Run the stage on tracks given as a list of styles; equal sounds by number."""

    def run(
        styles: list[str],
        sounds: list[int] | None = None,
        share: float = 0.1,
        groups: list[str] | None = None,
    ) -> StageRun:
        curated, described = tmp_path / "curated", tmp_path / "described"
        for folder in (curated, described):
            folder.mkdir(exist_ok=True)
        names = [f"t{number:02d}" for number in range(len(styles))]
        sounds = sounds or list(range(len(styles)))
        refused = Row(source="raw/bad.wav", status="rejected", reason="silent")
        rows = [
            Row(
                source=f"raw/{name}.wav",
                status="accepted",
                track=name,
                audio_sha256=f"s{sound}",
                duplicate_group=group,
            )
            for name, sound, group in zip(names, sounds, groups or [""] * len(names), strict=True)
        ]
        write_rows(curated, [refused, *rows])
        write_descriptions(
            described,
            [
                Description(
                    name, "p", "[Instrumental]", 80.0, "", (style,) if style else (), 5.0, "style"
                )
                for name, style in zip(names, styles, strict=True)
            ],
        )
        recipe = make_recipe(tmp_path / "home", dataset={"holdout_share": share})
        inputs = {"curate": curated, "describe": described}
        number = len(list(tmp_path.iterdir()))
        return run_stage(split, recipe, tmp_path / f"run{number}", inputs=inputs)

    return run


def content(run: StageRun) -> dict[str, object]:
    return json.loads((Path(run.work) / "split.json").read_text())


def test_styles_with_enough_tracks_are_divided_by_style(divide):
    run = divide(["CORE-01"] * 10 + ["CORE-02"] * 20)
    found = content(run)
    assert found["by"] == "style"
    assert len([name for name in found["validation"] if name < "t10"]) == 1
    assert len([name for name in found["validation"] if name >= "t10"]) == 2
    assert sorted(found["train"] + found["validation"]) == [f"t{n:02d}" for n in range(30)]
    assert run.outcome.facts == {"train": 27, "validation": 3, "by": "style", "pooled_styles": []}
    assert run.warnings == []


def test_too_few_of_a_style_are_divided_overall_and_it_says_so(divide):
    run = divide(["CORE-01", "CORE-02", "CORE-03", "CORE-04", "", ""])
    assert content(run)["by"] == "overall"
    assert len(content(run)["validation"]) == 1
    assert run.warnings == [
        "no style has enough tracks to hold 10 % of it out; "
        "validation tracks were drawn from all of them together"
    ]


def test_a_mixture_names_the_styles_held_out_together(divide):
    run = divide(["CORE-01"] * 10 + ["CORE-02", "CORE-03"])
    assert content(run)["by"] == "style"
    assert run.warnings == ["styles with too few tracks were held out together: CORE-02, CORE-03"]


def test_one_track_has_no_validation_set_and_it_says_so(divide):
    run = divide(["CORE-01"])
    assert content(run) == {"train": ["t00"], "validation": [], "by": "overall"}
    assert run.warnings == ["no validation set: there is only one track to learn from"]
    assert len(content(divide(["CORE-01"] * 2))["validation"]) == 1


def test_a_share_of_nothing_holds_nothing_out(divide):
    run = divide(["CORE-01"] * 20, share=0)
    assert content(run)["validation"] == []
    assert run.warnings == ["no validation set: holdout_share is 0"]


def test_twins_stay_on_one_side_and_it_is_the_same_each_time(divide):
    sounds = [number // 2 for number in range(20)]
    first = divide(["CORE-01"] * 20, sounds, 0.2)
    held = {sounds[int(name[1:])] for name in content(first)["validation"]}
    learned = {sounds[int(name[1:])] for name in content(first)["train"]}
    assert not held & learned
    assert divide(["CORE-01"] * 20, sounds, 0.2).files() == first.files()


def test_near_duplicates_stay_on_one_side_whatever_their_styles(divide):
    groups = [f"t{number // 4 * 4:02d}" if number % 2 else "" for number in range(40)]
    for share in (0.1, 0.3, 0.5):
        run = divide(["CORE-01", "CORE-02", "CORE-02", "CORE-03"] * 10, share=share, groups=groups)
        sides = {
            side: {groups[int(name[1:])] for name in content(run)[side]} - {""}
            for side in ("train", "validation")
        }
        assert sides["train"]
        assert not sides["train"] & sides["validation"]
        assert len(content(run)["validation"]) == pytest.approx(40 * share, abs=2)


def test_nothing_on_disk_shapes_it_but_the_earlier_stages(tmp_path):
    assert split.sources(make_recipe(tmp_path)) == ()
