"""Packages that only some metrics need: whether they are there, and how they are installed."""

from __future__ import annotations

import importlib.util

from lofi_engine.errors import MetricError

PACKAGES = {"visqol": "visqol", "lyrics": "jiwer", "aesthetics": "audiobox_aesthetics"}
"""What an extra installs, as it is imported."""

_WITHOUT_TORCHAUDIO = "pip install --no-deps audiobox-aesthetics"


def is_installed(extra: str) -> bool:
    """Whether what an extra installs is there."""
    return importlib.util.find_spec(PACKAGES[extra]) is not None


def how_to_install(extra: str) -> str:
    """Give the command that installs an extra.

    That of aesthetics leaves out what the package asks for and metrics do not use: torchaudio,
    whose wheels fail to load beside many builds of torch, and transformers with them.
    """
    return _WITHOUT_TORCHAUDIO if extra == "aesthetics" else f"pip install 'lofi-recipe[{extra}]'"


def check_installed(metric: str, extra: str) -> None:
    """Refuse to go on without what an extra installs.

    Raises:
        MetricError: it is not there; says how it is installed.
    """
    if not is_installed(extra):
        raise MetricError(
            f"{metric}: {PACKAGES[extra]} is not installed", hint=how_to_install(extra)
        )
