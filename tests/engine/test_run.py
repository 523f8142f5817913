from __future__ import annotations

import errno
import json
import subprocess
import sys
import textwrap

import pytest

from lofi_engine.artifact import RECORD_NAME
from lofi_engine.errors import StageError
from lofi_engine.events import Event
from lofi_engine.lookup import look_up
from lofi_engine.plan import plan
from lofi_engine.run import Choice, exclusive, plan_states, run, runs_folder
from tests.support.dummy_stages import PIPELINE, dummy_stages
from tests.support.recipes import make_recipe


def states_of(recipe, stages):
    planned = plan(recipe, stages, lambda _path: "missing", PIPELINE)
    return {state.stage.name: state for state in look_up(planned, runs_folder(recipe))}


def leftovers(recipe):
    return [path.name for path in runs_folder(recipe).glob("*/.*")]


def test_a_second_run_finds_everything_cached(tmp_path):
    recipe, stages = make_recipe(tmp_path), dummy_stages()
    first = run(recipe, stages, pipeline=PIPELINE)
    events: list[Event] = []
    second = run(recipe, stages, pipeline=PIPELINE, sink=events.append)
    assert [len(stage.runs) for stage in stages.values()] == [1, 1, 1]
    assert [event.kind for event in events] == ["cached"] * 3
    assert {name: one.content_hash for name, one in first.items()} == {
        name: one.content_hash for name, one in second.items()
    }


def test_stages_read_their_inputs_and_leave_a_record_written_last(tmp_path):
    recipe = make_recipe(tmp_path)
    artifacts = run(recipe, dummy_stages(), pipeline=PIPELINE)
    folder = artifacts["third"].folder
    assert folder.parent.parent == tmp_path / "runs" / "small"
    assert (folder / "said.txt").read_text() == "first:0\nfirst:0\nsecond:6\nthird:0\n"
    record = json.loads((folder / RECORD_NAME).read_text())
    assert record["content"]["facts"] == {"label": "third"}
    assert record["content"]["inputs"].keys() == {"first", "second"}
    assert record["measured"]["speed"] == 1
    assert record["recipe"]["text"] == recipe.text
    assert str(tmp_path) not in json.dumps(record["content"])


def test_a_changed_setting_runs_only_what_it_touches_and_says_why(tmp_path):
    stages = dummy_stages()
    run(make_recipe(tmp_path), stages, pipeline=PIPELINE)
    changed = make_recipe(tmp_path, training={"steps": 9})
    reasons = {name: state.reason for name, state in states_of(changed, stages).items()}
    assert reasons == {"first": "", "second": "steps 6 to 9", "third": "second changed"}
    run(changed, stages, pipeline=PIPELINE)
    assert [len(stage.runs) for stage in stages.values()] == [1, 2, 2]


def test_equal_work_has_equal_content_whatever_was_measured(tmp_path):
    recipe, stages = make_recipe(tmp_path), dummy_stages()
    before = run(recipe, stages, pipeline=PIPELINE)
    after = run(recipe, stages, pipeline=PIPELINE, choice=Choice(force=True))
    for name in PIPELINE:
        assert before[name].content_hash == after[name].content_hash
        assert before[name].measured["speed"] != after[name].measured["speed"]


def test_a_failing_stage_leaves_nothing_half_made_and_keeps_what_was_finished(tmp_path):
    recipe, stages = make_recipe(tmp_path), dummy_stages()

    def fail(_context):
        raise StageError("second: track 'a.mp3' is odd", hint="remove it")

    stages["second"].body = fail
    with pytest.raises(StageError, match=r"second: track 'a\.mp3' is odd - remove it"):
        run(recipe, stages, pipeline=PIPELINE)
    states = states_of(recipe, stages)
    assert [state.cached for state in states.values()] == [True, False, False]
    assert leftovers(recipe) == []
    stages["second"].body = None
    run(recipe, stages, pipeline=PIPELINE)
    assert [len(stage.runs) for stage in stages.values()] == [1, 2, 1]


def test_a_stage_keeps_its_own_progress_over_a_failure_and_loses_it_when_done(tmp_path):
    recipe, stages = make_recipe(tmp_path), dummy_stages()
    seen = []

    def step(context):
        seen.append(context.progress.is_dir())
        context.progress.mkdir(exist_ok=True)
        (context.progress / "unit").write_text("done")
        if len(seen) == 1:
            raise StageError("second: stopped", hint="run again")

    stages["second"].body = step
    with pytest.raises(StageError):
        run(recipe, stages, pipeline=PIPELINE)
    run(recipe, stages, pipeline=PIPELINE)
    assert seen == [False, True]
    assert leftovers(recipe) == []


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.bin"), "second: the disk is full"),
        (OSError("4096 requested and 0 written"), "the disk is full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "b.bin"), "second: cannot write here"),
    ],
)
def test_a_full_or_unwritable_disk_is_one_clear_sentence(tmp_path, error, sentence):
    recipe, stages = make_recipe(tmp_path), dummy_stages()

    def fail(_context):
        raise error

    stages["second"].body = fail
    with pytest.raises(StageError, match=sentence):
        run(recipe, stages, pipeline=PIPELINE)
    assert leftovers(recipe) == []


