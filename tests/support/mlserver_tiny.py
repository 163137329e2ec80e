"""A model for MLServer, copied beside its settings: it waits, and multiplies what it is given by random weights."""

from __future__ import annotations

import asyncio

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

POISON = 900


class Tiny(MLModel):  # type: ignore[misc]
    """Takes x, FP32 of shape [rows, 3, 32, 32]; gives scores of ten classes, and the label of the greatest.

    Fails where the first element is 900 or more.
    """

    async def load(self) -> bool:
        """Make the weights from the seed in the settings."""
        extra = self.settings.parameters.extra
        self._weights = np.random.default_rng(extra["seed"]).standard_normal((3 * 32 * 32, 10))
        self._service_s = extra["service_s"]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer a request."""
        given = {one.name: one for one in payload.inputs}
        x = NumpyCodec.decode_input(given["x"])
        await asyncio.sleep(self._service_s)
        if (x[:, 0, 0, 0] >= POISON).any():
            raise ValueError("an input of the batch is poison")
        scores = (x.reshape(len(x), -1) @ self._weights).astype(np.float32)
        outputs = [("label", scores.argmax(axis=1)), ("scores", scores)]
        return InferenceResponse(
            model_name=self.name,
            model_version=self.version,
            outputs=[NumpyCodec.encode_output(name, value) for name, value in outputs],
        )
