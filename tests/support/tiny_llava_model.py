"""Write a model of text and images of random weights: python tiny_llava_model.py FOLDER [SEED [TIMES]]

A LLaVA: the language model of `tiny_hf_model`, and a tower of vision so many times as wide before it, which makes 64
tokens of an image of 112 x 112 pixels, to which others are scaled. Served by transformers; vLLM wants torchvision for
it. Needs the packages transformers, tokenizers, torch and pillow.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

IMAGE = "<image>"
SIZE, PATCH = 112, 14
#: Parts become text, an image its token; roles become letters.
TEMPLATE = (
    "{% for message in messages %}{{ message['role'][0] }}: "
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}<image>{% endif %}"
    "{% endfor %}{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}a: {% endif %}"
)


def write(folder: str, seed: int = 1, times: int = 1) -> None:
    """Write the model, its tokenizer and what prepares its images."""
    import torch
    from tokenizers import AddedToken
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    torch.manual_seed(seed)
    texts = runpy.run_path(str(Path(__file__).with_name("tiny_hf_model.py")))
    made = texts["tokenizer"]()
    made.add_special_tokens({"additional_special_tokens": [AddedToken(IMAGE, special=True)]})
    made.chat_template = TEMPLATE
    text = LlamaConfig(
        vocab_size=len(made),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=texts["CONTEXT"],
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.4,
    )
    vision = CLIPVisionConfig(
        hidden_size=64 * times,
        intermediate_size=256 * times,
        num_hidden_layers=4,
        num_attention_heads=2 * times,
        image_size=SIZE,
        patch_size=PATCH,
    )
    config = LlavaConfig(
        text_config=text,
        vision_config=vision,
        image_token_index=made.convert_tokens_to_ids(IMAGE),
        image_seq_length=(SIZE // PATCH) ** 2,
    )
    model = LlavaForConditionalGeneration(config)
    # Special tokens get the logit 0, some byte always a greater one: no output ends before its limit.
    model.lm_head.weight.data[[*range(len(texts["SPECIAL"])), len(made) - 1]] = 0
    model.save_pretrained(folder)
    sides = {"height": SIZE, "width": SIZE}
    images = CLIPImageProcessor(size={"shortest_edge": SIZE}, crop_size=sides)
    processor = LlavaProcessor(
        images, made, patch_size=PATCH, vision_feature_select_strategy="default", num_additional_image_tokens=1
    )
    processor.chat_template = TEMPLATE
    processor.save_pretrained(folder)
    made.save_pretrained(folder)


if __name__ == "__main__":
    write(sys.argv[1], *map(int, sys.argv[2:]))
