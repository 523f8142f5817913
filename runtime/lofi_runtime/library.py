"""What can generate on this machine: the procedural backend, and the bundles installed here.

Reads manifests only; nothing here loads a model, so the server stays light.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lofi_runtime.bundle import Bundle, adapter_problem, open_bundle
from lofi_runtime.choosing import AUTO, Failures, choose, order
from lofi_runtime.devices import AUTO as ANY_DEVICE
from lofi_runtime.devices import provider_for
from lofi_runtime.errors import BundleError
from lofi_runtime.memory import available_bytes
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.sources import Looks, Source
from lofi_runtime.synth import VERSION as SYNTH_VERSION

PROCEDURAL, ACE_STEP = "procedural", "ace_step"
BACKENDS = (PROCEDURAL, ACE_STEP)
SAMPLE_RATE = 48_000


# What `synth.backend.ProceduralBackend` says of itself, kept here so that the server need not
# import NumPy; a test compares the two.
PROCEDURAL_SOURCE = Source(
    PROCEDURAL, f"procedural {SYNTH_VERSION}", 5, 600, license_name="Apache-2.0"
)


@dataclass(frozen=True)
class Preferences:
    """What a request without a name for it gets.

    Args:
        backend: None picks ace_step when a bundle is there, else procedural.
        lora: the model; "" takes the first by name.
        precision: the variant; "auto" takes the fastest.
        device: what models run on, see `devices.DEVICES`.
    """

    backend: str | None = None
    lora: str = ""
    precision: str = AUTO
    device: str = ANY_DEVICE


class Library:
    """Lists backends and picks one for a request.

    Args:
        models: the folder of installed bundles, each a folder `<model>-<variant>`.
        bundle: an explicit bundle that is used instead; it may lack a manifest.
        preferences: what a request without a name gets.
        available: gives the bytes of memory a model may take now, or None where nobody knows.
    """

    def __init__(
        self,
        models: Path,
        bundle: Path | None = None,
        preferences: Preferences = Preferences(),
        available: Callable[[], int | None] = available_bytes,
    ) -> None:
        self.models = models
        self.bundle = bundle.absolute() if bundle else None
        self.preferences = preferences
        self._available = available
        self._known: dict[Path, tuple[Looks, Source | BundleError]] = {}
        self._failures = Failures()

    @property
    def default_backend(self) -> str:
        """What a request without a name gets."""
        if self.preferences.backend:
            return self.preferences.backend
        return ACE_STEP if self.installed() else PROCEDURAL

    def installed(self) -> list[Source]:
        """Return the bundles that can be opened, best first: by model, then the fastest."""
        return self._scan()[0]

    def damaged(self) -> list[BundleError]:
        """Return why each folder that looks like a bundle cannot be opened."""
        return self._scan()[1]

    def pick(self, backend: str | None = None, precision: str = AUTO, lora: str = "") -> Source:
        """Return what generates for a request.

        With precision "auto" a variant that failed lately, or that memory has no room for now, is
        passed over for the next fastest; the source's notes say so.

        Raises:
            RpcError: INVALID_BACKEND for an unknown name; BACKEND_NOT_INSTALLED when no bundle, or
                none of that precision, is here; MODEL_NOT_FOUND when no model of that name is;
                MODEL_LOAD_FAILED when one is here but damaged, failed, or a bare adapter.
        """
        backend = backend or self.default_backend
        if backend not in BACKENDS:
            raise RpcError(
                "INVALID_BACKEND", f"backend: {backend!r} is not one of {', '.join(BACKENDS)}"
            )
        if backend == PROCEDURAL:
            return PROCEDURAL_SOURCE
        sources, problems = self._scan()
        if problems and not sources:
            raise RpcError("MODEL_LOAD_FAILED", problems[0].message, hint=problems[0].hint)
        if lora := lora or self.preferences.lora:
            sources = self._of_model(lora, sources)
        fitting = [source for source in sources if precision in (AUTO, source.precision)]
        if not fitting:
            for problem in problems:
                if precision != AUTO and f"-{precision}" in problem.message.partition(": ")[0]:
                    raise RpcError("MODEL_LOAD_FAILED", problem.message, hint=problem.hint)
            raise self._not_installed(precision, sources)
        if precision != AUTO:
            return fitting[0]
        of_model = [source for source in fitting if source.model == fitting[0].model]
        return choose(of_model, self._failures, self._available(), self.preferences.precision)

    def give_up(self, source: Source, reason: str) -> None:
        """Pass this variant over for a while, or until its files change."""
        self._failures.add(source, reason)

    def has_failed(self, source: Source) -> bool:
        """Whether this variant is passed over."""
        return bool(self._failures.reason(source))

    def why_failed(self, model: str) -> str:
        """Say why each of a model's variants is passed over; "" where none is."""
        mine = [source for source in self.installed() if source.model == model]
        reasons = {source.precision or model: self._failures.reason(source) for source in mine}
        return "; ".join(f"{name} failed: {reason}" for name, reason in reasons.items() if reason)

    def _of_model(self, lora: str, sources: list[Source]) -> list[Source]:
        found = [source for source in sources if source.model == lora]
        if found:
            return found
        if (problem := adapter_problem(self.models / lora)) is not None:
            raise RpcError("MODEL_LOAD_FAILED", problem.message, hint=problem.hint)
        names = sorted({source.model for source in sources})
        near = difflib.get_close_matches(lora, names, n=1)
        raise RpcError(
            "MODEL_NOT_FOUND",
            f"lora: no model {lora!r} is installed in {self.bundle or self.models}"
            f" (installed: {', '.join(names) or 'none'})",
            hint=f"did you mean '{near[0]}'?"
            if near
            else "run lofi-runtime pull, or leave lora out",
        )

    def _not_installed(self, precision: str, sources: list[Source]) -> RpcError:
        found = ", ".join(source.precision for source in sources)
        wanted = "no bundle" if precision == AUTO else f"no bundle with precision {precision!r}"
        here = f"installed: {found}" if found else "none is"
        return RpcError(
            "BACKEND_NOT_INSTALLED",
            f"backend 'ace_step': {wanted} is installed in {self.bundle or self.models} ({here})",
            hint="run lofi-runtime pull, name one with --bundle, or ask for backend 'procedural'",
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
        return order(sources, self.preferences.device), problems

    def _open(self, folder: Path) -> Source | BundleError:
        """Open a bundle, or tell what it was when its files looked just the same."""
        looks = _looks_of(folder)
        known = self._known.get(folder)
        if known is not None and known[0] == looks:
            return known[1]
        found: Source | BundleError
        try:
            found = _source_of(open_bundle(folder, verify=False), looks, self.preferences.device)
        except BundleError as error:
            found = error
        self._known[folder] = looks, found
        return found


def _looks_of(folder: Path) -> Looks:
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
    # A name with a dot is one that is just being put in place or taken away.
    return sorted(
        path.parent for path in models.glob("*/manifest.json") if path.parent.name[0] != "."
    )


def _source_of(bundle: Bundle, looks: Looks, device: str) -> Source:
    manifest = bundle.manifest
    precision = manifest.variant if manifest else ""
    measured = manifest.measured if manifest else {}
    speed = measured.get(provider_for(device, tuple(measured)))
    return Source(
        backend=ACE_STEP,
        model_version=f"{bundle.name} {bundle.version}",
        min_duration_sec=bundle.config.min_duration_sec,
        max_duration_sec=bundle.config.max_duration_sec,
        folder=bundle.folder,
        precision=precision,
        is_verified=manifest is not None,
        license_name=manifest.license if manifest else "",
        model_identity=bundle.identity,
        model=bundle.name.removesuffix(f"-{precision}"),
        size_bytes=sum(size for _, size, _ in looks),
        measured=measured,
        after_rows=speed.after_rows if speed else None,
        looks=looks,
    )


def _describe_procedural() -> dict[str, Any]:
    return _info(PROCEDURAL_SOURCE, "Procedural synthesiser") | {"status": "ready"}


def _describe_ace_step(sources: list[Source], problems: list[BundleError]) -> dict[str, Any]:
    if sources:
        first = sources[0].model
        precisions = [one.precision for one in sources if one.precision and one.model == first]
        told = {"status": "ready", "precisions": precisions, "models": _describe_models(sources)}
        return _info(sources[0], "ACE-Step") | told
    unknown = _info(Source(ACE_STEP, "", 5, 240), "ACE-Step")
    if problems:
        return unknown | {"status": "error", "message": str(problems[0])}
    return unknown | {"status": "not_installed"}


def _describe_models(sources: list[Source]) -> list[dict[str, Any]]:
    """Tell every model by the name that `lora` takes, with its variants, best first."""
    return [
        {
            "lora": model,
            "version": (mine := [one for one in sources if one.model == model])[0].model_version,
            "license": mine[0].license_name,
            "variants": [
                {"precision": one.precision, "size_mb": round(one.size_bytes / 1e6, 2)}
                for one in mine
            ],
        }
        for model in dict.fromkeys(source.model for source in sources)
    ]


def _info(source: Source, name: str) -> dict[str, Any]:
    info: dict[str, Any] = {
        "type": source.backend,
        "name": name,
        "min_duration_sec": source.min_duration_sec,
        "max_duration_sec": source.max_duration_sec,
        "sample_rate": SAMPLE_RATE,
    }
    return info | ({"model_version": source.model_version} if source.model_version else {})
