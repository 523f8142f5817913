from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from lofi_engine.data.ledger import Entry, LedgerError, read_ledger
from lofi_engine.data.license import SYNTHESISED, judge, tidy_license
from lofi_engine.recipe.model import Licenses
from lofi_runtime.shared_data import shared_folder

TEMPLATE = {
    "track_id": "track_001",
    "filename": "track_001.mp3",
    "source": {
        "type": "commissioned",
        "provider": "Fiverr",
        "artist": "ChillBeatsProducer",
        "license": "AI Training Rights",
        "cost": 75.00,
        "date_acquired": "2025-01-15",
    },
    "style_ids": ["CORE-01", "THEME-03"],
    "quality_score": 92,
    "human_verified": True,
}
POLICY = Licenses(require_ai_training=True, allow=("commissioned", "cc0", "cc-by-4.0"))


def write(folder: Path, content: object) -> Path:
    path = folder / "sources.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def entry(
    license_name: str, kind: str = "creative-commons", ai_training: bool | None = None
) -> Entry:
    return Entry("a.wav", kind, license_name, ai_training, ())


def faults(folder: Path, content: object) -> list[str]:
    with pytest.raises(LedgerError) as wrong:
        read_ledger(write(folder, content))
    return list(wrong.value.problems)


def test_the_schema_is_one():
    Draft202012Validator.check_schema(
        json.loads((shared_folder("schemas") / "sources.v1.schema.json").read_text())
    )


def test_the_specifications_template_is_read_as_it_stands(tmp_path):
    (found,) = read_ledger(write(tmp_path, [TEMPLATE]))
    assert found == Entry(
        filename="track_001.mp3",
        type="commissioned",
        license="AI Training Rights",
        ai_training=None,
        style_ids=("CORE-01", "THEME-03"),
        artist="ChillBeatsProducer",
        cost_usd=75.0,
    )
    assert judge(found, POLICY).refusal == ""
    assert judge(found, POLICY).ai_training


def test_faults_are_named_by_file_and_key_all_at_once(tmp_path):
    bad = {**TEMPLATE, "stile_ids": [], "source": {"type": "stolen", "license": "x", "cost": -1}}
    found = faults(tmp_path, [TEMPLATE, bad, {"filename": "b.wav"}])
    assert found == [
        "ledger sources.json: track_001.mp3: Additional properties are not allowed "
        "('stile_ids' was unexpected)",
        "ledger sources.json: track_001.mp3: source.cost: -1 is less than the minimum of 0",
        "ledger sources.json: track_001.mp3: source.type: 'stolen' is not one of ['commissioned', "
        "'royalty-free', 'creative-commons', 'partnership', 'synthesised', 'own']",
        "ledger sources.json: b.wav: 'source' is a required property",
    ]


def test_two_entries_for_one_file_are_a_fault(tmp_path):
    again = {**TEMPLATE, "filename": "./track_001.mp3"}
    assert faults(tmp_path, [TEMPLATE, again]) == [
        "ledger sources.json: track_001.mp3: 2 entries for one file"
    ]


def test_what_is_not_a_ledger_says_why(tmp_path):
    assert faults(tmp_path, "[\n  {]")[0].startswith("ledger sources.json:2:4: not JSON:")
    assert faults(tmp_path, {})[0] == "ledger sources.json: {} is not of type 'array'"
    with pytest.raises(LedgerError, match=r"ledger gone\.json: cannot be read: No such file"):
        read_ledger(tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[NaN]", "ledger sources.json: not JSON: NaN is not a number"),
        ('["\\ud800"]', "ledger sources.json: holds half of a surrogate pair"),
        ("[" * 100_000, "ledger sources.json: not JSON: "),
    ],
)
def test_what_json_allows_and_no_ledger_can_mean_is_a_fault(tmp_path, text, fault):
    assert faults(tmp_path, text)[0].startswith(fault)


def test_a_cost_beyond_all_numbers_is_a_fault(tmp_path):
    text = json.dumps([TEMPLATE]).replace("75.0", "1e999")
    assert "inf is greater than the maximum" in faults(tmp_path, text)[0]


def test_licence_names_are_written_many_ways():
    assert tidy_license(" CC BY 4.0 ") == tidy_license("cc-by-4.0") == "cc-by-4.0"
    assert tidy_license("CC0-1.0") == "cc0"


@pytest.mark.parametrize(
    ("found", "refusal"),
    [
        (entry("CC0"), ""),
        (entry("cc-by-4.0", ai_training=True), ""),
        (entry("cc-by-4.0"), "no AI-training right recorded for licence 'cc-by-4.0'"),
        (entry("cc0", ai_training=False), "no AI-training right recorded for licence 'cc0'"),
        (
            entry("CC BY-NC 4.0", ai_training=True),
            "licence 'cc-by-nc-4.0' is not allowed (allowed: commissioned, cc0, cc-by-4.0)",
        ),
        (
            entry("cc-by-nc-4.0", "commissioned", True),
            "licence 'cc-by-nc-4.0' is not allowed (allowed: commissioned, cc0, cc-by-4.0)",
        ),
        (entry("Contract of May", "commissioned", True), ""),
        (
            entry("Contract of May", "commissioned"),
            "no AI-training right recorded for licence 'contract-of-may'",
        ),
        (
            entry("Contract of May", "royalty-free", True),
            "licence 'contract-of-may' is not allowed (allowed: commissioned, cc0, cc-by-4.0)",
        ),
        (None, "no licence entry in sources.json"),
    ],
)
def test_the_policy_is_a_gate(found, refusal):
    assert judge(found, POLICY, "sources.json").refusal == refusal


def test_without_the_training_gate_a_track_without_entry_is_unknown_and_passes():
    open_policy = Licenses(require_ai_training=False, allow=("cc0",))
    terms = judge(None, open_policy)
    assert (terms.license, terms.refusal, terms.ai_training) == ("unknown", "", False)
    assert judge(entry("cc-by-4.0"), open_policy).refusal.startswith("licence 'cc-by-4.0' is not")
    assert judge(None, POLICY).refusal == "no licence entry"


def test_synthesised_tracks_are_cc0_and_may_be_trained_on():
    terms = judge(SYNTHESISED, POLICY)
    assert (terms.license, terms.type, terms.ai_training, terms.refusal) == (
        "cc0",
        "synthesised",
        True,
        "",
    )
