"""A directory as models have it: a tokenizer of one token a byte, and a chat template of a few lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

#: Reads reasoning and tool calls. An empty assistant message is framed, too, and its frame is no output.
REASONS = (
    "{% for m in messages %}<{{ m.role }}>"
    "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}"
    "{% for c in m.tool_calls or [] %}{{ c.function.name }}({{ c.function.arguments | tojson }}){% endfor %}"
    "<end>\n{% endfor %}"
)
PLAIN = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>\n{{ m.content }}<end>{% endfor %}"


def write_reference(directory: Path, template: str = REASONS, *, in_settings: bool = False) -> Path:
    """Write the directory; with `in_settings`, the template stands in tokenizer_config.json."""
    from tests.support.tokenizer import write_tokenizer

    directory.mkdir()
    write_tokenizer(directory / "tokenizer.json", words=())
    settings: dict[str, Any] = {"bos_token": {"__type": "AddedToken", "content": "<s>"}}
    if in_settings:
        settings["chat_template"] = template
    else:
        (directory / "chat_template.jinja").write_text(template)
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return directory
