from __future__ import annotations

import copy
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from lofi_engine.data import ledger_edit
from lofi_engine.data.ledger import LedgerError, read_ledger
from lofi_engine.data.ledger_edit import LedgerChangedError, append_entries, update_entry
from tests.support.ordinary_user import heeding_permissions

BY_HAND = """[
  { "filename": "a.wav",  "source": {"type": "own", "license": "cc0", "cost": 75.00},
    "style_ids": ["CORE-01", "CORE-02"], "notes": "caf\\u00e9" },

  {
    "filename": "./b.wav",
    "source": {
      "type": "own",
      "license": "cc0"
    },
    "quality_score": 92.50
  }
]

"""


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "sources.json"
    path.write_text(BY_HAND, encoding="utf-8")
    return path


def problem(*arguments, **keywords):
    with pytest.raises(LedgerError) as wrong:
        update_entry(*arguments, **keywords)
    return str(wrong.value)


def test_only_the_value_that_changes_changes_in_the_text(ledger):
    assert update_entry(ledger, "b.wav", {"quality_score": 80}) == {"quality_score": 92.5}
    assert ledger.read_text() == BY_HAND.replace("92.50", "80")


def test_a_new_key_is_laid_out_as_the_entry_around_it(ledger):
    update_entry(ledger, "a.wav", {"human_verified": True})
    update_entry(ledger, "b.wav", {"review": {"accepted": True, "tags": ["rain"]}, "notes": "ü"})
    assert ledger.read_text() == BY_HAND.replace(
        '"caf\\u00e9" }', '"caf\\u00e9", "human_verified": true }'
    ).replace(
        "92.50",
        '92.50,\n    "review": {\n      "accepted": true,\n      "tags": [\n        "rain"\n'
        '      ]\n    },\n    "notes": "ü"',
    )


def test_a_list_on_one_line_stays_on_one_line_and_tabs_and_crlf_stay(tmp_path):
    path = tmp_path / "sources.json"
    text = (
        '[\r\n\t{\r\n\t\t"filename": "a.wav",\r\n\t\t"source": {"type": "own", "license": "cc0"},'
        '\r\n\t\t"style_ids": ["CORE-01"]\r\n\t}\r\n]\r\n'
    )
    path.write_bytes(text.encode())
    update_entry(path, "a.wav", {"style_ids": ["CORE-02", "CORE-03"], "review": {"tags": ["x"]}})
    assert path.read_bytes().decode() == text.replace(
        '["CORE-01"]',
        '["CORE-02", "CORE-03"],\r\n\t\t"review": {\r\n\t\t\t"tags": [\r\n\t\t\t\t"x"\r\n\t\t\t]'
        "\r\n\t\t}",
    )


def test_giving_back_what_was_undoes_the_change(ledger):
    changes = {"quality_score": 10, "notes": "no", "style_ids": ["THEME-01"]}
    for name in ("a.wav", "b.wav"):
        before = update_entry(ledger, name, changes)
        update_entry(ledger, name, before)
    assert json.loads(ledger.read_text()) == json.loads(BY_HAND)


def test_nothing_is_written_when_nothing_changes(ledger):
    stamp = ledger.stat().st_mtime_ns, ledger.stat().st_ino
    assert update_entry(ledger, "b.wav", {"quality_score": 92.5}) == {"quality_score": 92.5}
    assert (ledger.stat().st_mtime_ns, ledger.stat().st_ino) == stamp


VALUES = {
    "quality_score": st.none() | st.integers(0, 100) | st.floats(0, 100),
    "human_verified": st.none() | st.booleans(),
    "notes": st.none() | st.text(st.characters(codec="utf-8"), max_size=20),
    "style_ids": st.none() | st.lists(st.sampled_from(["A-01", "B-02"]), unique=True),
    "review": st.none()
    | st.fixed_dictionaries({"tags": st.lists(st.sampled_from(["x", "y"]), unique=True)}),
}
CHANGES = st.lists(
    st.tuples(st.sampled_from(["a.wav", "b.wav"]), st.fixed_dictionaries({}, optional=VALUES)),
    max_size=4,
)


@given(CHANGES, st.sampled_from([None, 0, 1, 2, "\t"]))
def test_whatever_is_changed_the_ledger_says_just_that(tmp_path_factory, changes, indent):
    path = tmp_path_factory.mktemp("fuzz") / "sources.json"
    expected = json.loads(BY_HAND)
    path.write_text(json.dumps(expected, indent=indent))
    for name, change in changes:
        entry = next(row for row in expected if row["filename"].removeprefix("./") == name)
        update_entry(path, name, change)
        for key, value in change.items():
            entry.pop(key, None) if value is None else entry.update({key: value})
    assert json.loads(path.read_text()) == expected


def test_a_change_that_the_schema_refuses_leaves_the_ledger_as_it_was(ledger):
    assert problem(ledger, "a.wav", {"quality_score": 101}) == (
        "ledger sources.json: a.wav: quality_score: 101 is greater than the maximum of 100"
    )
    assert "mood" in problem(ledger, "a.wav", {"mood": "blue"})
    assert "surrogate" in problem(ledger, "a.wav", {"notes": "\ud800"})
    assert ledger.read_text() == BY_HAND
    assert [path.name for path in ledger.parent.iterdir() if path.name.endswith(".part")] == []


