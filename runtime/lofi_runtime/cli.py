"""The command line `lofi-runtime`, but for `models_cli`'s verbs. Imports nothing heavy."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from lofi_runtime.command_line import (
    HELP_OPTIONS,
    add_version,
    exit_with,
    run_app,
    stop_on_sigterm,
)
from lofi_runtime.models_cli import Source, add_model_commands
from lofi_runtime.rpc.definitions import parameters

PROGRAM = "lofi-runtime"

app = typer.Typer(
    name=PROGRAM,
    help="Plays lofi models: a server for editors, and tracks from the command line.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    result_callback=exit_with,
    context_settings=HELP_OPTIONS,
)
add_version(PROGRAM, app)


def _limits(name: str) -> str:
    """Say a parameter's range and default as the protocol's schema has them."""
    rule = parameters("generate")[name]
    told = []
    choices = rule.get("enum", rule.get("examples", ()))
    if choices:
        told.append(", ".join(choices))
    if "minimum" in rule:
        told.append(f"{rule['minimum']} to {rule['maximum']}")
    if name == "seed":
        told.append("default random")
    if rule.get("default", "") != "":
        told.append(f"default {rule['default']}")
    return f" [{'; '.join(told)}]" if told else ""


Socket = Annotated[
    Path | None,
    typer.Option(
        "--socket",
        help="Where the server listens. [default $XDG_RUNTIME_DIR/lofi/runtime.sock]",
        show_default=False,
    ),
]
Bundle = Annotated[
    Path | None,
    typer.Option(
        "--bundle",
        help="A bundle's folder, used instead of the installed ones; may lack a manifest.",
        show_default=False,
    ),
]
BackendName = Annotated[
    str | None,
    typer.Option(
        "--backend",
        help="What generates: procedural or ace_step. [default ace_step if a bundle is there]",
        show_default=False,
    ),
]
Models = Annotated[
    Path | None,
    typer.Option(
        "--models",
        help="The folder of installed bundles. [default XDG_DATA_HOME/lofi/models]",
        show_default=False,
    ),
]
Tracks = Annotated[
    Path | None,
    typer.Option(
        "--tracks",
        help="The folder of finished tracks. [default XDG_CACHE_HOME/lofi/tracks]",
        show_default=False,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, help="Processor threads for a model. [default all]", show_default=False
    ),
]


Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="What a model computes on: auto, cpu, cuda, coreml or directml. [default auto]",
        show_default=False,
    ),
]
Lora = Annotated[
    str | None,
    typer.Option(
        "--lora",
        help="The model: a bundle's name without its precision. [default the first by name]",
        show_default=False,
    ),
]


def _seconds_option(flag: str, text: str) -> Any:
    return typer.Option(flag, help=text, min=0.1, show_default=False)


Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Copy the sound here, its sidecar beside it; the name ends in .wav, .flac or .mp3. "
        "[default the store only]",
        show_default=False,
    ),
]
AudioFormatName = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="What tracks are written as: wav, flac or mp3 (320 kbit/s). [default wav]",
        show_default=False,
    ),
]
AudioBits = Annotated[
    int | None,
    typer.Option(
        "--bits",
        help="Of a sample: 16, 24 or, WAV only, 32 (floating point); MP3 has none. [default 16]",
        show_default=False,
    ),
]


def _asked(text: str, name: str) -> Any:
    """Make the option of one parameter of `generate`, with the schema's limits in its help."""
    flag = f"--{name.replace('_', '-')}"
    return typer.Option(flag, help=text + _limits(name), show_default=False)


DurationSec = Annotated[int | None, _asked("Seconds.", "duration_sec")]
Seed = Annotated[int | None, _asked("The same seed makes the same track.", "seed")]
Precision = Annotated[str | None, _asked("Variant of the model.", "precision")]
InferenceSteps = Annotated[int | None, _asked("Denoising steps.", "inference_steps")]
Scheduler = Annotated[str | None, _asked("Of the steps.", "scheduler")]
GuidanceScale = Annotated[
    float | None, _asked("How closely the prompt is followed.", "guidance_scale")
]


