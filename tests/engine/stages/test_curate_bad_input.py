"""Every reason a track can be refused for, on real files, through the real stage, in one run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from lofi_engine.data.folder import MAX_SIDECAR_BYTES
from lofi_engine.data.rows import accepted_rows, read_rows
from lofi_engine.stages import curate
from tests.support.audio_folder import LIMITS, NOT_BY_NAME, tune, write_mp3, write_ogg
from tests.support.ordinary_user import heeding_permissions
from tests.support.recipes import make_recipe
from tests.support.recordings import faster, play
from tests.support.stage_runs import run_stage

ALLOWED = "(allowed: commissioned, cc0, cc-by-4.0, cc-by-nc-4.0, cc-by-sa-4.0, cc-by-nd-4.0)"
EVIDENCE = {"ai_training": True, "ai_training_evidence": "contract of 2025-01-15"}

Make = Callable[[Path], None]


def tone(seed: int, **changes: Any) -> Make:
    """Write five seconds that no other seed's are like; the suffix says the format."""

    def make(path: Path) -> None:
        rate = changes.get("sample_rate", 44_100)
        sound = changes.get("change", lambda samples: samples)(tune(5.0, 44_100, seed=seed))
        # In bytes: soundfile cannot encode a name that is not UTF-8.
        soundfile.write(os.fsencode(path), sound, rate, subtype=changes.get("subtype"))

    return make


def cut(make: Make, keep: float) -> Make:
    """Write a file and keep only its beginning."""

    def made(path: Path) -> None:
        make(path)
        path.write_bytes(path.read_bytes()[: round(path.stat().st_size * keep)])

    return made


def text(content: str | bytes) -> Make:
    return lambda path: (
        path.write_bytes(content.encode() if isinstance(content, str) else content) and None
    )


def mp3(seed: int, kbps: int) -> Make:
    return lambda path: write_mp3(path, tune(5.0, 48_000, seed=seed), kbps)


def ogg(path: Path) -> None:
    write_ogg(path, tune(5.0, 44_100, seed=33), 44_100, "VORBIS")


def holed(path: Path) -> None:
    """Write a FLAC with zeros in the middle."""
    tone(34)(path)
    content = bytearray(path.read_bytes())
    third = len(content) // 3
    content[third : third + 2000] = bytes(2000)
    path.write_bytes(content)


def endless(path: Path) -> None:
    """Write a FLAC whose header promises 2**36 - 1 samples (STREAMINFO, bytes 21 to 25)."""
    tone(35)(path)
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)


def with_sample(value: float) -> Make:
    def spoil(samples):
        samples[1000, 0] = value
        return samples

    return tone(36, change=spoil, subtype="FLOAT")


def unreadable(path: Path) -> None:
    tone(37)(path)
    path.chmod(0)


def closed_folder(path: Path) -> None:
    path.mkdir()
    path.chmod(0)


def with_text(kind: str, content: bytes, seed: int) -> Make:
    def make(path: Path) -> None:
        tone(seed)(path)
        path.with_name(f"{path.stem}_{kind}.txt").write_bytes(content)

    return make


def song(**changes: Any) -> Make:
    """Write twelve seconds of music, changed."""

    def make(path: Path) -> None:
        change = changes.get("change", lambda samples: samples)
        soundfile.write(path, change(play("CORE-01", 1, 12.0)).T, 48_000, subtype="PCM_16")

    return make


ONE_ENTRY = "has an entry for it, and no file is meant by it"
NOT_AUDIO = "no audio can be decoded from it (format not recognised)"
UNCLEAR = (
    "the entry 'same.wav' in sources.json could mean 'raw/one/same.wav' or 'raw/two/same.wav'; "
    "write its path there"
)
SHARED = "may not go into a model under 'apache-2.0': "

