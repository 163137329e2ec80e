"""Images as tensors, preprocessed as MLPerf does. Needs Pillow, an extra."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

#: MLPerf's for ResNet-50 ("vgg"): mlcommons/inference, vision/classification_and_detection/python/dataset.py.
_SIDE: Final = 224
_SHORTER: Final = 256
_MEANS: Final = (123.68, 116.78, 103.94)
#: Preprocessed images are kept: so many of 600 kB.
_KEPT: Final = 128


@lru_cache(maxsize=_KEPT)
def resnet50(path: Path, *, channels_first: bool) -> npt.NDArray[Any]:
    """Return an image as FP32 of shape (224, 224, 3), or (3, 224, 224): RGB, the shorter side resized to 256.

    MLPerf's script resizes with OpenCV's INTER_AREA, whose place Pillow's BOX takes: pixels differ by a level or two,
    so figures of accuracy that must be MLPerf's to the last digit need its own preprocessed .npy files. Raises
    ValueError where Pillow is missing, and OSError for what is no image.
    """
    try:
        from PIL import Image  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise ValueError("images need Pillow; pip install 'pytest-mlperf-audit[images]', or give .npy files") from None
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow lets through what its parsers of broken files raise, and refuses bombs
        raise ValueError(f"{path}: {error}") from None
    scale = _SHORTER / min(image.size)
    width, height = (max(_SHORTER, int(side * scale)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR)
    left, top = (width - _SIDE) // 2, (height - _SIDE) // 2
    pixels = np.asarray(image.crop((left, top, left + _SIDE, top + _SIDE)), dtype=np.float32)
    pixels = pixels - np.array(_MEANS, dtype=np.float32)
    made: npt.NDArray[Any] = np.ascontiguousarray(pixels.transpose(2, 0, 1) if channels_first else pixels)
    made.flags.writeable = False
    return made
