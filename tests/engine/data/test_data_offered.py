"""What walks a recipe's folders: the same files and entries for every verb."""

from __future__ import annotations

import json
from pathlib import Path

from lofi_engine.data.offered import offer, open_books, open_folders
from lofi_engine.recipe.model import Source
from lofi_engine.review.tracks import list_tracks
from tests.support.recipes import make_recipe


def folder_of(home: Path, *names: str) -> None:
    for name in names:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write_ledger(path: Path, *filenames: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = {"type": "own", "license": "cc0"}
    path.write_text(json.dumps([{"filename": name, "source": source} for name in filenames]))


def source(path: str, ledger: str | None = None) -> Source:
    return Source(path=path, ledger=ledger, synth=None)


def test_a_ledger_written_in_two_ways_is_one_book(tmp_path):
    folder_of(tmp_path, "one/a.wav", "two/b.wav")
    write_ledger(tmp_path / "meta" / "sources.json", "a.wav", "b.wav", "gone.wav")
    sources = [source("one", "meta/sources.json"), source("two", "one/../meta/sources.json")]
    folders = open_folders(tmp_path, sources)
    (book,) = open_books(folders).values()
    assert book.ledger.unused == ("gone.wav",)
    found = offer(tmp_path, sources)
    assert {offered.ledger for offered in found.files} == set(found.entries)
    assert [bool(offered.match.entry) for offered in found.files] == [True, True]


def test_a_ledger_in_a_folder_is_no_file_of_it_whoever_names_it(tmp_path):
    folder_of(tmp_path, "one/a.wav", "two/b.wav")
    write_ledger(tmp_path / "one" / "sources.json", "b.wav")
    folders = open_folders(tmp_path, [source("one"), source("two", "one/sources.json")])
    assert [[file.relative for file, _ in folder.files] for folder in folders] == [
        ["a.wav"],
        ["b.wav"],
    ]


def test_an_absent_folder_offers_nothing_and_is_named(tmp_path):
    folder_of(tmp_path, "one/a.wav")
    (tmp_path / "empty").mkdir()
    found = offer(tmp_path, [source("gone", "never/read.json"), source("one"), source("empty")])
    assert found.absent == ("gone",)
    assert [offered.place.shown for offered in found.files] == ["one/a.wav"]


def test_the_review_finds_the_entries_that_curating_finds_through_a_linked_ledger(tmp_path):
    folder_of(tmp_path, "raw/a.wav")
    write_ledger(tmp_path / "elsewhere" / "deep" / "all.json", "../raw/a.wav")
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "sources.json").symlink_to(tmp_path / "elsewhere" / "deep" / "all.json")
    sources = [{"path": "raw", "ledger": "meta/sources.json"}]
    recipe = make_recipe(tmp_path, dataset={"sources": sources})
    (offered,) = offer(tmp_path, recipe.dataset.sources).files
    assert offered.match.entry is not None
    listing = list_tracks(recipe)
    (track,) = listing.tracks
    assert (track.place, track.ledger) == (offered.place, offered.ledger)
    assert list(listing.places) == [offered.ledger]