# ruff: noqa: E501 - a file is a line
# Name, how it is made, its reason ("" is accepted), and what its ledger entry changes; the entry is
# None where there is none.
TABLE: list[tuple[str, Make, str, dict[str, Any] | None]] = [
    # What is no sound.
    ("corrupt.flac", holed, "corrupt: decoding stops after 1.5 s (flac decoder lost sync)", {}),
    ("cut.wav", cut(tone(1), 0.5), "cut short: 50 % of its samples are there", {}),
    ("cut.flac", cut(tone(2), 0.5), "corrupt: decoding stops after 1.5 s (flac decoder lost sync)", {}),
    ("cut.ogg", cut(ogg, 0.5), "too short: 2.4 s, at least 4 s are needed", {}),
    ("cut.mp3", cut(mp3(3, 320), 0.5), "too short: 2.5 s, at least 4 s are needed", {}),
    ("head only.wav", cut(tone(4), 0.00005), "no audio in it: 0 samples decode", {}),
    ("empty.wav", text(""), "empty file", {}),
    ("no samples.wav", tone(5, change=lambda s: s[:0]), "no audio in it: 0 samples decode", {}),
    ("text.wav", text("a shopping list\n" * 99), NOT_AUDIO, {}),
    ("text.mp3", text("a shopping list\n" * 99), NOT_AUDIO, {}),
    ("text.flac", text("a shopping list\n" * 99), NOT_AUDIO, {}),
    ("noise.ogg", text(np.random.default_rng(0).bytes(9999)), NOT_AUDIO, {}),
    ("one hertz.wav", tone(6, sample_rate=1), "sample rate 1 Hz, from 8000 to 384000 can be used", {}),
    ("32 channels.wav", tone(7, change=lambda s: np.tile(s, 16)), "32 channels, at most 16 can be used", {}),
    ("nan.wav", with_sample(np.nan), "holds NaN or infinite samples", {}),
    ("infinite.wav", with_sample(-np.inf), "holds NaN or infinite samples", {}),
    ("endless.flac", endless, "too long: 432.9 h of 2 channels at 44100 Hz are 137438953470 samples, at most 2147483648 are decoded", {}),
    # What cannot be opened.
    ("unreadable.wav", unreadable, "cannot be read: Permission denied", {}),
    ("closed", closed_folder, "a folder that cannot be read: Permission denied", {}),
    ("loop.wav", lambda path: path.symlink_to("loop.wav"), "cannot be read: Too many levels of symbolic links", {}),
    ("broken.wav", lambda path: path.symlink_to("nowhere"), "cannot be read: No such file or directory", {}),
    ("up", lambda path: path.symlink_to("."), "a link to a folder, which is not followed", {}),
    ("pipe.wav", os.mkfifo, "not a regular file", {}),
    ("notes.doc", text("bought in 2024"), NOT_BY_NAME, None),
    ("lonely_prompt.txt", text("calm"), "a sidecar without its track", None),
    ("bad text.wav", with_text("prompt", b"caf\xe9", 8), "its bad text_prompt.txt is not UTF-8 text", {}),
    ("long text.wav", with_text("lyrics", b"a" * (MAX_SIDECAR_BYTES + 1), 9), f"its long text_lyrics.txt is {MAX_SIDECAR_BYTES + 1} bytes, at most {MAX_SIDECAR_BYTES} are read", {}),
    # Names that are odd.
    ("  spaces  in it .wav", tone(10), "", {}),
    ("new\nline.wav", tone(11), "", {}),
    (os.fsdecode(b"caf\xe9.wav"), tone(12), "", {"filename": "caf\\udce9.wav"}),
    ("x" * 251 + ".wav", tone(13), "", {}),
    ("y" * 150 + "/" + "z" * 160 + ".wav", tone(14), "", {}),
    ("-rf; $(true) '\".wav", tone(15), "", {}),
    ("twin.wav", tone(16), "same content as 'raw/twin, copied.wav'", {}),
    ("stem.flac", tone(17), "", {}),
    ("stem.wav", tone(41), "", {}),
    # What does not measure well enough.
    ("short.wav", tone(18, change=lambda s: s[:88_200]), "too short: 2.0 s, at least 4 s are needed", {}),
    ("silent.wav", tone(19, change=lambda s: s * 0), "silent: 100 % of it is silence, at most 50 % is allowed", {}),
    ("clipped.wav", tone(20, change=lambda s: np.clip(s * 12, -1, 1)), "clipped: 45.50 % of its samples, at most 0.1 % is allowed", {}),
    ("low.mp3", mp3(21, 32), "bitrate 32 kbps, lossy files need at least 64", {}),
    # What is there already.
    ("twin, copied.wav", tone(16), "", {}),
    ("twin, other.aiff", tone(16), "same sound as 'raw/twin, copied.wav'", {}),
    ("song.wav", song(), "", {"human_verified": True, "quality_score": 0, "review": {"tags": ["rain", "zorgle 9"]}}),
    ("song, again.wav", song(change=lambda s: faster(s[:, 48_000:] * np.float32(0.5), 1.03)), "near duplicate of 'raw/song.wav', which is kept: somebody has listened to that one", {}),
    # What nobody may use.
    ("unlisted.wav", tone(22), "no licence entry in sources.json", None),
    ("unknown.wav", tone(23), "its licence is still 'unknown' in sources.json (source.license)", {"source": {"license": "unknown"}}),
    ("not allowed.wav", tone(24), f"licence 'cc-by-nc-sa-4.0' is not allowed {ALLOWED}", {"source": {"license": "CC BY-NC-SA 4.0", **EVIDENCE}}),
    ("no right.wav", tone(25), "no AI-training right recorded for licence 'cc-by-4.0'", {"source": {"license": "CC BY 4.0"}}),
    ("no evidence.wav", tone(26), "its right to train under 'cc-by-4.0' has no evidence (source.ai_training_evidence)", {"source": {"license": "CC BY 4.0", "ai_training": True}}),
    ("nc.wav", tone(27), f"licence 'cc-by-nc-4.0' {SHARED}it forbids commercial use, which the model's licence must forbid as well (NC)", {"source": {"license": "CC BY-NC 4.0", **EVIDENCE}}),
    ("sa.wav", tone(28), f"licence 'cc-by-sa-4.0' {SHARED}what is built from it must be shared under the same licence or a later version (SA)", {"source": {"license": "CC BY-SA 4.0", **EVIDENCE}}),
    ("nd.wav", tone(29), f"licence 'cc-by-nd-4.0' {SHARED}what is built from it may not be shared at all (ND)", {"source": {"license": "CC BY-ND 4.0", **EVIDENCE}}),
    ("uncredited.wav", tone(30), "licence 'cc-by-4.0' asks for credit and sources.json names neither artist nor attribution", {"source": {"license": "CC BY 4.0", "artist": None, **EVIDENCE}}),
    ("disliked.wav", tone(31), "a listener refused it on 2025-02-01 (review.accepted)", {"review": {"accepted": False, "date": "2025-02-01"}}),
    ("odd style.wav", tone(32), "there is no style 'CORE-77' - did you mean CORE-07?", {"style_ids": ["CORE-77"]}),
    ("one/same.wav", tone(38), UNCLEAR, {"filename": "same.wav"}),
    ("two/same.wav", tone(39), UNCLEAR, None),
    ("claimed.wav", tone(40), "2 entries in sources.json mean it: 'raw/../raw/claimed.wav' and 'raw/claimed.wav'", {"filename": "raw/../raw/claimed.wav"}),
]  # fmt: skip


