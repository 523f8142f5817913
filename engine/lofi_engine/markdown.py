"""Writes strangers' words into Markdown pages so that they stay words."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"""(https?://[^\s()<>"'`*\[\]|\\]+)""")
_MARKS = re.compile(r"[\\`*_\[\]|~]")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LEAD = re.compile(r"^(\d+)(?=[.)])|^(?=[-+=#])")


def plain(text: str) -> str:
    """Escape what Markdown, GitHub's tables or HTML would read as more than words, in one line.

    Web addresses stay as they are, so that a page's reader still finds links.
    """
    parts = _ADDRESS.split(" ".join(text.split()))
    escaped = "".join(part if at % 2 else _escaped(part) for at, part in enumerate(parts))
    return _LEAD.sub(lambda lead: f"{lead.group(1) or ''}\\", escaped)


def _escaped(words: str) -> str:
    marked = _MARKS.sub(lambda mark: f"\\{mark.group()}", words)
    return "".join(_HTML.get(letter, letter) for letter in marked)
