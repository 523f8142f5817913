"""Looks at this machine and says, line by line, what works and what mends the rest."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from lofi_runtime.bundle import open_bundle
from lofi_runtime.devices import providers_for
from lofi_runtime.errors import BundleError, LofiError
from lofi_runtime.library import ACE_STEP, Library
from lofi_runtime.paths import prepare_socket_folder
from lofi_runtime.settings import Settings
from lofi_runtime.sources import Source
from lofi_runtime.version import VERSION

OLDEST_PYTHON = (3, 11)
NEEDED_FORMATS = ("WAV", "FLAC", "MP3")
PACKAGES = ("numpy", "scipy", "msgpack", "tokenizers")
VERIFIED_BYTES = 500_000_000
"""Bundles up to this size are hashed unasked: a second or two."""

ShownBytes = Callable[[], AbstractContextManager[Callable[[str, int, int], None]]]
"""Shows a bundle being hashed: see `hub.bar.shown_bytes`."""


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


def examine(
    settings: Settings,
    *,
    verify: bool = False,
    shown_bytes: ShownBytes = lambda: nullcontext(lambda *_: None),
) -> Iterator[Check]:
    """Yield every check.

    Args:
        settings: what a server would be started with.
        verify: hash the files of bundles of any size.
        shown_bytes: shows a bundle being hashed.
    """
    yield Check("lofi-recipe", True, VERSION)
    yield _python()
    yield _store(settings)
    yield _packages()
    yield _synthesiser()
    yield _onnxruntime(settings)
    yield _soundfile()
    yield _sound()
    yield from _models(settings, verify, shown_bytes)
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


def _packages() -> Check:
    told = []
    for name in PACKAGES:
        try:
            import_module(name)
        except ImportError as error:
            mend = f"pip install --force-reinstall {name}"
            return Check("packages", False, f"{name}: {error}", mend, is_needed=True)
        told.append(f"{name} {_version_of(name)}")
    return Check("packages", True, ", ".join(told), is_needed=True)


def _onnxruntime(settings: Settings) -> Check:
    try:
        import onnxruntime
    except ImportError as error:
        return Check("onnxruntime", False, str(error), "pip install --force-reinstall onnxruntime")
    available = onnxruntime.get_available_providers()
    text = f"{onnxruntime.__version__} with {', '.join(available)}"
    try:
        used = providers_for(settings.device, available)[0]
    except LofiError as error:
        return Check("onnxruntime", False, f"{text}; {error.message}", error.hint)
    return Check("onnxruntime", True, f"{text}; models run with {used}")


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


def _sound() -> Check:
    try:
        from lofi_runtime.player.audio_devices import list_devices

        devices = list_devices()
    except (ImportError, OSError) as error:
        return Check("sound", False, str(error), "pip install --force-reinstall miniaudio")
    if not devices:
        return Check("sound", True, "no audio device: tracks are made but not played here")
    names = (f"{one.name} (default)" if one.is_default else one.name for one in devices)
    return Check("sound", True, f"plays on {', '.join(names)}")


def _models(settings: Settings, verify: bool, shown_bytes: ShownBytes) -> Iterator[Check]:
    library = Library(settings.models, settings.bundle)
    for source in library.installed():
        yield _model(source, verify, shown_bytes)
    for problem in library.damaged():
        yield Check("model", False, problem.message, problem.hint)
    if not library.installed() and not library.damaged():
        where = settings.bundle or settings.models
        mend = "lofi-runtime pull, put a bundle's folder there, or name one with --bundle; "
        mend += "the synthesiser plays now"
        yield Check("model", False, f"no bundle for backend '{ACE_STEP}' in {where}", mend)


def _model(source: Source, verify: bool, shown_bytes: ShownBytes) -> Check:
    text = f"{source.model_version}, {source.size_bytes / 1e6:.0f} MB in {source.folder}, "
    if source.folder is None or not source.is_verified:
        return Check("model", True, text + "has no manifest, so it is unverified")
    if source.size_bytes > VERIFIED_BYTES and not verify:
        mend = f"lofi-runtime verify {source.folder.name}"
        return Check("model", True, text + "sizes are the manifest's, hashes were not read", mend)
    try:
        with shown_bytes() as on_bytes:
            open_bundle(source.folder, on_bytes=partial(on_bytes, source.folder.name))
    except BundleError as error:
        return Check("model", False, error.message, error.hint)
    return Check("model", True, text + "every file is the manifest's")


def _socket_folder(settings: Settings) -> Check:
    try:
        prepare_socket_folder(settings.socket)
    except LofiError as error:
        return Check("socket folder", False, error.message, error.hint)
    return Check("socket folder", True, f"{settings.socket.parent} is for this user alone")


def _server(settings: Settings) -> Check:
    from lofi_runtime.rpc.client import ask

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
