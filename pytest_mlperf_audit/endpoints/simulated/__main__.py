"""`python -m pytest_mlperf_audit.endpoints.simulated --config-json '{"service_time_ms": 50}'`.

Prints one line of JSON, {"url": ..., "pid": ...}, when it listens; serves until SIGTERM or until --watch-pid is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

_WATCH_EVERY_S = 0.5


def main(arguments: list[str] | None = None) -> int:
    """Run the server; return the exit status."""
    # Ctrl-C in a terminal reaches every process there; when to stop the endpoint is for pytest to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    options = _parser().parse_args(arguments)
    loop = _event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_run(options))
    finally:
        loop.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pytest_mlperf_audit.endpoints.simulated", description=__doc__)
    parser.add_argument("--config-json", default="{}", metavar="JSON", help="keys of endpoint_config.simulated")
    parser.add_argument("--port", type=_port, default=0, help="port on 127.0.0.1 (default: any free one)")
    parser.add_argument("--watch-pid", type=int, metavar="PID", help="exit when this process is gone")
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 2**16:
        raise argparse.ArgumentTypeError("a port is a number from 0 (any free one) to 65535")
    return port


def _event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


async def _run(options: argparse.Namespace) -> int:
    from pydantic import ValidationError  # noqa: PLC0415 - 0.3 s of imports that --help need not pay

    from ...config.endpoint import SimulatedConfig  # noqa: PLC0415
    from ...errors import DatasetError  # noqa: PLC0415
    from .server import HOST, Server  # noqa: PLC0415

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    try:
        server = Server(SimulatedConfig.model_validate_json(options.config_json))
    except ValidationError as error:
        return _fail(f"--config-json is not a configuration of the simulated endpoint: {error}")
    except DatasetError as error:
        return _fail(str(error))
    _raise_file_limit()
    try:
        url = await server.listen(options.port)
    except OSError as error:
        return _fail(f"cannot listen on {HOST}:{options.port}: {error}; choose another --port, or 0 for any free one")
    try:
        print(json.dumps({"url": url, "pid": os.getpid()}), flush=True)  # noqa: T201 - this line is the interface
        await _until_stopped(stop, options.watch_pid)
    finally:
        await server.close()
    return 0


async def _until_stopped(stop: asyncio.Event, watch_pid: int | None) -> None:
    stopped = asyncio.ensure_future(stop.wait())
    while not stopped.done() and (watch_pid is None or _is_running(watch_pid)):
        await asyncio.wait({stopped}, timeout=None if watch_pid is None else _WATCH_EVERY_S)
    stopped.cancel()


def _is_running(pid: int) -> bool:
    """Whether a process runs; one that ended but was not yet waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return not Path("/proc/self").exists()  # gone in this moment, unless the system has no /proc
    return state not in {"Z", "X"}


def _raise_file_limit() -> None:
    """Allow as many connections as the system lets us: `max_throughput` opens one per query."""
    import resource  # noqa: PLC0415 - POSIX only

    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        return  # macOS refuses its own hard limit; the soft one has to do


def _fail(message: str) -> int:
    print(f"simulated endpoint: {message}", file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    sys.exit(main())
