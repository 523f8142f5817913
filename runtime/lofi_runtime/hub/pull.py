"""Pulls one bundle: what is missing comes aside, is checked, and takes its place as a whole.

Half-made downloads lie in `<models>/.pull/<bundle>`, where no one looks for bundles, until a pull
of the same bundle resumes them. A file counts as there only when its sha256 is the manifest's;
what an installed bundle has already is copied.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lofi_runtime.atomic import PART, recover_folder, replace_folder
from lofi_runtime.bundle import (
    MANIFEST_NAME,
    REQUIRED_FILES,
    hash_file,
    open_bundle,
    read_manifest,
)
from lofi_runtime.choosing import AUTO
from lofi_runtime.errors import BundleError
from lofi_runtime.hub.errors import DownloadError
from lofi_runtime.hub.offers import MAX_TEXT_BYTES, Offer, choose_offer, read_offers
from lofi_runtime.hub.repository import Repository
from lofi_runtime.manifest import FileRecord, Manifest

ASIDE = ".pull"
ALLOWED_SUFFIXES = (".onnx", ".json", ".safetensors", "_weights.bin")
"""Graphs, texts and plain weights; whatever could be a program is not taken."""
SPARE_BYTES = 1 << 24
"""Left free besides what the bundle takes."""

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class PullProgress:
    """How far a pull is.

    Args:
        bundle: its name.
        component: the file that comes.
        component_bytes: of it that are here.
        component_bytes_total: that it has.
        bytes_done: of all files that are here.
        bytes_total: that they have.
        components_done: files that are here and were checked.
        components_total: files.
    """

    bundle: str
    component: str
    component_bytes: int
    component_bytes_total: int
    bytes_done: int
    bytes_total: int
    components_done: int
    components_total: int


@dataclass(frozen=True)
class Pulled:
    """An installed bundle.

    Args:
        folder: where it lies.
        manifest: its own.
        was_installed: whether this very one lay there already.
    """

    folder: Path
    manifest: Manifest
    was_installed: bool


OnPull = Callable[[PullProgress], None]


def pull(
    repository: Repository,
    models: Path,
    *,
    name: str = "",
    precision: str = AUTO,
    on_progress: OnPull = lambda _progress: None,
) -> Pulled:
    """Install a bundle, or find that it is installed.

    Args:
        repository: where it comes from.
        models: the folder of installed bundles, made if it is not there.
        name: a bundle's or a model's; see `choose_offer`.
        precision: see there.
        on_progress: called as bytes come.

    Raises:
        DownloadError: it cannot be had, is not what its manifest says, does not run here, or the
            disk has no room; says which and what to do. An older bundle stays as it was.
    """
    offer = choose_offer(read_offers(repository), repository.label, name, precision)
    with writable(models), alone(models, offer.name):
        place, aside = models / offer.name, models / ASIDE / offer.name
        recover_folder(place)
        _refuse_foreign(place)
        aside.mkdir(parents=True, exist_ok=True)
        manifest = _fetch_manifest(repository, offer, aside)
        if _is_installed(place, aside):
            shutil.rmtree(aside, ignore_errors=True)
            return Pulled(place, manifest, was_installed=True)
        _Pull(repository, offer, manifest, models, on_progress).run()
        _check_whole(aside)
        replace_folder(aside, place)
        return Pulled(place, manifest, was_installed=False)


@contextlib.contextmanager
def alone(models: Path, name: str) -> Iterator[None]:
    """Keep other pulls and removals away from one bundle.

    Raises:
        DownloadError: one is at work.
    """
    lock = models / ASIDE / f"{name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(lock, timeout=0).acquire()
    except Timeout as error:
        raise DownloadError(
            f"{name}: another process is installing or removing it in {models}",
            hint="wait for it to end",
        ) from error
    with held:
        yield


@contextlib.contextmanager
def writable(models: Path) -> Iterator[None]:
    """Name the folder in whatever the disk refuses."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise DownloadError(
                f"{models}: the disk is full; what came is kept",
                hint="free some space and ask again, or give another folder with --models",
            ) from error
        raise DownloadError(
            f"{error.filename or models}: cannot be written ({error.strerror or error})",
            hint="give another folder with --models",
        ) from error


