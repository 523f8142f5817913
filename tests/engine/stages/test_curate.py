from __future__ import annotations

import json
import multiprocessing
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from lofi_engine.audio.decode import decode
from lofi_engine.data.drafts import Policy, draft_synth
from lofi_engine.data.prepare import WORK_VERSION
from lofi_engine.data.rows import accepted_rows, read_rows
from lofi_engine.errors import StageError
from lofi_engine.recipe.model import Licenses, Quality, Recipe, Synth
from lofi_engine.stages import curate
from lofi_runtime.styles.taxonomy import load_styles
from lofi_runtime.synth import VERSION as SYNTH_VERSION
from tests.support.audio_folder import LIMITS, REASONS, make_audio_folder, tune
from tests.support.real_track import REAL_TRACK, needs_real_track
from tests.support.recipes import make_recipe
from tests.support.recordings import play
from tests.support.stage_runs import run_stage

OPEN = {"require_ai_training": False, "allow": ["cc0"]}


def recipe_of(home: Path, *sources: dict[str, Any], **changes: Any) -> Recipe:
    dataset: dict[str, Any] = {"sources": list(sources), "licenses": OPEN, "quality": dict(LIMITS)}
    return make_recipe(home, dataset={**dataset, **changes})


def ledger(folder: Path, entries: dict[str, dict[str, Any]], name: str = "sources.json") -> str:
    """Write a ledger of file name to changes of a good entry."""
    source = {"type": "commissioned", "license": "AI Training Rights", "artist": "Ann", "cost": 40}
    content = []
    for file, changes in entries.items():
        entry = {"filename": file, "source": {**source, **changes.get("source", {})}}
        content.append({**entry, **{k: v for k, v in changes.items() if k != "source"}})
    (folder / name).write_text(json.dumps(content))
    return name


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """The folder of all formats and faults, curated once."""
    home = tmp_path_factory.mktemp("mixed")
    make_audio_folder(home / "raw")
    recipe = recipe_of(home, {"path": "raw"})
    return SimpleNamespace(home=home, recipe=recipe, run=run_stage(curate, recipe, home / "once"))


def test_every_file_has_a_row_with_the_exact_reason(mixed):
    rows = {row.source.removeprefix("raw/"): row for row in read_rows(mixed.run.work)}
    assert {source: row.reason for source, row in rows.items()} == REASONS
    assert [row.source for row in read_rows(mixed.run.work)] == sorted(f"raw/{s}" for s in REASONS)
    for row in rows.values():
        assert row.status == ("rejected" if row.reason else "accepted")


def test_accepted_tracks_are_48_khz_stereo_at_the_wanted_peak(mixed):
    rows = accepted_rows(mixed.run.work)
    assert len(rows) == 10
    for row in rows:
        decoded = decode(mixed.run.work / row.file)
        assert (decoded.sample_rate, decoded.channels, decoded.format) == (48_000, 2, "MP3")
        assert decoded.duration_sec == pytest.approx(row.duration_sec, abs=0.06)
        peak_db = 20 * np.log10(np.abs(decoded.samples).max())
        assert peak_db == pytest.approx(-1.0, abs=0.5)


def test_sources_are_measured_before_any_gain(mixed):
    rows = {row.source: row.measurements for row in read_rows(mixed.run.work)}
    mono = rows["raw/copy of mono.wav"]
    assert (mono["sample_rate"], mono["channels"], mono["subtype"]) == (22_050, 1, "PCM_16")
    assert mono["peak_dbfs"] == pytest.approx(-7.9, abs=1)
    assert "bitrate_kbps" not in mono
    assert rows["raw/surround_48k.wav"]["channels"] == 6
    assert rows["raw/hires_96k.wav"]["bandwidth_hz"] > 40_000
    assert rows["raw/mp3_48k.mp3"]["bitrate_kbps"] == 320
    assert rows["raw/low_bitrate.mp3"]["bitrate_kbps"] == 32
    assert rows["raw/long.flac"]["duration_sec"] == 9.0
    assert rows["raw/silent.wav"]["silent"] == 1.0


