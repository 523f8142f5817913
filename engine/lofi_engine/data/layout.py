"""The folders of a training set, as the specification lays them out, and what each is for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lofi_runtime.errors import LofiError
from lofi_runtime.styles.taxonomy import GROUPS

RAW_FOLDERS: Mapping[str, str] = {
    "commissioned": "commissioned",
    "royalty-free": "royalty-free",
    "creative-commons": "creative-commons",
    "partnerships": "partnership",
}
"""Below `raw/`, with the `source.type` of what lies there."""

LEDGER_PLACE = Path("metadata") / "sources.json"
README_PLACE = Path("README.md")
FOLDERS = (
    *(Path("raw") / name for name in RAW_FOLDERS),
    *(Path("processed") / group for group in GROUPS),
    Path("data"),
    Path("validation"),
    Path("metadata"),
)

_README = """\
# Tracks to train on

| folder | what belongs there |
|---|---|
| `raw/commissioned/` | made for this: the best source, with a contract |
| `raw/royalty-free/` | from libraries whose terms allow training: ask each one |
| `raw/creative-commons/` | CC0 and CC BY; each track's own licence, not the site's |
| `raw/partnerships/` | agreements with artists and labels |
| `processed/` | copies you keep sorted by style group; nothing is read from here |
| `data/`, `validation/` | a finished set, should you export one |
| `metadata/sources.json` | the ledger: where each track came from and what may be done with it |

Subfolders are fine anywhere below `raw/`. Texts beside a track are taken with it:
`rain.wav`, `rain_prompt.txt` (its tags), `rain_lyrics.txt` (its lyrics or `[Instrumental]`).

1. Put tracks below `raw/`: WAV, FLAC, AIFF, or MP3 of 320 kbit/s, 30 to 180 seconds.
2. `lofi-recipe data import .` adds a row to the ledger for every track that has none. Its licence
   is `unknown`, which keeps the track out until you name the terms.
3. Fill in the rows. `license` and `artist` always; `ai_training: true` with `ai_training_evidence`
   (the contract, the letter and its date, the address of the terms) for all but cc0; `cost`,
   `date_acquired`, `style_ids` such as `["CORE-01", "SEASON-06"]`, the main one first.
4. Name the folders in a recipe that lies beside this folder:

```yaml
dataset:
  sources:
    - {path: @NAME@/raw/commissioned, ledger: @NAME@/metadata/sources.json}
    - {path: @NAME@/raw/royalty-free, ledger: @NAME@/metadata/sources.json}
    - {path: @NAME@/raw/creative-commons, ledger: @NAME@/metadata/sources.json}
    - {path: @NAME@/raw/partnerships, ledger: @NAME@/metadata/sources.json}
```

5. `lofi-recipe data report RECIPE` says what is there and what is refused and why;
   `lofi-recipe data plan RECIPE` what is still wanted and what it may cost.

A whole row:

```json
{
  "filename": "../raw/commissioned/rain.wav",
  "source": {
    "type": "commissioned",
    "provider": "Fiverr",
    "artist": "ChillBeatsProducer",
    "license": "Contract of 2025-01-15",
    "ai_training": true,
    "ai_training_evidence": "contracts/2025-01-15.pdf, clause 3",
    "cost": 75.0,
    "date_acquired": "2025-01-15"
  },
  "style_ids": ["CORE-01", "THEME-03"]
}
```
"""


def make_layout(folder: Path) -> tuple[Path, ...]:
    """Make what is missing of the folders, with a README and an empty ledger.

    Nothing that is there is changed.

    Returns:
        What was made, in order.

    Raises:
        LofiError: something else lies where a folder or file belongs, or cannot be written.
    """
    made = []
    try:
        for place in (folder, *(folder / below for below in FOLDERS)):
            if not place.is_dir():
                place.mkdir(parents=True)
                made.append(place)
        readme = _README.replace("@NAME@", folder.resolve().name or ".")
        for below, text in ((README_PLACE, readme), (LEDGER_PLACE, "[]\n")):
            if _write_new(folder / below, text):
                made.append(folder / below)
    except FileExistsError as error:
        raise LofiError(
            f"{error.filename}: a file lies where a folder belongs", hint="move it away"
        ) from error
    except OSError as error:
        raise LofiError(f"{error.filename}: cannot be made: {error.strerror}") from error
    return tuple(made)


def _write_new(path: Path, text: str) -> bool:
    """Write a file unless there is one; a dangling link counts as one."""
    if path.is_dir():
        raise LofiError(f"{path}: a folder lies where a file belongs", hint="move it away")
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True
