"""What runs first in every worker: says which Python and which package are there, with the standard library alone.

Only when the controller has found them to be its own does the package's code run. It is kept to what Python 3.7 knows,
so that an old one can say that it is old.
"""

from __future__ import annotations

import hashlib
import os
import sys

_PACKAGE = "pytest_mlperf_audit"


def findings() -> dict[str, str]:
    """Return what must be alike on both sides, and what tells whether both are on one machine."""
    found = {"python": f"{sys.version_info[0]}.{sys.version_info[1]}", "version": "", "code": "", "machine": _machine()}
    try:
        from importlib import metadata, util  # noqa: PLC0415 - the first is not in Python 3.7

        found["version"] = metadata.version(_PACKAGE.replace("_", "-"))
        spec = util.find_spec(_PACKAGE)
        for directory in (spec and spec.submodule_search_locations) or ():
            found["code"] = _digest(directory)
    except Exception as error:  # noqa: BLE001 - whatever it is, the package cannot be used there
        found["problem"] = f"{type(error).__name__}: {error}"
    return found


def _digest(directory: str) -> str:
    """Return a digest of all Python files of the package."""
    hasher = hashlib.sha256()
    for folder, folders, names in os.walk(directory):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".py"):
                path = os.path.join(folder, name)  # noqa: PTH118 - half the time of pathlib, for some hundred files
                hasher.update(os.path.relpath(path, directory).encode())
                with open(path, "rb") as file:  # noqa: PTH123 - as above
                    hasher.update(file.read())
    return hasher.hexdigest()


def _machine() -> str:
    """Return what identifies a running system, so that the same means the same monotonic clock; "" where unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:  # noqa: PTH123 - as above
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/time')}"  # noqa: PTH115 - no such file, a name
    except OSError:
        return ""


if __name__ == "__channelexec__":
    channel.send(findings())  # type: ignore[name-defined] # noqa: F821 - execnet's
    if channel.receive() == "serve":  # type: ignore[name-defined] # noqa: F821
        from pytest_mlperf_audit.load.workers.worker import serve

        serve(channel)  # type: ignore[name-defined] # noqa: F821