def test_a_long_track_is_cut_and_noted(mixed):
    (row,) = [row for row in read_rows(mixed.run.work) if row.source == "raw/long.flac"]
    assert (row.duration_sec, row.notes) == (7.0, ("cut to its first 7 s",))
    assert "1 tracks have a note in ledger.json, the first is raw/long.flac: cut to" in str(
        mixed.run.warnings
    )


def test_texts_beside_a_track_are_kept_under_its_name(mixed):
    files = [file for file in mixed.run.files() if file.startswith("sidecars/")]
    assert files == ["sidecars/flac_44k_lyrics.txt", "sidecars/flac_44k_prompt.txt"]


def test_progress_is_told_for_every_file_by_name(mixed):
    progress = [event for event in mixed.run.events if event.kind == "progress"]
    assert [event.done for event in progress] == sorted(event.done for event in progress)
    assert (progress[-1].done, progress[-1].total, progress[-1].unit) == (23, 23, "tracks")
    told = {event.message for event in progress}
    assert "raw/mp3_48k.mp3" in told
    assert f"raw/short.wav: refused: {REASONS['short.wav']}" in told


def test_facts_count_what_is_there(mixed):
    facts = mixed.run.outcome.facts
    assert (facts["tracks"], facts["rejected"]) == (10, 13)
    assert facts["by_license"] == {"unknown": 10}


def test_no_output_names_a_place_on_this_machine(mixed):
    for path in mixed.run.work.rglob("*"):
        if path.is_file():
            assert str(mixed.home).encode() not in path.read_bytes()


class Killed(BaseException):
    pass


def test_after_a_kill_finished_tracks_are_kept_and_the_bytes_are_the_same(mixed, tmp_path):
    def die(event):
        if event.kind == "progress" and event.done >= 12:
            raise Killed

    progress = tmp_path / "progress"
    with pytest.raises(Killed):
        run_stage(curate, mixed.recipe, tmp_path / "killed", progress=progress, sink=die)
    kept = {path.name: path.stat().st_mtime_ns for path in (progress / "units").iterdir()}
    assert len(kept) >= 5
    (progress / "units" / "half.part123").mkdir()
    again = run_stage(curate, mixed.recipe, tmp_path / "again", progress=progress)
    assert again.files() == mixed.run.files()
    assert again.outcome == mixed.run.outcome
    assert "kept from before" in again.events[0].message
    for name, stamp in kept.items():
        assert (progress / "units" / name).stat().st_mtime_ns == stamp


@pytest.mark.parametrize("damaged", ["audio.mp3", "fingerprint.npy"])
def test_damaged_progress_is_made_again(damaged, tmp_path):
    (tmp_path / "raw").mkdir()
    soundfile.write(tmp_path / "raw" / "a.wav", tune(5.0, 44_100, seed=1), 44_100)
    recipe = recipe_of(tmp_path, {"path": "raw"})
    first = run_stage(curate, recipe, tmp_path / "first", progress=tmp_path / "progress")
    copy = first.files()
    shutil.rmtree(first.work)  # it shares its audio with the progress folder
    (file,) = (tmp_path / "progress").rglob(damaged)
    whole = file.read_bytes()
    file.write_bytes(whole[:20])
    second = run_stage(curate, recipe, tmp_path / "second", progress=tmp_path / "progress")
    assert second.files() == copy
    assert file.read_bytes() == whole


def test_a_worker_that_is_killed_costs_no_track(mixed, tmp_path):
    killed = []

    def kill(event):
        if event.kind == "progress" and event.done >= 20 and not killed:
            killed.append(multiprocessing.active_children()[0])
            killed[0].kill()

    run = run_stage(curate, mixed.recipe, tmp_path, sink=kill)
    assert killed
    assert run.files() == mixed.run.files()


