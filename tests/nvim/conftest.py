"""What the plugin's tests share: each supported Neovim, and a place for sockets."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.neovim import Editor, end_process, running_editor
from tests.support.programs import neovims, require


@pytest.fixture(params=neovims())
def neovim(request: pytest.FixtureRequest) -> Path:
    """Each supported Neovim's executable."""
    return require(request.param)


@pytest.fixture(scope="session", params=neovims())
def shared_editor(request: pytest.FixtureRequest) -> Iterator[Editor]:
    """Each supported Neovim, one for many tests: for questions that change nothing in it."""
    with running_editor(require(request.param)) as running:
        yield running


@pytest.fixture
def run_folder() -> Iterator[Path]:
    """A folder with a path short enough for a socket; servers left in it are ended."""
    folder = Path(tempfile.mkdtemp(prefix="lofi"))
    yield folder
    for file in folder.glob("*.pid"):
        end_process(int(file.read_text()))
    shutil.rmtree(folder)


@pytest.fixture
def editor(neovim: Path) -> Iterator[Editor]:
    """Each supported Neovim, running."""
    with running_editor(neovim) as running:
        yield running
