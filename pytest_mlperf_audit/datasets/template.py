"""Columns that a data set's `template` makes of others, and rows that nobody can send without one. Pure.

The endpoints tool makes the prompts of some of its data sets by presets in Python, whose sentences are its own. Source:
mlcommons/endpoints `dataset_manager/predefined/shopify_product_catalogue` at ea332753 (2026-08): of each product the
text of title, description and candidate categories, then the image, behind a system prompt that asks for JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..errors import DatasetError

#: A column's name in braces; in two pairs of them it stands as it is, in one.
PLACE: Final = re.compile(r"\{(\{\w+\})\}|\{(\w+)\}")
#: What tells a row of the product catalogue, whose image is there under this name.
_PRODUCT_IMAGE: Final = "product_image_base64"


def completed(row: dict[str, Any], template: Mapping[str, str] | None, where: str) -> dict[str, Any]:
    """Return a row with the columns that `template` makes of its others; the same object if none is.

    A product of the catalogue has its image as `image`, so that chat APIs send it.

    Raises DatasetError, naming `where`, for a column that is not there, and for a product without a prompt.
    """
    if _PRODUCT_IMAGE in row and "image" not in row and "images" not in row:
        row = {"image" if name == _PRODUCT_IMAGE else name: value for name, value in row.items()}
        if row.get("prompt") is None and row.get("messages") is None and "prompt" not in (template or {}):
            raise DatasetError(
                f"{where}: has a product and no prompt, which the endpoints tool makes by its preset q3vl; write one "
                "into the data set's block, as in template: {prompt: '{product_title}: {product_description} Which of "
                "{potential_product_categories} is it?'} (docs/formats.md)"
            )
    if not template:
        return row
    return {**row, **{name: _filled(text, row, where) for name, text in template.items()}}


def _filled(text: str, row: Mapping[str, Any], where: str) -> str:
    """Return a text with the row's values in its places: nothing for an absent one, JSON for what is no text."""

    def value(place: re.Match[str]) -> str:
        if place[1]:
            return place[1]
        if place[2] not in row:
            columns = ", ".join(map(repr, row)) or "none"
            raise DatasetError(f"{where}: has no column {place[2]!r}, which template names; its columns are {columns}")
        given = row[place[2]]
        if isinstance(given, str):
            return given
        return "" if given is None else msgspec.json.encode(given).decode()

    return PLACE.sub(value, text)
