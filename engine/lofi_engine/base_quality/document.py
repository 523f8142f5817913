"""`quality.json`: what was measured of a base, and whether it still holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lofi_engine.base_quality.figures import VERSIONS
from lofi_engine.base_quality.results import Result
from lofi_engine.errors import StageError
from lofi_runtime.atomic import read_json, write_json

FILE = "quality.json"
_FORMAT = 1


@dataclass
class Document:
    """A base's figures.

    Args:
        name: what the base is called.
        base: its identity.
        asked: everything that all figures depend on besides the base.
        command: how to measure the same again.
        results: by figure.
    """

    name: str
    base: str
    asked: Mapping[str, Any]
    command: str
    results: dict[str, Result] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "format": _FORMAT,
            "name": self.name,
            "base": self.base,
            "asked": dict(self.asked),
            "command": self.command,
            "figures": {
                name: {"version": VERSIONS[name], **result.as_json()}
                for name, result in self.results.items()
            },
        }

    def write(self, folder: Path) -> None:
        """Write `FILE`.

        Raises:
            OSError: the folder cannot be written.
        """
        write_json(folder / FILE, self.as_json())

    def go_on_with(self, folder: Path) -> None:
        """Take over what an earlier start measured of the same base with the same settings.

        What was measured here stays.

        Raises:
            StageError: there is a file of that name which is not such a document.
        """
        path = folder / FILE
        if not path.is_file():
            return
        try:
            read = read_json(path)
            if read["base"] != self.base or read["asked"] != dict(self.asked):
                return
            for name, one in read["figures"].items():
                version = one.pop("version")
                if VERSIONS.get(name) == version and name not in self.results:
                    self.results[name] = Result.from_json(one)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StageError(
                f"{path}: is no record of a base's figures ({error})",
                hint="remove it, or name another folder with --out",
            ) from error
