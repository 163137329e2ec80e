"""llama.cpp's own HTTP server, in C++, from the wheel xllamacpp: python llama_cpp_server.py MODEL PORT [cache]

All its caches are off, unless `cache` is given: then its prompt cache is on.
"""

from __future__ import annotations

import sys
import threading

import xllamacpp


def serve(model: str, port: int, *, caches: bool) -> None:
    """Serve a GGUF file on loopback until the process is stopped."""
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames, params.port = ["127.0.0.1"], port
    params.n_ctx, params.n_parallel = 8192, 4
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_prompt, params.cache_ram_mib = caches, 0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), caches=sys.argv[3:] == ["cache"])
