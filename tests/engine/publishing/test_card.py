from __future__ import annotations

from dataclasses import replace

import yaml

from lofi_engine.publishing.card import model_card
from lofi_engine.recipe.model import Base
from tests.support.releases import RECIPE, make_measure, make_record, make_release

HUB = Base("ace-step-v1", "hf:ACE-Step/ACE-Step-v1-3.5B", "main", None)


def front_matter(card):
    _before, front, _rest = card.split("---\n", 2)
    return yaml.safe_load(front)


def rows(card, heading):
    """The cells of the table below a heading, without its two first lines."""
    part = card.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_front_matter_is_what_the_hub_reads():
    found = front_matter(model_card(make_release(base=HUB, license="cc-by-4.0")))
    assert found == {
        "license": "cc-by-4.0",
        "pipeline_tag": "text-to-audio",
        "library_name": "lofi-recipe",
        "base_model": "ACE-Step/ACE-Step-v1-3.5B",
        "tags": ["music-generation", "lofi", "lora", "onnx"],
    }


def test_an_embedded_base_is_no_base_model_and_is_said_to_play_noise():
    card = model_card(make_release())
    assert "base_model" not in front_matter(card)
    assert "tiny network with random weights" in card
    assert "random weights" not in model_card(make_release(base=HUB))


def test_a_card_on_the_nano_says_what_the_nano_was_taught_with():
    card = model_card(make_release(base=Base("ace-step-v1", "builtin:lofi-nano", "1", None)))
    assert "taught with this project's own synthesiser" in card
    assert "random weights" not in card


def test_every_variant_has_its_figures_in_a_row():
    assert rows(model_card(make_release()), "Variants") == [
        ["`lofi-small-fp16`", "3.3 MB", "98.8%", "0.0005", "-", "1.20, 1.32.0", "loads it"],
        [
            "`lofi-small-int8`",
            "3.3 MB",
            "98.8%",
            "0.0204",
            "0.50 (CPU)",
            "1.20, 1.32.0",
            "loads it",
        ],
    ]


def test_the_card_says_how_many_seeds_stand_behind_the_distance():
    assert "mean of 2 seeds at equal prompts and noise" in model_card(make_release())


FLOAT32_FAD = {
    "value": 1.2,
    "interval": {"low": 1.0, "high": 1.4, "confidence": 0.95, "resamples": 200, "drawn": "clips"},
    "n": 950,
    "counted": "windows",
    "against": "the held-out tracks",
    "reference_hash": "0123456789ab",
    "embedding": "lofi-sound-v1",
    "details": {
        "window_sec": 3.0, "hop_sec": 1.5, "clips": 50, "reference_windows": 1500,
        "reference_clips": 40,
    },
}  # fmt: skip
FLOAT32_CLAP = {
    **FLOAT32_FAD,
    "value": 0.31,
    "n": 50,
    "counted": "clips",
    "embedding": "clap:me/clap@1a2b3c4d",
    "details": {"window_sec": 10.0, "hop_sec": 5.0},
}


def heard(**metrics):
    """What measure found of a variant that was listened to."""
    measure = make_measure()
    for metric, (value, float32, relative, interval) in metrics.items():
        change = {"relative": relative, "relative_interval": interval}
        measure["quality"][metric] = {**float32, "value": value, "float32": float32}
        measure["quality"][metric]["change"] = change
    return measure


def test_what_was_heard_has_a_column_with_its_change_and_a_line_on_what_it_rests_on():
    measure = heard(
        fad=(1.23, FLOAT32_FAD, 0.025, [-0.01, 0.06]),
        clap=(0.3, FLOAT32_CLAP, -0.0323, [-0.05, -0.01]),
    )
    card = model_card(make_release(measures={"fp16": measure, "int8": measure}))
    (first, _second) = rows(card, "Variants")
    assert first[4:6] == ["1.23 (+2.5 %, -1 to +6 %)", "0.3 (-3.2 %, -5 to -1 %)"]
    for words in (
        "| FAD (change from float32) | CLAP score (change from float32) |",
        "in `lofi-sound-v1`, of 950 windows (of 3 s, one every 1.5 s; 50 clips) against the "
        "held-out tracks (1500 windows, 40 tracks, hash `0123456789ab`)",
        "float32's is 1.2 (95 % interval 1 to 1.4)",
        "by `clap:me/clap@1a2b3c4d`, mean of 50 clips (windows of 10 s, one every 5 s)",
        "by paired bootstrap over clips, 200 draws",
    ):
        assert words in card


