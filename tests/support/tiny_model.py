"""Write a language model of random weights that llama.cpp can load: python tiny_model.py OUT.gguf [SEED [TIMES]]

A LLaMA of two layers and 0.5 MB, or so many times as wide. It talks nonsense, and takes as long for every prompt of
a length; what matters is that a real server computes it, with real tokens and a real KV cache. Needs the packages gguf
and numpy.
"""

from __future__ import annotations

import sys

import gguf
import numpy as np

EMBEDDING, LAYERS, HEADS, FEED_FORWARD, CONTEXT = 64, 2, 4, 128, 2048
SPECIAL = ("<unk>", "<s>", "</s>")
WORDS = tuple(chr(code) for code in range(ord("a"), ord("z") + 1))


def vocabulary() -> tuple[list[bytes], list[float], list[int]]:
    """Tokens, scores and types, as SentencePiece has them: special tokens, all bytes, a blank, letters."""
    tokens = [name.encode() for name in SPECIAL]
    types = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    tokens += [f"<0x{byte:02X}>".encode() for byte in range(256)]
    types += [gguf.TokenType.BYTE] * 256
    words = ["\u2581", *WORDS, *("\u2581" + letter for letter in WORDS)]
    tokens += [word.encode() for word in words]
    types += [gguf.TokenType.NORMAL] * len(words)
    return tokens, [0.0] * (len(tokens) - len(words)) + [-float(n) for n in range(len(words))], [int(t) for t in types]


def write(path: str, seed: int = 1, times: int = 1) -> None:
    """Write the model."""
    width, feed_forward = EMBEDDING * times, FEED_FORWARD * times
    rng = np.random.default_rng(seed)
    tokens, scores, types = vocabulary()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(width)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)

    def add(name: str, *shape: int, rows: int | None = None) -> None:
        values = np.ones(shape) if len(shape) == 1 else rng.normal(0, 0.4 / times**0.5, shape)
        if rows is not None:
            values[:-rows] = 0
        writer.add_tensor(f"{name}.weight", values.astype(np.float32))

    add("token_embd", len(tokens), width)
    add("output_norm", width)
    # Bytes and special tokens get the logit 0, some letter always a greater one: greedy outputs are valid text.
    letters = len(tokens) - len(SPECIAL) - 256
    add("output", len(tokens), width, rows=letters)
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            add(f"blk.{layer}.{name}", width)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{name}", width, width)
        for name in ("ffn_gate", "ffn_up"):
            add(f"blk.{layer}.{name}", feed_forward, width)
        add(f"blk.{layer}.ffn_down", width, feed_forward)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write(sys.argv[1], *map(int, sys.argv[2:]))