def entry(filename: str, changes: dict[str, Any]) -> dict[str, Any]:
    source = {"type": "commissioned", "license": "AI Training Rights", "artist": "Ann"}
    source.update(changes.get("source", {}))
    source = {key: value for key, value in source.items() if value is not None}
    return {"filename": filename, **changes, "source": source}


@pytest.fixture(scope="module")
def curated(tmp_path_factory) -> Iterator[SimpleNamespace]:
    home = tmp_path_factory.mktemp("bad")
    raw = home / "raw"
    raw.mkdir()
    entries = []
    for name, make, _, changes in TABLE:
        (raw / name).parent.mkdir(exist_ok=True)
        make(raw / name)
        if changes is not None:
            entries.append(entry(changes.get("filename", name), changes))
    entries += [entry("gone.wav", {}), entry("raw/claimed.wav", {})]
    (home / "sources.json").write_text(json.dumps(entries))
    recipe = make_recipe(
        home,
        dataset={
            "sources": [{"path": "raw", "ledger": "sources.json"}],
            "licenses": {
                "require_ai_training": True,
                "require_evidence": True,
                "allow": [
                    "commissioned",
                    "cc0",
                    *(f"cc-by-{x}4.0" for x in ("", "nc-", "sa-", "nd-")),
                ],
            },
            "quality": {**LIMITS, "max_duration_sec": 13.0},
        },
    )
    before = snapshot(raw)
    with heeding_permissions():
        run = run_stage(curate, recipe, home / "run")
    yield SimpleNamespace(run=run, before=before, after=snapshot(raw))
    (raw / "closed").chmod(0o700)


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")
    }


