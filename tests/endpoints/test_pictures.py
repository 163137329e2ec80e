"""Images preprocessed as MLPerf does for ResNet-50."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pytest_mlperf_audit.config.tensors import TensorInput
from pytest_mlperf_audit.endpoints.numbers.pictures import resnet50
from pytest_mlperf_audit.endpoints.numbers.tensors import TensorError, tensor

MEANS = np.array([123.68, 116.78, 103.94], dtype="<f4")


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (256, 256), (100, 80), (2000, 300), (1, 1)])
def test_one_colour_stays_one_colour_less_the_means(tmp_path, size):
    Image.new("RGB", size, (10, 200, 30)).save(tmp_path / "a.png")
    made = resnet50(tmp_path / "a.png", channels_first=False)
    assert (made.shape, made.dtype) == ((224, 224, 3), np.dtype("<f4"))
    assert np.allclose(made, np.array([10, 200, 30]) - MEANS)
    assert np.array_equal(resnet50(tmp_path / "a.png", channels_first=True), made.transpose(2, 0, 1))


def test_the_centre_is_taken_of_the_shorter_side_at_256(tmp_path):
    """Of 512 x 1024 the scale is a half, and 16 and 144 pixels go at each end."""
    rows = np.zeros((512, 1024, 3), dtype=np.uint8)
    rows[:, 512:, 0] = 255
    Image.fromarray(rows).save(tmp_path / "a.png")
    red = resnet50(tmp_path / "a.png", channels_first=False)[:, :, 0] + MEANS[0]
    assert np.allclose(red[:, :112], 0, atol=1e-3)
    assert np.allclose(red[:, 112:], 255, atol=1e-3)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_images_of_other_modes_become_rgb(tmp_path, mode):
    Image.new(mode, (300, 300)).save(tmp_path / "a.tiff")
    assert resnet50(tmp_path / "a.tiff", channels_first=False).shape == (224, 224, 3)


def test_what_is_no_image_is_told(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    given = TensorInput(name="x", shape=(224, 224, 3), preprocess="resnet50")
    with pytest.raises(TensorError, match="cannot be read: cannot identify image file"):
        tensor("a.jpg", given, lambda path: tmp_path / path)


def test_a_file_that_pillow_refuses_with_an_error_of_its_own_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    Image.new("1", (9, 9)).save(tmp_path / "bomb.png")
    given = TensorInput(name="x", shape=(224, 224, 3), preprocess="resnet50")
    with pytest.raises(TensorError, match=r"bomb\.png"):
        tensor("bomb.png", given, lambda name: tmp_path / name)
