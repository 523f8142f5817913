"""The bundles of the models folder: list them, verify them, remove one."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lofi_runtime.atomic import recover_folder
from lofi_runtime.bundle import MANIFEST_NAME, hash_file, open_bundle, read_manifest
from lofi_runtime.errors import BundleError, LofiError
from lofi_runtime.hub.errors import DownloadError
from lofi_runtime.hub.pull import ASIDE, alone, writable
from lofi_runtime.manifest import Manifest

WHOLE, DAMAGED, UNFINISHED = "whole", "damaged", "unfinished"


@dataclass(frozen=True)
class Installed:
    """One bundle of the models folder.

    Args:
        name: its folder's.
        folder: where it lies; of an unfinished pull, where that lies.
        state: "whole": every file is there in its size; "damaged"; or "unfinished".
        version: the model's release; "" where the manifest cannot be read.
        precision: the variant, likewise.
        license: SPDX identifier, likewise.
        size_bytes: on the disk.
        problem: why it is damaged.
    """

    name: str
    folder: Path
    state: str
    version: str = ""
    precision: str = ""
    license: str = ""
    size_bytes: int = 0
    problem: str = ""


def list_installed(models: Path) -> list[Installed]:
    """Return the bundles and the unfinished pulls, by name; no file is hashed."""
    _recover(models)
    bundles = [_describe(path.parent) for path in sorted(models.glob(f"[!.]*/{MANIFEST_NAME}"))]
    pulls = [
        Installed(path.name, path, UNFINISHED, size_bytes=_size_bytes(path))
        for path in sorted((models / ASIDE).glob("*"))
        if path.is_dir() and any(path.iterdir())
    ]
    return [*bundles, *pulls]


def find_problems(folder: Path, on_bytes: Callable[[int, int], None]) -> list[str]:
    """Hash every file of a bundle; returns a line for each that is not the manifest's.

    Args:
        folder: the bundle's.
        on_bytes: `on_bytes(done, total)` while files are hashed.
    """
    try:
        manifest = read_manifest(folder / MANIFEST_NAME)
    except BundleError as error:
        return [str(error)]
    problems, before = [], 0
    for file, record in manifest.files.items():
        path, done = folder / file, 0

        def advance(count: int, before: int = before) -> None:
            nonlocal done
            done += count
            on_bytes(before + done, manifest.size_bytes)

        try:
            found_bytes = path.stat().st_size
            found = hash_file(path, advance) if found_bytes == record.size_bytes else ""
        except OSError as error:
            problems.append(f"{path}: cannot be read ({error.strerror or error})")
        else:
            if not found:
                problems.append(f"{path}: {found_bytes} bytes found, {record.size_bytes} expected")
            elif found != record.sha256:
                problems.append(f"{path}: sha256 {found} found, {record.sha256} expected")
        before += record.size_bytes
    return problems or _structural_problems(folder)


def remove(models: Path, name: str) -> int:
    """Delete a bundle and what lies aside of an unfinished pull of it; returns the bytes freed.

    Raises:
        LofiError: there is no such bundle, or what lies there is none.
        DownloadError: it is being pulled.
    """
    place = models / name
    known = [one.name for one in list_installed(models)]
    if name not in known:
        if name == Path(name).name and not name.startswith(".") and place.exists():
            raise LofiError(
                f"{place}: not a bundle, it has no {MANIFEST_NAME}", hint="remove it yourself"
            )
        raise unknown_bundle(name, models, known)
    with writable(models), alone(models, name):
        aside = models / ASIDE / name
        doomed = models / ASIDE / f".{name}.removed"
        freed = _size_bytes(aside) + _size_bytes(place)
        try:
            shutil.rmtree(aside, ignore_errors=True)
            shutil.rmtree(doomed, ignore_errors=True)  # of one that was killed here
            # Out of sight at once: half a bundle would be taken for a damaged one.
            if place.is_symlink():
                place.unlink()
            elif place.exists():
                place.rename(doomed)
                shutil.rmtree(doomed)
        except OSError as error:
            raise LofiError(f"{place}: cannot be removed ({error.strerror or error})") from error
    return freed


def unknown_bundle(name: str, models: Path, known: Iterable[str]) -> LofiError:
    """Say that there is no such bundle, and which is the nearest."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1)
    here = f"installed: {', '.join(names)}" if names else "none is installed"
    hint = f"did you mean '{near[0]}'?" if near else ""
    return LofiError(f"there is no bundle {name!a} in {models} ({here})", hint=hint)


def _describe(folder: Path) -> Installed:
    size_bytes, manifest, problem = _size_bytes(folder), _readable(folder), ""
    try:
        open_bundle(folder, verify=False)
    except BundleError as error:
        problem = str(error)
    state = DAMAGED if problem else WHOLE
    if manifest is None:
        return Installed(folder.name, folder, state, size_bytes=size_bytes, problem=problem)
    return Installed(
        folder.name,
        folder,
        state,
        manifest.version,
        manifest.variant,
        manifest.license,
        size_bytes,
        problem,
    )


def _readable(folder: Path) -> Manifest | None:
    try:
        return read_manifest(folder / MANIFEST_NAME)
    except BundleError:
        return None


def _structural_problems(folder: Path) -> list[str]:
    try:
        open_bundle(folder, verify=False)
    except BundleError as error:
        return [str(error)]
    return []


def _recover(models: Path) -> None:
    """Put back what a killed pull had moved away, unless a pull is at it now."""
    for old in models.glob(".*.old"):
        name = old.name.removeprefix(".").removesuffix(".old")
        try:
            with alone(models, name):
                recover_folder(models / name)
        except DownloadError:
            continue


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