def test_near_duplicates_are_refused_but_for_the_best_or_kept_as_a_group(tmp_path):
    (tmp_path / "raw").mkdir()
    song = play("CORE-02", 1, 12.0)
    made = {"b": song, "a": song[:, 2 * 48_000 :] * np.float32(0.5), "c": play("CORE-02", 2, 12.0)}
    for name, sound in made.items():
        soundfile.write(tmp_path / "raw" / f"{name}.wav", sound.T, 48_000)
    source, limits = {"path": "raw"}, {**LIMITS, "max_duration_sec": 15}

    def curated(place: str, **changes: Any) -> list[tuple[str, str, str]]:
        recipe = recipe_of(tmp_path, source, quality=limits, **changes)
        rows = read_rows(run_stage(curate, recipe, tmp_path / place).work)
        return [(row.track, row.duplicate_group, row.reason) for row in rows]

    reason = "near duplicate of 'raw/b.wav', which is kept: it lasts 12.0 s, this one 10.0 s"
    assert curated("one") == [("", "b", reason), ("b", "b", ""), ("c", "", "")]
    kept = [("a", "a", ""), ("b", "a", ""), ("c", "", "")]
    assert curated("all", duplicates="keep") == kept


def test_files_of_folders_called_alike_are_all_kept(tmp_path):
    folders = [tmp_path / place / "music" for place in ("x", "y", "z")]
    for seed, folder in enumerate(folders):
        folder.mkdir(parents=True)
        soundfile.write(folder / "a.wav", tune(5.0, 22_050, seed=seed), 22_050)
    recipe = recipe_of(tmp_path / "home", *({"path": str(folder)} for folder in folders))
    rows = accepted_rows(run_stage(curate, recipe, tmp_path / "run").work)
    assert len({row.file for row in rows}) == 3
    assert {row.source for row in rows} == {"music/a.wav"}


def test_flac_is_written_where_the_recipe_says_so(tmp_path):
    (tmp_path / "raw").mkdir()
    sound = tune(5.0, 48_000, seed=1)
    soundfile.write(tmp_path / "raw" / "a.wav", sound, 48_000, subtype="FLOAT")
    recipe = recipe_of(tmp_path, {"path": "raw"}, quality={**LIMITS, "format": "flac"})
    run = run_stage(curate, recipe, tmp_path / "run")
    (row,) = accepted_rows(run.work)
    decoded = decode(run.work / row.file)
    assert (row.file, decoded.format) == ("tracks/a.flac", "FLAC")
    scale = 10 ** (-1 / 20) / np.abs(sound).max()
    assert np.abs(decoded.samples - sound.T * scale).max() < 1e-6


def test_the_licence_policy_is_a_gate_and_the_ledgers_words_are_kept(tmp_path):
    raw = tmp_path / "raw"
    (raw / "deep").mkdir(parents=True)
    names = ("good.wav", "deep/by name.wav", "unlisted.wav", "nc.wav", "no right.wav")
    for seed, name in enumerate(names):
        soundfile.write(raw / name, tune(5.0, 22_050, seed=seed), 22_050)
    (raw / "text.mp3").write_text("words")
    ledger(
        raw,
        {
            "good.wav": {"style_ids": ["CORE-01", "THEME-03"]},
            "by name.wav": {"source": {"type": "creative-commons", "license": "CC0"}},
            "nc.wav": {"source": {"license": "CC BY-NC 4.0", "ai_training": True}},
            "no right.wav": {"source": {"license": "CC BY 4.0"}},
            "gone.wav": {},
        },
    )
    recipe = recipe_of(
        tmp_path,
        {"path": "raw", "ledger": "raw/sources.json"},
        licenses={"require_ai_training": True, "allow": ["commissioned", "cc0", "cc-by-4.0"]},
    )
    run = run_stage(curate, recipe, tmp_path / "run")
    rows = {row.source: row for row in read_rows(run.work)}
    allowed = "(allowed: commissioned, cc0, cc-by-4.0)"
    assert {source: row.reason for source, row in rows.items()} == {
        "raw/deep/by name.wav": "",
        "raw/good.wav": "",
        "raw/nc.wav": f"licence 'cc-by-nc-4.0' is not allowed {allowed}",
        "raw/no right.wav": "no AI-training right recorded for licence 'cc-by-4.0'",
        "raw/text.mp3": "no licence entry in sources.json; no audio can be decoded from it "
        "(nothing in it is audio)",
        "raw/unlisted.wav": "no licence entry in sources.json",
        "gone.wav": "sources.json has an entry for it, and no file is meant by it",
    }
    assert rows["gone.wav"].status == "missing"
    assert (run.outcome.facts["rejected"], run.outcome.facts["missing"]) == (4, 1)
    good = rows["raw/good.wav"]
    assert (good.license, good.type, good.ai_training) == (
        "ai-training-rights",
        "commissioned",
        True,
    )
    assert (good.style_ids, good.artist, good.cost_usd) == (("CORE-01", "THEME-03"), "Ann", 40.0)
    assert rows["raw/nc.wav"].measurements["duration_sec"] == 5.0
    assert "sources.json: 1 of 5 entries mean no file: 'gone.wav'" in run.warnings
    assert run.outcome.facts["cost_usd"] == 80.0
    assert run.outcome.facts["by_style"] == {"CORE-01": 1, "THEME-03": 1}


