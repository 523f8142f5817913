from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile

from lofi_engine.data.descriptions import read_descriptions
from lofi_engine.stages import curate, describe
from lofi_engine.styles.captions import VARIANTS
from lofi_runtime.errors import StyleError
from lofi_runtime.styles.lint import lint_prompt
from lofi_runtime.styles.taxonomy import load_styles, shipped_styles
from lofi_runtime.styles.vocabulary import load_vocabulary
from tests.support.audio_folder import LIMITS, tune
from tests.support.recipes import make_recipe
from tests.support.stage_runs import run_stage

STYLES = {
    "house.wav": ["CORE-04"],
    "given.wav": ["CORE-02"],
    "sung.wav": ["CORE-01"],
    "japanese.wav": ["VOCAL-02", "THEME-05"],
    "humming.wav": ["VOCAL-05"],
    "nobody.wav": [],
    "odd.wav": ["CORE-01"],
}


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    home = tmp_path_factory.mktemp("described")
    raw = home / "raw"
    raw.mkdir()
    for seed, name in enumerate(STYLES):
        tempo_bpm = 115.0 if name == "house.wav" else 80.0
        sound = tune(6.0, 44_100, seed=seed, tempo_bpm=tempo_bpm)
        soundfile.write(raw / name, sound, 44_100)
    (raw / "given_prompt.txt").write_text("jazz lofi,\n smooth,piano\n")
    (raw / "odd_prompt.txt").write_text("rodes, winter, summer, slow tempo, 120 bpm, qwxz\n")
    (raw / "sung_lyrics.txt").write_text("[Verse]\nCity lights blur\n\n")
    (raw / "sources.json").write_text(
        json.dumps(
            [
                {
                    "filename": name,
                    "source": {"type": "own", "license": "cc0"},
                    "style_ids": style_ids,
                }
                for name, style_ids in STYLES.items()
            ]
        )
    )
    dataset = {
        "sources": [
            {"path": "raw", "ledger": "raw/sources.json"},
            {"synth": {"tracks": 1, "duration_sec": 6, "styles": ["SEASON-06"]}},
        ],
        "licenses": {"allow": ["cc0"]},
        "quality": {**LIMITS, "format": "flac"},
    }
    recipe = make_recipe(home, dataset=dataset)
    curated = run_stage(curate, recipe, home / "curate").work
    run = run_stage(describe, recipe, home / "describe", inputs={"curate": curated})
    by_track = {one.track: one for one in read_descriptions(run.work)}
    return SimpleNamespace(home=home, recipe=recipe, curated=curated, run=run, by_track=by_track)


def test_every_track_has_a_prompt_and_a_lyrics_file(described):
    for name, one in described.by_track.items():
        folder = described.run.work / "tracks"
        assert (folder / f"{name}_prompt.txt").read_text() == one.prompt
        assert (folder / f"{name}_lyrics.txt").read_text() == one.lyrics
    assert list(described.by_track) == [
        "given", "house", "humming", "japanese", "nobody", "odd", "sung", "synth_001",
    ]  # fmt: skip


def test_a_prompt_is_written_from_the_style_and_the_tempo_that_was_found(described):
    house = described.by_track["house"]
    assert house.tempo_bpm == pytest.approx(115, rel=0.03)
    assert house.prompt.startswith("lofi house, ")
    assert f", uptempo, {round(house.tempo_bpm)} bpm, " in house.prompt
    assert house.prompt.endswith(", instrumental")
    assert (house.prompt_from, house.key, house.style_ids) == ("style", "A minor", ("CORE-04",))
    assert house.duration_sec == 6.0


def test_a_prompt_that_came_with_the_track_is_used(described):
    given = described.by_track["given"]
    assert (given.prompt, given.prompt_from) == ("jazz lofi, smooth, piano", "sidecar")
    assert given.lyrics == "[Instrumental]"


def test_words_make_a_track_vocal_whatever_its_style(described):
    sung = described.by_track["sung"]
    assert sung.lyrics == "[Verse]\nCity lights blur"
    assert sung.prompt.endswith(", vocals")
    assert described.run.outcome.facts["with_words"] == 1


def test_vocal_styles_keep_their_own_kind_of_voice(described):
    assert described.by_track["japanese"].prompt.split(", ")[-1] in (
        "female japanese vocals",
        "male japanese vocals",
    )
    assert described.by_track["humming"].prompt.split(", ")[-1] in ("humming", "wordless vocals")
    missing = [w for w in described.run.warnings if "has words, but there are none" in w]
    assert [warning.split(":")[0] for warning in missing] == ["raw/japanese.wav"]


