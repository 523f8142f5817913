"""How much of this process's time is spent inside ONNX Runtime."""

from __future__ import annotations

import time
from typing import Any

import onnxruntime


class SessionClock:
    """Adds up the processor time of every `InferenceSession.run` from now on, in all threads."""

    def __init__(self) -> None:
        self.sec = 0.0
        inside = onnxruntime.InferenceSession.run

        def run(session: Any, *arguments: Any, **named: Any) -> Any:
            start = time.process_time()
            try:
                return inside(session, *arguments, **named)
            finally:
                self.sec += time.process_time() - start

        onnxruntime.InferenceSession.run = run
