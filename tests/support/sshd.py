"""Two sshd on this machine, as two hosts: keys, configuration and logs of their own in a directory of the test's.

Needs Debian's openssh-server; nothing of the machine's own configuration is read or changed.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])

_SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/key.pub
PidFile {directory}/sshd-{port}.pid
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Compression no
"""

_SSH = """\
Host host{number}
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {directory}/key
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile {directory}/known_hosts
  LogLevel ERROR
"""


def program() -> str | None:
    """Where sshd is, None where it is not installed or cannot be run."""
    found = os.environ.get("SSHD") or shutil.which("sshd", path=_PLACES)
    return found if found and shutil.which("ssh") and shutil.which("ssh-keygen") else None


@contextmanager
def two_hosts(directory: Path) -> Iterator[list[str]]:
    """Start two; yield a specification for each, with this Python."""
    sshd = program()
    assert sshd is not None, "openssh-server is not installed"
    for name in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    config = directory / "ssh_config"
    running: list[subprocess.Popen[bytes]] = []
    try:
        with config.open("w") as file:
            for number in range(2):
                port = _free_port()
                own = directory / f"sshd_config-{port}"
                own.write_text(_SSHD.format(directory=directory, port=port))
                log = (directory / f"sshd-{port}.log").open("wb")
                with log:
                    running.append(subprocess.Popen([sshd, "-D", "-e", "-f", own], stderr=log))
                _wait_for(port, running[-1], directory / f"sshd-{port}.log")
                file.write(_SSH.format(number=number, port=port, user=getpass.getuser(), directory=directory))
        yield [f"ssh=host{number}//ssh_config={config}//python={sys.executable}" for number in range(2)]
    finally:
        for one in running:
            one.terminate()
            one.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"sshd does not start: {log.read_text()}")