def test_of_a_track_without_style_only_what_was_measured_is_said(described):
    nobody = described.by_track["nobody"]
    bpm = round(nobody.tempo_bpm)
    assert nobody.prompt == f"lofi, warm, {bpm} bpm, A minor, instrumental"
    assert nobody.brightness == "warm"
    assert nobody.prompt_from == "sound"
    assert any("1 tracks have no style (nobody is the first)" in w for w in described.run.warnings)


def test_what_is_odd_in_a_prompt_file_is_a_warning_and_the_file_is_kept(described):
    assert described.by_track["odd"].prompt == "rodes, winter, summer, slow tempo, 120 bpm, qwxz"
    (warning,) = [line for line in described.run.warnings if "its prompt file" in line]
    assert warning == (
        "raw/odd.wav: its prompt file: 'rodes' is not a known tag; did you mean 'rhodes'?; "
        "'qwxz' is not a known tag; 'winter' and 'summer' contradict each other (season); "
        "and 1 more"
    )


def test_lyrics_are_checked_and_their_languages_counted(described):
    assert "raw/sung.wav: its lyrics: [Verse] has 1 lines; 4 are usual" in described.run.warnings
    assert described.run.outcome.facts["lyric_lines_by_language"] == {"en": 1}
    assert described.run.outcome.facts["rhyme_schemes"] == {"none": 1}


def test_every_prompt_that_was_written_is_clean(described):
    words = load_vocabulary().with_styles(load_styles().values())
    for one in described.by_track.values():
        assert one.prompt_from == "sidecar" or lint_prompt(one.prompt, words) == ()


def test_captions_say_the_prompt_in_other_words(described):
    house = described.by_track["house"]
    assert set(house.captions) == set(VARIANTS)
    assert house.captions["simplified"] == "lofi house"
    assert f"tempo: {round(house.tempo_bpm)} bpm" in house.captions["analysis"]
    for one in described.by_track.values():
        assert one.prompt not in one.captions.values()


def test_what_a_listener_said_is_in_the_prompt_known_word_or_not(tmp_path):
    (tmp_path / "raw").mkdir()
    rows = []
    for seed, (name, style_ids) in enumerate({"a.wav": ["CORE-01"], "b.wav": []}.items()):
        soundfile.write(tmp_path / "raw" / name, tune(5.0, 44_100, seed=seed), 44_100)
        review = {"tags": ["tape hiss", "grandma's attic"], "accepted": True}
        source = {"type": "own", "license": "cc0"}
        rows.append({"filename": name, "source": source, "style_ids": style_ids, "review": review})
    (tmp_path / "sources.json").write_text(json.dumps(rows))
    dataset = {
        "sources": [{"path": "raw", "ledger": "sources.json"}],
        "licenses": {"allow": ["cc0"]},
        "quality": {**LIMITS, "format": "flac"},
    }
    recipe = make_recipe(tmp_path, dataset=dataset)
    curated = run_stage(curate, recipe, tmp_path / "curate").work
    run = run_stage(describe, recipe, tmp_path / "describe", inputs={"curate": curated})
    for one in read_descriptions(run.work):
        assert {"tape hiss", "grandma's attic"} <= set(one.prompt.split(", "))


def test_a_second_style_adds_what_it_always_has(described):
    assert "city night" in described.by_track["japanese"].prompt.split(", ")


def test_of_a_synthesised_track_the_score_is_told(described):
    one = described.by_track["synth_001"]
    assert one.prompt_from == "synthesiser"
    assert one.key in one.prompt
    assert 62 <= one.tempo_bpm <= 80


def test_it_is_the_same_each_time_and_the_seed_decides(described, tmp_path):
    inputs = {"curate": described.curated}
    again = run_stage(describe, described.recipe, tmp_path / "a", inputs=inputs)
    assert again.files() == described.run.files()
    other = run_stage(describe, described.recipe, tmp_path / "b", inputs=inputs, seed=8)
    prompts = {one.track: one.prompt for one in read_descriptions(other.work)}
    assert prompts["house"] != described.by_track["house"].prompt
    assert prompts["given"] == described.by_track["given"].prompt


def test_a_style_the_taxonomy_lacks_is_an_error_not_another_style(described, tmp_path):
    shutil.copytree(shipped_styles(), tmp_path / "styles")
    (tmp_path / "styles" / "vocal.yaml").unlink()
    recipe = make_recipe(tmp_path, dataset={"styles": "styles"})
    with pytest.raises(StyleError, match=r"raw/humming\.wav: there is no style 'VOCAL-05'"):
        run_stage(describe, recipe, tmp_path / "run", inputs={"curate": described.curated})


def test_own_styles_are_a_source_of_the_stage(tmp_path):
    assert describe.sources(make_recipe(tmp_path)) == ()
    own = make_recipe(tmp_path, dataset={"styles": "mine"})
    assert describe.sources(own) == (Path(tmp_path / "mine"),)
