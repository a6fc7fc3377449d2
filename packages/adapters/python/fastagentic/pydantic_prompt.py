"""Messages of PydanticAI as the server reads them in prompts and threads, and back."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)

from .schemas import encode

Prompt = list[dict[str, Any]]


def to_prompt(messages: Sequence[ModelMessage], instructions: str | None = None) -> Prompt:
    """The messages; instructions come first, as a message of the system."""
    prompt: Prompt = [] if not instructions else [{"role": "system", "content": instructions}]
    for message in messages:
        prompt.extend(_of_response(message) if isinstance(message, ModelResponse) else _of_request(message))
    return prompt


def _of_request(message: ModelRequest) -> Iterable[dict[str, Any]]:
    part: Any
    for part in message.parts:
        if isinstance(part, SystemPromptPart):
            yield {"role": "system", "content": part.content}
        elif isinstance(part, UserPromptPart):
            content = [part.content] if isinstance(part.content, str) else part.content
            yield {"role": "user", "content": [_of_content(one) for one in content] or [_text("")]}
        elif isinstance(part, ToolReturnPart):
            is_failure = part.outcome not in (None, "success")
            yield _result(part.tool_name, part.tool_call_id, as_json(part.content), is_failure)
        elif getattr(part, "tool_name", None) and getattr(part, "tool_call_id", None):
            yield _result(part.tool_name, part.tool_call_id, part.model_response(), True)
        elif hasattr(part, "model_response"):
            yield {"role": "user", "content": [_text(part.model_response())]}


def _of_response(message: ModelResponse) -> Iterable[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            content.append(_text(part.content))
        elif isinstance(part, ThinkingPart):
            content.append({"type": "reasoning", "text": part.content})
        elif isinstance(part, ToolCallPart):
            content.append(
                {
                    "type": "tool-call",
                    "id": part.tool_call_id,
                    "name": part.tool_name,
                    "params": arguments_of(part),
                    "providerExecuted": False,
                }
            )
    if content:
        yield {"role": "assistant", "content": content}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _result(name: str, call_id: str, result: Any, is_failure: bool) -> dict[str, Any]:
    part = {"type": "tool-result", "id": call_id, "name": name, "isFailure": is_failure, "result": result}
    return {"role": "tool", "content": [{**part, "providerExecuted": False}]}


def _of_content(content: Any) -> dict[str, Any]:
    if isinstance(content, str):
        return _text(content)
    if isinstance(content, BinaryContent):
        return {"type": "file", "mediaType": content.media_type, "data": base64.b64encode(content.data).decode()}
    url = getattr(content, "url", None)
    if url is None:
        return _text(str(getattr(content, "content", "")))
    return {"type": "file", "mediaType": content.media_type, "data": url}


def from_prompt(prompt: Prompt) -> list[ModelMessage]:
    """The prompt as messages; parts of one request are together."""
    messages: list[ModelMessage] = []
    waiting: list[ModelRequestPart] = []
    for message in prompt:
        if message["role"] != "assistant":
            waiting.extend(_request_parts(message))
            continue
        if waiting:
            messages.append(ModelRequest(parts=waiting))
            waiting = []
        content = message["content"]
        said = [_text(content)] if isinstance(content, str) else content
        messages.append(ModelResponse(parts=[part for one in said for part in response_part(one)]))
    return [*messages, ModelRequest(parts=waiting)] if waiting else messages


def _request_parts(message: dict[str, Any]) -> Iterable[ModelRequestPart]:
    content = message["content"]
    if message["role"] == "system":
        yield SystemPromptPart(content=content)
    elif message["role"] == "user":
        yield UserPromptPart(content=content if isinstance(content, str) else _user_content(content))
    else:
        for part in content:
            if part["type"] == "tool-result":
                yield ToolReturnPart(
                    tool_name=part["name"],
                    content=part["result"],
                    tool_call_id=part["id"],
                    outcome="failed" if part["isFailure"] else "success",
                )


def _user_content(parts: list[dict[str, Any]]) -> str | list[UserContent]:
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return [part["text"] if part["type"] == "text" else _file(part) for part in parts]


def _file(part: dict[str, Any]) -> UserContent:
    data = part["data"]
    if isinstance(data, dict) and data.get("_tag") == "URL":
        return ImageUrl(url=data["href"])
    if isinstance(data, dict):
        data = data["base64"]
    if data.startswith(("http:", "https:")):
        return ImageUrl(url=data)
    return BinaryContent(data=base64.b64decode(data), media_type=part["mediaType"])


def response_part(part: dict[str, Any]) -> Iterable[ModelResponsePart]:
    """A part of an answer."""
    if part["type"] == "text":
        yield TextPart(content=part["text"])
    elif part["type"] == "reasoning":
        yield ThinkingPart(content=part["text"])
    elif part["type"] == "tool-call":
        yield ToolCallPart(
            tool_name=part["name"],
            args=part.get("params", part.get("arguments")),
            tool_call_id=part["id"],
        )


def arguments_of(part: ToolCallPart) -> Any:
    """The arguments that the model gave; text that is no JSON stays text."""
    if not isinstance(part.args, str):
        return part.args or {}
    try:
        return json.loads(part.args or "{}")
    except ValueError:
        return part.args


def as_json(value: Any) -> Any:
    """A value of user code as JSON; one without such a form as its text."""
    try:
        return encode(value)
    except TypeError:
        return str(value)
