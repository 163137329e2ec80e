"""Write a language model of random weights in transformers' format: python tiny_hf_model.py FOLDER [SEED [TIMES]]

A LLaMA of two layers, so many times as wide; a byte-level tokenizer: so its greedy outputs hold bytes which are
no UTF-8 by themselves, as those of real models do at the limit of length. Needs the packages transformers, tokenizers
and torch.
"""

from __future__ import annotations

import sys
from typing import Any

SPECIAL = ("<unk>", "<s>", "</s>")
CONTEXT = 2048
#: Roles become letters; what is said stands as it is.
TEMPLATE = (
    "{% for message in messages %}{{ message['role'][0] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}a: {% endif %}"
)


def tokenizer() -> Any:
    """Return a tokenizer with a token for each byte, behind the special ones."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    made: Any = Tokenizer(models.BPE(vocab={piece: at for at, piece in enumerate(pieces)}, merges=[]))
    made.add_special_tokens([AddedToken(piece, special=True) for piece in SPECIAL])
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    names = dict(zip(("unk_token", "bos_token", "eos_token"), SPECIAL, strict=True))
    fast = PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=CONTEXT, **names)
    fast.chat_template = TEMPLATE
    return fast


def write(folder: str, seed: int = 1, times: int = 1) -> None:
    """Write the model and its tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    made = tokenizer()
    config = LlamaConfig(
        vocab_size=len(made),
        hidden_size=64 * times,
        intermediate_size=128 * times,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.4 / times**0.5,
    )
    model = LlamaForCausalLM(config)
    # Special tokens get the logit 0, some byte always a greater one: no output ends before its limit.
    model.lm_head.weight.data[: len(SPECIAL)] = 0
    model.save_pretrained(folder)
    made.save_pretrained(folder)


if __name__ == "__main__":
    write(sys.argv[1], *map(int, sys.argv[2:]))
