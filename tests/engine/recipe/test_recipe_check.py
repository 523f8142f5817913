# ruff: noqa: E501 - a table reads best with one case a line
import pytest

from tests.support.recipe_texts import GOOD, changed, complaints

FOLDER = "- {path: a, ledger: b}"
SYNTH = "- synth: {tracks: 4}"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("builtin:tiny", "builtin:tinny", "5:10: base.model: 'builtin:tinny' does not exist (builtin:tiny or builtin:lofi-nano); did you mean 'builtin:tiny'?"),
        ("builtin:tiny", "builtin:lofi-nano", None),
        ("builtin:tiny", "hf:ACE-Step/ACE-Step-v1-3.5B", None),
        ("builtin:tiny", "hf:ACE-Step", "5:10: base.model: 'hf:ACE-Step' is not a place on the Hub; write hf:owner/name"),
        ("builtin:tiny", "hf:a/b/c", "5:10: base.model: 'hf:a/b/c' is not a place on the Hub; write hf:owner/name"),
        ("builtin:tiny", "https://example.org/a/b", "5:10: base.model: 'https://example.org/a/b' is an address; write hf:owner/name, or a folder"),
        ("builtin:tiny", "../models/base", None),
        ("builtin:tiny", "~/models/base", "5:10: base.model: '~/models/base': '~' and '$' mean nothing in a recipe; write the path out"),
        ("builtin:tiny", "builtin:tiny\n  lyric_vocabulary: hf:a/b", "6:21: base.lyric_vocabulary: 'hf:a/b' is not a place on the Hub; write hf:owner/name/FILE"),
        ("builtin:tiny", "builtin:tiny\n  lyric_vocabulary: hf:a/b/c/vocab.json", None),
        ("to: published", "to: hf:willibrandon/lofi-models", None),
        ("to: published", "to: hf:lofi-models", "17:7: publish.to: 'hf:lofi-models' is not a place on the Hub; write hf:owner/name"),
        ("to: published", "to: builtin:x", "17:7: publish.to: 'builtin:x' is only a base; write hf:owner/name, or a path"),
        ("to: published", "to: $HOME/x", "17:7: publish.to: '$HOME/x': '~' and '$' mean nothing in a recipe; write the path out"),
        ("to: published", "to: ./a/../runs/x", "17:7: publish.to: './a/../runs/x' lies inside runs/, which `lofi-recipe clean` empties; choose another folder"),
        ("to: published", "to: runs", "17:7: publish.to: 'runs' lies inside runs/, which `lofi-recipe clean` empties; choose another folder"),
        ("to: published", "to: ../runs/x", None),
        ("to: published", "to: runs-published", None),
        (SYNTH, FOLDER, None),
        (SYNTH, "- {path: ., ledger: b}", "8:14: dataset.sources[0].path: '.' contains runs/, where every stage writes; keep the tracks in a folder of their own"),
        (SYNTH, "- {path: runs/x/tracks, ledger: b}", "8:14: dataset.sources[0].path: 'runs/x/tracks' lies in runs/, where every stage writes; keep the tracks in a folder of their own"),
        (SYNTH, "- {path: a/../runs/, ledger: b}", "8:14: dataset.sources[0].path: 'a/../runs/' is runs/, where every stage writes; keep the tracks in a folder of their own"),
        (SYNTH, "- {path: ./published, ledger: b}", "8:14: dataset.sources[0].path: './published' is publish.to ('published'), where the variants go; keep the tracks in a folder of their own"),
        (SYNTH, "- {path: published/x, ledger: b}", "8:14: dataset.sources[0].path: 'published/x' lies in publish.to ('published'), where the variants go; keep the tracks in a folder of their own"),
        (SYNTH, "- {path: .., ledger: b}", "8:14: dataset.sources[0].path: '..' contains runs/, where every stage writes; keep the tracks in a folder of their own"),
        (SYNTH, "- {path: publish, ledger: b}", None),
        (SYNTH, "- {path: runs-of-mine, ledger: b}", None),
        (SYNTH, "- {path: ../tracks, ledger: b}", None),
        ("int8: {", "lora: {", "15:3: variants.lora: is the name of the adapter's own folder; choose another"),
        ("int8: {", "float32: {", "15:3: variants.float32: is the name of the reference of every measure; choose another"),
        ("int8: {", "lora-int8: {", None),
        ("{weights: int8}", "{weights: int8, method: hqq}", "15:33: variants.int8.method: 'hqq' is for the weights an int8 variant lowers to 4 bits to keep its max_bytes; add max_bytes or remove it"),
        ("{weights: int8}", "{weights: int8, method: hqq, max_bytes: 2e9}", None),
        (SYNTH, "- {path: a}", "8:7: dataset.sources[0].ledger: is missing (licenses.require_ai_training is true, so every track needs a row)"),
        (SYNTH, "- {path: a}\n  licenses: {require_ai_training: false}", None),
        (SYNTH, "- {synth: {tracks: 4}, ledger: b}", "8:28: dataset.sources[0].ledger: belongs to a folder; the synthesiser's tracks need no ledger, remove it"),
        (SYNTH, f"{FOLDER}\n    {FOLDER.replace('a,', './a/,')}", "9:14: dataset.sources[1].path: './a/' is sources[0] already; keep one"),
        (SYNTH, f"{SYNTH}\n  licenses: {{allow: [cc-by-4.0]}}", "8:7: dataset.sources[0].synth: its tracks are cc0 and would be refused; add cc0 to dataset.licenses.allow"),
        (SYNTH, "- synth: {tracks: 4, duration_sec: 20}", "8:40: dataset.sources[0].synth.duration_sec: 20 would be refused: dataset.quality takes 30 to 180 s"),
        (SYNTH, "- synth: {tracks: 4, duration_sec: 20}\n  quality: {min_duration_sec: 20}", None),
        (SYNTH, f"{SYNTH}\n  quality: {{min_duration_sec: 40, max_duration_sec: 20}}", "9:31: dataset.quality.min_duration_sec: min_duration_sec (40) is more than max_duration_sec (20)"),
        (SYNTH, f"{SYNTH}\n  quality: {{max_duration_sec: 20}}", "9:31: dataset.quality.max_duration_sec: min_duration_sec (30) is more than max_duration_sec (20)"),
        ("steps: 10", "steps: 10\n  warmup_steps: 11", "13:17: training.warmup_steps: 11 is more than training.steps (10)"),
        ("steps: 10", "steps: 10\n  warmup_steps: 10", None),
        ("steps: 10", "steps: 10\nselect: {weights: {held_out_loss: 0}}", "13:19: select.weights: all are 0, so nothing can be chosen; raise held_out_loss, fad, prompt or ratings"),
        ("steps: 10", "steps: 10\nselect: {weights: {held_out_loss: 0, fad: 1}}", None),
        ("steps: 10", "steps: 10\nselect: {weights: {prompt: 1}}", "13:28: select.weights.prompt: counts, but select.clap is missing; add it or set this to 0"),
        ("steps: 10", "steps: 10\nselect: {weights: {prompt: 1}, clap: hf:a/b}", None),
        ("steps: 10", "steps: 10\nselect: {weights: {fad: 1}, clap: hf:a/b@main}", None),
        ("steps: 10", "steps: 10\nselect: {weights: {fad: 1}, clap: hf:a}", "13:35: select.clap: 'hf:a' is not a place on the Hub; write hf:owner/name"),
        ("steps: 10", "steps: 10\nselect: {clap: clap}", "13:10: select.clap: listens to no clip, for none is rendered while select.weights.prompt and select.weights.fad are 0; raise one or remove it"),
        ("steps: 10", "steps: 10\nselect: {weights: {ratings: 1}}", "13:29: select.weights.ratings: counts, but select.ratings is missing; add it or set this to 0"),
        ("steps: 10", "steps: 10\nselect: {ratings: heard/by-us.csv}", None),
        ("steps: 10", "steps: 10\nselect: {ratings: heard.txt}", "13:19: select.ratings: 'heard.txt' is not a ratings file; name one that ends in .csv or .json"),
        ("steps: 10", "steps: 10\nselect: {ratings: ~/heard.csv}", "13:19: select.ratings: '~/heard.csv': '~' and '$' mean nothing in a recipe; write the path out"),
        ("steps: 10", "steps: 10\nselect: {weights: {fad: -1}}", "13:25: select.weights.fad: -1 is less than the minimum of 0"),
        (f"{SYNTH}\nlora", f"{SYNTH}\n  holdout_share: 0\nselect: {{weights: {{fad: 1}}}}\nlora", "10:25: select.weights.fad: needs held-out tracks; raise dataset.holdout_share or set this to 0"),
        ("{weights: fp16}", "{weights: fp16, keep_fp16: []}", "14:25: variants.fp16.keep_fp16: is only for int8 and int4; remove it"),
        ("{weights: fp16}", "{weights: fp16, method: awq}", "14:25: variants.fp16.method: is only for int8 and int4; remove it"),
        ("{weights: fp16}", "{weights: fp16, max_bytes: 7e9}", None),
        ("{weights: int8}", "{weights: int8, method: awq}", "15:33: variants.int8.method: 'awq' is for the weights an int8 variant lowers to 4 bits to keep its max_bytes; add max_bytes or remove it"),
        ("{weights: int8}", "{weights: int4, method: awq}\ncalibration: {prompts: 1}", "16:24: calibration.prompts: 1 cannot calibrate variant int8: a vocal style is needed too; ask 2"),
        ("{weights: int8}", "{weights: int4, method: awq}\ncalibration: {prompts: 2}", None),
        ("{weights: int8}", "{weights: int4, method: dynamic}", "15:33: variants.int8.method: 'dynamic' does not make int4; use auto, rtn, hqq, k-quant, awq or gptq"),
        ("{weights: int8}", "{weights: int8, keep_fp16: [vocoder]}", "15:36: variants.int8.keep_fp16: lacks dcae_decoder, whose errors are heard at once; add it"),
        ("publish:", "measure: {max_distance: {int8: 0.1, int9: 0.2}}\npublish:", "16:37: measure.max_distance.int9: no variant has this name; did you mean 'int8'?"),
        ("publish:", "measure: {clap: {max_drop: {all: 0.2}}}\npublish:", "16:29: measure.clap.max_drop.all: no variant has this name; variants: fp16, int8"),
        ("publish:", "measure: {fad: {max_increase: {fp16: 0.2}}}\npublish:", None),
        ("publish:", "measure: {fad: {embedding: hf:x, max_increase: {fp16: 0.2}}}\npublish:", "16:28: measure.fad.embedding: 'hf:x' is not a place on the Hub; write hf:owner/name"),
        ("publish:", "measure: {fad: {embedding: 'https://a.b/c', max_increase: {fp16: 0.2}}}\npublish:", "16:28: measure.fad.embedding: 'https://a.b/c' is an address; write hf:owner/name, or a folder"),
        ("publish:", "measure: {fad: {embedding: lofi-sound-v2, max_increase: {fp16: 0.2}}}\npublish:", "16:28: measure.fad.embedding: 'lofi-sound-v2' does not exist (lofi-sound-v1); did you mean 'lofi-sound-v1'?"),
        ("publish:", "measure: {clap: {model: hf:a/b@1.0, max_drop: {fp16: 0.2}}}\npublish:", None),
        ("publish:", "measure: {clap: {model: ~/clap, max_drop: {fp16: 0.2}}}\npublish:", "16:25: measure.clap.model: '~/clap': '~' and '$' mean nothing in a recipe; write the path out"),
    ],
)  # fmt: skip
def test_keys_that_contradict_each_other_are_named(old, new, line):
    assert complaints(changed(old, new)) == ([line] if line else [])


