"""A published folder of tiny bundles, as a recipe's last stage leaves it."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from lofi_runtime.bundle import MANIFEST_NAME
from tests.support.tiny_bundle import make_tiny_bundle


def make_bundle(folder: Path, *, seed: int = 7, version: str = "1.0.0", variant: str = "") -> Path:
    """Make a tiny bundle whose manifest names it after its folder, `<model>-<variant>`."""
    make_tiny_bundle(folder, seed=seed)
    precision = variant or folder.name.rpartition("-")[2]
    change_manifest(folder, name=folder.name, version=version, variant=precision)
    return folder


def change_manifest(folder: Path, **changes: Any) -> None:
    """Replace top-level keys of a manifest."""
    path = folder / MANIFEST_NAME
    record = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(record | changes, indent=1), encoding="utf-8")


def publish(folder: Path) -> Path:
    """Write the index of the bundles in `folder`."""
    bundles, files = {}, {}
    for path in sorted(folder.glob(f"*/{MANIFEST_NAME}")):
        record = json.loads(path.read_text(encoding="utf-8"))
        name = path.parent.name
        bundles[name] = {
            "variant": record["variant"],
            "version": record["version"],
            "size_bytes": sum(file["size_bytes"] for file in record["files"].values()),
            "license": record["license"],
            "oldest_onnxruntime": record["oldest_onnxruntime"],
        }
        for file in sorted(path.parent.iterdir()):
            files[f"{name}/{file.name}"] = sha256(file.read_bytes()).hexdigest()
    index = {"format": 1, "bundles": bundles, "files": files}
    (folder / "index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
    return folder
