"""What can generate on this machine: the procedural backend, and the bundles installed here.

Reads manifests only; nothing here loads a model, so the server stays light.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_runtime.bundle import Bundle, open_bundle
from lofi_runtime.errors import BundleError
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.synth import VERSION as SYNTH_VERSION

PROCEDURAL, ACE_STEP = "procedural", "ace_step"
BACKENDS = (PROCEDURAL, ACE_STEP)
AUTO = "auto"
PRECISIONS = ("int8-fast", "int8", "fp16", "int4")
"""Best first: on a processor the fast 8-bit form costs least for a quality nobody hears."""
SAMPLE_RATE = 48_000


@dataclass(frozen=True)
class Source:
    """A backend ready to be loaded, as far as can be known without loading it.

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


# What `synth.backend.ProceduralBackend` says of itself, kept here so that the server need not
# import NumPy; a test compares the two.
PROCEDURAL_SOURCE = Source(
    PROCEDURAL, f"procedural {SYNTH_VERSION}", 5, 600, license_name="Apache-2.0"
)


class Library:
    """Lists backends and picks one for a request.

    Args:
        models: the folder of installed bundles, each a folder `<model>-<variant>`.
        bundle: an explicit bundle that is used instead; it may lack a manifest.
        default_backend: what a request without a name gets; None picks ace_step when a bundle is
            there, else procedural.
    """

    def __init__(
        self, models: Path, bundle: Path | None = None, default_backend: str | None = None
    ) -> None:
        self.models = models
        self.bundle = bundle.absolute() if bundle else None
        self._default_backend = default_backend
        self._known: dict[Path, tuple[frozenset[tuple[str, int, int]], Source | BundleError]] = {}

    @property
    def default_backend(self) -> str:
        """What a request without a name gets."""
        if self._default_backend:
            return self._default_backend
        return ACE_STEP if self.installed() else PROCEDURAL

    def installed(self) -> list[Source]:
        """Return the bundles that can be opened, best first: by model, then by precision."""
        return self._scan()[0]

    def damaged(self) -> list[BundleError]:
        """Return why each folder that looks like a bundle cannot be opened."""
        return self._scan()[1]

    def pick(self, backend: str | None = None, precision: str = AUTO) -> Source:
        """Return what generates for a request.

        Raises:
            RpcError: INVALID_BACKEND for an unknown name; BACKEND_NOT_INSTALLED when no bundle, or
                none of that precision, is here; MODEL_LOAD_FAILED when one is here but damaged.
        """
        backend = backend or self.default_backend
        if backend not in BACKENDS:
            raise RpcError(
                "INVALID_BACKEND", f"backend: {backend!r} is not one of {', '.join(BACKENDS)}"
            )
        if backend == PROCEDURAL:
            return PROCEDURAL_SOURCE
        sources, problems = self._scan()
        fitting = [source for source in sources if precision in (AUTO, source.precision)]
        if fitting:
            return fitting[0]
        if problems and not sources:
            raise RpcError("MODEL_LOAD_FAILED", problems[0].message, hint=problems[0].hint)
        found = ", ".join(source.precision for source in sources)
        wanted = "no bundle" if precision == AUTO else f"no bundle with precision {precision!r}"
        here = f"installed: {found}" if found else "none is"
        raise RpcError(
            "BACKEND_NOT_INSTALLED",
            f"backend 'ace_step': {wanted} is installed in {self.models} ({here})",
            hint="install one there, name one with --bundle, or ask for backend 'procedural'",
        )

    def describe(self) -> list[dict[str, Any]]:
        """Return every backend as `get_backends` tells it."""
        sources, problems = self._scan()
        return [_describe_procedural(), _describe_ace_step(sources, problems)]

    def _scan(self) -> tuple[list[Source], list[BundleError]]:
        folders = [self.bundle] if self.bundle else _bundle_folders(self.models)
        sources: list[Source] = []
        problems: list[BundleError] = []
        for folder in folders:
            found = self._open(folder)
            if isinstance(found, Source):
                sources.append(found)
            else:
                problems.append(found)
        return sorted(sources, key=_rank), problems

    def _open(self, folder: Path) -> Source | BundleError:
        """Open a bundle, or tell what it was when its files looked just the same."""
        looks = _looks_of(folder)
        known = self._known.get(folder)
        if known is not None and known[0] == looks:
            return known[1]
        found: Source | BundleError
        try:
            found = _source_of(open_bundle(folder, verify=False))
        except BundleError as error:
            found = error
        self._known[folder] = looks, found
        return found


def _looks_of(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Return name, size and time of each file: reading manifests anew would hold up the server."""
    try:
        states = [(path.name, path.stat()) for path in folder.iterdir()]
    except OSError:
        return frozenset()
    return frozenset((name, state.st_size, state.st_mtime_ns) for name, state in states)


def _bundle_folders(models: Path) -> list[Path]:
    """Return the folders with a manifest: one without is only opened on explicit request."""
    if not models.is_dir():
        return []
    return sorted(path.parent for path in models.glob("*/manifest.json"))


def _source_of(bundle: Bundle) -> Source:
    manifest = bundle.manifest
    return Source(
        backend=ACE_STEP,
        model_version=f"{bundle.name} {bundle.version}",
        min_duration_sec=bundle.config.min_duration_sec,
        max_duration_sec=bundle.config.max_duration_sec,
        folder=bundle.folder,
        precision=manifest.variant if manifest else "",
        is_verified=manifest is not None,
        license_name=manifest.license if manifest else "",
        model_identity=bundle.identity,
    )


def _rank(source: Source) -> tuple[str, int]:
    """Order by model, then by precision, so that `auto` never trades the model for speed."""
    name = source.folder.name if source.folder else ""
    order = PRECISIONS.index(source.precision) if source.precision in PRECISIONS else 99
    return name.removesuffix(f"-{source.precision}"), order


def _describe_procedural() -> dict[str, Any]:
    return _info(PROCEDURAL_SOURCE, "Procedural synthesiser") | {"status": "ready"}


def _describe_ace_step(sources: list[Source], problems: list[BundleError]) -> dict[str, Any]:
    if sources:
        precisions = [source.precision for source in sources if source.precision]
        return _info(sources[0], "ACE-Step") | {"status": "ready", "precisions": precisions}
    unknown = _info(Source(ACE_STEP, "", 5, 240), "ACE-Step")
    if problems:
        return unknown | {"status": "error", "message": str(problems[0])}
    return unknown | {"status": "not_installed"}


def _info(source: Source, name: str) -> dict[str, Any]:
    info: dict[str, Any] = {
        "type": source.backend,
        "name": name,
        "min_duration_sec": source.min_duration_sec,
        "max_duration_sec": source.max_duration_sec,
        "sample_rate": SAMPLE_RATE,
    }
    return info | ({"model_version": source.model_version} if source.model_version else {})
