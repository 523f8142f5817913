"""Names for tracks: safe in any file system and shell, unique, the same on every machine."""

from __future__ import annotations

import hashlib
import re
import unicodedata

MAX_NAME_LENGTH = 64
_HASH_LENGTH = 8


class Names:
    """Gives each track its name; no two differ in case alone."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, stem: str, source: str) -> str:
        """Give a track's name.

        Args:
            stem: what the file is called, without its suffix.
            source: the whole path, which tells tracks of one name apart.

        Returns:
            Letters, digits, "-" and "_" only: a dot would make one track's name another's file.
        """
        name = safe_name(stem)
        if not name or name.lower() in self._taken:
            digest = hashlib.sha256(source.encode("utf-8", "backslashreplace")).hexdigest()
            name = f"{name or 'track'}-{digest[:_HASH_LENGTH]}"
        # Two folders called alike, each outside of the recipe's, give their files one source.
        base, number = name, 1
        while name.lower() in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._taken.add(name.lower())
        return name


def safe_name(stem: str) -> str:
    """Reduce a file's name to ASCII letters, digits, "-" and "_"; "" when nothing is left."""
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_-")[:MAX_NAME_LENGTH]
