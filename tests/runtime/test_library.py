"""Which backends there are, and which variant a request gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lofi_runtime.library import Library
from lofi_runtime.rpc.errors import RpcError
from tests.support.tiny_bundle import make_tiny_bundle


def install(models: Path, model: str, variant: str) -> Path:
    folder = make_tiny_bundle(models / f"{model}-{variant}")
    path = folder / "manifest.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"name": folder.name, "variant": variant}))
    return folder


def test_auto_takes_the_best_precision_and_a_named_one_is_honoured(tmp_path: Path) -> None:
    for variant in ("int4", "fp16", "int8", "int8-fast"):
        install(tmp_path, "lofi-nano", variant)
    library = Library(tmp_path)
    assert [source.precision for source in library.installed()] == [
        "int8-fast",
        "int8",
        "fp16",
        "int4",
    ]
    assert library.pick().precision == "int8-fast"
    assert library.pick("ace_step", "int4").folder == tmp_path / "lofi-nano-int4"
    assert library.default_backend == "ace_step"


def test_auto_never_trades_the_model_for_a_faster_precision(tmp_path: Path) -> None:
    install(tmp_path, "lofi-nano", "int8-fast")
    install(tmp_path, "lofi-ace-step", "int4")
    assert Library(tmp_path).pick().folder == tmp_path / "lofi-ace-step-int4"


def test_a_precision_that_is_not_installed_names_those_that_are(tmp_path: Path) -> None:
    install(tmp_path, "lofi-nano", "int8")
    with pytest.raises(RpcError, match=r"precision 'fp16'.*\(installed: int8\)") as caught:
        Library(tmp_path).pick("ace_step", "fp16")
    assert caught.value.name == "BACKEND_NOT_INSTALLED"


def test_a_damaged_bundle_is_told_and_not_picked(tmp_path: Path) -> None:
    folder = install(tmp_path, "lofi-nano", "int8")
    (folder / "vocoder.onnx").unlink()
    library = Library(tmp_path)
    assert library.default_backend == "procedural"
    info = library.describe()[1]
    assert info["status"] == "error"
    assert "vocoder.onnx" in info["message"]
    with pytest.raises(RpcError, match=r"vocoder\.onnx") as caught:
        library.pick("ace_step")
    assert caught.value.name == "MODEL_LOAD_FAILED"


def test_what_changes_on_disk_is_seen_at_the_next_look(tmp_path: Path) -> None:
    library = Library(tmp_path)
    assert library.installed() == []
    folder = install(tmp_path, "lofi-nano", "int8")
    assert len(library.installed()) == 1
    (folder / "tokenizer.json").unlink()
    assert (library.installed(), len(library.damaged())) == ([], 1)


def test_a_folder_without_a_manifest_is_opened_on_explicit_request_only(tmp_path: Path) -> None:
    folder = make_tiny_bundle(tmp_path / "old", manifest=False)
    assert Library(tmp_path).installed() == []
    (source,) = Library(tmp_path / "none", bundle=folder).installed()
    assert (source.model_version, source.is_verified) == ("old unverified", False)


def test_a_bundle_published_anew_is_another_source(tmp_path: Path) -> None:
    library = Library(tmp_path)
    make_tiny_bundle(tmp_path / "lofi-tiny-fp32")
    before = library.pick()
    make_tiny_bundle(tmp_path / "lofi-tiny-fp32", seed=8)
    after = library.pick()
    assert before.model_version == after.model_version
    assert before.model_identity != after.model_identity


def test_without_models_there_is_the_synthesiser(tmp_path: Path) -> None:
    library = Library(tmp_path / "missing")
    assert library.pick().backend == "procedural"
    assert [info["status"] for info in library.describe()] == ["ready", "not_installed"]


def test_a_damaged_variant_asked_for_by_name_is_told_as_damaged(tmp_path: Path) -> None:
    install(tmp_path, "lofi-nano", "int8")
    (install(tmp_path, "lofi-nano", "int4") / "vocoder.onnx").unlink()
    with pytest.raises(RpcError, match=r"int4: lacks vocoder\.onnx - pull it again") as caught:
        Library(tmp_path).pick("ace_step", "int4")
    assert caught.value.name == "MODEL_LOAD_FAILED"


def test_a_bundle_named_by_its_folder_is_named_in_the_refusal(tmp_path: Path) -> None:
    folder = install(tmp_path, "lofi-nano", "int8")
    with pytest.raises(RpcError, match=f"installed in {folder}"):
        Library(tmp_path / "other", folder).pick("ace_step", "fp16")
