from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lofi_engine.errors import StageError
from lofi_engine.styles.captioners import (
    BUILT_IN,
    ENTRY_POINT_GROUP,
    captioner_names,
    find_captioner,
)
from lofi_engine.styles.captions import Facts

FACTS = Facts("lofi hip hop, chill, piano, 80 bpm, instrumental", 80.0)


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install a package of captioners the way pip does: a module and its metadata."""
    (tmp_path / "lofi_test_captions.py").write_text(
        "class Mine:\n"
        "    def caption(self, audio, facts):\n"
        "        return f'{audio.name}: {facts.prompt.split(\",\")[0]}'\n"
        "class Mute:\n"
        "    pass\n"
    )
    info = tmp_path / "lofi_test_captions-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: lofi-test-captions\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(
        f"[{ENTRY_POINT_GROUP}]\nmine = lofi_test_captions:Mine\nmute = lofi_test_captions:Mute\n"
        "gone = lofi_test_nowhere:Mine\nwords = lofi_test_captions:Mute\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("lofi_test_captions", None)


def test_the_built_in_one_needs_neither_model_nor_audio():
    captioner = find_captioner()
    assert captioner.caption(Path("nowhere.flac"), FACTS) == (
        "A chill lofi hip hop track at an easy 80 bpm with piano, without a voice."
    )
    assert BUILT_IN in captioner_names()


@pytest.mark.usefixtures("plugin")
def test_an_installed_one_is_picked_by_name_and_cannot_replace_the_built_in_one():
    assert captioner_names() == ("words", "gone", "mine", "mute")
    assert find_captioner("mine").caption(Path("a/b.flac"), FACTS) == "b.flac: lofi hip hop"
    assert find_captioner("words").caption(Path("b.flac"), FACTS).startswith("A chill")


@pytest.mark.usefixtures("plugin")
def test_what_cannot_be_used_is_an_error_that_names_it():
    with pytest.raises(StageError, match=r"no captioner 'mime' - did you mean 'mine'\?"):
        find_captioner("mime")
    with pytest.raises(StageError, match="there is no captioner 'qwen' - there are words, gone"):
        find_captioner("qwen")
    with pytest.raises(StageError, match="'gone' cannot be loaded: No module named"):
        find_captioner("gone")
    with pytest.raises(StageError, match="'mute' has no caption method"):
        find_captioner("mute")
