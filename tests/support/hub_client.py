"""Pulls what lines on stdin say, one after another: `python -m tests.support.hub_client`.

`{source, name, models}` a line; answered by a line, the error or "".
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lofi_runtime.errors import LofiError
from lofi_runtime.hub.pull import pull
from lofi_runtime.hub.repository import open_repository

if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        said = ""
        try:
            pull(open_repository(asked["source"]), Path(asked["models"]), name=asked["name"])
        except LofiError as error:
            said = str(error)
        print(json.dumps(said), flush=True)
