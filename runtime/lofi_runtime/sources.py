"""A source: what generates a track, as far as can be known without loading it.

Nothing heavy is imported here: the server and the worker both speak of sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lofi_runtime.devices import AUTO
from lofi_runtime.manifest import Speed

Looks = frozenset[tuple[str, int, int]]
"""Name, size and time of change of each of a folder's files."""


@dataclass(frozen=True)
class Source:
    """A backend ready to be loaded.

    Args:
        backend: "procedural" or "ace_step".
        model_version: what ids and sidecars record.
        min_duration_sec: shortest track.
        max_duration_sec: longest track.
        folder: the bundle's, or None.
        precision: the bundle's variant, or "".
        is_verified: whether the bundle's files are checked against its manifest before loading.
        license_name: the model's licence, for tags and sidecar.
        model_identity: of the bundle's content, see `Bundle.identity`; "" for no bundle.
        model: the bundle's name without its precision, which requests name by `lora`.
        size_bytes: of the bundle's files.
        measured: see `Manifest.measured`.
        after_rows: see `Speed.after_rows`; None where nobody knows.
        looks: of the folder, when it was opened.
        notes: what a listener should know of the choice, such as a variant passed over.
    """

    backend: str
    model_version: str
    min_duration_sec: int
    max_duration_sec: int
    folder: Path | None = None
    precision: str = ""
    is_verified: bool = True
    license_name: str = ""
    model_identity: str = ""
    model: str = ""
    size_bytes: int = 0
    measured: Mapping[str, Speed] = field(default_factory=dict, hash=False)
    after_rows: float | None = None
    looks: Looks = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BackendChoice:
    """Which backend, with what; equal choices are one loaded backend.

    A bundle that was published anew in the same folder is another choice: its identity differs.

    Args:
        type: "procedural" or "ace_step".
        folder: the bundle's, or None.
        is_verified: whether the bundle's files are checked against its manifest.
        threads: processor threads a model may use.
        model_identity: of the bundle's content (`Bundle.identity`); "" for no bundle.
        precision: the bundle's variant.
        size_bytes: of the bundle's files.
        device: what to compute on, see `devices.DEVICES`.
    """

    type: str
    folder: Path | None = None
    is_verified: bool = True
    threads: int = 1
    model_identity: str = ""
    precision: str = ""
    size_bytes: int = 0
    device: str = AUTO

    @classmethod
    def of(cls, source: Source, threads: int, device: str) -> BackendChoice:
        """Choose what `source` describes."""
        return cls(
            type=source.backend,
            folder=source.folder,
            is_verified=source.is_verified,
            threads=threads,
            model_identity=source.model_identity,
            precision=source.precision,
            size_bytes=source.size_bytes,
            device=device,
        )

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> BackendChoice:
        """Read what `to_record` gave."""
        folder = record["folder"]
        return cls(**{**record, "folder": Path(folder) if folder else None})

    def to_record(self) -> dict[str, Any]:
        """Give the fields as a map that a pipe can carry."""
        return {**asdict(self), "folder": str(self.folder) if self.folder else None}
