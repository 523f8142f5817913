"""What doctor says of models, packages and sound, and what it tells to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lofi_runtime import doctor
from lofi_runtime.devices import CUDA
from lofi_runtime.doctor import Check, examine
from lofi_runtime.settings import Settings
from tests.support.tiny_bundle import make_tiny_bundle


def checks(folder: Path, *, verify: bool = False, **settings: object) -> dict[str, list[Check]]:
    """Return the checks by name, with everything a server uses under `folder`."""
    places = {"socket": folder / "r" / "s.sock", "tracks": folder / "t", "models": folder / "m"}
    found: dict[str, list[Check]] = {}
    for check in examine(Settings(**(places | settings)), verify=verify):
        found.setdefault(check.name, []).append(check)
    return found


def test_versions_of_everything_that_matters_are_told(tmp_path: Path) -> None:
    found = checks(tmp_path)
    assert found["Python"][0].text.startswith("3.")
    for package in ("numpy 2.", "msgpack 1.", "scipy 1.", "tokenizers 0."):
        assert package in found["packages"][0].text
    assert "CPUExecutionProvider; models run with CPUExecutionProvider" in (
        found["onnxruntime"][0].text
    )
    assert all(check.is_ok for name in ("sound", "soundfile") for check in found[name])


def test_small_bundles_are_hashed_and_a_changed_file_is_named(tmp_path: Path) -> None:
    make_tiny_bundle(tmp_path / "m" / "lofi-tiny-fp32")
    (model,) = checks(tmp_path)["model"]
    assert model.is_ok
    assert model.text.startswith("lofi-tiny-fp32 0.0.1, ")
    folder = tmp_path / "m" / "lofi-tiny-fp32"
    assert model.text.endswith(f" MB in {folder}, every file is the manifest's")
    weights = folder / "vocoder.onnx"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    (model,) = checks(tmp_path)["model"]
    assert not model.is_ok
    assert "vocoder.onnx: sha256" in model.text
    assert model.mend == "pull it again, or delete the folder"


def test_large_bundles_are_hashed_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "VERIFIED_BYTES", 1000)
    make_tiny_bundle(tmp_path / "m" / "lofi-tiny-fp32")
    (model,) = checks(tmp_path)["model"]
    assert model.text.endswith("sizes are the manifest's, hashes were not read")
    assert model.mend == "lofi-runtime verify lofi-tiny-fp32"
    (model,) = checks(tmp_path, verify=True)["model"]
    assert model.text.endswith("every file is the manifest's")


def test_a_bundle_without_a_manifest_is_told_to_be_unverified(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "own", manifest=False)
    (model,) = checks(tmp_path, bundle=bundle)["model"]
    assert model.is_ok
    assert "has no manifest, so it is unverified" in model.text


def test_a_device_that_is_not_offered_is_told_with_what_to_install(tmp_path: Path) -> None:
    (found,) = checks(tmp_path, device=CUDA)["onnxruntime"]
    if "CUDAExecutionProvider" in found.text:
        pytest.skip("this machine's ONNX Runtime offers CUDA")
    assert not found.is_ok
    assert "pip install onnxruntime-gpu" in found.mend


def test_a_missing_package_is_named_with_the_command_that_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    monkeypatch.setitem(sys.modules, "miniaudio", None)
    found = checks(tmp_path)
    (packages,), (sound,) = found["packages"], found["sound"]
    assert (packages.is_ok, packages.is_needed) == (False, True)
    assert packages.mend == "pip install --force-reinstall tokenizers"
    assert (sound.is_ok, sound.is_needed) == (False, False)
    assert sound.mend == "pip install --force-reinstall miniaudio"
