"""Playing over a real socket, in a real child, on the null device."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lofi_runtime.player import deck as deck_module
from lofi_runtime.rpc.playback_methods import PLAYBACK_METHODS
from lofi_runtime.rpc.schema import find_problems
from tests.support.played_tracks import keep_track
from tests.support.rpc_client import RpcClient, RpcFailure
from tests.support.rpc_server import RunningServer, running_server

SEEDS = itertools.count(1)
SILENT = {"volume": 1.0, "loop": False, "crossfade_sec": 0.0, "playlist_length": 0}


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("playing")
    with running_server(folder) as running:
        yield running


@pytest.fixture
def server(shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> RunningServer:
    """One server, and mostly one child, for all; each test finds it as if it had just begun."""
    player = shared_server.runtime.player
    wait_until(lambda: player.devices.found is not None)
    for name in ("_command", "found", "chosen", "_told"):
        monkeypatch.setattr(player.devices, name, getattr(player.devices, name))
    monkeypatch.setattr(player.deck, "idle_sec", player.deck.idle_sec)
    with shared_server.connect() as connected:
        connected.call("stop")
        connected.call("playlist_clear")
        connected.call("loop_set", enabled=False)
        connected.call("volume_set", level=1)
        connected.call("crossfade_set", duration_sec=0)
    player.last = None
    return shared_server


@pytest.fixture
def client(server: RunningServer) -> Iterator[RpcClient]:
    with server.connect() as connected:
        yield connected
        for event, params in connected.notifications():
            assert find_problems("notifications", event, "params", params) == [], event


@pytest.fixture
def keep(server: RunningServer) -> Callable[..., str]:
    def make(duration_sec: float, **changes: str) -> str:
        return keep_track(server.settings.tracks, next(SEEDS), duration_sec, **changes)

    return make


def error_of(client: RpcClient, method: str, **params: object) -> dict[str, object]:
    with pytest.raises(RpcFailure) as caught:
        client.call(method, **params)
    return caught.value.error


def wait_until(holds: Callable[[], object], limit_sec: float = 5.0) -> None:
    deadline = time.monotonic() + limit_sec
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_answer_keeps_to_the_schema(client: RpcClient, keep: Callable[..., str]) -> None:
    track_id = keep(5)
    needs = {
        "play": {"track_id": track_id},
        "playlist_add": {"track_id": track_id},
        "playlist_remove": {"track_id": track_id},
        "seek": {"position_sec": 1},
        "loop_set": {"enabled": True},
        "volume_set": {"level": 0.5},
        "crossfade_set": {"duration_sec": 3},
        "audio_device_set": {"device": "null"},
    }
    # What ends the track comes last.
    for method in sorted(PLAYBACK_METHODS, key=lambda name: name in ("skip", "stop")):
        result = client.call(method, **needs.get(method, {}))
        assert find_problems("methods", method, "result", result) == [], method
    assert find_problems("methods", "status", "result", client.call("status")) == []


def test_a_track_plays_from_its_start_to_its_end(
    client: RpcClient, keep: Callable[..., str]
) -> None:
    track_id = keep(1.3)
    assert client.call("capabilities")["features"]["playback"] is True
    assert client.call("play", track_id=track_id) == SILENT | {
        "state": "playing", "track_id": track_id, "position_sec": 0.0, "duration_sec": 1.3,
    }  # fmt: skip
    assert client.notifications() == []
    client.wait_for("playback_ended")
    told = client.notifications()
    assert told[0] == (
        "playback_started", {"track_id": track_id, "position_sec": 0.0, "duration_sec": 1.3}
    )  # fmt: skip
    at = [params["position_sec"] for event, params in told if event == "playback_progress"]
    assert at[0] < 0.3
    assert 0.9 < at[-1] < 1.3
    assert told[-1] == ("playback_ended", {"track_id": track_id, "reason": "finished"})
    assert client.call("volume_get") == SILENT | {"state": "stopped"}


def test_unknown_and_unfinished_tracks_are_refused(client: RpcClient) -> None:
    error = error_of(client, "play", track_id="0" * 16)
    assert error["code"] == -32021
    assert error["message"] == f"track_id: there is no track {'0' * 16} in the store"
    made = client.call("generate", prompt="slow tune", duration_sec=5)
    client.wait_for("generation_progress")
    error = error_of(client, "playlist_add", track_id=made["track_id"])
    assert error["data"]["error_code"] == "INVALID_TRACK_ID"
    assert f"track {made['track_id']} is still being generated (" in error["message"]
    assert error["data"]["details"] == "wait for its generation_complete"


def test_pause_holds_the_position_and_resume_goes_on(
    client: RpcClient, keep: Callable[..., str]
) -> None:
    client.call("play", track_id=keep(5))
    client.wait_for("playback_progress")
    time.sleep(0.3)
    paused = client.call("toggle")
    assert paused["state"] == "paused"
    assert paused["position_sec"] > 0.25
    time.sleep(0.3)
    assert client.call("pause") == paused
    assert client.wait_for("playback_paused")["position_sec"] == paused["position_sec"]
    assert client.call("resume") == paused | {"state": "playing"}
    told = client.wait_for("playback_resumed")
    assert told["position_sec"] == paused["position_sec"]
    assert abs(client.wait_for("playback_progress")["position_sec"] - told["position_sec"]) < 0.4
    assert client.call("stop")["state"] == "stopped"
    assert client.wait_for("playback_ended")["reason"] == "stopped"
    assert client.call("resume")["state"] == "stopped"


def test_a_seek_moves_and_one_beyond_the_end_is_refused(
    client: RpcClient, keep: Callable[..., str]
) -> None:
    error = error_of(client, "seek", position_sec=1)
    assert error["data"]["error_code"] == "AUDIO_PLAYBACK_ERROR"
    client.call("play", track_id=keep(20))
    client.wait_for("playback_progress")
    assert 15 <= client.call("seek", position_sec=15)["position_sec"] < 15.1
    assert 14.9 <= client.wait_for("playback_progress")["position_sec"] < 15.5
    error = error_of(client, "seek", position_sec=21)
    assert error["message"] == "position_sec: 21 is outside 0 to 20, the length of the track"
    client.call("pause")
    assert client.call("seek", position_sec=3)["position_sec"] == 3
    client.call("resume")
    assert 3 <= client.wait_for("playback_resumed")["position_sec"] < 3.1
    client.call("seek", position_sec=19.8)
    assert client.wait_for("playback_ended")["reason"] == "finished"


def test_the_playlist_follows_by_itself_and_each_track_leaves_it(
    client: RpcClient, keep: Callable[..., str]
) -> None:
    ids = [keep(0.6, prompt=f"tune {number}") for number in range(3)]
    client.call("crossfade_set", duration_sec=0.1)
    assert client.call("playlist_add", track_id=ids[1])["state"] == "stopped"
    assert client.call("playlist_add", track_id=ids[2])["playlist_length"] == 2
    assert client.call("play", track_id=ids[0])["playlist_length"] == 2
    listed = client.call("playlist_get")
    assert listed["current"] == {"track_id": ids[0], "duration_sec": 0.6, "prompt": "tune 0"}
    assert [track["prompt"] for track in listed["tracks"]] == ["tune 1", "tune 2"]
    for _ in ids:
        client.wait_for("playback_ended")
    told = [
        (event, params["track_id"])
        for event, params in client.notifications()
        if event != "playback_progress"
    ]
    started, ended = "playback_started", "playback_ended"
    assert told == [(kind, track_id) for track_id in ids for kind in (started, ended)]
    status = client.call("status")
    assert (status["playlist_length"], status["playback"]["state"]) == (0, "stopped")
    assert client.call("play")["track_id"] == ids[2]


def test_skip_goes_on_and_stops_at_the_end(client: RpcClient, keep: Callable[..., str]) -> None:
    first, second = keep(5), keep(5)
    client.call("playlist_add", track_id=first)
    client.call("playlist_add", track_id=second)
    assert client.call("play")["track_id"] == first
    assert client.call("skip")["track_id"] == second
    told = client.wait_for("playback_ended")
    assert (told["track_id"], told["reason"]) == (first, "skipped")
    assert client.call("skip")["state"] == "stopped"
    assert client.wait_for("playback_ended")["reason"] == "skipped"
    assert client.call("skip")["state"] == "stopped"


def test_the_playlist_is_changed_while_it_plays(
    client: RpcClient, keep: Callable[..., str]
) -> None:
    first, second, third = keep(0.8), keep(0.5), keep(0.5)
    client.call("play", track_id=first)
    for track_id in (second, third, second):
        client.call("playlist_add", track_id=track_id)
    assert client.call("playlist_remove", track_id=second)["playlist_length"] == 1
    assert client.call("playlist_remove", track_id="0" * 16)["playlist_length"] == 1
    client.wait_for("playback_started", track_id=third)
    client.call("playlist_add", track_id=second)
    assert client.call("playlist_clear")["playlist_length"] == 0
    client.wait_for("playback_ended", track_id=third)
    assert client.call("volume_get")["state"] == "stopped"


def test_a_looped_track_goes_on_until_it_may_end(
    client: RpcClient, keep: Callable[..., str]
) -> None:
    client.call("loop_set", enabled=True)
    client.call("play", track_id=keep(0.4))
    at = [client.wait_for("playback_progress")["position_sec"] for _ in range(2)]
    assert max(at) <= 0.4
    assert client.call("volume_get")["position_sec"] <= 0.4
    assert "playback_ended" not in {event for event, _ in client.notifications()}
    client.call("loop_set", enabled=False)
    assert client.wait_for("playback_ended")["reason"] == "finished"


def test_playing_concerns_every_client_but_those_that_want_nothing(
    server: RunningServer, client: RpcClient, keep: Callable[..., str]
) -> None:
    with server.connect() as other, server.connect() as deaf:
        deaf.call("subscribe", tracks="none")
        other.call("subscribe", events=["playback_started", "playback_ended"])
        client.call("play", track_id=keep(0.3))
        other.wait_for("playback_ended")
        deaf.call("ping")
        assert [event for event, _ in other.notifications()] == [
            "playback_started",
            "playback_ended",
        ]
        assert deaf.notifications() == []


def test_a_killed_child_ends_the_track_and_the_next_one_plays(
    server: RunningServer, client: RpcClient, keep: Callable[..., str]
) -> None:
    first, second = keep(5), keep(0.4)
    client.call("play", track_id=first)
    client.wait_for("playback_progress")
    pid = server.runtime.player.deck.process.pid
    assert pid is not None
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    told = client.wait_for("playback_ended")
    assert time.monotonic() - began < 1
    assert (told["track_id"], told["reason"]) == (first, "error")
    assert told["code"] == "AUDIO_PLAYBACK_ERROR"
    assert told["message"] == ("the playing process ended (it was killed by SIGKILL) - play again")
    assert client.call("play", track_id=second)["state"] == "playing"
    assert client.wait_for("playback_ended")["reason"] == "finished"


def test_a_child_that_hangs_ends_the_track_and_is_replaced(
    server: RunningServer,
    client: RpcClient,
    keep: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deck_module, "STALL_SEC", 1.5)
    client.call("play", track_id=keep(5))
    client.wait_for("playback_progress")
    pid = server.runtime.player.deck.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    told = client.wait_for("playback_ended")
    assert told["message"] == "the playing process ended (it told nothing for 1.5 s) - play again"
    client.call("play", track_id=keep(0.3))
    assert client.wait_for("playback_ended")["reason"] == "finished"
    wait_until(lambda: not Path(f"/proc/{pid}").exists())


def test_a_child_with_nothing_to_play_is_let_go_and_a_pause_survives_it(
    server: RunningServer, client: RpcClient, keep: Callable[..., str]
) -> None:
    player = server.runtime.player
    player.deck.idle_sec = 0.2
    client.call("play", track_id=keep(5))
    client.wait_for("playback_progress")
    pid = player.deck.process.pid
    paused = client.call("pause")
    wait_until(lambda: player.deck.process.pid is None)
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    paused = client.call("seek", position_sec=3)
    assert client.call("resume") == paused | {"state": "playing"}
    told = client.wait_for("playback_progress")
    while told["position_sec"] < paused["position_sec"]:
        told = client.wait_for("playback_progress")
    assert player.deck.process.pid not in (None, pid)


def test_a_track_that_was_deleted_is_told_and_passed_over(
    client: RpcClient, keep: Callable[..., str]
) -> None:
    first, gone, third = keep(0.5), keep(0.5), keep(0.5)
    for track_id in (gone, third):
        client.call("playlist_add", track_id=track_id)
    assert client.call("cache_delete", track_id=gone)["deleted"] is True
    client.call("play", track_id=first)
    told = client.wait_for("playback_ended")
    assert (told["track_id"], told["reason"]) == (gone, "error")
    assert f"{gone}.wav: cannot be played (" in told["message"]
    client.wait_for("playback_ended", track_id=third)


def test_without_a_device_play_says_what_to_do(
    server: RunningServer, client: RpcClient, keep: Callable[..., str]
) -> None:
    track_id = keep(0.4)
    devices = server.runtime.player.devices
    wait_until(lambda: devices.found is not None)
    devices._command = (sys.executable, "-c", "import os; os.write(1, bytes([0x90]))")
    devices.found, devices.chosen = [], "default"
    error = error_of(client, "play", track_id=track_id)
    assert error["code"] == -32024
    assert error["message"] == "there is no audio device on this machine"
    assert "audio_device_set" in error["data"]["details"]
    assert client.call("playlist_add", track_id=track_id)["state"] == "stopped"
    error = error_of(client, "audio_device_set", device="Moon Base")
    assert error["message"] == "device: 'Moon Base' is not one of default, null"
    assert client.call("audio_device_set", device="null")["current"] == "null"
    assert client.call("play")["state"] == "playing"
    client.wait_for("playback_ended")


def test_a_change_of_devices_is_told_to_those_who_may_have_asked(
    server: RunningServer, client: RpcClient
) -> None:
    devices = server.runtime.player.devices
    wait_until(lambda: devices.found is not None)
    code = (
        "import msgpack, sys; sys.stdout.buffer.write(msgpack.packb("
        "[{'name': 'Headphones', 'is_default': True, 'sample_rate': 44100}]))"
    )
    devices._command = (sys.executable, "-c", code)
    null = {"name": "null", "is_default": False, "sample_rate": 48000}
    assert client.call("audio_devices")["available"][-1] == null
    told = client.wait_for("audio_devices_changed")
    assert told["available"][0]["name"] == "Headphones"
    assert client.call("audio_device_set", device="Headphones")["current"] == "Headphones"


def test_a_device_is_changed_while_it_plays(
    server: RunningServer, client: RpcClient, keep: Callable[..., str]
) -> None:
    client.call("play", track_id=keep(5))
    client.wait_for("playback_progress")
    server.on_loop(server.runtime.player.deck.process.tell, {"op": "device", "device": "Moon Base"})
    told = client.wait_for("playback_ended")
    assert (told["reason"], told["code"]) == ("error", "AUDIO_DEVICE_ERROR")


def test_toggle_with_nothing_to_play_says_so(client: RpcClient) -> None:
    error = error_of(client, "toggle")
    assert error["code"] == -32025
    assert error["message"] == "there is nothing to play"


def test_the_server_loads_nothing_that_decodes_or_plays() -> None:
    code = (
        "import sys, lofi_runtime.server as _; "
        "print({'numpy', 'soundfile', 'miniaudio'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert said.stdout.strip() == b"set()"
