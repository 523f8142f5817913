"""A bundle: one variant of a model as a folder of ONNX graphs, with its manifest.

`open_bundle` checks everything before anything is loaded: that all files exist, that every size and
sha256 is the manifest's, and that this version can read the manifest at all. A folder of graphs
without a manifest opens only when the caller says so, and stays marked unverified.

Files are hashed where they lie and loaded from there at once (gigabytes are not held in memory
twice). What was written to or replaced between the two is found afterwards by
`Bundle.check_unchanged`, so nothing plays whose hash differs from the manifest's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_runtime.errors import BundleError
from lofi_runtime.manifest import FORMAT, Manifest, PipelineConfig, short_hash

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

MANIFEST_NAME = "manifest.json"
REQUIRED_FILES = (
    "text_encoder.onnx",
    "transformer_encoder.onnx",
    "transformer_decoder.onnx",
    "transformer_decoder_weights.bin",
    "dcae_decoder.onnx",
    "vocoder.onnx",
    "tokenizer.json",
)
GRAPHS = tuple(file for file in REQUIRED_FILES if file.endswith(".onnx"))
OPTIONAL_GRAPHS = ("transformer_context.onnx", "transformer_decoder_step.onnx")
"""The decoder in two: what depends on the context alone, and the rest. Both or none are used; they
share the decoder's weights file."""
LYRIC_VOCABULARY = "lyric_vocabulary.json"
ADAPTER_FILES = ("pytorch_lora_weights.safetensors", "adapter_model.safetensors")

Stamp = tuple[int, ...]
"""Device, inode, size and times of a file: differs after any write to it or in its place."""

_CHUNK_BYTES = 1 << 20
_DAMAGED = "pull it again, or delete the folder"


@dataclass(frozen=True)
class Bundle:
    """An opened bundle.

    Args:
        folder: where the graphs lie.
        manifest: None for a folder without one.
        verified: whether every file was found to be the manifest's.
        stated_config: the figures of a bundle that has no manifest yet; None for a foreign one,
            which is taken for ACE-Step v1.
        identity: 16 hex digits for the content; "" where nobody asks for it. With a manifest, see
            `Manifest.identity`. Without one, of the folder's path and of every file's name, size
            and time of change: hashing gigabytes would hold up whoever only asks what is here.
        stamps: the files' states before they were checked.
    """

    folder: Path
    manifest: Manifest | None
    verified: bool
    stated_config: PipelineConfig | None = None
    identity: str = ""
    stamps: Mapping[str, Stamp] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The manifest's name, or the folder's."""
        return self.manifest.name if self.manifest else self.folder.name

    @property
    def version(self) -> str:
        """The model's release, or "unverified"."""
        return self.manifest.version if self.manifest else "unverified"

    @property
    def config(self) -> PipelineConfig:
        """The manifest's figures, or those stated, or ACE-Step v1's."""
        if self.manifest:
            return self.manifest.config
        return self.stated_config or PipelineConfig()

    @property
    def is_foreign(self) -> bool:
        """Whether nothing says that the graphs keep all of the contract."""
        return self.manifest is None and self.stated_config is None

    @property
    def is_unpublished(self) -> bool:
        """Whether it is still being made: its figures are stated, it has no manifest yet."""
        return self.manifest is None and self.stated_config is not None

    @property
    def has_lyrics(self) -> bool:
        """Whether the bundle can tokenize lyrics; a file its manifest does not list is not used."""
        if self.manifest:
            return LYRIC_VOCABULARY in self.manifest.files
        return self.path(LYRIC_VOCABULARY).is_file()

    @property
    def has_step_graphs(self) -> bool:
        """Whether the bundle has `OPTIONAL_GRAPHS`; what its manifest does not list is not used.

        Nothing says of a foreign folder's that they were cut from the decoder beside them.
        """
        if self.manifest:
            listed = self.manifest.files.keys() & self.manifest.graphs.keys()
            return set(OPTIONAL_GRAPHS) <= listed
        return not self.is_foreign and all(self.path(file).is_file() for file in OPTIONAL_GRAPHS)

    def path(self, file: str) -> Path:
        """Give the path of one of the bundle's files."""
        return self.folder / file

    def check_unchanged(self) -> None:
        """Check after loading that no file was touched since before it was hashed.

        Raises:
            BundleError: names the file.
        """
        for file, before in self.stamps.items():
            if _stamp(self.path(file)) != before:
                raise BundleError(
                    f"{self.path(file)}: changed while the bundle was being loaded",
                    hint="ask again once nothing writes to the folder",
                )


