"""`lofi-recipe doctor`: can this machine make models, and what to do where it cannot."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path

from lofi_engine.needs import ENGINE_PACKAGES
from lofi_engine.recipe.shipped import shipped_recipes
from lofi_runtime.version import VERSION

_RUNTIME_PACKAGES = ("numpy", "scipy", "onnxruntime", "soundfile", "soxr", "msgpack")


def run_doctor() -> int:
    """Print one line a check; give 0 when everything the engine needs is here, else 1."""
    healthy = True
    for ok, line in _checks():
        sys.stdout.write(f"{'ok ' if ok else 'NOT'} {line}\n")
        healthy = healthy and ok
    return 0 if healthy else 1


def _checks() -> Iterator[tuple[bool, str]]:
    yield True, f"lofi-recipe {VERSION}, Python {platform.python_version()}, {platform.platform()}"
    for extra, packages in (("", _RUNTIME_PACKAGES), ("[engine]", ENGINE_PACKAGES)):
        for package in packages:
            yield _package(package, extra)
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    yield free > 2, f"{free:.0f} GB free in {Path.cwd()}" + ("" if free > 2 else " - free some")
    count = len(shipped_recipes())
    yield count > 0, f"{count} shipped recipes" + ("" if count else " - reinstall lofi-recipe")


def _package(package: str, extra: str) -> tuple[bool, str]:
    # Found, not imported: torch alone would take seconds.
    if util.find_spec(package) is None:
        return False, f"{package} is missing - pip install 'lofi-recipe{extra}'"
    try:
        return True, f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return True, f"{package} (version unknown)"