def main() -> int:
    """Run the command line; returns the exit code."""
    return run_app(PROGRAM, app)


@app.command(epilog="Example: lofi-runtime serve --idle-exit 600")
def serve(
    socket: Socket = None,
    idle_exit: Annotated[
        float | None,
        typer.Option(
            help="End after so many seconds without client and track. [default never]",
            min=0.1,
            show_default=False,
        ),
    ] = None,
    bundle: Bundle = None,
    backend: BackendName = None,
    models: Models = None,
    source: Source = None,
    tracks: Tracks = None,
    tracks_max_mb: Annotated[
        float | None,
        typer.Option(
            help="Keep so much sound at most; what was used longest ago goes. [default 2000]",
            min=1,
            show_default=False,
        ),
    ] = None,
    tracks_max_count: Annotated[
        int | None,
        typer.Option(
            help="Keep so many tracks at most; what was used longest ago goes. [default 1000]",
            min=1,
            show_default=False,
        ),
    ] = None,
    threads: Threads = None,
    device: Device = None,
    lora: Lora = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="The variant that requests get which name none. [default the fastest]",
            show_default=False,
        ),
    ] = None,
    unload_after: Annotated[
        float | None,
        _seconds_option(
            "--unload-after", "Free an idle model's memory after so many seconds. [default 600]"
        ),
    ] = None,
    hang: Annotated[
        float | None,
        _seconds_option(
            "--hang", "End a track that shows no progress for so many seconds. [default 300]"
        ),
    ] = None,
    deadline: Annotated[
        float | None,
        _seconds_option("--deadline", "End a track after so many seconds. [default 3600]"),
    ] = None,
    audio_format: AudioFormatName = None,
    bits: AudioBits = None,
    audio_device: Annotated[
        str | None,
        typer.Option(
            help="What tracks are played on: a device's name, default, or null, which is silent. "
            "[default default]",
            show_default=False,
        ),
    ] = None,
    finish_abandoned: Annotated[
        bool,
        typer.Option(
            "--finish-abandoned", help="Also finish tracks whose client has left. [default no]"
        ),
    ] = False,
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Serve the one client that started this, by its pipes.")
    ] = False,
    tcp: Annotated[
        bool,
        typer.Option(
            "--tcp",
            help="Listen on 127.0.0.1; port and token are in runtime.tcp.json beside the socket. "
            "[default on Windows]",
        ),
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            help="For --tcp. [default any free one]", min=0, max=65535, show_default=False
        ),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            help="Log here what happens; 4 files of 1 MB are kept. [default errors on stderr]",
            show_default=False,
        ),
    ] = None,
    log_prompts: Annotated[
        bool, typer.Option("--log-prompts", help="Also log prompts. [default no]")
    ] = False,
) -> int:
    """Serve editors over a socket, one server for all of them, until SIGTERM or Ctrl-C."""
    from lofi_runtime.server import serve as run_server

    settings = _settings(
        transport=_transport(stdio, tcp or port is not None),
        tcp_port=port,
        log=log,
        log_prompts=log_prompts,
        socket=socket,
        idle_exit_sec=idle_exit,
        bundle=bundle,
        backend=backend,
        models=models,
        source=source,
        tracks=tracks,
        tracks_max_mb=tracks_max_mb,
        tracks_max_count=tracks_max_count,
        threads=threads,
        device=_device(device),
        audio_device=audio_device,
        lora=lora,
        precision=precision,
        patience=_patience(unload_after, hang, deadline),
        audio_format=audio_format,
        audio_bits=bits,
        keeps_tracks_of_gone_clients=finish_abandoned,
    )
    settings.check()
    return run_server(settings)


def _transport(stdio: bool, tcp: bool) -> str | None:
    from lofi_runtime.errors import LofiError
    from lofi_runtime.settings import STDIO, TCP

    if stdio and tcp:
        raise LofiError("--stdio and --tcp exclude each other", hint="leave one of them out")
    return STDIO if stdio else TCP if tcp else None