def shown(name: str) -> str:
    return "raw/" + name.encode("utf-8", "backslashreplace").decode()


def test_each_has_its_reason_and_the_run_goes_on(curated):
    rows = read_rows(curated.run.work)
    wanted = {shown(name): reason for name, _, reason, _ in TABLE}
    wanted["gone.wav"] = f"sources.json {ONE_ENTRY}"
    assert {row.source: row.reason for row in rows} == wanted
    assert len(rows) == len(wanted)
    for row in rows:
        missing = "missing" if row.source == "gone.wav" else "rejected"
        assert row.status == (missing if row.reason else "accepted")


def test_nothing_is_overwritten_or_lost(curated):
    assert curated.after == curated.before
    accepted = accepted_rows(curated.run.work)
    good = [name for name, _, reason, _ in TABLE if not reason]
    assert len({row.track.lower() for row in accepted}) == len(good)
    files = {
        path.relative_to(curated.run.work).as_posix() for path in curated.run.work.rglob("*.mp3")
    }
    assert {row.file for row in accepted} == files
    assert sum(row.track.startswith("stem") for row in accepted) == 2


def test_the_run_counts_them_and_tells_each_in_one_line(curated):
    facts = curated.run.outcome.facts
    good = [name for name, _, reason, _ in TABLE if not reason]
    refused = len(TABLE) - len(good)
    counted = [facts[key] for key in ("tracks", "rejected", "missing", "near_duplicates")]
    assert counted == [len(good), refused, 1, 1]
    told = [event.message for event in curated.run.events]
    assert f"{refused} of {len(TABLE)} files were refused; ledger.json says why" in str(told)
    assert "sources.json: 1 of 56 entries mean no file: 'gone.wav'" in told
    assert not [message for message in told if "\n" in message]
    assert "raw/new\\nline.wav" in told


def test_what_a_person_said_stands_in_the_row(curated):
    rows = {row.source: row for row in read_rows(curated.run.work)}
    song = rows["raw/song.wav"]
    assert (song.duplicate_group, song.track) == ("song", "song")
    assert rows["raw/song, again.wav"].duplicate_group == "song"
    assert 90 < song.quality_score <= 100
    assert sum(song.score_parts.values()) == pytest.approx(100 - song.quality_score, abs=0.2)
    assert (song.human_verified, song.listener_score) == (True, 0.0)
    assert (rows["raw/stem.wav"].human_verified, rows["raw/stem.wav"].listener_score) == (
        False,
        None,
    )
    assert rows["gone.wav"].artist == "Ann"
    assert (song.review_tags, rows["raw/stem.wav"].review_tags) == (("rain", "zorgle 9"), ())
