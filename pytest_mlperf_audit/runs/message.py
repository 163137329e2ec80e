"""AssistantMessage: a whole reply put together again as the one message that its model has said. Pure.

Rule: mlcommons/endpoints_policies `endpoints_rules.md` § 2.8. Texts are joined in the order of arrival, pieces of tool
calls by the call's index.
"""

from __future__ import annotations

from typing import Literal

import msgspec

#: Which part of a message the first piece of a stream was of.
Part = Literal["reasoning", "content", "tools"]


class ToolCall(msgspec.Struct, omit_defaults=True, gc=False):
    """One call of a tool; `arguments` is the text as it came, mostly JSON."""

    name: str = ""
    arguments: str = ""
    id: str | None = None
    type: str | None = None


class AssistantMessage(msgspec.Struct, omit_defaults=True, gc=False):
    """A reply as one message, `tool_calls` by their index.

    Of a streamed one, the first piece that had output is `n_first` characters long and stands in `first_in`.
    """

    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    first_in: Part = "content"
    n_first: int = 0

    @property
    def after_first(self) -> str:
        """Everything that is text behind the first piece of a stream; "" where the reply was not streamed."""
        if not self.n_first:
            return ""
        tools = "".join(call.name + call.arguments for call in self.tool_calls)
        texts: dict[str, str] = {"reasoning": self.reasoning, "content": self.content, "tools": tools}
        texts[self.first_in] = texts[self.first_in][self.n_first :]
        return "".join(texts.values())
