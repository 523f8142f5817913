"""What curating costs beside the specification's own script, on the same 60 tracks in one run.

Sixty stereo tracks of 60 s (chords, drums, hiss; WAV at 44.1 and 48 kHz, FLAC at 16 and 24 bits,
MP3 at 320 kbit/s) are curated by the stage itself with two workers, every measurement taken, once
into FLAC and once into 320 kbit/s MP3; and by the script of the specification's section 4.2, step
by step as it is written there: librosa.load at 48 kHz, its checks, a WAV by soundfile, ffmpeg to
MP3, one file at a time. Each is a process of its own, timed whole, imports and all.

Wanted: 5 times the script's speed into FLAC, 2.5 times into MP3, at most 500 MB resident a worker.

The script needs an ffmpeg; the one on the path is taken, or --ffmpeg names one (imageio-ffmpeg from
the package index brings one). Which it was is printed.

Run alone: python bench/bench_curation.py [--tracks N] [--ffmpeg PATH] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

TRACKS = 60
DURATION_SEC = 60
WORKERS = 2
WANTED = {"flac": 5.0, "mp3": 2.5}
MOST_MB = 500

_KINDS = (  # suffix, sample rate, subtype
    *((".wav", 44_100, "PCM_16"), (".flac", 44_100, "PCM_16"), (".mp3", 44_100, "")),
    *((".wav", 48_000, "PCM_24"), (".flac", 48_000, "PCM_24"), (".mp3", 48_000, "")),
)


def make_track(folder: Path, number: int) -> Path:
    """Write one track: seventh chords of soft tones, kick, snare and hats, hiss under all."""
    import numpy as np
    import soundfile

    suffix, rate, subtype = _KINDS[number % len(_KINDS)]
    rng = np.random.default_rng(number)
    seconds = np.arange(DURATION_SEC * rate, dtype=np.float32) / rate
    beat_sec = 60 / rng.uniform(70, 90)
    samples = np.stack([_music(rng, seconds, beat_sec, side) for side in (0, 1)])
    samples += np.float32(0.002) * rng.standard_normal(samples.shape, dtype=np.float32)
    samples = _low_passed(samples, rate, rng.uniform(9_000, 18_000))
    samples *= np.float32(rng.uniform(0.3, 0.98) / np.abs(samples).max())
    path = folder / f"track_{number:03d}{suffix}"
    if suffix == ".mp3":
        _write_mp3(path, samples, rate)
    else:
        soundfile.write(path, samples.T, rate, subtype=subtype)
    return path


def _music(rng: Any, seconds: Any, beat_sec: float, side: int) -> Any:
    import numpy as np

    out = np.zeros_like(seconds)
    rate = len(seconds) // DURATION_SEC
    noise = rng.standard_normal(rate, dtype=np.float32)
    for beat in range(int(DURATION_SEC / beat_sec)):
        start = int(beat * beat_sec * rate)
        long = seconds[: min(4 * rate, len(seconds) - start)]
        if beat % 4 == 0:
            root = 110.0 * 2 ** (rng.integers(0, 12) / 12)
            for step in (0, 3, 7, 10, 14):
                hertz = root * 2 ** (step / 12) * (1 + 0.001 * side)
                for partial in range(1, 6):
                    tone = np.sin((2 * np.pi * hertz * partial) * long)
                    out[start : start + len(long)] += tone * np.exp(-long) * (0.05 / partial**1.5)
            kick = np.sin(300 * (1 - np.exp(-20 * long))) * np.exp(-8 * long)
            out[start : start + len(long)] += 0.5 * kick
        short = min(len(noise), len(seconds) - start)
        decay = 18 if beat % 4 == 2 else 60
        level = 0.3 if beat % 4 == 2 else 0.08
        out[start : start + short] += level * noise[:short] * np.exp(-decay * seconds[:short])
    return out


def _low_passed(samples: Any, rate: int, hertz: float) -> Any:
    from scipy.signal import butter, sosfilt

    return sosfilt(butter(4, hertz, fs=rate, output="sos"), samples, axis=1).astype("float32")


def _write_mp3(path: Path, samples: Any, rate: int) -> None:
    import lameenc
    import numpy as np

    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_bit_rate(320)
    encoder.set_in_sample_rate(rate)
    encoder.set_channels(2)
    pcm = np.rint(samples.T * 32_767).astype("<i2").tobytes()
    path.write_bytes(bytes(encoder.encode(pcm)) + bytes(encoder.flush()))


def curate(home: Path, form: str) -> dict[str, Any]:
    """Run the curate stage on `home`/raw; give its peaks."""
    from lofi_engine.stages import curate as stage
    from tests.support.recipes import make_recipe
    from tests.support.stage_runs import run_stage

    dataset = {
        "sources": [{"path": "raw"}],
        "licenses": {"require_ai_training": False, "allow": ["cc0"]},
        "quality": {"format": form, "max_duration_sec": 180},
    }
    recipe = make_recipe(home, dataset=dataset, execution={"workers": WORKERS})
    run = run_stage(stage, recipe, home / form)
    return {"tracks": run.outcome.facts["tracks"]}


def script(home: Path, ffmpeg: str) -> dict[str, Any]:
    """Do to `home`/raw what the specification's script does, in its order."""
    import librosa
    import numpy as np
    import soundfile

    done = 0
    (home / "script").mkdir()
    for path in sorted((home / "raw").iterdir()):
        sound, rate = librosa.load(path, sr=48_000, mono=False)
        if sound.ndim == 1:
            sound = np.stack([sound, sound])
        if len(sound[0]) / rate < 30:
            continue
        sound = sound[:, : 180 * rate]
        sound = sound * (10 ** (-1 / 20) / np.max(np.abs(sound)))
        clipped = np.sum(np.abs(sound) > 0.99) / sound.size
        silent = np.sum(np.abs(sound) < 0.01) / sound.size
        if clipped > 0.001 or silent > 0.5:
            continue
        wave = home / "script" / f"{path.stem}.wav"
        soundfile.write(wave, sound.T, rate)
        encode = ["-codec:a", "libmp3lame", "-b:a", "320k", str(wave.with_suffix(".mp3"))]
        subprocess.run([ffmpeg, "-y", "-i", str(wave), *encode], check=True, capture_output=True)
        wave.unlink()
        done += 1
    return {"tracks": done}


