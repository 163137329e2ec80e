"""Data set files to rows. Pure of pytest and HTTP; a row is decoded when asked for, so that none is held twice."""

from __future__ import annotations

from .batches import InBatches
from .conversations import Conversations, load_conversations
from .dataset import Dataset, load_dataset
from .named import find_named

__all__ = ["Conversations", "Dataset", "InBatches", "find_named", "load_conversations", "load_dataset"]
