from __future__ import annotations

import resource

import mutagen
import numpy as np
import pytest
import soundfile

from lofi_runtime.audio_file import SUBTYPES, generated_tags, write_audio
from lofi_runtime.errors import AudioWriteError

SAMPLES = (0.3 * np.random.default_rng(0).normal(size=(2, 4800))).clip(-1, 1).astype(np.float32)
TAGS = generated_tags(model="lofi-nano-int8 1.0.0", license="apache-2.0", title="rainy night ☔")
ERROR = {16: 1e-4, 24: 1e-6, 32: 0.0}


@pytest.mark.parametrize(("format", "bits"), [form for form in SUBTYPES if form[0] != "mp3"])
def test_a_track_reads_back_with_its_samples_and_tags(tmp_path, format, bits):
    path = tmp_path / f"track.{format}"
    write_audio(path, SAMPLES, format=format, bits=bits, tags=TAGS)
    with soundfile.SoundFile(path) as sound:
        assert (sound.samplerate, sound.channels) == (48_000, 2)
        assert (sound.format.lower(), sound.subtype) == (format, SUBTYPES[format, bits])
        tags = sound.copy_metadata()
        samples = sound.read(dtype="float32").T
    assert np.abs(samples - SAMPLES).max() <= ERROR[bits]
    assert tags["title"] == "rainy night ☔"
    assert tags["artist"] == "lofi-nano-int8 1.0.0"
    assert tags["comment"] == (
        "AI-generated music; model: lofi-nano-int8 1.0.0; model license: apache-2.0"
    )
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_mp3_has_320_kbit_s_its_length_and_its_tags_in_unicode(tmp_path):
    path = tmp_path / "track.mp3"
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * 48_000) / 48_000)
    samples = np.stack([tone, -tone]).astype(np.float32)
    tags = {**TAGS, "license": "apache-2.0"}
    write_audio(path, samples, format="mp3", bits=None, tags=tags)
    with soundfile.SoundFile(path) as sound:
        assert (sound.format, sound.samplerate, sound.frames) == ("MP3", 48_000, 96_000)
        assert np.abs(sound.read(dtype="float32").T - samples)[:, 4800:-4800].max() < 0.02
    read = mutagen.File(path)
    assert read.info.bitrate == 320_000
    assert str(read.tags["TIT2"]) == "rainy night ☔"
    assert str(read.tags["TCOP"]) == "model license: apache-2.0"
    assert str(read.tags["TXXX:license"]) == "apache-2.0"
    assert str(read.tags["COMM::eng"]) == TAGS["comment"]


def comment_of(path) -> str:
    """Read the comment with a library that is not the one that wrote it."""
    read = mutagen.File(path)
    if path.suffix == ".flac":
        return read["comment"][0]
    if path.suffix == ".mp3":
        return str(read.tags["COMM::eng"])
    content = path.read_bytes()  # mutagen reads ID3 chunks of WAV, no LIST
    at = content.index(b"ICMT")
    size = int.from_bytes(content[at + 4 : at + 8], "little")
    return content[at + 8 : at + 8 + size].rstrip(b"\0").decode()


@pytest.mark.parametrize(("format", "bits"), SUBTYPES)
def test_another_reader_finds_the_mark_model_and_licence_in_every_format(tmp_path, format, bits):
    path = tmp_path / f"track.{format}"
    write_audio(path, SAMPLES, format=format, bits=bits, tags=TAGS)
    assert comment_of(path) == (
        "AI-generated music; model: lofi-nano-int8 1.0.0; model license: apache-2.0"
    )


@pytest.mark.parametrize(
    ("tags", "comment"), [({}, "AI-generated"), ({"comment": "seed 7"}, "AI-generated; seed 7")]
)
def test_no_track_is_written_without_the_mark(tmp_path, tags, comment):
    write_audio(tmp_path / "a.wav", SAMPLES, tags=tags)
    with soundfile.SoundFile(tmp_path / "a.wav") as sound:
        assert sound.comment == comment


def test_writing_again_replaces_the_file_whole(tmp_path):
    path = tmp_path / "a.wav"
    write_audio(path, SAMPLES, tags=TAGS)
    write_audio(path, SAMPLES[:, :100], tags=TAGS)
    assert soundfile.info(path).frames == 100


def test_a_full_disk_leaves_nothing_behind_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # a write past this fails
    try:
        with pytest.raises(AudioWriteError, match=r"a.wav: cannot be written \(File too large\)"):
            write_audio(path, SAMPLES, tags=TAGS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]
    assert path.read_bytes() == b"old"


def test_a_folder_that_cannot_take_it_is_named(tmp_path):
    with pytest.raises(AudioWriteError, match=r"none/a.wav: cannot be written \(No such file"):
        write_audio(tmp_path / "none" / "a.wav", SAMPLES, tags=TAGS)
    (tmp_path / "file").write_text("")
    with pytest.raises(AudioWriteError, match=r"file/a.wav: cannot be written \(Not a directory"):
        write_audio(tmp_path / "file" / "a.wav", SAMPLES, tags=TAGS)


def test_values_that_are_not_numbers_are_refused(tmp_path):
    with pytest.raises(AudioWriteError, match="some samples are not numbers"):
        write_audio(tmp_path / "a.wav", SAMPLES * np.float32(np.nan), tags=TAGS)
    assert not list(tmp_path.iterdir())


def test_what_is_not_offered_is_refused_with_what_is(tmp_path):
    with pytest.raises(ValueError, match=r"flac with 32 bits, must be one of .*, flac 24, mp3$"):
        write_audio(tmp_path / "a", SAMPLES, format="flac", bits=32, tags=TAGS)
    with pytest.raises(ValueError, match="tag 'mood' is unknown, must be one of title, artist"):
        write_audio(tmp_path / "a", SAMPLES, tags={"mood": "calm"})
