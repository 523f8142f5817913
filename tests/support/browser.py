"""Debian's chromium, driven as a person drives it: keys go through the browser's own input.

It speaks the DevTools protocol over two pipes (JSON, each message ended by a zero byte), so nothing
beyond the browser is needed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.programs import require

TIMEOUT_SEC = 30.0
_NAMED = {  # key: (code, virtual key code, text)
    " ": ("Space", 32, " "), "Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, ""),
    "Backspace": ("Backspace", 8, ""), "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowUp": ("ArrowUp", 38, ""), "ArrowRight": ("ArrowRight", 39, ""),
    "ArrowDown": ("ArrowDown", 40, ""), "Tab": ("Tab", 9, ""),
}  # fmt: skip


class Page:
    """One open page."""

    def __init__(self, commands: Any, answers: Any) -> None:
        self._commands, self._answers = commands, answers
        self._number = 0
        self._waiting = b""
        self._session: str | None = None
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and give its result; what the page complains of meanwhile is kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while True:
            answer = json.loads(self._read())
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self._note(answer)

    def _read(self) -> bytes:
        """Give the next message; what came behind it is kept."""
        while b"\0" not in self._waiting:
            part = self._answers.read1(1 << 16)
            if not part:
                raise RuntimeError("the browser ended")
            self._waiting += part
        message, _, self._waiting = self._waiting.partition(b"\0")
        return message

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", str(details)))
        if event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.complaints.append(parameters["entry"]["text"])

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """Give an expression's JSON value in the page."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def press(self, *keys: str) -> None:
        """Press and release keys, such as "a" or "Enter"."""
        for key in keys:
            code, number, text = _NAMED.get(
                key, ("", ord(key.upper()) if len(key) == 1 else 0, key)
            )
            common = {"key": key, "code": code, "windowsVirtualKeyCode": number}
            down = "keyDown" if text else "rawKeyDown"
            self.call("Input.dispatchKeyEvent", type=down, text=text, **common)
            self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def wait(self, expression: str) -> Any:
        """Wait until an expression is true in the page; give its value."""

        def value() -> Any:
            try:
                return self.evaluate(expression)
            except RuntimeError as error:
                if "navigated" in str(error):  # the page is just being loaded anew
                    return None
                raise

        return wait_for(value, expression)

    def dark(self, wanted: bool) -> None:
        """Let the page believe that the user prefers dark colours, or light ones."""
        value = "dark" if wanted else "light"
        feature = {"name": "prefers-color-scheme", "value": value}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def screenshot(self, path: Path, within: str | None = None) -> None:
        """Write a PNG of what is to be seen, or of one element given by its selector."""
        clip: dict[str, Any] = {}
        if within is not None:
            box = f"document.querySelector({json.dumps(within)}).getBoundingClientRect().toJSON()"
            clip = {"clip": {**self.evaluate(box), "scale": 1}}
        data = self.call("Page.captureScreenshot", format="png", **clip)["data"]
        path.write_bytes(base64.b64decode(data))


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Wait until something is so; give it."""
    end = time.monotonic() + TIMEOUT_SEC
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not so within {TIMEOUT_SEC:.0f} s: {what}")


@contextlib.contextmanager
def browser_page(profile: Path, width: int = 1280, height: int = 860) -> Iterator[Page]:
    """Start chromium with an empty page; skip the test where there is no chromium."""
    chromium = require("chromium")
    reads_commands, writes_commands = os.pipe()
    reads_answers, writes_answers = os.pipe()

    def settle() -> None:  # the browser reads from 3 and writes to 4
        spare = [os.dup(reads_commands), os.dup(writes_answers)]
        high = [os.dup2(end, 100 + at) for at, end in enumerate(spare)]
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    process = subprocess.Popen(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
            f"--window-size={width},{height}", f"--user-data-dir={profile}", "--mute-audio",
            "--autoplay-policy=no-user-gesture-required", "--no-first-run", "about:blank",
        ],
        preexec_fn=settle,
        close_fds=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(reads_commands)
    os.close(writes_answers)
    try:
        with open(writes_commands, "wb") as commands, open(reads_answers, "rb") as answers:
            page = Page(commands, answers)
            yield page
            with contextlib.suppress(RuntimeError, BrokenPipeError):
                page.call("Browser.close")
    finally:
        process.terminate()
        process.wait(20)
