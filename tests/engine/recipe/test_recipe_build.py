import pickle
from pathlib import Path

from lofi_engine.recipe.load import load_text
from lofi_engine.recipe.model import ClapGate, FadGate, Gate, Source, Synth
from tests.support.recipe_texts import GOOD, changed


def load(text):
    return load_text(text, Path("r.yaml"))


def test_sources_become_folders_or_synthesised_tracks():
    text = changed(
        "- synth: {tracks: 4}",
        "- {path: a, ledger: b}\n    - synth: {tracks: 4, styles: [CORE-01]}",
    )
    assert load(text).dataset.sources == (
        Source(path="a", ledger="b", synth=None),
        Source(path=None, ledger=None, synth=Synth(4, 30.0, ("CORE-01",))),
    )


def test_gates_become_bounds_by_variant():
    gates = "measure: {max_distance: {int8: 1}, fad: {max_increase: {int8: 0.05}}}\n"
    measure = load(gates + GOOD).measure
    assert measure.max_distance == Gate({"int8": 1.0})
    assert measure.fad == FadGate("lofi-sound-v1", False, {"int8": 0.05})
    assert measure.clap is None


def test_a_clap_gate_names_its_model_and_fad_can_take_the_same():
    gates = (
        "measure: {fad: {max_increase: {int8: 0.05}, embedding: clap, project: true}, "
        "clap: {max_drop: {int8: 0}}}\n"
    )
    measure = load(gates + GOOD).measure
    assert measure.fad == FadGate("clap", True, {"int8": 0.05})
    assert measure.clap == ClapGate("hf:laion/clap-htsat-unfused", {"int8": 0.0})


def test_a_variant_named_like_a_key_does_not_confuse_its_gate():
    text = changed("int8: {", "max-drop: {") + "measure: {max_distance: {max-drop: 0.5}}\n"
    assert load(text).measure.max_distance == Gate({"max-drop": 0.5})


def test_a_budget_written_with_an_exponent_is_a_whole_number_of_bytes():
    variant = load(changed("{weights: int8}", "{weights: int8, max_bytes: 2.5e9}")).variants["int8"]
    assert repr(variant.max_bytes) == "2500000000"


def test_the_bundles_name_is_the_recipes_unless_given():
    assert load(GOOD).publish.model_name == "good"
    text = changed("to: published", "{to: published, model_name: lofi}").replace(
        "publish:\n ", "publish:"
    )
    assert load(text).publish.model_name == "lofi"


def test_variants_keep_the_order_of_the_file():
    text = GOOD.replace("  fp16: {weights: fp16}\n", "") + "seed: 1\n"
    text = text.replace("publish:", "  aaa: {weights: fp16}\npublish:")
    assert list(load(text).variants) == ["int8", "aaa"]


def test_a_recipe_travels_between_processes():
    recipe = load(GOOD)
    assert pickle.loads(pickle.dumps(recipe)) == recipe


def test_layout_comments_and_order_do_not_change_what_a_recipe_means():
    shuffled = "# hello\n" + GOOD.replace("lora:\n  r: 8\n", "") + 'lora: {"r": 0x8}\n'
    assert load(shuffled).resolved == load(GOOD).resolved
    assert list(load(shuffled).resolved) == list(load(GOOD).resolved)
