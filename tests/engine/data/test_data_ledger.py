from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

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
    license_name: str,
    kind: str = "creative-commons",
    ai_training: bool | None = None,
    **more: Any,
) -> Entry:
    more = {"attribution": "A credit", "ai_training_evidence": "a letter", **more}
    return Entry("a.wav", kind, license_name, ai_training, (), **more)


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
        provider="Fiverr",
        date_acquired="2025-01-15",
        quality_score=92,
        human_verified=True,
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
    with pytest.raises(LedgerError, match=r"ledger gone\.json: cannot be read: No such.*/gone"):
        read_ledger(tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "\ufeff[]",
            r":1:1: begins with a byte order mark - save /.*/sources\.json as UTF-8",
        ),
        (" ", r":1:2: not JSON: empty - write \[\] into /.*/sources\.json$"),
        ("[{", r":1:3: not JSON: .* - mend /.*/sources\.json$"),
    ],
)
def test_a_text_that_is_no_ledger_is_named_with_its_place_and_what_to_do(tmp_path, text, fault):
    assert re.search(f"^ledger sources\\.json{fault}", faults(tmp_path, text)[0])


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


def test_an_entry_s_every_word_is_read(tmp_path):
    source = {
        "type": "partnership",
        "license": "Agreement",
        "ai_training": True,
        "ai_training_evidence": " agreement.pdf, clause 4 ",
        "title": "Rain",
        "url": "https://example.org/rain",
        "attribution": "Rain,\nby Ann",
    }
    review = {"accepted": True, "tags": ["lofi", "rain"], "date": "2025-02-01"}
    (found,) = read_ledger(
        write(tmp_path, [{"filename": "a.wav", "source": source, "review": review}])
    )
    assert found.ai_training_evidence == "agreement.pdf, clause 4"
    assert (found.title, found.url) == ("Rain", "https://example.org/rain")
    assert found.attribution == "Rain, by Ann"
    assert not found.credit_built
    assert (found.review_accepted, found.review_tags) == (True, ("lofi", "rain"))
    assert (found.review_date, found.quality_score, found.human_verified) == (
        "2025-02-01",
        None,
        False,
    )


def test_a_day_that_no_month_has_is_a_fault(tmp_path):
    bad = {**TEMPLATE, "review": {"date": "2025-13-01", "accepted": True}}
    assert faults(tmp_path, [bad])[0].startswith(
        "ledger sources.json: track_001.mp3: review.date: '2025-13-01' does not match"
    )


def test_a_credit_is_built_where_cc_by_asks_for_one_and_none_is_given(tmp_path):
    source = {"type": "creative-commons", "license": "CC BY 4.0", "ai_training": True}
    rows = [
        {"filename": "a.wav", "source": {**source, "artist": "Ann", "title": "Rain"}},
        {"filename": "b.wav", "source": source},
        {"filename": "c.wav", "source": {**source, "license": "cc0", "artist": "Cy"}},
    ]
    built, nameless, free = read_ledger(write(tmp_path, rows))
    assert built.attribution == (
        '"Rain" by Ann, CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)'
    )
    assert built.credit_built
    assert (nameless.attribution, nameless.credit_built) == ("", False)
    assert (free.attribution, free.credit_built) == ("", False)
    assert judge(nameless, POLICY, "sources.json").refusal == (
        "licence 'cc-by-4.0' asks for credit and sources.json names neither artist nor attribution"
    )
    assert judge(built, POLICY).refusal == judge(free, POLICY).refusal == ""


def test_a_claim_without_evidence_is_noted_or_refused_as_the_recipe_says():
    claimed = entry("Contract of May", "commissioned", True, ai_training_evidence="")
    terms = judge(claimed, POLICY)
    assert (terms.refusal, terms.notes) == (
        "",
        (
            "its right to train under 'contract-of-may' has no evidence; say in "
            "source.ai_training_evidence where it can be read",
        ),
    )
    strict = replace(POLICY, require_evidence=True)
    assert judge(claimed, strict).refusal == (
        "its right to train under 'contract-of-may' has no evidence (source.ai_training_evidence)"
    )
    assert judge(replace(claimed, ai_training_evidence="mail of 2 May"), strict).refusal == ""


@pytest.mark.parametrize(
    ("license_name", "kind"),
    [("cc0", "creative-commons"), ("AI Training Rights", "commissioned"), ("mine", "own")],
)
def test_what_grants_the_right_itself_or_is_one_s_own_needs_no_evidence(license_name, kind):
    policy = Licenses(True, ("cc0", "commissioned", "own"), require_evidence=True)
    terms = judge(entry(license_name, kind, True, ai_training_evidence=""), policy)
    assert (terms.refusal, terms.notes) == ("", ())


def test_a_licence_nobody_has_named_is_refused_whatever_is_allowed():
    open_policy = Licenses(False, ("unknown", "commissioned"))
    assert judge(entry("unknown", "commissioned", True), open_policy, "sources.json").refusal == (
        "its licence is still 'unknown' in sources.json (source.license)"
    )


def test_what_a_listener_refused_stays_out():
    refused = entry("cc0", review_accepted=False, review_date="2025-02-01")
    assert judge(refused, POLICY).refusal == (
        "a listener refused it on 2025-02-01 (review.accepted)"
    )
    assert judge(replace(refused, review_accepted=True), POLICY).refusal == ""


def test_a_licence_that_binds_the_model_is_held_against_the_model_s():
    policy = Licenses(True, ("cc-by-nc-4.0",))
    track = entry("CC BY-NC 4.0", ai_training=True)
    assert judge(track, policy, "sources.json", "cc-by-nc-4.0").refusal == ""
    assert judge(track, policy, "sources.json", "apache-2.0").refusal == (
        "licence 'cc-by-nc-4.0' may not go into a model under 'apache-2.0': it forbids commercial "
        "use, which the model's licence must forbid as well (NC)"
    )


def test_all_that_must_be_mended_is_said_at_once():
    track = entry("CC BY-SA 4.0", attribution="", ai_training_evidence="")
    refusal = judge(track, Licenses(True, ("cc-by-sa-4.0",)), "l.json", "mit").refusal
    assert [part.split(" ")[2:4] for part in refusal.split("; ")] == [
        ["may", "not"],
        ["asks", "for"],
        ["right", "recorded"],
    ]


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