def test_a_ledger_shared_by_two_sources_licenses_each_file_by_itself(tmp_path):
    for seed, folder in enumerate(("one", "two", "three")):
        (tmp_path / "raw" / folder).mkdir(parents=True)
        soundfile.write(tmp_path / "raw" / folder / "a.wav", tune(5.0, 22_050, seed=seed), 22_050)
    soundfile.write(tmp_path / "raw" / "two" / "b.wav", tune(5.0, 22_050, seed=9), 22_050)
    ledger(tmp_path, {"raw/one/a.wav": {}, "a.wav": {}, "b.wav": {}, "x.wav": {}, "y.wav": {}})
    (tmp_path / "raw" / "link.json").symlink_to("../sources.json")
    recipe = recipe_of(
        tmp_path,
        {"path": "raw/one", "ledger": "sources.json"},
        {"path": "raw/two", "ledger": "./raw/../sources.json"},
        {"path": "raw/three", "ledger": "raw/link.json"},
        licenses={"require_ai_training": True, "allow": ["commissioned"]},
    )
    run = run_stage(curate, recipe, tmp_path / "run")
    unclear = (
        "the entry 'a.wav' in sources.json could mean 'raw/one/a.wav' or 'raw/three/a.wav' or "
        "'raw/two/a.wav'; write its path there"
    )
    assert {row.source: row.reason for row in read_rows(run.work) if row.status != "missing"} == {
        "raw/one/a.wav": "",
        "raw/two/a.wav": unclear,
        "raw/two/b.wav": "",
        "raw/three/a.wav": unclear,
    }
    told = [line for line in run.warnings if "entries" in line and "refused" not in line]
    assert told == ["sources.json: 2 of 5 entries mean no file: 'x.wav', 'y.wav'"]
    assert run.outcome.facts["cost_usd"] == 80.0


def test_an_unclear_entry_refuses_also_where_no_licence_is_needed(tmp_path):
    for seed, folder in enumerate(("one", "two")):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "a.wav", tune(5.0, 22_050, seed=seed), 22_050)
    soundfile.write(tmp_path / "two" / "b.wav", tune(5.0, 22_050, seed=9), 22_050)
    ledger(tmp_path, {"a.wav": {"source": {"license": "cc0"}}})
    named = [{"path": folder, "ledger": "sources.json"} for folder in ("one", "two")]
    run = run_stage(curate, recipe_of(tmp_path, *named), tmp_path / "run")
    accepted = [row.source for row in accepted_rows(run.work)]
    assert accepted == ["two/b.wav"]


