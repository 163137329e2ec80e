"""Write a Stable Diffusion of random weights in diffusers' format: python tiny_sd_model.py FOLDER [SEED [TIMES]]

Images of 64 x 64 pixels; a UNet of two levels, so many times as wide; a tokenizer with a token for each byte. FOLDER
also gets what muse needs to serve it, in `muse/`: a module in `models` and a catalogue. Needs the packages diffusers,
transformers and torch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

MODEL_ID = "tiny-sd"
_MODULE = '''"""Serves a tiny Stable Diffusion from a folder."""

from muse.modalities.image_generation.runtimes.diffusers import DiffusersText2ImageModel

MANIFEST = {manifest!r}


class Model(DiffusersText2ImageModel):
    def __init__(self, **keys):
        super().__init__(
            model_id={model_id!r}, hf_repo="local/tiny-sd", local_dir={folder!r}, device="cpu", dtype="float32",
            default_size=(64, 64), default_steps=2,
        )
'''


def write(folder: str, seed: int = 1, times: int = 1) -> None:
    """Write the model, and muse's module and catalogue."""
    import torch
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(seed)
    tokenizer = _tokenizer()
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=32,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    unet = UNet2DConditionModel(
        block_out_channels=(32 * times, 64 * times),
        layers_per_block=1,
        sample_size=32,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=8,
    )
    vae = AutoencoderKL(
        block_out_channels=[32, 64],
        in_channels=3,
        out_channels=3,
        down_block_types=["DownEncoderBlock2D", "DownEncoderBlock2D"],
        up_block_types=["UpDecoderBlock2D", "UpDecoderBlock2D"],
        latent_channels=4,
        sample_size=64,
    )
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=EulerDiscreteScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    _write_for_muse(Path(folder))


def _tokenizer() -> Any:
    """Return a tokenizer with a token for each byte, behind which a word may end."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={piece: at for at, piece in enumerate(pieces)}, merges=[], model_max_length=77)


def _write_for_muse(folder: Path) -> None:
    home = folder / "muse"
    (home / "models").mkdir(parents=True)
    home.chmod(0o700)
    manifest = {
        "model_id": MODEL_ID,
        "modality": "image/generation",
        "hf_repo": "local/tiny-sd",
        "description": "random weights",
        "license": "none",
        "pip_extras": (),
        "system_packages": (),
        "capabilities": {"device": "cpu", "supports_negative_prompt": True, "supports_seeded_generation": True},
    }
    module = _MODULE.format(manifest=manifest, model_id=MODEL_ID, folder=str(folder))
    (home / "models" / "tiny_sd.py").write_text(module)
    entry = {
        "pulled_at": "2026-01-01T00:00:00Z",
        "hf_repo": "local/tiny-sd",
        "local_dir": str(folder),
        "venv_path": str(Path(sys.prefix)),
        "python_path": sys.executable,
        "enabled": True,
    }
    catalog = home / "catalog.json"
    catalog.write_text(json.dumps({MODEL_ID: entry}))
    catalog.chmod(0o600)


if __name__ == "__main__":
    write(sys.argv[1], *map(int, sys.argv[2:]))
