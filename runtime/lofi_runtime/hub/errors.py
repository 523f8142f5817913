"""How a pull fails."""

from __future__ import annotations

from lofi_runtime.rpc.errors import RpcError


class DownloadError(RpcError):
    """A bundle could not be pulled; nothing half-made is visible.

    Args:
        message: names the source, the file or the folder, the value, and what is allowed.
        hint: what to do about it.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__("MODEL_DOWNLOAD_FAILED", message, hint=hint)
