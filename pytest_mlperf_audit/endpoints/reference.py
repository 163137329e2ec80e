"""The model's own tokenizer and chat template, from a local directory: what MLPerf counts output tokens by.

Rule: mlcommons/endpoints_policies `endpoints_rules.md` § 2.8: a reply is rendered as one assistant message behind an
empty one of the user, with `add_generation_prompt = false`; its tokens are those of this less those of the same with an
empty assistant message. Templates are rendered in jinja2's sandbox, as transformers does, and nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NoReturn

from jinja2 import Template, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..errors import PlanError
from ..runs.message import AssistantMessage, ToolCall
from .source import load_tokenizer

_TOKENIZER: Final = "tokenizer.json"
_SETTINGS: Final = "tokenizer_config.json"
_TEMPLATE: Final = "chat_template.jinja"

#: Members of a message in which templates read reasoning: Qwen's and DeepSeek's, gpt-oss's, vLLM's.
_REASONING_FIELDS: Final = ("reasoning_content", "thinking", "reasoning")
_MARK: Final = "Because three and four are seven."
#: Some templates print the day. It is one and the same in both renders, and so in no count.
_DAY: Final = datetime(2026, 1, 1, tzinfo=timezone.utc)


class RenderError(Exception):
    """A chat template does not render a message; the text says why."""


class _Generation(Extension):
    """The block in which templates mark what the model says; it renders as what stands in it."""

    tags = {"generation"}  # noqa: RUF012 - as in jinja2

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return what stands in the block."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ReferenceTokenizer:
    """Counts tokens of replies. `tokenizer` and `template` identify its files by name and SHA-256."""

    def __init__(self, directory: Path, search: tuple[Path, ...]) -> None:
        self._local = load_tokenizer(directory / _TOKENIZER, search)
        settings = _settings(directory / _SETTINGS)
        source = _template_source(directory, settings)
        self.tokenizer = self._local.name
        self.template = f"chat template sha256:{hashlib.sha256(source.encode()).hexdigest()[:16]}"
        self._variables = {name: text for name in settings if (text := _special(name, settings[name])) is not None}
        try:
            self._template = _compiled(source)
            self._empty = self._tokens({"role": "assistant", "content": ""})
            self.reasoning_field = self._reads_reasoning()
            says = self.count(AssistantMessage(content=_MARK))
        except RenderError as error:
            raise PlanError(f"its chat template cannot be used ({error}); name the directory of the model") from error
        if not says:
            raise PlanError("its chat template leaves out what the assistant says; name the directory of the model")

    def count(self, message: AssistantMessage) -> int:
        """Return the official output tokens of a reply. Raises RenderError."""
        return max(0, self._tokens(self._as_member(message)) - self._empty)

    def count_text(self, text: str) -> int:
        """Return the tokens of a text by itself."""
        return len(self._local.ids(text)) if text else 0

    def _as_member(self, message: AssistantMessage) -> dict[str, Any]:
        member: dict[str, Any] = {"role": "assistant", "content": message.content}
        if message.reasoning:
            member[self.reasoning_field or _REASONING_FIELDS[0]] = message.reasoning
        if message.tool_calls:
            member["tool_calls"] = [_call(call) for call in message.tool_calls]
        return member

    def _tokens(self, member: dict[str, Any]) -> int:
        text = self._render(member)
        try:
            text.encode()
        except UnicodeEncodeError as error:  # JSON in a tool's arguments may spell half a character
            raise RenderError(f"what it renders is no Unicode text: {error.reason}") from error
        return len(self._local.ids(text))

    def _render(self, member: dict[str, Any]) -> str:
        messages = [{"role": "user", "content": ""}, member]
        try:
            return self._template.render(
                messages=messages, add_generation_prompt=False, tools=None, documents=None, **self._variables
            )
        except RenderError:
            raise
        except Exception as error:  # templates raise whatever they like
            raise RenderError(f"{type(error).__name__}: {error}"[:200]) from error

    def _reads_reasoning(self) -> str:
        """Return the member in which the template reads reasoning, "" for none."""
        says: dict[str, Any] = {"role": "assistant", "content": "7"}
        return next((name for name in _REASONING_FIELDS if _MARK in self._render({**says, name: _MARK})), "")


@lru_cache(maxsize=2)
def load_reference(path: Path, search: tuple[Path, ...]) -> ReferenceTokenizer:
    """Load the directory of a model's tokenizer; a relative one is looked for in each directory of `search` in turn.

    Raises PlanError, saying what is wrong and what to do.
    """
    found = next((place for place in (directory / path for directory in search) if place.is_dir()), path)
    if not found.is_dir():
        raise PlanError(
            f"{path} is no directory; name the local one with the model's {_TOKENIZER} and its chat template "
            f"({_TEMPLATE}, or in {_SETTINGS}), relative to the YAML's directory or else the working directory"
        )
    try:
        return ReferenceTokenizer(found.absolute(), search)
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from error


def _settings(path: Path) -> dict[str, Any]:
    """Return tokenizer_config.json, an empty one where there is none. Raises PlanError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise PlanError(f"{path.name} cannot be read as JSON ({error}); take the model's own") from error
    if not isinstance(found, dict):
        raise PlanError(f"{path.name} is no JSON object; take the model's own")
    return found


def _template_source(directory: Path, settings: dict[str, Any]) -> str:
    """Return the text of the chat template: of its own file, or the one called default of the settings."""
    try:
        return (directory / _TEMPLATE).read_text(encoding="utf-8")
    except FileNotFoundError:
        found = settings.get("chat_template")
    except (OSError, ValueError) as error:
        raise PlanError(f"{_TEMPLATE} cannot be read ({error}); take the model's own") from error
    if isinstance(found, list):
        named = {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}
        found = named.get("default")
    if not isinstance(found, str) or not found:
        raise PlanError(
            f"has no chat template, neither as {_TEMPLATE} nor as 'chat_template' of {_SETTINGS}; take the model's own"
        )
    return found


def _special(name: str, value: Any) -> str | None:
    """Return the text of a special token that templates may name, bos_token say; None where a setting is none."""
    if not name.endswith("_token"):
        return None
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else None


def _compiled(source: str) -> Template:
    """Compile a template. Raises RenderError, also for what jinja2 leaves to Python's compiler."""
    try:
        return _environment().from_string(source)
    except Exception as error:  # blocks too many within each other are a SyntaxError, and deep ones a RecursionError
        raise RenderError(f"{type(error).__name__}: {error}"[:200]) from error


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _DAY.strftime
    return environment


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Write JSON as chat templates mean it: jinja2's own filter escapes characters of HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(message: str) -> NoReturn:
    raise RenderError(message)


def _call(call: ToolCall) -> dict[str, Any]:
    """Return a tool call as templates take it: arguments that are a JSON object as such, others as they came."""
    try:
        parsed = json.loads(call.arguments)
    except (ValueError, RecursionError):
        parsed = None
    arguments = parsed if isinstance(parsed, dict) else call.arguments
    made: dict[str, Any] = {"type": call.type or "function", "function": {"name": call.name, "arguments": arguments}}
    return {"id": call.id, **made} if call.id else made