def _refuse_foreign(place: Path) -> None:
    """Never put a bundle where something lies that is none."""
    if place.is_symlink() or (place.exists() and not (place / MANIFEST_NAME).is_file()):
        raise DownloadError(
            f"{place}: something lies there that was not pulled", hint="move it away"
        )


def _fetch_manifest(repository: Repository, offer: Offer, aside: Path) -> Manifest:
    file = f"{offer.folder}{MANIFEST_NAME}"
    text = repository.read(file, MAX_TEXT_BYTES)
    found = hashlib.sha256(text).hexdigest()
    if offer.manifest_sha256 not in ("", found):
        raise DownloadError(
            f"{repository.label}: {file}: sha256 {found} found, {offer.manifest_sha256} expected",
            hint="it may be half published; try again later",
        )
    path = aside / MANIFEST_NAME
    path.write_bytes(text)
    try:
        manifest = read_manifest(path)
    except BundleError as error:
        path.unlink()
        # What breaks the schema is shown whole, and a publisher may make it long.
        why = error.message.removeprefix(f"{path}: ")[:300]
        hint = error.hint if "upgrade" in error.hint else "tell whoever published it"
        raise DownloadError(f"{repository.label}: {file}: {why}", hint=hint) from error
    try:
        _check_manifest(f"{repository.label}: {file}", manifest, offer)
    except DownloadError:
        path.unlink()
        raise
    return manifest


def _check_manifest(where: str, manifest: Manifest, offer: Offer) -> None:
    if manifest.name != offer.name:
        raise DownloadError(f"{where}: describes {manifest.name!a}, not {offer.name!a}")
    for file in manifest.files:
        if Path(file).name != file or file.startswith(".") or not file.isprintable():
            raise DownloadError(f"{where}: {file!a} is not a file of the bundle's folder")
        if file not in REQUIRED_FILES and not file.endswith(ALLOWED_SUFFIXES):
            kinds = ", ".join(ALLOWED_SUFFIXES)
            raise DownloadError(f"{where}: {file!a} may not be in a bundle, only {kinds}")
    _check_onnxruntime(where, manifest.oldest_onnxruntime)


