"""The server's side of a download: one child at a time, told to the clients as it goes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

CHILD_COMMAND = (sys.executable, "-m", "lofi_runtime.hub.child")

_MAX_LINE_BYTES = 1 << 20

Tell = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True)
class DownloadRequest:
    """What to pull.

    Args:
        backend: that will play it.
        source: see `repository.FORMS`.
        name: a bundle's or a model's, or "".
        precision: or "auto".
    """

    backend: str
    source: str
    name: str
    precision: str


class Downloads:
    """Runs in the server's event loop.

    Args:
        models: the folder of installed bundles.
        tell: sends a notification to whoever wants it.
        command: starts the child; see `hub.child`.
    """

    def __init__(self, models: Path, tell: Tell, command: Sequence[str] = CHILD_COMMAND) -> None:
        self._models = models
        self._tell = tell
        self._command = tuple(command)
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._is_cancelled = False
        self._state: dict[str, dict[str, Any]] = {}

    @property
    def is_running(self) -> bool:
        """Whether a download goes on."""
        return self._task is not None and not self._task.done()

    def start(self, request: DownloadRequest) -> None:
        """Begin a download unless one goes on; returns at once."""
        if self.is_running:
            return
        self._is_cancelled = False
        self._state[request.backend] = {"status": "downloading"}
        self._task = asyncio.create_task(self._run(request))

    def cancel(self) -> bool:
        """Stop the download; what came is kept for the next one. Returns whether there was one."""
        if not self.is_running or self._is_cancelled:
            return False
        self._is_cancelled = True
        self._kill()
        return True

    def describe(self, backends: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Add to every backend of `get_backends` how its download goes, or how it failed.

        One that can generate stays ready meanwhile.
        """
        return [self._described(dict(info)) for info in backends]

    async def close(self) -> None:
        """Stop without a word: the clients are gone."""
        self._tell = lambda _event, _params: None
        self.cancel()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def _described(self, info: dict[str, Any]) -> dict[str, Any]:
        state = self._state.get(info["type"])
        if state is None:
            return info
        info["download"] = dict(state)
        if info["status"] != "ready" and state["status"] == "downloading":
            info["status"] = "downloading"
        elif info["status"] == "not_installed":
            info |= {"status": "error", "message": state["message"]}
        return info

    async def _run(self, request: DownloadRequest) -> None:
        backend = request.backend
        try:
            end = await self._follow(request)
        except (OSError, ValueError) as error:
            self._kill()
            end = {"event": "failed", "message": f"the downloading process cannot be used: {error}"}
        if end["event"] == "done":
            del self._state[backend]
            end.pop("event")
            log.info("bundle %s %s is installed", end["bundle"], end["version"])
            self._tell("download_complete", {"backend": backend, **end})
        elif self._is_cancelled:
            del self._state[backend]
            self._tell("download_cancelled", {"backend": backend})
        else:
            hint = f" - {end['hint']}" if end.get("hint") else ""
            message = end["message"] + hint
            log.error("download for %s: %s", backend, message)
            self._state[backend] = {"status": "error", "message": message}
            told = {"backend": backend, "code": "MODEL_DOWNLOAD_FAILED", "message": message}
            self._tell("download_error", told)

    async def _follow(self, request: DownloadRequest) -> dict[str, Any]:
        """Pass the child's progress on; returns its last event, or one that says how it died."""
        options = {"models": self._models.absolute(), "source": request.source}
        options |= {"name": request.name, "precision": request.precision}
        # One word each: a value may begin with a dash. A session of its own, as for the worker.
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command,
            *(f"--{key}={value}" for key, value in options.items()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=_MAX_LINE_BYTES,
        )
        if self._is_cancelled:
            self._kill()
        end: dict[str, Any] | None = None
        while process.stdout is not None and (line := await process.stdout.readline()):
            event = json.loads(line)
            if event["event"] != "progress":
                end = event
            elif not self._is_cancelled:
                self._progress(request.backend, event)
        code = await process.wait()
        self._process = None
        # Else the loop finds the pipe open when it is gone itself.
        process._transport.close()  # type: ignore[attr-defined]
        died = f"the downloading process ended (exit code {code})"
        return end or {"event": "failed", "message": died, "hint": "ask again; it resumes"}

    def _progress(self, backend: str, event: Mapping[str, Any]) -> None:
        done, total = event["bytes_done"], event["bytes_total"]
        component_done, component_total = event["component_bytes"], event["component_bytes_total"]
        told = {
            "bundle": event["bundle"],
            "component": event["component"],
            "component_percent": _percent(component_done, component_total),
            "overall_percent": _percent(done, total),
            "bytes_downloaded": done,
            "bytes_total": total,
            "component_bytes_downloaded": component_done,
            "component_bytes_total": component_total,
            "components_completed": event["components_done"],
            "components_total": event["components_total"],
        }
        self._state[backend] = {"status": "downloading", **told}
        self._tell("download_progress", {"backend": backend, **told})

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


def _percent(done: int, total: int) -> int:
    return 100 * done // total if total else 100
