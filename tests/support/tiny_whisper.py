"""Write a Whisper of random weights in transformers' format: python tiny_whisper.py FOLDER [SEED [TIMES]]

Two layers, so many times as wide; a byte-level tokenizer with Whisper's own special tokens behind it. Greedy outputs
depend on the sound. Needs the packages transformers, tokenizers and torch. Heads are 32 wide, since vLLM's attention
on a CPU takes no narrower ones.
"""

from __future__ import annotations

import sys
from typing import Any

LANGUAGES = ("en", "de", "fr")
TASKS = ("translate", "transcribe")
#: A transcript is as long as this, so that each costs the same.
N_NEW = 24
#: Steps of 0.02 s in a window of 30 s.
N_TIMES = 1501


def special_tokens() -> list[str]:
    """Return Whisper's special tokens in the order of its vocabulary."""
    names = [
        "endoftext",
        "startoftranscript",
        *LANGUAGES,
        *TASKS,
        "startoflm",
        "startofprev",
        "nospeech",
        "notimestamps",
    ]
    return [f"<|{name}|>" for name in names] + [f"<|{at * 0.02:.2f}|>" for at in range(N_TIMES)]


def tokenizer(folder: str) -> Any:
    """Return a tokenizer with a token for each byte, then the special ones."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import WhisperTokenizerFast

    pieces = sorted(pre_tokenizers.ByteLevel.alphabet())
    made: Any = Tokenizer(models.BPE(vocab={piece: at for at, piece in enumerate(pieces)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True) for token in special_tokens()])
    end = "<|endoftext|>"
    fast: Any = WhisperTokenizerFast(tokenizer_object=made, unk_token=end, bos_token=end, eos_token=end)
    fast.save_pretrained(folder)
    return fast


def write(folder: str, seed: int = 1, times: int = 1) -> None:
    """Write the model, its tokenizer and its feature extractor."""
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperProcessor

    torch.manual_seed(seed)
    made = tokenizer(folder)
    ids = {token: made.convert_tokens_to_ids(token) for token in special_tokens()}
    width = 64 * times
    config = WhisperConfig(
        vocab_size=len(made),
        d_model=width,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=width // 32,
        decoder_attention_heads=width // 32,
        encoder_ffn_dim=2 * width,
        decoder_ffn_dim=2 * width,
        num_mel_bins=80,
        max_source_positions=1500,
        max_target_positions=448,
        pad_token_id=ids["<|endoftext|>"],
        bos_token_id=ids["<|endoftext|>"],
        eos_token_id=ids["<|endoftext|>"],
        decoder_start_token_id=ids["<|startoftranscript|>"],
        suppress_tokens=[],
        begin_suppress_tokens=[],
        init_std=0.3,
    )
    model = WhisperForConditionalGeneration(config)
    # Special tokens get the logit 0, some byte always a greater one: no output ends before its limit.
    model.model.decoder.embed_tokens.weight.data[min(ids.values()) :] = 0
    generation: Any = model.generation_config
    generation.update(
        is_multilingual=True,
        lang_to_id={f"<|{name}|>": ids[f"<|{name}|>"] for name in LANGUAGES},
        task_to_id={name: ids[f"<|{name}|>"] for name in TASKS},
        no_timestamps_token_id=ids["<|notimestamps|>"],
        prev_sot_token_id=ids["<|startofprev|>"],
        max_new_tokens=N_NEW,
        suppress_tokens=[],
        begin_suppress_tokens=[],
        language="en",
        task="transcribe",
        alignment_heads=[[0, 0]],
    )
    model.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(feature_size=80), made).save_pretrained(folder)


if __name__ == "__main__":
    write(sys.argv[1], *map(int, sys.argv[2:]))