@app.command(epilog="Example: lofi-runtime stop")
def stop(socket: Socket = None) -> int:
    """Stop the running server; tracks that wait or run are cancelled."""
    from lofi_runtime.rpc.client import stop_server

    typer.echo(f"stopped process {stop_server(_settings(socket=socket).socket)}")
    return 0


@app.command(
    epilog='Example: lofi-runtime generate "rainy night coding, 70 bpm" --duration-sec 60 '
    "--out rain.wav"
)
def generate(
    prompt: Annotated[str, typer.Argument(help="Tags or plain words.")],
    out: Out = None,
    duration_sec: DurationSec = None,
    seed: Seed = None,
    style: Annotated[str | None, typer.Option(help="A style's id, such as SEASON-06.")] = None,
    lyrics: Annotated[str | None, typer.Option(help="Words to sing.")] = None,
    backend: BackendName = None,
    bundle: Bundle = None,
    precision: Precision = None,
    lora: Lora = None,
    inference_steps: InferenceSteps = None,
    scheduler: Scheduler = None,
    guidance_scale: GuidanceScale = None,
    models: Models = None,
    tracks: Tracks = None,
    threads: Threads = None,
    device: Device = None,
    audio_format: AudioFormatName = None,
    bits: AudioBits = None,
) -> int:
    """Generate one track without a server; prints its path."""
    from lofi_runtime.local import generate_to

    params: dict[str, Any] = {
        "prompt": prompt,
        "duration_sec": duration_sec,
        "seed": seed,
        "style": style,
        "lyrics": lyrics,
        # A bundle named on the command line is meant to be heard.
        "backend": backend or ("ace_step" if bundle else None),
        "precision": precision,
        "lora": lora,
        "inference_steps": inference_steps,
        "scheduler": scheduler,
        "guidance_scale": guidance_scale,
    }
    settings = _settings(
        audio_format=audio_format,
        audio_bits=bits,
        bundle=bundle,
        models=models,
        tracks=tracks,
        threads=threads,
        device=_device(device),
    )
    stop_on_sigterm()
    typer.echo(generate_to(params, settings, out, say=_say))
    return 0


def _say(line: str) -> None:
    typer.echo(f"{PROGRAM}: {line}", err=True)


add_model_commands(app)


@app.command(epilog="Example: lofi-runtime doctor")
def doctor(
    socket: Socket = None,
    bundle: Bundle = None,
    models: Models = None,
    tracks: Tracks = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Hash bundles of any size. [default those up to 500 MB]"),
    ] = False,
) -> int:
    """Say what works here, and what mends the rest; exit code 0 if tracks can be made."""
    from lofi_runtime.doctor import examine
    from lofi_runtime.hub.bar import shown_bytes

    is_usable = True
    settings = _settings(socket=socket, bundle=bundle, models=models, tracks=tracks)
    # Small bundles are hashed unasked, and nobody's log needs a line for that.
    shown = (
        {"shown_bytes": partial(shown_bytes, sys.stderr)} if sys.stderr.isatty() or verify else {}
    )
    for check in examine(settings, verify=verify, **shown):
        typer.echo(check.line())
        is_usable &= check.is_ok or not check.is_needed
    return 0 if is_usable else 1


def _device(name: str | None) -> str | None:
    """Check a device's name.

    Raises:
        LofiError: it is none of those there are.
    """
    from lofi_runtime.devices import DEVICES
    from lofi_runtime.errors import LofiError

    if name not in (None, *DEVICES):
        raise LofiError(f"--device {name}: not one of {', '.join(DEVICES)}")
    return name


def _patience(unload_sec: float | None, hang_sec: float | None, deadline_sec: float | None) -> Any:
    from lofi_runtime.worker import Patience

    given = {"unload_sec": unload_sec, "hang_sec": hang_sec, "deadline_sec": deadline_sec}
    return Patience(**{name: value for name, value in given.items() if value is not None})


def _settings(**given: Any) -> Any:
    """Build settings from the options that were given; the rest keep their defaults."""
    from lofi_runtime.settings import Settings

    return Settings(**{name: value for name, value in given.items() if value is not None})


if __name__ == "__main__":
    raise SystemExit(main())
