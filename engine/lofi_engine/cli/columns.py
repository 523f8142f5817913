"""Columns of text for people."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence


def one_line(text: str) -> str:
    r"""Write control characters, which file names may hold, as escapes: a line break as `\n`."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )


def in_columns(rows: Sequence[Sequence[str]], numbers: Collection[int] = ()) -> Iterator[str]:
    """Align columns line by line; those in `numbers` to the right, the others to the left."""
    rows = [[one_line(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            text.rjust(width) if at in numbers else text.ljust(width)
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
