"""CPU seconds of a command with all its processes, those too that outlive it; Linux.

    python tests/benchmarks/process_tree.py COMMAND [ARGUMENT ...]

The command's own output goes to stderr; a figure alone is on stdout.
"""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
from contextlib import suppress

SET_CHILD_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of <linux/prctl.h>."""


def account(command: list[str]) -> float:
    """Run a command, wait for all its processes, and return their CPU seconds.

    This process becomes the parent of orphans, so that nobody's time is lost: a process counts when its parent waits
    for it, or else here. Only a parent that ignores SIGCHLD would hide its children's time.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    subprocess.run(command, check=True, stdout=sys.stderr)
    with suppress(ChildProcessError):
        while True:
            os.wait()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    print(account(sys.argv[1:]))