def test_a_ledger_made_wrong_by_hand_is_not_written_and_its_fault_is_named(ledger):
    ledger.write_text(BY_HAND.replace('"own"', '"stolen"', 1))
    told = problem(ledger, "b.wav", {"quality_score": 5})
    assert told.startswith("ledger sources.json: a.wav: source.type: 'stolen' is not one of")
    ledger.write_text(BY_HAND[:-6])
    assert "not JSON" in problem(ledger, "b.wav", {"quality_score": 5})
    assert ledger.read_text() == BY_HAND[:-6]


def test_an_entry_that_is_not_there_is_never_made_up(ledger):
    assert problem(ledger, "c.wav", {"notes": "x"}) == "ledger sources.json: no entry for 'c.wav'"
    assert "cannot be read: No such file" in problem(ledger.parent / "no.json", "c.wav", {})


def test_what_the_writer_did_not_see_stops_the_write(ledger):
    with pytest.raises(LedgerChangedError) as changed:
        update_entry(ledger, "b.wav", {"quality_score": 5}, seen={"quality_score": None})
    assert str(changed.value) == (
        "ledger sources.json: b.wav: quality_score was changed meanwhile, it is now 92.5"
    )
    update_entry(ledger, "b.wav", {"quality_score": 5}, seen={"quality_score": 92.5, "notes": None})


def test_an_edit_between_reading_and_writing_is_kept(ledger, monkeypatch):
    real = ledger_edit.read_ledger
    edits = [BY_HAND.replace("75.00", "80.00")]

    def meanwhile(path):
        if edits:
            ledger.write_text(edits.pop())
        return real(path)

    monkeypatch.setattr(ledger_edit, "read_ledger", meanwhile)
    update_entry(ledger, "b.wav", {"quality_score": 5})
    assert ledger.read_text() == BY_HAND.replace("75.00", "80.00").replace("92.50", "5")


def test_new_entries_go_behind_the_old_and_one_that_came_meanwhile_stays(ledger):
    before = ledger.read_text()
    source = {"type": "own", "license": "cc0"}
    rows = [{"filename": name, "source": source} for name in ("b.wav", "./new.wav")]
    append_entries(ledger, rows)
    append_entries(ledger, rows)
    after = ledger.read_text()
    assert after.startswith(before.rstrip().removesuffix("]").rstrip() + ",\n")
    names = [entry.filename for entry in read_ledger(ledger)]
    assert (names.count("b.wav"), names[-1]) == (1, "new.wav")
    with pytest.raises(LedgerError, match=r"old\.wav: source"):
        append_entries(ledger, [{"filename": "old.wav", "source": {"type": "own"}}])
    assert ledger.read_text() == after


def test_a_ledger_that_another_program_holds_is_named(ledger, monkeypatch):
    monkeypatch.setattr(ledger_edit, "LOCK_TIMEOUT_SEC", 0.1)
    with FileLock(ledger.with_name(".sources.json.lock")):
        told = problem(ledger, "b.wav", {"quality_score": 5})
    assert told == "ledger sources.json: another program is writing it; try again"


def test_many_writers_lose_nothing(tmp_path):
    path = tmp_path / "sources.json"
    source = {"type": "own", "license": "cc0"}
    rows = [{"filename": f"{n}.wav", "source": source} for n in range(24)]
    path.write_text(json.dumps(rows, indent=2))
    code = (
        "import sys; from pathlib import Path\n"
        "from lofi_engine.data.ledger_edit import update_entry\n"
        "for n in range(12, 24): update_entry(Path(sys.argv[1]), f'{n}.wav', {'quality_score': n})"
    )
    other = subprocess.Popen([sys.executable, "-c", code, path])
    threads = [
        threading.Thread(target=update_entry, args=(path, f"{n}.wav", {"quality_score": n}))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert other.wait(30) == 0
    expected = copy.deepcopy(rows)
    for number, row in enumerate(expected):
        row["quality_score"] = number
    assert json.loads(path.read_text()) == expected


def test_a_link_stays_a_link_and_the_file_keeps_its_mode(ledger, tmp_path):
    ledger.chmod(0o640)
    link = tmp_path / "metadata" / "mine.json"
    link.parent.mkdir()
    link.symlink_to(ledger)
    update_entry(link, "b.wav", {"quality_score": 5})
    assert link.is_symlink()
    assert ledger.stat().st_mode & 0o777 == 0o640
    assert json.loads(ledger.read_text())[1]["quality_score"] == 5


def test_a_folder_that_cannot_be_written_is_named(ledger):
    ledger.parent.chmod(0o500)
    try:
        with heeding_permissions():
            said = problem(ledger, "b.wav", {"quality_score": 5})
        assert "cannot be written: Permission" in said
    finally:
        ledger.parent.chmod(0o700)


def test_a_ledger_of_five_hundred_tracks_is_changed_in_a_blink(tmp_path):
    path = Path(tmp_path) / "sources.json"
    source = {"type": "own", "license": "cc0"}
    rows = [{"filename": f"{n}.wav", "source": source, "style_ids": ["A-01"]} for n in range(500)]
    path.write_text(json.dumps(rows, indent=2))
    started = time.process_time()
    update_entry(path, "499.wav", {"quality_score": 5})
    assert time.process_time() - started < 1.0