def open_bundle(
    folder: Path,
    *,
    verify: bool = True,
    on_bytes: Callable[[int, int], None] | None = None,
) -> Bundle:
    """Open the bundle in `folder`, after checking every file.

    Args:
        folder: with a manifest, all graphs and the tokenizer.
        verify: False opens a folder without a manifest too, and reads no file to hash it; the
            answer is marked unverified.
        on_bytes: `on_bytes(done, total)` while files are hashed.

    Raises:
        BundleError: names the file, what was expected and found, and what to do.
    """
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such bundle folder", hint="pull the model first")
    if (problem := adapter_problem(folder)) is not None:
        raise problem
    missing = [file for file in REQUIRED_FILES if not (folder / file).is_file()]
    if missing:
        raise BundleError(f"{folder}: lacks {', '.join(missing)}", hint=_DAMAGED)
    manifest = _manifest_of(folder)
    if manifest is None and verify:
        raise BundleError(
            f"{folder}: has no {MANIFEST_NAME}, so its files cannot be verified",
            hint="pull a published bundle, or ask for this folder as unverified",
        )
    if manifest is None:
        stamps = _stamps(folder, sorted(path.name for path in folder.iterdir() if path.is_file()))
        identity = _identity_by_state(folder, stamps)
        return Bundle(folder, None, verified=False, identity=identity, stamps=stamps)
    stamps = _stamps(folder, manifest.files)
    _check_sizes(folder, manifest)
    if verify:
        _check_hashes(folder, manifest, on_bytes or (lambda _done, _total: None))
    return Bundle(folder, manifest, verified=verify, identity=manifest.identity, stamps=stamps)


def adapter_problem(folder: Path) -> BundleError | None:
    """Say what is wrong with a folder that holds an adapter and no graphs; None of any other."""
    found = [name for name in ADAPTER_FILES if (folder / name).is_file()]
    if not found or (folder / REQUIRED_FILES[0]).exists():
        return None
    return BundleError(
        f"{folder}: a bare adapter ({found[0]}), which cannot be played: adapters are merged into"
        " their base before it is quantized",
        hint="make its bundles: lofi-recipe run RECIPE",
    )


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest; touches no other file.

    Raises:
        BundleError: it is unreadable, of another format, or breaks the schema.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BundleError(f"{path}: not a readable manifest ({error})", hint=_DAMAGED) from error
    if not isinstance(record, dict) or "format" not in record:
        raise BundleError(f"{path}: not a manifest (it states no format)", hint=_DAMAGED)
    if record["format"] != FORMAT:
        raise BundleError(
            f"{path}: manifest format {record['format']!r}, this version reads {FORMAT}",
            hint="upgrade lofi-recipe",
        )
    problem = manifest_problem(record)
    if problem:
        raise BundleError(f"{path}: {problem}", hint=_DAMAGED)
    return Manifest.from_record(record)


def manifest_problem(record: Any) -> str:
    """Say in one line what breaks `manifest.v1.schema.json` in `record`; "" when nothing does."""
    errors = sorted(_validator().iter_errors(record), key=lambda error: list(map(str, error.path)))
    if not errors:
        return ""
    where = ".".join(map(str, errors[0].absolute_path)) or "top level"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where}: {errors[0].message}{more}"


@cache
def _validator() -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    from lofi_runtime.shared_data import shared_folder

    schema = shared_folder("schemas") / "manifest.v1.schema.json"
    return Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))


def hash_file(path: Path, on_bytes: Callable[[int], None] = lambda _count: None) -> str:
    """Give a file's sha256 in hex, reading it piece by piece.

    Args:
        path: the file.
        on_bytes: called with the size of every piece read.
    """
    digest = sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_CHUNK_BYTES):
            digest.update(piece)
            on_bytes(len(piece))
    return digest.hexdigest()


def file_records(folder: Path) -> dict[str, dict[str, int | str]]:
    """Describe a folder's files as a manifest's `files` does, by name, but the manifest itself."""
    return {
        path.name: {"sha256": hash_file(path), "size_bytes": path.stat().st_size}
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MANIFEST_NAME
    }


def _manifest_of(folder: Path) -> Manifest | None:
    path = folder / MANIFEST_NAME
    return read_manifest(path) if path.is_file() else None


def _stamps(folder: Path, files: Iterable[str]) -> dict[str, Stamp]:
    return {file: _stamp(folder / file) for file in files}


def _stamp(path: Path) -> Stamp:
    """Tell a file's state; an absent one has none."""
    try:
        state = path.stat()
    except OSError:
        return ()
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _identity_by_state(folder: Path, stamps: Mapping[str, Stamp]) -> str:
    # Size and time of writing alone: a file's inode and ctime change with every copy or link.
    states = {file: stamp[2:4] for file, stamp in stamps.items()}
    return short_hash({"folder": str(folder.resolve()), "files": states})


def _check_sizes(folder: Path, manifest: Manifest) -> None:
    """Check that every listed file is there in its size, which costs no reading."""
    for file, record in manifest.files.items():
        path = folder / file
        if not path.is_file():
            raise BundleError(f"{path}: listed in {MANIFEST_NAME} but missing", hint=_DAMAGED)
        found = path.stat().st_size
        if found != record.size_bytes:
            raise BundleError(
                f"{path}: {found} bytes found, {record.size_bytes} expected", hint=_DAMAGED
            )


def _check_hashes(folder: Path, manifest: Manifest, on_bytes: Callable[[int, int], None]) -> None:
    total, done = manifest.size_bytes, 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        on_bytes(done, total)

    for file, record in manifest.files.items():
        try:
            found = hash_file(folder / file, advance)
        except OSError as error:
            raise BundleError(f"{folder / file}: unreadable ({error})", hint=_DAMAGED) from error
        if found != record.sha256:
            raise BundleError(
                f"{folder / file}: sha256 {found} found, {record.sha256} expected", hint=_DAMAGED
            )
