"""Messages of LangChain as the server reads them in prompts and threads, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

Prompt = list[dict[str, Any]]


def to_prompt(messages: Sequence[BaseMessage]) -> Prompt:
    return [one for message in messages for one in _of_message(message)]


def _of_message(message: BaseMessage) -> Iterable[dict[str, Any]]:
    if isinstance(message, SystemMessage):
        yield {"role": "system", "content": text_of(message)}
    elif isinstance(message, AIMessage):
        text = text_of(message)
        content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
        for call in message.tool_calls:
            content.append(
                {
                    "type": "tool-call",
                    "id": call["id"] or "",
                    "name": call["name"],
                    "params": call["args"],
                    "providerExecuted": False,
                }
            )
        if content:
            yield {"role": "assistant", "content": content}
    elif isinstance(message, ToolMessage):
        part: dict[str, Any] = {
            "type": "tool-result",
            "id": message.tool_call_id,
            "name": message.name or "tool",
            "isFailure": message.status == "error",
            "result": message.content,
            "providerExecuted": False,
        }
        yield {"role": "tool", "content": [part]}
    else:
        yield {"role": "user", "content": [{"type": "text", "text": text_of(message)}]}


def from_prompt(prompt: Prompt) -> list[BaseMessage]:
    return [one for message in prompt for one in _from_message(message)]


def _from_message(message: dict[str, Any]) -> Iterable[BaseMessage]:
    role, content = message["role"], message["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    text = "".join(part["text"] for part in parts if part["type"] == "text")
    if role == "system":
        yield SystemMessage(text)
    elif role == "user":
        yield HumanMessage(text)
    elif role == "assistant":
        yield answer(parts)
    else:
        for part in parts:
            if part["type"] == "tool-result":
                result = part["result"]
                text = result if isinstance(result, str) else json.dumps(result)
                yield ToolMessage(text, tool_call_id=part["id"], name=part["name"])


def answer(parts: Iterable[dict[str, Any]]) -> AIMessage:
    """An answer of a model from its parts."""
    parts = list(parts)
    calls = [
        {"id": part["id"], "name": part["name"], "args": part.get("params", part.get("arguments")), "type": "tool_call"}
        for part in parts
        if part["type"] == "tool-call"
    ]
    return AIMessage("".join(part["text"] for part in parts if part["type"] == "text"), tool_calls=calls)


def text_of(message: BaseMessage) -> str:
    """The text of a message; content of other kinds is left out."""
    content = message.content
    if isinstance(content, str):
        return content
    blocks = [one if isinstance(one, str) else one.get("text", "") for one in content]
    return "".join(blocks)
