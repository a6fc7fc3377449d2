"""Messages of CrewAI, which are those of chat completions, as the server reads them in prompts, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from .schemas import encode

Prompt = list[dict[str, Any]]
Messages = list[dict[str, Any]]


def to_prompt(messages: str | Sequence[dict[str, Any]]) -> Prompt:
    given = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    return [one for message in given for one in _of_message(message)]


def _of_message(message: dict[str, Any]) -> Iterable[dict[str, Any]]:
    role, text = message.get("role"), text_of(message.get("content"))
    if role == "system":
        yield {"role": "system", "content": text}
    elif role == "assistant":
        content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
        for call in message.get("tool_calls") or []:
            function = call.get("function") or {}
            name, params = function.get("name") or "tool", arguments_of(function.get("arguments"))
            called = {"id": call.get("id") or "", "name": name, "params": params, "providerExecuted": False}
            content.append({"type": "tool-call", **called})
        if content:
            yield {"role": "assistant", "content": content}
    elif role == "tool":
        part = {"type": "tool-result", "id": message.get("tool_call_id") or "", "name": message.get("name") or "tool"}
        yield {"role": "tool", "content": [{**part, "isFailure": False, "result": text, "providerExecuted": False}]}
    else:
        yield {"role": "user", "content": [{"type": "text", "text": text}]}


def from_prompt(prompt: Prompt) -> Messages:
    return [one for message in prompt for one in _from_message(message)]


def _from_message(message: dict[str, Any]) -> Iterable[dict[str, Any]]:
    role, content = message["role"], message["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    text = "".join(part["text"] for part in parts if part["type"] == "text")
    if role == "tool":
        for part in parts:
            if part["type"] == "tool-result":
                result = part["result"]
                said = result if isinstance(result, str) else json.dumps(result)
                yield {"role": "tool", "tool_call_id": part["id"], "name": part["name"], "content": said}
        return
    calls = tool_calls(parts)
    yield {"role": role, "content": text or None, "tool_calls": calls} if calls else {"role": role, "content": text}


def tool_calls(parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The calls of an answer, as CrewAI reads them from a model."""
    return [
        tool_call(part["id"], part["name"], part.get("params", part.get("arguments")))
        for part in parts
        if part["type"] == "tool-call"
    ]


def tool_call(call_id: str, name: str, arguments: Any) -> dict[str, Any]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


def text_of(content: Any) -> str:
    """The text of a message; content of other kinds is left out."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(one if isinstance(one, str) else str(one.get("text", "")) for one in content)


def arguments_of(arguments: Any) -> Any:
    """The arguments that the model gave; text that is no JSON stays text."""
    if not isinstance(arguments, str):
        return encode(arguments or {})
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments
