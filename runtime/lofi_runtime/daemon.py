"""`lofi-daemon --daemon`: this runtime as today's lofi.nvim expects it, over stdin and stdout.

JSON-RPC 2.0, one object a line, and a few words of its own: backends are `musicgen` (never here)
and `ace_step`, progress counts tokens besides steps, settings arrive as environment variables. The
plugin cancels by killing this process; the worker dies with it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lofi_runtime.devices import AUTO, COREML, CPU, CUDA, likely_devices
from lofi_runtime.errors import LofiError
from lofi_runtime.library import ACE_STEP
from lofi_runtime.rpc.connection import Answer, Connection
from lofi_runtime.rpc.definitions import parameters
from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.rpc.json_rpc import JsonCodec
from lofi_runtime.rpc.methods import run_method
from lofi_runtime.rpc.stdio import StdioListener
from lofi_runtime.server import Runtime, run_until_signalled
from lofi_runtime.settings import Settings
from lofi_runtime.top import run_command
from lofi_runtime.version import VERSION

PROGRAM = "lofi-daemon"
MUSICGEN = "musicgen"
BACKENDS = (MUSICGEN, ACE_STEP)
DEVICES = {"auto": AUTO, "cpu": CPU, "cuda": CUDA, "metal": COREML, "coreml": COREML}
"""The plugin's words for devices, and ours."""
MUSICGEN_INFO = {
    "type": MUSICGEN,
    "name": "MusicGen",
    "status": "not_installed",
    "min_duration_sec": 5,
    "max_duration_sec": 120,
    "sample_rate": 32000,
}
_DEFAULTS = {
    "LOFI_ACE_STEP_STEPS": ("inference_steps", int),
    "LOFI_ACE_STEP_SCHEDULER": ("scheduler", str),
    "LOFI_ACE_STEP_GUIDANCE": ("guidance_scale", float),
}
"""Variables that say what a request gets which does not say so itself."""


@dataclass(frozen=True)
class Environment:
    """What the variables say.

    Args:
        settings: of the runtime.
        backend: what a request without a name gets.
        defaults: parameters of `generate` that a request may leave out.
        warnings: what cannot be had, for stderr.
    """

    settings: Settings
    backend: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class DaemonCodec(JsonCodec):
    """Tells progress as the plugin counts it."""

    def encode_notification(self, method: str, params: dict[str, Any]) -> bytes:
        """Encode a notification."""
        if method == "generation_progress":
            params = params | {
                "tokens_generated": params["current_step"],
                "tokens_estimated": params["total_steps"],
            }
        elif method == "download_progress":
            params = {
                "file_name": params["component"],
                "bytes_downloaded": params["component_bytes_downloaded"],
                "bytes_total": params["component_bytes_total"],
                "files_completed": params["components_completed"],
                "files_total": params["components_total"],
            }
        return super().encode_notification(method, params)


def read_environment(variables: Mapping[str, str]) -> Environment:
    """Turn the plugin's variables into settings; an empty one counts as absent.

    Raises:
        LofiError: a value is not allowed; names the variable, the value and what is.
    """
    given = {name: value for name, value in variables.items() if value}
    changes: dict[str, Any] = {}
    bundle = given.get("LOFI_ACE_STEP_MODEL_PATH") or given.get("LOFI_MODEL_PATH")
    if bundle and (folder := Path(bundle).expanduser()).is_dir():
        holds_bundles = any(folder.glob("*/manifest.json"))
        changes["models" if holds_bundles else "bundle"] = folder
    if cache := given.get("LOFI_CACHE_PATH"):
        changes["tracks"] = Path(cache).expanduser()
    if threads := given.get("LOFI_THREADS"):
        changes["threads"] = _number("LOFI_THREADS", threads, int, 1, 1024)
    backend = _one_of("LOFI_BACKEND", given.get("LOFI_BACKEND", ACE_STEP), BACKENDS)
    named = _one_of("LOFI_DEVICE", given.get("LOFI_DEVICE", "auto").lower(), tuple(DEVICES))
    warnings = []
    if DEVICES[named] in (AUTO, *likely_devices()):
        changes["device"] = DEVICES[named]
    else:
        warnings.append(f"LOFI_DEVICE: {named} cannot be used here, the CPU computes")
    if bundle and not changes.keys() & {"models", "bundle"}:
        warnings.append(f"the model's folder {bundle} is not there; LOFI_ACE_STEP_MODEL_PATH is it")
    return Environment(
        Settings(backend=ACE_STEP, **changes), backend, _defaults(given), tuple(warnings)
    )


def serve(environment: Environment) -> int:
    """Serve the process's stdin until it ends; returns the exit code."""
    for warning in environment.warnings:
        sys.stderr.write(f"{PROGRAM}: {warning}\n")
    runtime = Runtime(environment.settings, codec=DaemonCodec, dispatch=_dispatching(environment))
    listener = StdioListener(runtime.stop)
    return run_until_signalled(runtime, f"{PROGRAM} {VERSION} ready", listener)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    import os

    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Serves today's lofi.nvim: JSON-RPC 2.0 over stdin and stdout. Settings come "
        "from LOFI_ACE_STEP_MODEL_PATH, LOFI_MODEL_PATH, LOFI_CACHE_PATH, LOFI_DEVICE, "
        "LOFI_THREADS, LOFI_BACKEND and LOFI_ACE_STEP_{STEPS,SCHEDULER,GUIDANCE}.",
        epilog="Example: LOFI_ACE_STEP_MODEL_PATH=~/models/lofi-nano-int8 lofi-daemon --daemon",
    )
    parser.add_argument("--daemon", action="store_true", required=True, help="serve; needed")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {VERSION}")
    parser.parse_args(arguments)
    return run_command(PROGRAM, lambda: serve(read_environment(os.environ)))


def _dispatching(
    environment: Environment,
) -> Callable[[Runtime, Connection, str, dict[str, Any]], Answer]:
    def dispatch(
        runtime: Runtime, client: Connection, method: str, params: dict[str, Any]
    ) -> Answer:
        if method == "generate":
            return run_method(runtime, client, method, _asked(params, environment))
        if method == "download_backend":
            _check_backend(params.get("backend", environment.backend))
        answer = run_method(runtime, client, method, params)
        if method == "get_backends":
            return Answer(_backends(answer.result, environment))
        return answer

    return dispatch


def _asked(params: dict[str, Any], environment: Environment) -> dict[str, Any]:
    """Fill in what the environment says.

    Raises:
        RpcError: the backend is unknown, or musicgen, which is never here.
    """
    backend = params.get("backend", environment.backend)
    _check_backend(backend)
    return {**environment.defaults, **params, "backend": backend}


def _check_backend(backend: object) -> None:
    """Refuse what the plugin knows and this runtime has not, and what neither knows."""
    if backend == MUSICGEN:
        raise RpcError(
            "BACKEND_NOT_INSTALLED",
            "backend 'musicgen' is not part of this runtime",
            hint="ask for backend 'ace_step'",
        )
    if isinstance(backend, str) and backend not in BACKENDS:
        raise RpcError(
            "INVALID_BACKEND", f"backend: {backend[:80]!a} is not one of {', '.join(BACKENDS)}"
        )


def _backends(result: Mapping[str, Any], environment: Environment) -> dict[str, Any]:
    """Tell of the two backends the plugin knows."""
    own = [info for info in result["backends"] if info["type"] == ACE_STEP]
    return {"backends": [dict(MUSICGEN_INFO), *own], "default_backend": environment.backend}


def _defaults(given: Mapping[str, str]) -> dict[str, Any]:
    rules = parameters("generate")
    found = {}
    for variable, (name, kind) in _DEFAULTS.items():
        if variable in given:
            rule = rules[name]
            if kind is str:
                found[name] = _one_of(variable, given[variable].lower(), rule["enum"])
            else:
                low, high = rule["minimum"], rule["maximum"]
                found[name] = _number(variable, given[variable], kind, low, high)
    return found


def _number(variable: str, text: str, kind: type, low: float, high: float) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not low <= value <= high:
        what = "a whole number" if kind is int else "a number"
        raise LofiError(
            f"{variable}: {text[:80]!r} is not {what} from {low} to {high}",
            hint="change or unset it",
        )
    return value


def _one_of(variable: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise LofiError(
            f"{variable}: {value[:80]!r} is not one of {', '.join(allowed)}",
            hint="change or unset it",
        )
    return value


if __name__ == "__main__":
    raise SystemExit(main())