def test_names_in_any_encoding_reach_the_ledger_and_back(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    soundfile.write(raw / "good.wav", tune(5.0, 22_050, seed=1), 22_050)
    (raw / "夜.txt").touch()
    soundfile.write(bytes(raw) + b"/caf\xe9.wav", tune(5.0, 22_050, seed=2), 22_050)
    with open(bytes(raw) + b"/caf\xe9_prompt.txt", "wb") as file:
        file.write(b"lofi, rain")
    run = run_stage(curate, recipe_of(tmp_path, {"path": "raw"}), tmp_path / "run")
    rows = {row.source: row for row in read_rows(run.work)}
    assert set(rows) == {"raw/good.wav", "raw/夜.txt", "raw/caf\\udce9.wav"}
    odd = rows["raw/caf\\udce9.wav"]
    assert (odd.reason, odd.track, odd.sidecars) == ("", "caf", ("prompt",))
    assert decode(run.work / odd.file).duration_sec == pytest.approx(5.0, abs=0.1)


def test_copies_of_which_other_stretches_are_kept_are_one_recording(tmp_path):
    sound = play("CORE-01", 3, 40.0)
    (tmp_path / "raw").mkdir()
    for name, loud in (("early.wav", slice(0, 12)), ("late.wav", slice(28, 40))):
        gain = np.full(40, 0.2)
        gain[loud] = 1.0
        ridden = sound.T * gain.repeat(48_000)[: sound.shape[1], None]
        soundfile.write(tmp_path / "raw" / name, ridden, 48_000)
    limits = {**LIMITS, "max_duration_sec": 12, "window": "best", "format": "flac"}
    recipe = recipe_of(tmp_path, {"path": "raw"}, quality=limits)
    one, other = read_rows(run_stage(curate, recipe, tmp_path / "run").work)
    kept, refused = sorted((one, other), key=lambda row: row.reason)
    assert refused.reason.startswith(f"near duplicate of '{kept.source}'")
    both = recipe_of(tmp_path, {"path": "raw"}, quality=limits, duplicates="keep")
    notes = [row.notes[0] for row in read_rows(run_stage(curate, both, tmp_path / "both").work)]
    early, late = (int(re.findall(r"from (\d+) s on", f"{note} from 0 s on")[0]) for note in notes)
    assert late - early >= 12


def test_targets_shape_no_key_and_versions_do(tmp_path):
    synth = {"synth": {"tracks": 2, "duration_sec": 5}}
    plain = curate.settings(recipe_of(tmp_path, synth))
    hopes = recipe_of(tmp_path, synth, target_tracks=10, budget={"max_usd": 5})
    assert curate.settings(hopes) == plain
    assert plain.work_version == WORK_VERSION
    assert plain.synth_version == SYNTH_VERSION
    assert curate.settings(recipe_of(tmp_path, {"path": "raw"})).synth_version is None


def test_a_style_that_does_not_exist_refuses_its_track_and_no_other(tmp_path):
    (tmp_path / "raw").mkdir()
    for seed, name in enumerate("ab"):
        soundfile.write(tmp_path / "raw" / f"{name}.wav", tune(5.0, 22_050, seed=seed), 22_050)
    ledger(tmp_path, {"a.wav": {"style_ids": ["CORE-01", "CORE-99"]}, "b.wav": {}})
    recipe = recipe_of(
        tmp_path,
        {"path": "raw", "ledger": "sources.json"},
        licenses={"require_ai_training": True, "allow": ["commissioned"]},
    )
    first, second = read_rows(run_stage(curate, recipe, tmp_path / "run").work)
    assert first.reason.startswith("there is no style 'CORE-99' - did you mean CORE-0")
    assert (second.reason, second.style_ids) == ("", ())


def test_no_usable_track_ends_the_run_with_a_line_for_every_file(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "text.mp3").write_text("words")
    soundfile.write(raw / "short.wav", tune(1.0, 22_050, seed=1), 22_050)
    with pytest.raises(StageError) as ended:
        run_stage(curate, recipe_of(tmp_path, {"path": "raw"}), tmp_path / "run")
    assert str(ended.value).splitlines() == [
        "none of the 2 files can be used:",
        "  raw/short.wav: too short: 1.0 s, at least 4 s are needed",
        "  raw/text.mp3: no audio can be decoded from it (nothing in it is audio)",
    ]
    assert not (tmp_path / "run" / "work" / "ledger.json").exists()


def test_missing_and_empty_folders_end_the_run_by_name(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(StageError, match="the folder 'gone' is not there - put the tracks there"):
        run_stage(curate, recipe_of(tmp_path / "a", {"path": "gone"}), tmp_path / "run1")
    with pytest.raises(StageError, match=r"the folder '\.\./empty' holds no files"):
        run_stage(curate, recipe_of(tmp_path / "a", {"path": "../empty"}), tmp_path / "run2")
    (tmp_path / "void").mkdir()
    both = recipe_of(tmp_path / "a", {"path": "../empty"}, {"path": "../void"})
    with pytest.raises(StageError, match=r"'\.\./empty', '\.\./void' hold no files - put WAV"):
        run_stage(curate, both, tmp_path / "run3")


def test_an_empty_folder_beside_a_full_one_is_a_warning(tmp_path):
    for name in ("full", "empty", "void"):
        (tmp_path / name).mkdir()
    soundfile.write(tmp_path / "full" / "a.wav", tune(5.0, 22_050, seed=1), 22_050)
    sources = [{"path": name} for name in ("empty", "full", "void")]
    run = run_stage(curate, recipe_of(tmp_path, *sources), tmp_path / "run")
    assert [row.source for row in read_rows(run.work)] == ["full/a.wav"]
    assert "dataset.sources: 'empty', 'void' hold no files" in run.warnings
    synth = recipe_of(tmp_path, {"path": "empty"}, {"synth": {"tracks": 1, "duration_sec": 5}})
    made = run_stage(curate, synth, tmp_path / "run2")
    assert made.warnings[0] == "dataset.sources: the folder 'empty' holds no files"


def test_an_absolute_source_is_named_by_its_folder_alone(tmp_path):
    raw = tmp_path / "elsewhere" / "music"
    raw.mkdir(parents=True)
    soundfile.write(raw / "a.wav", tune(5.0, 22_050, seed=1), 22_050)
    recipe = recipe_of(tmp_path / "home", {"path": str(raw)})
    run = run_stage(curate, recipe, tmp_path / "run")
    assert [row.source for row in read_rows(run.work)] == ["music/a.wav"]


def test_tracks_are_synthesised_with_the_styles_in_turn(tmp_path):
    synth = {"tracks": 2, "duration_sec": 5, "styles": ["CORE-01", "VOCAL-05"]}
    recipe = recipe_of(tmp_path, {"synth": synth})
    run = run_stage(curate, recipe, tmp_path / "one")
    rows = accepted_rows(run.work)
    named = [(row.source, row.track, row.style_ids) for row in rows]
    assert named == [
        ("synth/synth_001", "synth_001", ("CORE-01",)),
        ("synth/synth_002", "synth_002", ("VOCAL-05",)),
    ]
    assert {(row.license, row.type, row.ai_training) for row in rows} == {
        ("cc0", "synthesised", True)
    }
    assert rows[0].score["key"]
    assert "bpm" in rows[0].score["prompt"]
    assert run_stage(curate, recipe, tmp_path / "two").files() == run.files()


def test_the_seed_decides_what_is_synthesised():
    policy = Policy(Licenses(True, ("cc0",)), Quality(**LIMITS), load_styles())

    def requests(seed: int) -> list[str]:
        return [draft.sha256 for draft in draft_synth(seed, Synth(50, 5.0, ()), policy, 1)]

    assert requests(1) == requests(1)
    assert len({*requests(1), *requests(2)}) == 100


def test_synthesised_tracks_keep_to_the_policy_too():
    policy = Policy(Licenses(True, ("cc-by-4.0",)), Quality(**LIMITS), load_styles())
    (draft,) = draft_synth(1, Synth(1, 5.0, ("CORE-01",)), policy, 1)
    assert draft.refusals == ("licence 'cc0' is not allowed (allowed: cc-by-4.0)",)
    assert draft.job is None


def test_folders_ledgers_and_own_styles_are_the_stages_sources(tmp_path):
    recipe = recipe_of(
        tmp_path,
        {"path": "raw", "ledger": "meta/sources.json"},
        {"synth": {"tracks": 1, "duration_sec": 5}},
    )
    assert curate.sources(recipe) == (tmp_path / "raw", tmp_path / "meta/sources.json")
    own = recipe_of(tmp_path, {"path": "raw"}, styles="mine")
    assert curate.sources(own) == (tmp_path / "raw", tmp_path / "mine")
    assert curate.settings(recipe).styles.shipped_hash
    assert not curate.settings(own).styles.shipped_hash


@needs_real_track
def test_a_real_track_passes_with_its_texts(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for path in REAL_TRACK.parent.glob("test_track_001*"):
        shutil.copy(path, raw)
    recipe = recipe_of(
        tmp_path,
        {"path": "raw"},
        quality={**LIMITS, "max_duration_sec": 20, "min_bitrate_kbps": 128},
    )
    run = run_stage(curate, recipe, tmp_path / "run")
    (row,) = read_rows(run.work)
    assert (row.track, row.duration_sec, row.reason) == ("test_track_001", 20.0, "")
    assert row.sidecars == ("prompt", "lyrics")