def timed(*arguments: str) -> dict[str, Any]:
    """Run this file as a process of its own; give its seconds, and what it found."""
    root = Path(__file__).resolve().parents[1]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    command = [sys.executable, str(Path(__file__).resolve()), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    ended = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    wall_sec = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = json.loads(ended.stdout.splitlines()[-1])
    return {"wall_sec": wall_sec, "processor_sec": used, **said}


def _child(arguments: argparse.Namespace) -> None:
    home = Path(arguments.home)
    if arguments.child == "script":
        found = script(home, arguments.ffmpeg)
    else:
        found = curate(home, arguments.child)
    kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({**found, "worker_mb": kilobytes / 1024}))


def main() -> None:
    """Make the tracks, run all three, print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, default=TRACKS)
    parser.add_argument("--ffmpeg", default=shutil.which("ffmpeg"))
    parser.add_argument("--keep", type=Path, help="make the tracks here, or take those there")
    parser.add_argument("--child", choices=("script", "flac", "mp3"), help=argparse.SUPPRESS)
    parser.add_argument("--home", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _child(arguments)
        return
    if not arguments.ffmpeg:
        parser.error("the script needs ffmpeg: install one, or name it with --ffmpeg")
    with tempfile.TemporaryDirectory() as folder:
        _compare(arguments, Path(folder))


def _compare(arguments: argparse.Namespace, folder: Path) -> None:
    ask = [arguments.ffmpeg, "-version"]
    told = subprocess.run(ask, check=True, capture_output=True, text=True).stdout
    version = told.split(" Copyright")[0]
    print(f"{arguments.tracks} tracks of {DURATION_SEC} s, {WORKERS} workers, {version}")
    source = arguments.keep or folder / "made"
    source.mkdir(parents=True, exist_ok=True)
    missing = range(len(list(source.iterdir())), arguments.tracks)
    with ProcessPoolExecutor(WORKERS) as pool:
        list(pool.map(make_track, [source] * len(missing), missing))
    home = folder / "home"
    (home / "raw").mkdir(parents=True)
    for path in sorted(source.iterdir())[: arguments.tracks]:
        shutil.copy(path, home / "raw")
    base = timed("--child", "script", "--home", str(home), "--ffmpeg", arguments.ffmpeg)
    print(f"  the script: {_words(base)}")
    for form, wanted in WANTED.items():
        ours = timed("--child", form, "--home", str(home))
        ratio = base["wall_sec"] / ours["wall_sec"]
        print(f"  {form:10}: {_words(ours)}; {ratio:.2f} times as fast, at least {wanted} wanted")
        alone = base["processor_sec"] / (ours["processor_sec"] / WORKERS)
        print(
            f"  {'':10}  {ours['worker_mb']:.0f} MB a worker at most, {MOST_MB} allowed; ", end=""
        )
        print(f"by processor time, two cores filled, {alone:.2f} times")


def _words(found: dict[str, Any]) -> str:
    return (
        f"{found['wall_sec']:.1f} s, {found['processor_sec']:.1f} s of processor, "
        f"{found['tracks']} tracks"
    )


if __name__ == "__main__":
    main()