def _check_onnxruntime(where: str, oldest: str) -> None:
    """Refuse before gigabytes come what could not be loaded after."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("onnxruntime")
    except PackageNotFoundError:
        # A build for another device goes by another name; loading looks at the module itself.
        return
    if _numbers(found) < _numbers(oldest):
        raise DownloadError(
            f"{where}: needs ONNX Runtime {oldest} or newer, {found} is installed",
            hint=f"pip install 'onnxruntime>={oldest}'",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2] if part.isdigit())


def _is_installed(place: Path, aside: Path) -> bool:
    """Whether the bundle in place has this very manifest, and the files in it, unharmed."""
    installed = place / MANIFEST_NAME
    if not installed.is_file():
        return False
    if installed.read_bytes() != (aside / MANIFEST_NAME).read_bytes():
        return False
    try:
        open_bundle(place)
    except BundleError:
        return False
    return True


def _check_whole(aside: Path) -> None:
    try:
        open_bundle(aside, verify=False)
    except BundleError as error:
        raise DownloadError(error.message, hint="tell whoever published it") from error


class _Pull:
    """Brings every file of one bundle to where it lies aside."""

    def __init__(
        self,
        repository: Repository,
        offer: Offer,
        manifest: Manifest,
        models: Path,
        on_progress: OnPull,
    ) -> None:
        self._repository = repository
        self._offer = offer
        self._manifest = manifest
        self._models = models
        self._aside = models / ASIDE / offer.name
        self._on_progress = on_progress
        self._done_bytes = 0
        self._done_files = 0

    def run(self) -> None:
        """Bring all; what is not the manifest's is deleted.

        Raises:
            DownloadError: a file cannot be had, or is another than the manifest's.
        """
        self._drop_strangers()
        self._check_space()
        donors = _installed_files(self._models)
        for file, record in self._manifest.files.items():
            self._tell(file, 0)
            self._bring(file, record, donors)
            self._done_files += 1
            self._done_bytes += record.size_bytes
        last, record = list(self._manifest.files.items())[-1]
        self._done_bytes -= record.size_bytes
        self._tell(last, record.size_bytes)

    def _bring(self, file: str, record: FileRecord, donors: Mapping[FileRecord, Path]) -> None:
        final, part = self._aside / file, self._part(file, record)
        if _is_same(final, record):
            return
        final.unlink(missing_ok=True)
        if not part.exists() and record in donors:
            shutil.copyfile(donors[record], part)
        while True:
            if part.exists() and part.stat().st_size > record.size_bytes:
                part.unlink()
            had_bytes = part.stat().st_size if part.exists() else 0
            path = f"{self._offer.folder}{file}"
            self._repository.fetch(
                path, part, record.size_bytes, lambda size: self._tell(file, size)
            )
            found = hash_file(part)
            if found == record.sha256:
                part.replace(final)
                return
            part.unlink()
            # What lay there before may have been the fault; the file itself gets one try.
            if not had_bytes:
                raise DownloadError(
                    f"{self._repository.label}: {path}: sha256 {found} found,"
                    f" {record.sha256} expected",
                    hint="ask again; if it stays so, tell whoever published it",
                )

    def _part(self, file: str, record: FileRecord) -> Path:
        """Name a half-made file after its content, so that another release's is never resumed."""
        return self._aside / f".{file}.{record.sha256[:16]}{PART}"

    def _drop_strangers(self) -> None:
        records = self._manifest.files
        ours = {MANIFEST_NAME, *records}
        ours |= {self._part(file, record).name for file, record in records.items()}
        for path in self._aside.iterdir():
            if path.name not in ours:
                path.unlink()

    def _check_space(self) -> None:
        missing = 0
        for file, record in self._manifest.files.items():
            here = (self._aside / file, self._part(file, record))
            there = max((path.stat().st_size for path in here if path.exists()), default=0)
            missing += max(record.size_bytes - there, 0)
        free = shutil.disk_usage(self._aside).free
        if missing and missing + SPARE_BYTES > free:
            raise DownloadError(
                f"{self._offer.name} needs {missing + SPARE_BYTES} more bytes in {self._models},"
                f" {free} are free",
                hint="free some space, or give another folder with --models",
            )

    def _tell(self, file: str, size_bytes: int) -> None:
        self._on_progress(
            PullProgress(
                bundle=self._offer.name,
                component=file,
                component_bytes=size_bytes,
                component_bytes_total=self._manifest.files[file].size_bytes,
                bytes_done=self._done_bytes + size_bytes,
                bytes_total=self._manifest.size_bytes,
                components_done=self._done_files,
                components_total=len(self._manifest.files),
            )
        )


def _is_same(path: Path, record: FileRecord) -> bool:
    return (
        path.is_file()
        and path.stat().st_size == record.size_bytes
        and hash_file(path) == record.sha256
    )


def _installed_files(models: Path) -> dict[FileRecord, Path]:
    """Give what lies in installed bundles by what it should be; whoever takes it checks it."""
    found = {}
    for path in models.glob(f"[!.]*/{MANIFEST_NAME}"):
        try:
            manifest = read_manifest(path)
        except BundleError:
            continue
        for file, record in manifest.files.items():
            if (path.parent / file).is_file():
                found[record] = path.parent / file
    return found
