"""See warm_python.py. Imports as little as can be: this process takes a few milliseconds."""

import os
import socket
import sys
from json import dumps
from pathlib import Path

address = sys.argv[1]
arguments = [argument for argument in sys.argv[2:] if argument not in ("-u", "-B")]
order = {"arguments": arguments, "environ": dict(os.environ), "directory": str(Path.cwd())}
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(address)
    socket.send_fds(connection, [dumps(order).encode()], [0, 1, 2])
    for file in (0, 1, 2):
        os.close(file)
    status = int(connection.recv(16) or b"1")
os._exit(status if status >= 0 else 128 - status)
