"""llama.cpp's own HTTP server, in C++, from the wheel xllamacpp: python llama_cpp_server.py MODEL PORT [cache|vectors]

All its caches are off, unless `cache` is given: then its prompt cache is on. With `vectors` it gives embeddings alone.
"""

from __future__ import annotations

import sys
import threading

import xllamacpp


def serve(model: str, port: int, *, caches: bool = False, vectors: bool = False) -> None:
    """Serve a GGUF file on loopback until the process is stopped."""
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames, params.port = ["127.0.0.1"], port
    params.n_ctx, params.n_parallel = 8192, 4
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_prompt, params.cache_ram_mib = caches, 0
    if vectors:
        params.embedding, params.pooling_type = True, xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), caches="cache" in sys.argv[3:], vectors="vectors" in sys.argv[3:])
