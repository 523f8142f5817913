from __future__ import annotations

import dataclasses
import json

import pytest

from lofi_engine.errors import StageError
from lofi_engine.training.encoded import (
    INDEX_NAME,
    EncodedTrack,
    check_encoded_by,
    check_shards,
    read_index,
    write_index,
)
from tests.support.tiny_training import OTHER_TEXTS, write_encoded


def test_shards_that_do_not_fit_the_index_are_named(tmp_path):
    tracks = write_encoded(tmp_path, ("train", "train"))
    check_shards(tmp_path, tracks)
    second, path = tracks[1], tmp_path / tracks[1].shard
    wrong = {
        "holds 16 latent frames, index.json says 12": dataclasses.replace(second, frames=12),
        "holds 3 text tokens, index.json says 9": dataclasses.replace(second, tokens=9),
        "holds 2 of its texts, index.json says 3": dataclasses.replace(
            second, other_texts=(*OTHER_TEXTS, "shuffle/7")
        ),
    }
    for said, row in wrong.items():
        with pytest.raises(StageError) as caught:
            check_shards(tmp_path, [tracks[0], row])
        assert str(caught.value) == f"{path}: the shard {said} - run again with --from encode"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StageError, match=r"track-1\.safetensors: it is cut short"):
        check_shards(tmp_path, tracks)
    path.unlink()
    with pytest.raises(StageError, match=r"track-1\.safetensors: there is no such file"):
        check_shards(tmp_path, tracks)


def test_an_encoded_set_of_another_base_is_refused(tmp_path):
    write_index(tmp_path, [], base="hf:ACE-Step/ACE-Step-v1-3.5B@abc")
    check_encoded_by(tmp_path, "hf:ACE-Step/ACE-Step-v1-3.5B@abc")
    with pytest.raises(StageError) as caught:
        check_encoded_by(tmp_path, "builtin:tiny@1")
    assert str(caught.value) == (
        f"{tmp_path}: the tracks were encoded by hf:ACE-Step/ACE-Step-v1-3.5B@abc, the base is "
        "builtin:tiny@1 - run again with --from encode"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no such file"),
        ('{"format": 1, "tra', "the index is damaged"),
        ("[]", "not an index that this version writes"),
        ('{"format": 0, "base": "", "tracks": []}', "not an index that this version writes"),
        ('{"format": 1, "base": "", "tracks": [{"name": "a"}]}', "a row is no track"),
    ],
)
def test_an_index_that_cannot_be_read_is_named(tmp_path, text, said):
    if text is not None:
        (tmp_path / INDEX_NAME).write_text(text)
    with pytest.raises(StageError, match=f"{INDEX_NAME}: {said}.* - run again with --from encode"):
        read_index(tmp_path)


def test_the_index_comes_back_whole_or_by_split(tmp_path):
    tracks = write_encoded(tmp_path, ("train", "validation", "train"))
    assert read_index(tmp_path) == tracks
    assert read_index(tmp_path, "train") == (tracks[0], tracks[2])
    assert read_index(tmp_path, "validation") == (tracks[1],)
    assert read_index(tmp_path, "test") == ()
    row = json.loads((tmp_path / INDEX_NAME).read_text())["tracks"][0]
    assert row == {
        **dataclasses.asdict(tracks[0]),
        "style_ids": ["CORE-01"],
        "other_texts": [*OTHER_TEXTS],
    }


def test_the_index_names_the_other_texts_of_a_track(tmp_path):
    track = EncodedTrack("a", "a.safetensors", 3, 2, "train", (), ("caption/analysis", "shuffle/0"))
    write_index(tmp_path, [track])
    assert read_index(tmp_path) == (track,)
