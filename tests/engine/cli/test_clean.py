from __future__ import annotations

import pytest

from lofi_engine.cli.clean import run_clean
from lofi_engine.errors import StageError
from lofi_engine.recipe.load import load_recipe
from lofi_engine.run import exclusive, runs_folder
from tests.support.finished_stages import finish
from tests.support.recipes import write_recipe


def said(capsys, *arguments, **options):
    assert run_clean(*arguments, **options) == 0
    return capsys.readouterr().out.splitlines()


def everything_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture
def used(tmp_path):
    """A recipe with finished stages of an older form of it, of today's, and leftovers."""
    old = finish(write_recipe(tmp_path, training={"steps": 9}), "curate", "train")
    recipe = write_recipe(tmp_path)
    new = finish(recipe, "train")
    runs = tmp_path / "runs" / "small"
    leftovers = [
        runs / "train" / f".making-{new['train'].name}",
        runs / "train" / f".progress-{old['train'].name}",
        runs / "encode" / ".progress-0011223344556677",
    ]
    kept = [
        runs / "train" / f".progress-{new['train'].name}",
        runs / "notes" / "of-the-user",
        tmp_path / "published" / "small-int8",
    ]
    for place in (*leftovers, *kept):
        place.mkdir(parents=True)
        (place / "x.bin").write_bytes(b"\0" * 100_000)
    (runs / "train" / "read-me.txt").write_text("the user's")
    return recipe, [old["train"], *leftovers], [old["curate"], new["train"], *kept]


def test_only_what_the_recipe_no_longer_uses_is_removed(used, tmp_path, capsys):
    recipe, doomed, kept = used
    lines = said(capsys, recipe)
    assert not any(place.exists() for place in doomed)
    assert all(place.is_dir() for place in kept)
    assert (tmp_path / "runs" / "small" / "train" / "read-me.txt").is_file()
    assert lines[:-1] == sorted(place.relative_to(tmp_path).as_posix() for place in doomed)
    assert lines[-1] == "4 folders, 1.3 MB freed"


def test_what_is_kept_is_still_cached(used, capsys):
    from lofi_engine.run import plan_states
    from lofi_engine.stages.registry import STAGES

    recipe, _doomed, _kept = used
    said(capsys, recipe)
    cached = {s.stage.name for s in plan_states(load_recipe(recipe), STAGES) if s.cached}
    assert cached == {"curate", "train"}


def test_a_dry_run_says_the_same_and_removes_nothing(used, tmp_path, capsys):
    recipe, _doomed, _kept = used
    said(capsys, recipe, dry_run=True)  # the first call leaves its lock file
    before = everything_below(tmp_path)
    dry = said(capsys, recipe, dry_run=True)
    assert everything_below(tmp_path) == before
    assert dry[-1] == "4 folders, 1.3 MB would be freed"
    assert dry[:-1] == said(capsys, recipe)[:-1]


def test_everything_removes_the_current_artifacts_but_nothing_of_the_user_s(used, tmp_path, capsys):
    recipe, doomed, kept = used
    lines = said(capsys, recipe, everything=True)
    curate, train, progress, notes, published = kept
    assert not any(place.exists() for place in (*doomed, curate, train, progress))
    assert notes.is_dir()
    assert published.is_dir()
    assert lines[-1] == "7 folders, 3.4 MB freed"


def test_an_override_decides_what_is_in_use(used, capsys):
    recipe, doomed, kept = used
    said(capsys, recipe, ("training.steps=9",))
    assert doomed[0].is_dir()
    assert not kept[1].exists()


def test_cleaned_again_there_is_nothing_to_do(used, capsys):
    recipe, _doomed, _kept = used
    said(capsys, recipe)
    assert said(capsys, recipe) == ["0 folders, 0.0 MB freed"]


def test_a_recipe_that_never_ran_has_nothing_to_clean(tmp_path, capsys):
    recipe = write_recipe(tmp_path)
    assert said(capsys, recipe) == ["nothing to clean"]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("dry_run", [False, True])
def test_nothing_is_touched_while_a_run_is_at_work(used, tmp_path, capsys, dry_run):
    recipe, _doomed, _kept = used
    folder = runs_folder(load_recipe(recipe))
    with exclusive(folder):
        before = everything_below(tmp_path)
        with pytest.raises(StageError) as caught:
            run_clean(recipe, everything=True, dry_run=dry_run)
        assert everything_below(tmp_path) == before
    assert str(caught.value) == (
        f"{folder}: another run of this recipe is working here - wait for it to end, or stop it"
    )
    assert capsys.readouterr().out == ""


def test_a_recipe_named_without_its_folder_is_cleaned_too(used, tmp_path, capsys, monkeypatch):
    recipe, doomed, _kept = used
    monkeypatch.chdir(tmp_path)
    assert said(capsys, type(recipe)("recipe.yaml"))[-1] == "4 folders, 1.3 MB freed"
    assert not any(place.exists() for place in doomed)


def test_other_recipes_beside_it_are_left_alone(used, tmp_path, capsys):
    recipe, _doomed, _kept = used
    beside = tmp_path / "other.yaml"
    beside.write_text(recipe.read_text().replace("name: small", "name: other"))
    other = finish(beside, "curate")
    said(capsys, recipe, everything=True)
    assert other["curate"].is_dir()
