"""What a repository offers, and which of it is meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lofi_runtime.hub.errors import DownloadError
from lofi_runtime.hub.offers import Offer, choose_offer, read_offers
from lofi_runtime.hub.repository import check_source, is_source, open_repository


def offer(name: str) -> Offer:
    model, _, precision = name.partition(":")
    return Offer(f"{model}-{precision}", precision, "1.0.0", "apache-2.0", 1000)


NANO = [offer("lofi-nano:int8"), offer("lofi-nano:int8-fast"), offer("lofi-nano:fp16")]
BOTH = [*NANO, offer("lofi-ace-step:int8"), offer("lofi-ace-step:int4")]


@pytest.mark.parametrize(
    ("offers", "name", "precision", "chosen"),
    [
        (NANO, "", "auto", "lofi-nano-int8-fast"),
        (NANO, "", "fp16", "lofi-nano-fp16"),
        (NANO, "lofi-nano-int8", "auto", "lofi-nano-int8"),
        (BOTH, "", "auto", "lofi-ace-step-int8"),
        (BOTH, "lofi-nano", "int8", "lofi-nano-int8"),
    ],
)
def test_a_bundle_is_chosen_by_name_then_model_then_precision(
    offers: list[Offer], name: str, precision: str, chosen: str
) -> None:
    assert choose_offer(offers, "hf:a/b", name, precision).name == chosen


@pytest.mark.parametrize(
    ("offers", "name", "precision", "said"),
    [
        (NANO, "lofi-nanu", "auto", "there is no bundle or model 'lofi-nanu' - did you mean"),
        (NANO, "x", "auto", "there are lofi-nano-int8, lofi-nano-int8-fast, lofi-nano-fp16"),
        (NANO, "lofi-nano", "int4", "lofi-nano has no precision 'int4', only int8, int8-fast"),
        ([NANO[0], offer("b:int8")], "", "auto", "several models - name one: b, lofi-nano"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    offers: list[Offer], name: str, precision: str, said: str
) -> None:
    with pytest.raises(DownloadError, match=f"^hf:a/b: .*{said}"):
        choose_offer(offers, "hf:a/b", name, precision)


def entry(**changes: Any) -> dict[str, Any]:
    whole = {"variant": "int8", "version": "1", "license": "cc0-1.0", "size_bytes": 5}
    return {"format": 1, "bundles": {"a-int8": whole | changes}, "files": {}}


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("{", "index.json: not readable JSON"),
        ("[" * 100_000, "index.json: not readable JSON"),
        ("[]", "index.json: not a map"),
        ({"format": 2}, "format 2, this version reads 1 - upgrade lofi-recipe"),
        ({"format": 1, "bundles": []}, "'bundles' and 'files' must be maps"),
        ({"format": 1, "bundles": {}}, "no bundle is published there"),
        ({"format": 1, "bundles": {"../evil": {}}}, r"'\.\./evil' is not a bundle's name"),
        (entry(size_bytes="big"), "a-int8 must state variant, version, license, size_bytes"),
    ],
)
def test_an_index_that_cannot_be_read_is_refused_by_what_is_wrong(
    tmp_path: Path, index: Any, said: str
) -> None:
    text = index if isinstance(index, str) else json.dumps(index)
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(DownloadError, match=said) as caught:
        read_offers(open_repository(str(tmp_path)))
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (
            "pytorch_lora_weights.safetensors",
            "a bare adapter .*adapters are merged into their base before it is quantized"
            " - make its bundles: lofi-recipe run",
        ),
        ("ace-step/vocoder.onnx", r"has graphs \(ace-step/vocoder.onnx\) but no index.json"),
        ("README.md", "has no index.json: no bundles were published there"),
    ],
)
def test_a_place_without_bundles_is_told_for_what_it_is(
    tmp_path: Path, file: str, said: str
) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    with pytest.raises(DownloadError, match=said):
        read_offers(open_repository(str(tmp_path)))


@pytest.mark.parametrize("source", ["hf:a/b", "hf:a/b@v1.0", "./here", "/there", "."])
def test_these_are_sources(source: str) -> None:
    check_source(source)
    assert is_source(source)


@pytest.mark.parametrize("source", ["hf:", "hf:a", "hf:a/b/c", "hf:a/b@", "hf:../b", ""])
def test_these_are_no_sources(source: str) -> None:
    with pytest.raises(DownloadError, match="hf:owner/name, hf:owner/name@revision, or a folder"):
        check_source(source)


def test_a_missing_folder_that_looks_like_a_repository_is_told_how_to_write_one() -> None:
    with pytest.raises(DownloadError, match="for a repository of the Hub write hf:owner/name"):
        open_repository("owner/name")
    assert not is_source("lofi-nano-int8")
