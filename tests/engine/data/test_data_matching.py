from __future__ import annotations

from pathlib import Path

import pytest

from lofi_engine.data.ledger import Entry
from lofi_engine.data.matching import Ledger, Match, Place

HOME = Path("/home/ann/music")


def place(source: str, relative: str) -> Place:
    return Place(HOME / source / relative, relative, f"{source}/{relative}")


def ledger(entries: list[str], places: list[Place], path: str = "meta/sources.json") -> Ledger:
    made = [Entry(name, "own", "cc0", None, ()) for name in entries]
    return Ledger(HOME / path, made, places)


def found(entries: list[str], places: list[Place]) -> dict[str, str]:
    """Give each file's entry, or "!" where it is refused."""
    book = ledger(entries, places)
    matches = {file.shown: book.find(file) for file in places}
    return {
        shown: "!" if match.refusal else match.entry.filename
        for shown, match in matches.items()
        if match != Match()
    }


@pytest.mark.parametrize(
    "written",
    [
        "deep/a.wav",
        "raw/one/deep/a.wav",
        "../raw/one/deep/a.wav",
        "raw/./one/x/../deep/a.wav",
        "/home/ann/music/raw/one/deep/a.wav",
        "a.wav",
    ],
)
def test_a_file_is_named_by_any_path_that_means_it_alone(written):
    places = [place("raw/one", "deep/a.wav"), place("raw/two", "b.wav")]
    assert found([written], places) == {"raw/one/deep/a.wav": written}


def test_an_entry_of_one_source_never_licenses_a_namesake_in_another():
    places = [place("raw/one", "a.wav"), place("raw/two", "a.wav")]
    assert found(["raw/one/a.wav"], places) == {"raw/one/a.wav": "raw/one/a.wav"}


def test_what_could_mean_two_files_licenses_neither_and_names_both():
    places = [place("raw/one", "a.wav"), place("raw/two", "a.wav"), place("raw/two", "b.wav")]
    book = ledger(["a.wav", "b.wav"], places)
    said = (
        "the entry 'a.wav' in sources.json could mean 'raw/one/a.wav' or 'raw/two/a.wav'; "
        "write its path there"
    )
    assert [book.find(one).refusal for one in places] == [said, said, ""]
    assert book.warning() == ""
    nested = [place("raw", "one/x/a.wav"), place("raw/one", "one/x/a.wav")]
    assert found(["one/x/a.wav"], nested) == {
        "raw/one/x/a.wav": "!",
        "raw/one/one/x/a.wav": "!",
    }


def test_a_file_that_has_its_path_is_not_refused_for_a_stray_bare_name():
    places = [place("raw/one", "a.wav"), place("raw/two", "a.wav")]
    assert found(["a.wav", "raw/one/a.wav"], places) == {
        "raw/one/a.wav": "raw/one/a.wav",
        "raw/two/a.wav": "!",
    }


def test_a_folder_may_be_listed_with_the_names_its_subfolders_repeat():
    places = [place("raw", "a.wav"), place("raw", "deep/a.wav")]
    assert found(["a.wav", "deep/a.wav"], places) == {
        "raw/a.wav": "a.wav",
        "raw/deep/a.wav": "deep/a.wav",
    }
    assert found(["a.wav"], places) == {"raw/a.wav": "!", "raw/deep/a.wav": "!"}


def test_two_entries_for_one_file_refuse_it():
    places = [place("raw", "deep/a.wav")]
    book = ledger(["deep/a.wav", "raw/deep/a.wav"], places)
    assert book.find(places[0]).refusal == (
        "2 entries in sources.json mean it: 'deep/a.wav' and 'raw/deep/a.wav'"
    )


def test_a_file_that_two_sources_hold_is_one_file():
    places = [place("raw", "one/a.wav"), Place(HOME / "raw/one/a.wav", "a.wav", "raw/one/a.wav")]
    assert found(["a.wav"], places) == {"raw/one/a.wav": "a.wav"}


def test_unused_entries_are_one_warning_with_the_first_few():
    files = [place("raw/one", "a.wav"), place("raw/two", "b.wav")]
    names = [f"{number:04}.wav" for number in range(1500)]
    assert ledger([*names, "a.wav"], files).warning() == (
        "sources.json: 1500 of 1501 entries mean no file: '0000.wav', '0001.wav', '0002.wav', ..."
    )
    assert ledger(["gone.wav"], files).warning() == (
        "sources.json: 1 of 1 entries mean no file: 'gone.wav'"
    )
    assert ledger(["b.wav"], files).warning() == ""
