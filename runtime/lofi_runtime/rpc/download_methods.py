"""The protocol's methods that install bundles; the work is a child process's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lofi_runtime.choosing import AUTO
from lofi_runtime.errors import LofiError
from lofi_runtime.hub.downloads import DownloadRequest
from lofi_runtime.hub.repository import FORMS, HUB, check_source
from lofi_runtime.library import PROCEDURAL
from lofi_runtime.rpc.connection import Answer, Connection
from lofi_runtime.rpc.errors import RpcError

if TYPE_CHECKING:
    from lofi_runtime.server import Runtime

Params = Mapping[str, Any]


def download_backend(runtime: Runtime, _client: Connection, params: Params) -> Answer:
    """Begin to install a bundle, unless one that fits is here or a download goes on.

    Raises:
        RpcError: INVALID_PARAMS, the source has no form of a source; MODEL_DOWNLOAD_FAILED, the
            server plays one bundle only.
    """
    backend, source = params["backend"], params["source"] or runtime.settings.source
    lora = params["lora"] or runtime.settings.lora
    if params["source"]:
        _check_asked(params["source"])
    if backend == PROCEDURAL:
        return _answer(backend, "already_installed")
    if runtime.downloads.is_running:
        return _answer(backend, "already_downloading")
    if not params["update"] and _is_installed(runtime, lora, params["precision"]):
        return _answer(backend, "already_installed")
    if runtime.library.bundle is not None:
        raise RpcError(
            "MODEL_DOWNLOAD_FAILED",
            f"this server plays {runtime.library.bundle} alone and would not use another bundle",
            hint="start it without --bundle",
        )
    request = DownloadRequest(backend, source, lora, params["precision"])
    return _answer(backend, "started", request, runtime)


def download_cancel(runtime: Runtime, _client: Connection, _params: Params) -> Answer:
    """Stop the download, if there is one."""
    return Answer({"cancelled": runtime.downloads.cancel()})


def _answer(
    backend: str,
    status: str,
    request: DownloadRequest | None = None,
    runtime: Runtime | None = None,
) -> Answer:
    told = {"backend": backend, "status": status}
    if request is None or runtime is None:
        return Answer(told)
    return Answer(told, then=lambda: runtime.downloads.start(request))


def _check_asked(source: str) -> None:
    """Refuse what is no source, and a folder that the client and the server may see otherwise."""
    try:
        check_source(source)
    except LofiError as error:
        raise RpcError("INVALID_PARAMS", error.message, hint=error.hint) from error
    if not source.startswith(HUB) and not Path(source).expanduser().is_absolute():
        raise RpcError(
            "INVALID_PARAMS",
            f"source: {source!a} is neither hf:owner/name nor an absolute path",
            hint=f"give {FORMS}",
        )


def _is_installed(runtime: Runtime, lora: str, precision: str) -> bool:
    return any(
        lora in ("", source.model) and precision in (AUTO, source.precision)
        for source in runtime.library.installed()
    )