def test_a_default_that_contradicts_what_was_typed_is_placed_at_the_key_above():
    text = changed("steps: 10", "warmup_steps: 200000")
    assert complaints(text) == [
        "12:17: training.warmup_steps: 200000 is more than training.steps (100000)"
    ]


def test_checks_between_keys_run_beside_the_others():
    text = changed("r: 8", "r: 0").replace("to: published", "to: hf:x")
    assert [line.split(":")[0] for line in complaints(text)] == ["10", "17"]


@pytest.mark.parametrize("junk", ["3", "[]", "{}", "x", "[[]]", "{a: {b: {c: d}}}", "null", "true"])
def test_checks_leave_values_of_the_wrong_kind_to_the_schema(junk):
    for key in ("base", "dataset", "lora", "training", "variants", "measure", "publish"):
        lines = [line for line in GOOD.splitlines() if line.startswith(("version", "name"))]
        assert complaints("\n".join([*lines, f"{key}: {junk}"]))


def test_a_source_that_holds_what_is_published_is_refused():
    text = changed(SYNTH, "- {path: ../x, ledger: b}").replace("to: published", "to: ../x/out")
    assert complaints(text) == [
        "8:14: dataset.sources[0].path: '../x' contains publish.to ('../x/out'), where the "
        "variants go; keep the tracks in a folder of their own"
    ]
