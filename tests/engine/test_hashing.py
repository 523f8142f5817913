from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import pytest

from lofi_engine.hashing import canonical_json, content_hash, hash_file, hash_value


def test_equal_values_give_equal_bytes_whatever_the_order():
    one = {"b": [1, 2.5, None], "a": {"y": True, "x": "é"}}
    other = {"a": {"x": "é", "y": True}, "b": [1, 2.5, None]}
    assert canonical_json(one) == canonical_json(other)
    assert canonical_json(one) == '{"a":{"x":"é","y":true},"b":[1,2.5,null]}'.encode()
    assert hash_value(one) == hashlib.sha256(canonical_json(one)).hexdigest()


def test_different_values_give_different_hashes():
    values = [1, 1.5, "1", True, None, [1], [[1]], {"1": 1}, {}, [], ""]
    assert len({hash_value(value) for value in values}) == len(values)


def test_a_hash_is_the_same_in_another_process_with_other_string_hashing():
    value = {f"key-{number}": number for number in range(50)}
    code = (
        "import json, sys; from lofi_engine.hashing import hash_value;"
        "print(hash_value(json.load(sys.stdin)))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(value),
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in ("0", "1")
    }
    assert told == {hash_value(value)}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_json_are_refused(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        hash_value({"loss": [1.0, number]})


def test_what_is_not_json_is_refused():
    with pytest.raises(TypeError, match="set is not JSON serializable"):
        hash_value({"names": {"a"}})


def test_file_names_that_are_not_utf8_can_be_hashed():
    assert hash_value({"caf\udce9.wav": 1}) != hash_value({"cafe.wav": 1})


def test_a_large_file_is_hashed_whole(tmp_path):
    content = os.urandom(3_000_000)
    (tmp_path / "weights.bin").write_bytes(content)
    assert hash_file(tmp_path / "weights.bin") == hashlib.sha256(content).hexdigest()


def test_what_was_measured_is_left_out_of_a_json_file_s_hash(tmp_path):
    path = tmp_path / "measure.json"
    path.write_text(json.dumps({"distance": 0.02, "measured": {"sec": 3.1}}))
    before = content_hash(path)
    path.write_text(json.dumps({"measured": {"sec": 99, "host": "b"}, "distance": 0.02}, indent=4))
    assert content_hash(path) == before
    path.write_text(json.dumps({"distance": 0.03, "measured": {"sec": 3.1}}))
    assert content_hash(path) != before


def test_only_the_top_level_measured_key_of_json_files_is_left_out(tmp_path):
    deep = tmp_path / "deep.json"
    deep.write_text(json.dumps({"a": {"measured": 1}}))
    assert content_hash(deep) == hash_file(deep)
    text = tmp_path / "same.txt"
    text.write_text(json.dumps({"a": 1, "measured": 1}))
    assert content_hash(text) == hash_file(text)
    listed = tmp_path / "list.json"
    listed.write_text('["measured"]')
    assert content_hash(listed) == hash_file(listed)


def test_a_json_file_that_is_none_is_hashed_by_its_bytes(tmp_path):
    for name, content in {"torn.json": b'{"measured": ', "latin.json": b'{"a": "caf\xe9"}'}.items():
        (tmp_path / name).write_bytes(content)
        assert content_hash(tmp_path / name) == hash_file(tmp_path / name)
