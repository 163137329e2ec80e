"""Write a model of text and images of random weights: python tiny_blip_model.py FOLDER [SEED [TIMES]]

A BLIP-2: a tower of vision so many times as wide as 64 for images of 224 x 224 pixels, to which others are scaled; a
querying transformer that makes 16 tokens of what it sees; an OPT of two layers with the byte-level tokenizer of
`tiny_hf_model`. vLLM serves it without torchvision, whose build on PyPI wants CUDA. Needs the packages transformers,
tokenizers, torch and pillow.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

IMAGE = "<image>"
SIZE, PATCH, TOKENS = 224, 14, 16
#: The text of a message's parts alone: the server puts an image's tokens first by itself.
TEMPLATE = (
    "{% for message in messages %}{{ message['role'][0] }}: "
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}a: {% endif %}"
)


def write(folder: str, seed: int = 1, times: int = 1) -> None:
    """Write the model, its tokenizer and what prepares its images."""
    import torch
    from tokenizers import AddedToken
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2Processor,
        Blip2QFormerConfig,
        Blip2VisionConfig,
        BlipImageProcessor,
        OPTConfig,
    )

    torch.manual_seed(seed)
    texts = runpy.run_path(str(Path(__file__).with_name("tiny_hf_model.py")))
    made = texts["tokenizer"]()
    made.add_special_tokens({"additional_special_tokens": [AddedToken(IMAGE, special=True)]})
    made.chat_template = TEMPLATE
    narrow = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": len(made)}
    vision = Blip2VisionConfig(
        hidden_size=64 * times,
        intermediate_size=256 * times,
        num_hidden_layers=4,
        num_attention_heads=2 * times,
        image_size=SIZE,
        patch_size=PATCH,
    )
    querying = Blip2QFormerConfig(**narrow, intermediate_size=128, encoder_hidden_size=64 * times)
    text = OPTConfig(
        **narrow,
        ffn_dim=128,
        word_embed_proj_dim=64,
        max_position_embeddings=texts["CONTEXT"],
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        init_std=0.4,
    )
    config = Blip2Config(
        vision_config=vision.to_dict(),
        qformer_config=querying.to_dict(),
        text_config=text.to_dict(),
        num_query_tokens=TOKENS,
        image_token_index=made.convert_tokens_to_ids(IMAGE),
    )
    Blip2ForConditionalGeneration(config).save_pretrained(folder)
    pixels = BlipImageProcessor(size={"height": SIZE, "width": SIZE})
    Blip2Processor(pixels, made, num_query_tokens=TOKENS).save_pretrained(folder)
    made.save_pretrained(folder)


if __name__ == "__main__":
    write(sys.argv[1], *map(int, sys.argv[2:]))