def test_a_change_from_nothing_is_no_share():
    measure = heard(fad=(0.1, {**FLOAT32_FAD, "value": 0.0}, None, None))
    card = model_card(make_release(measures={"fp16": measure, "int8": measure}))
    assert rows(card, "Variants")[0][4] == "0.1"


def test_what_was_not_heard_is_not_spoken_of():
    card = model_card(make_release())
    assert "FAD" not in card
    assert "CLAP" not in card


def test_the_example_names_a_bundle_there_is():
    release = make_release(records={"int4": make_record("int4")}, measures={"int4": make_measure()})
    assert "--bundle lofi-small-int4 " in model_card(release)


def test_tracks_licences_and_credits_are_listed():
    card = model_card(make_release())
    assert "3 tracks, 1.50 hours." in card
    assert rows(card, "Training data") == [["cc-by-4.0", "1"], ["cc0", "2"]]
    assert "- Rain by A. Person, CC BY 4.0\n" in card
    assert "Attributions:" not in model_card(make_release(attributions=()))


def test_what_an_artist_is_called_stays_words():
    credit = "Rain by **A** <img src=x> [me](javascript:1) | B & C (https://a.org/b_c)"
    card = model_card(make_release(attributions=(credit, "# 1. fm", "1. FM")))
    assert (
        r"- Rain by \*\*A\*\* &lt;img src=x&gt; \[me\](javascript:1) \| B &amp; C "
        "(https://a.org/b_c)\n"
    ) in card
    assert "- \\# 1. fm\n- 1\\. FM\n" in card


def test_the_recipe_is_in_the_card_as_written_with_its_hash():
    release = make_release(git_revision="c0ffee0")
    card = model_card(release)
    assert f"```yaml\n{RECIPE}```\n" in card
    assert f"sha256 `{release.recipe_sha256}`, commit `c0ffee0`" in card
    assert ", commit" not in model_card(make_release())


def test_what_was_run_otherwise_than_the_recipe_says_stands_before_its_text():
    card = model_card(make_release(changes=("--set training.steps=60", "--set seed=7")))
    said = card.split("## Recipe\n")[1]
    assert "Run with changes, which hold where the text says otherwise:" in said
    assert said.index("- `--set training.steps=60`\n- `--set seed=7`\n") < said.index("```yaml")
    assert "Run with changes" not in model_card(make_release())


def test_a_rehearsal_says_so_in_its_first_line():
    card = model_card(make_release(is_rehearsal=True, changes=("a rehearsal: small",)))
    first = card.split("---\n", 2)[2].split("\n")[1]
    assert first.startswith("> **This is a rehearsal:**")
    assert "rehearsal" not in model_card(make_release())


def test_name_version_and_description_open_the_card():
    card = model_card(make_release())
    assert "# lofi-small 0.1.0\n\nSmall beats.\n" in card
    assert "A lofi music model made by one recipe." in model_card(make_release(description=""))


def test_the_same_release_gives_the_same_card():
    assert model_card(make_release()) == model_card(replace(make_release()))


def test_the_decoders_two_graphs_are_explained_where_every_variant_has_them():
    assert "transformer_decoder_step" not in model_card(make_release())
    sizes = {"transformer_context": 1, "transformer_decoder": 3, "transformer_decoder_step": 2}
    records = {"int8": make_record(sizes=sizes)}
    card = model_card(make_release(records=records, measures={"int8": make_measure()}))
    assert "`transformer_context.onnx` and `transformer_decoder_step.onnx`" in card
    assert "one file of weights" in card
