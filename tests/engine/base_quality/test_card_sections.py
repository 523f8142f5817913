"""Sections that commands write into a base's card."""

from __future__ import annotations

from pathlib import Path

import pytest

from lofi_engine.base_quality.card_sections import write_section
from lofi_engine.errors import StageError


def test_a_section_goes_to_the_end_and_is_replaced_where_it_stands(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("# base\n\nA small one.\n")

    write_section(card, "quality", "## Quality\n\n1")
    write_section(card, "speed", "## Speed\n\n2")
    write_section(card, "quality", "## Quality\n\n3")

    text = card.read_text()
    assert text.startswith("# base\n\nA small one.\n\n<!-- quality begins -->\n## Quality\n\n3\n")
    assert text.count("## Quality") == 1
    assert text.index("## Quality") < text.index("## Speed")
    assert text.endswith("2\n<!-- speed ends -->\n")


def test_a_section_without_its_end_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("<!-- quality begins -->\nby hand\n")

    with pytest.raises(StageError, match="'<!-- quality ends -->' is not"):
        write_section(card, "quality", "new")

    assert card.read_text() == "<!-- quality begins -->\nby hand\n"


def test_a_card_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"nowhere\.md: this card cannot be read"):
        write_section(tmp_path / "nowhere.md", "quality", "new")