def test_a_bug_in_a_stage_is_not_dressed_up_as_a_user_error(tmp_path):
    recipe, stages = make_recipe(tmp_path), dummy_stages()

    def fail(_context):
        raise KeyError("oops")

    stages["first"].body = fail
    with pytest.raises(KeyError):
        run(recipe, stages, pipeline=PIPELINE)


def test_a_file_where_runs_should_be_is_named(tmp_path):
    recipe = make_recipe(tmp_path)
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(StageError, match=r"cannot write here: .*runs.*a file is in the way"):
        run(recipe, dummy_stages(), pipeline=PIPELINE)
    assert (tmp_path / "runs").read_text() == "in the way"


def test_two_runs_of_one_recipe_do_not_work_at_once(tmp_path):
    recipe = make_recipe(tmp_path)
    with (
        exclusive(runs_folder(recipe)),
        pytest.raises(StageError, match="another run of this recipe is working here"),
    ):
        run(recipe, dummy_stages(), pipeline=PIPELINE)


def test_only_runs_one_stage_and_refuses_when_its_input_is_unfinished(tmp_path):
    recipe, stages = make_recipe(tmp_path), dummy_stages()
    with pytest.raises(StageError, match="cannot run only third: first is not finished"):
        run(recipe, stages, pipeline=PIPELINE, choice=Choice(only=("third",)))
    run(recipe, stages, pipeline=PIPELINE, choice=Choice(only=("first",)))
    assert [len(stage.runs) for stage in stages.values()] == [1, 0, 0]


def test_start_from_runs_that_stage_and_all_after_it_again(tmp_path):
    recipe, stages = make_recipe(tmp_path), dummy_stages()
    run(recipe, stages, pipeline=PIPELINE)
    run(recipe, stages, pipeline=PIPELINE, choice=Choice(start_from="second"))
    assert [len(stage.runs) for stage in stages.values()] == [1, 2, 2]


def test_an_unknown_stage_is_refused_with_the_list_of_stages(tmp_path):
    with pytest.raises(StageError, match="'tran' is not a stage - stages are first, second, third"):
        run(
            make_recipe(tmp_path),
            dummy_stages(),
            pipeline=PIPELINE,
            choice=Choice(only=("tran",)),
        )


def test_a_damaged_artifact_is_made_again(tmp_path):
    recipe, stages = make_recipe(tmp_path), dummy_stages()
    artifacts = run(recipe, stages, pipeline=PIPELINE)
    (artifacts["first"].folder / "said.txt").write_text("cut")
    assert states_of(recipe, stages)["first"].reason == (
        "what it left is damaged: said.txt has 3 bytes, not 8"
    )
    (artifacts["second"].folder / RECORD_NAME).write_text("{")
    assert "is damaged" in states_of(recipe, stages)["second"].reason
    again = run(recipe, stages, pipeline=PIPELINE)
    assert again["first"].content_hash == artifacts["first"].content_hash


def test_planning_creates_no_folder(tmp_path):
    recipe = make_recipe(tmp_path)
    plan_states(recipe, dummy_stages(), PIPELINE)
    assert not (tmp_path / "runs").exists()


KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from lofi_engine.run import run
    from tests.support.dummy_stages import PIPELINE, dummy_stages
    from tests.support.recipes import make_recipe

    def die(event):
        if event.stage == sys.argv[2] and event.done == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    run(make_recipe(Path(sys.argv[1])), dummy_stages(), pipeline=PIPELINE, sink=die)
""")


@pytest.mark.parametrize("stage", list(PIPELINE))
def test_a_run_killed_inside_a_stage_leaves_nothing_that_looks_done(tmp_path, stage):
    recipe, stages = make_recipe(tmp_path / "killed"), dummy_stages()
    undisturbed = run(make_recipe(tmp_path / "whole"), dummy_stages(), pipeline=PIPELINE)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "killed"), stage], check=False
    )
    assert killed.returncode == -9
    assert not states_of(recipe, stages)[stage].cached
    finished = run(recipe, stages, pipeline=PIPELINE)
    assert leftovers(recipe) == []
    assert {name: (one.key, one.content_hash) for name, one in finished.items()} == {
        name: (one.key, one.content_hash) for name, one in undisturbed.items()
    }


def test_a_stage_is_told_how_many_processes_and_threads_it_may_use_and_its_key_is_not(tmp_path):
    stages, told = dummy_stages(), []
    stages["second"].body = lambda context: told.append((context.workers, context.threads))
    recipe = make_recipe(tmp_path, execution={"workers": 3, "threads": 2})
    run(recipe, stages, pipeline=PIPELINE)
    assert told == [(3, 2)]
    assert all(state.cached for state in states_of(make_recipe(tmp_path), stages).values())
