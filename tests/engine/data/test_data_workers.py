from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lofi_engine.data.prepare import FileJob, Job, Prepared, job_key, load_unit, prepare
from lofi_engine.data.workers import CRASHED, prepare_all
from lofi_engine.recipe.model import Quality
from tests.support.audio_folder import LIMITS, tune

QUALITY = Quality(**LIMITS)
ROOT = Path(__file__).resolve().parents[3]


def jobs(folder: Path, count: int) -> list[tuple[Job, Path]]:
    return [
        (FileJob(folder / f"{n}.wav", str(n), QUALITY), folder / f"unit{n}") for n in range(count)
    ]


def crash_on_one_of_them(job: Job, unit: Path) -> Prepared:
    if unit.name == "unit1":
        os.kill(os.getpid(), signal.SIGSEGV)
    return Prepared(file=unit.name)


def fill_the_disk(job: Job, unit: Path) -> Prepared:
    raise OSError(28, "No space left on device")


def sleep(job: Job, unit: Path) -> Prepared:
    unit.with_suffix(".pid").write_text(str(os.getpid()))
    time.sleep(60)
    return Prepared()


def test_a_job_that_crashes_its_process_is_refused_and_no_other(tmp_path):
    done = dict(prepare_all(jobs(tmp_path, 6), crash_on_one_of_them, workers=1))
    assert sorted(done) == list(range(6))
    assert done.pop(1).reasons == (CRASHED,)
    assert all(result.file == f"unit{number}" for number, result in done.items())


def test_a_full_disk_ends_the_run(tmp_path):
    with pytest.raises(OSError, match="No space left"):
        list(prepare_all(jobs(tmp_path, 2), fill_the_disk, workers=1))


def test_no_jobs_need_no_process():
    assert list(prepare_all([], prepare)) == []


def test_children_are_gone_when_their_parent_is_killed(tmp_path):
    code = (
        "import sys; from pathlib import Path; from lofi_engine.data.workers import prepare_all;"
        "from tests.engine.data.test_data_workers import jobs, sleep\n"
        "if __name__ == '__main__': list(prepare_all(jobs(Path(sys.argv[1]), 1), sleep))"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=environment)
    pid_file = tmp_path / "unit0.pid"
    _wait_for(lambda: pid_file.is_file() and pid_file.read_text())
    child = int(pid_file.read_text())
    parent.kill()
    assert parent.wait() == -signal.SIGKILL
    _wait_for(lambda: not _runs(child))
    assert not _runs(child)


def test_a_unit_is_whole_or_not_there(tmp_path):
    import soundfile

    soundfile.write(tmp_path / "0.wav", tune(5.0, 44_100, seed=1), 44_100)
    ((job, unit),) = jobs(tmp_path, 1)
    assert load_unit(unit) is None
    result = prepare(job, unit)
    assert load_unit(unit) == result
    assert result.file == "audio.mp3"
    assert {path.name for path in tmp_path.iterdir()} == {"0.wav", "unit0"}
    (unit / "audio.mp3").write_bytes((unit / "audio.mp3").read_bytes()[:1000])
    assert load_unit(unit) is None
    assert prepare(job, unit) == result
    assert load_unit(unit) == result
    (unit / "result.json").write_text("[]")
    assert load_unit(unit) is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "there is not enough memory to prepare it"),
        (ValueError("/home/ann/x"), "cannot be prepared (ValueError)"),
        (ZeroDivisionError("division by zero"), "cannot be prepared (ZeroDivisionError)"),
        (OSError(5, "Input/output error"), "cannot be prepared (OSError)"),
    ],
)
def test_whatever_reading_a_file_raises_refuses_that_file(tmp_path, monkeypatch, error, reason):
    def fail(*_args: object, **_named: object) -> None:
        raise error

    monkeypatch.setattr("lofi_engine.data.prepare.decode", fail)
    (tmp_path / "0.wav").write_bytes(b"sound")
    ((job, unit),) = jobs(tmp_path, 1)
    assert prepare(job, unit) == Prepared(reasons=(reason,))
    assert [path.name for path in tmp_path.iterdir()] == ["0.wav"]  # so another run tries again


def test_while_writing_the_disk_ends_the_run_and_all_else_refuses(tmp_path, monkeypatch):
    import soundfile

    soundfile.write(tmp_path / "0.wav", tune(5.0, 44_100, seed=1), 44_100)
    ((job, unit),) = jobs(tmp_path, 1)

    def writing_raises(error: Exception) -> None:
        def fail(*_args: object) -> None:
            raise error

        monkeypatch.setattr("lofi_engine.audio.write.write_track", fail)

    for disk in (OSError(28, "No space left on device"), soundfile.LibsndfileError(2)):
        writing_raises(disk)
        with pytest.raises(type(disk)):
            prepare(job, unit)
    writing_raises(MemoryError())
    assert prepare(job, unit).reasons == ("there is not enough memory to prepare it",)
    assert [path.name for path in tmp_path.iterdir()] == ["0.wav"]


def test_a_units_key_depends_on_content_and_limits_not_on_the_place(tmp_path):
    job = FileJob(tmp_path / "a.wav", "abc", QUALITY)
    assert job_key(job) == job_key(FileJob(Path("elsewhere.wav"), "abc", QUALITY))
    assert job_key(job) != job_key(FileJob(job.path, "abd", QUALITY))
    other = Quality(**{**LIMITS, "peak_dbfs": -2.0})
    assert job_key(job) != job_key(FileJob(job.path, "abc", other))


def _wait_for(condition, timeout_sec: float = 20.0) -> None:
    end = time.monotonic() + timeout_sec
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"
