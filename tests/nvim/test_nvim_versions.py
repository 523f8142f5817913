"""The editors the other tests drive are the versions they are named after."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.programs import neovims, require


@pytest.mark.parametrize("name", neovims())
def test_each_editor_is_of_the_version_it_is_named_after(name: str) -> None:
    said = subprocess.run([require(name), "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[0] == f"NVIM v{name.removeprefix('Neovim ')}"


def test_the_oldest_and_a_recent_editor_are_driven() -> None:
    assert neovims() == ["Neovim 0.7.2", "Neovim 0.11.4"]
