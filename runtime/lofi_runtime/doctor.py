"""Looks at this machine and says, line by line, what works and what mends the rest."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from lofi_runtime.errors import LofiError
from lofi_runtime.library import ACE_STEP, Library
from lofi_runtime.paths import prepare_socket_folder
from lofi_runtime.settings import Settings

OLDEST_PYTHON = (3, 11)
NEEDED_FORMATS = ("WAV", "FLAC", "MP3")


@dataclass(frozen=True)
class Check:
    """One line of the report.

    Args:
        name: what was looked at.
        is_ok: whether it is as it should be.
        text: what was found, or why not.
        mend: a command or an act that mends it.
        is_needed: whether nothing can be generated without it.
    """

    name: str
    is_ok: bool
    text: str
    mend: str = ""
    is_needed: bool = False

    def line(self) -> str:
        """Return the check as one line."""
        mend = f" - {self.mend}" if self.mend else ""
        return f"{'ok ' if self.is_ok else 'not'}  {self.name}: {self.text}{mend}"


def examine(settings: Settings) -> Iterator[Check]:
    """Yield every check, the quick ones first."""
    yield _python()
    yield _store(settings)
    yield _synthesiser()
    yield _onnxruntime()
    yield _soundfile()
    yield from _models(settings)
    yield _socket_folder(settings)
    yield _server(settings)


def _python() -> Check:
    found = f"{platform.python_version()} ({sys.executable})"
    is_ok = sys.version_info >= OLDEST_PYTHON
    mend = "" if is_ok else "install Python 3.11 or later"
    return Check("Python", is_ok, found, mend, is_needed=True)


def _store(settings: Settings) -> Check:
    folder = settings.tracks
    probe = folder / f".doctor.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        text = f"{folder} is not writable ({error.strerror or error})"
        return Check("track store", False, text, "lofi-runtime serve --tracks FOLDER", True)
    return Check("track store", True, f"{folder} is writable", is_needed=True)


def _synthesiser() -> Check:
    try:
        import lofi_runtime.synth.rendering  # noqa: F401
    except ImportError as error:
        return Check("synthesiser", False, str(error), "pip install --force-reinstall lofi-recipe")
    return Check("synthesiser", True, "the procedural backend is always here", is_needed=True)


def _onnxruntime() -> Check:
    try:
        import onnxruntime
    except ImportError as error:
        return Check("onnxruntime", False, str(error), "pip install --force-reinstall onnxruntime")
    providers = ", ".join(onnxruntime.get_available_providers())
    return Check("onnxruntime", True, f"{onnxruntime.__version__} with {providers}")


def _soundfile() -> Check:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        mend = "pip install --force-reinstall soundfile"
        return Check("soundfile", False, str(error), mend, is_needed=True)
    formats = soundfile.available_formats()
    missing = [name for name in NEEDED_FORMATS if name not in formats]
    text = f"{_version_of('soundfile')}, {soundfile.__libsndfile_version__}, "
    if missing:
        text += f"without {', '.join(missing)}"
        return Check("soundfile", False, text, "pip install --upgrade soundfile")
    return Check("soundfile", True, text + f"writes {', '.join(NEEDED_FORMATS)}", is_needed=True)


def _models(settings: Settings) -> Iterator[Check]:
    library = Library(settings.models, settings.bundle)
    for source in library.installed():
        state = "ready" if source.is_verified else "has no manifest, so it is unverified"
        yield Check("model", True, f"{source.model_version} in {source.folder}, {state}")
    for problem in library.damaged():
        yield Check("model", False, problem.message, problem.hint)
    if not library.installed() and not library.damaged():
        where = settings.bundle or settings.models
        mend = "put a bundle's folder there, or name one with --bundle; the synthesiser plays now"
        yield Check("model", False, f"no bundle for backend '{ACE_STEP}' in {where}", mend)


def _socket_folder(settings: Settings) -> Check:
    try:
        prepare_socket_folder(settings.socket)
    except LofiError as error:
        return Check("socket folder", False, error.message, error.hint)
    return Check("socket folder", True, f"{settings.socket.parent} is for this user alone")


def _server(settings: Settings) -> Check:
    from lofi_runtime.rpc.client import ask
    from lofi_runtime.version import VERSION

    try:
        answer = ask(settings.socket, "ping")
    except LofiError as error:
        return Check("server", False, error.message, error.hint or "lofi-runtime serve")
    text = f"version {answer['version']} runs on {settings.socket} (process {answer.get('pid')})"
    if answer["version"] != VERSION:
        return Check("server", False, text, f"restart it: this is version {VERSION}")
    return Check("server", True, text)


def _version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown version"
