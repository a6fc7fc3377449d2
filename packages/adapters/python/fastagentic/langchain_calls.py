"""Models and tools of LangChain as steps of the run: wherever code of a run calls one, the server is asked first."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ToolMessage,
    message_chunk_to_message,
    messages_from_dict,
    messages_to_dict,
)
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool
from langgraph.errors import GraphBubbleUp

from .call_ids import CallIds
from .langchain_app import LangChainModel, LangChainTool
from .langchain_prompt import answer, from_prompt, text_of, to_prompt
from .run import Run, within
from .schemas import encode

INTERRUPTED = "Interrupted"
FAILED = "ToolError"

#: The calls of the run that the calling code works for; nothing inside of a call itself.
hosting: ContextVar[Calls | None] = ContextVar("fastagentic_calls", default=None)

_agenerate = BaseChatModel._agenerate_with_cache
_generate = BaseChatModel._generate_with_cache
_astream, _stream = BaseChatModel.astream, BaseChatModel.stream
_ainvoke_tool, _invoke_tool = BaseTool.ainvoke, BaseTool.invoke


class Calls:
    """The calls of models and tools of one run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._loop = asyncio.get_running_loop()
        self.ids = CallIds()
        #: How often calls of tools have asked a human.
        self.interrupted: dict[str, int] = {}
        #: The form in which a graph that code of the run calls is run.
        self.inner: Callable[[Any], Any] = lambda graph: graph

    def wait(self, call: Any) -> Any:
        """Waits in a thread for a call that the loop makes."""
        try:
            is_loop = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_loop = False
        if is_loop:
            call.close()
            raise RuntimeError("code that is async has to call models and tools with ainvoke")
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    async def model(
        self, model: BaseChatModel, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> ChatResult:
        named = model._get_ls_params(stop=stop, **options)

        async def work(given: dict[str, Any]) -> Any:
            hosting.set(None)
            asked = from_prompt(given["prompt"]) if "prompt" in given else messages
            most = given.get("maxOutputTokens")
            limited = options if most is None else {**options, "max_tokens": most}
            return await self._answer(model, asked, stop, limited)

        limit = named.get("ls_max_tokens")
        request = {
            "prompt": to_prompt(messages),
            "tools": [encode(tool) for tool in options.get("tools") or [] if isinstance(tool, dict)],
            **({} if limit is None else {"maxOutputTokens": limit}),
        }
        if isinstance(model, LangChainModel):
            reply = await self._run.ask("app_model", {"app": model.app, "ids": self.ids.used, **request})
        else:
            name = named.get("ls_model_name") or type(model).__name__
            provider = {"provider": named["ls_provider"]} if named.get("ls_provider") else {}
            reply = await self._run.ask("model", {"model": name, **provider, **request}, work)
        native = reply.get("native")
        message = messages_from_dict([native])[0] if native is not None else answer(reply["parts"])
        assert isinstance(message, AIMessage)
        self.ids.use(call["id"] or "" for call in message.tool_calls)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _answer(
        self, model: BaseChatModel, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> Any:
        """Calls the model and sends its answer piece by piece; gives the whole answer as JSON."""
        pieces = Pieces(self._run, self.ids)
        streams = type(model)._astream is not BaseChatModel._astream or type(model)._stream is not BaseChatModel._stream
        if streams:
            whole: Any = None
            async for chunk in model._astream(messages, stop=stop, **options):
                part = chunk.message
                await pieces.take(part)
                whole = part if whole is None else whole + part
            message = message_chunk_to_message(whole if whole is not None else AIMessageChunk(content=""))
        else:
            result = await model._agenerate(messages, stop=stop, **options)
            message = result.generations[0].message
            await pieces.take(message)
        assert isinstance(message, AIMessage)
        return messages_to_dict([await pieces.end(message)])[0]

    async def tool(self, tool: BaseTool, call: dict[str, Any], config: Any, options: dict[str, Any]) -> Any:
        """Makes a call that a model has asked for."""
        raised: list[BaseException] = []
        call_id = call["id"] or call["name"]
        again = self.interrupted.get(call_id, 0)
        parameters = parameters_of(tool)
        # A graph adds arguments of its own, such as its state, which are no JSON and no part of the tool's schema.
        asked = {name: encode(value) for name, value in call["args"].items() if name in parameters["properties"]}

        async def work(given: dict[str, Any]) -> Any:
            hosting.set(None)
            arguments = call["args"] if given["arguments"] == asked else {**call["args"], **given["arguments"]}
            try:
                message = await _ainvoke_tool(tool, {**call, "args": arguments}, config, **options)
            except GraphBubbleUp as interrupted:
                raised.append(interrupted)
                return {"_tag": INTERRUPTED}
            except Exception as error:
                raised.append(error)
                raise
            if not isinstance(message, ToolMessage):
                raise TypeError(f"the tool {tool.name} gives a {type(message).__name__}, which cannot be stored")
            content = encode(message.content)
            return {"_tag": FAILED, "message": content} if message.status == "error" else content

        if isinstance(tool, LangChainTool):
            outcome = await self._run.ask("app_tool", tool.app.request(asked, call_id))
        else:
            outcome = await self._run.ask(
                "tool",
                {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": parameters,
                    # A tool that has asked a human is called once more with the answer.
                    "toolCallId": f"{call_id}#{again + 1}" if again > 0 else call_id,
                    "arguments": asked,
                    "needsApproval": False,
                },
                work,
            )
        result = outcome["result"]
        tag = result.get("_tag") if isinstance(result, dict) else None
        if tag == INTERRUPTED:
            self.interrupted[call_id] = again + 1
            if raised:
                raise raised[-1]
            # The question of an earlier attempt is asked again, and finds its answer.
            return await _ainvoke_tool(tool, call, config, **options)
        if outcome["isError"] and not outcome["denied"]:
            raise raised[-1] if raised else RuntimeError(json.dumps(result))
        failed = tag == FAILED or outcome["denied"]
        content = result["message"] if tag == FAILED else result
        text = content if isinstance(content, (str, list)) else json.dumps(content)
        return ToolMessage(text, tool_call_id=call["id"], name=tool.name, status="error" if failed else "success")


class Pieces:
    """The pieces of one answer on their way to the server."""

    def __init__(self, run: Run, ids: CallIds) -> None:
        self._run = run
        self._ids = ids
        self._call = within.get() or 0
        self._names: dict[str, str] = {}
        self._open: dict[Any, str] = {}

    async def take(self, message: BaseMessage) -> None:
        text = text_of(message)
        if text:
            await self._send({"type": "text-delta", "id": "text", "delta": text})
        for chunk in getattr(message, "tool_call_chunks", []):
            index = chunk.get("index")
            if chunk.get("id") and index not in self._open:
                self._open[index] = self._name(chunk["id"])
                params = {"type": "tool-params-start", "id": self._open[index], "name": chunk.get("name") or ""}
                await self._send(params)
            if index in self._open and chunk.get("args"):
                await self._send({"type": "tool-params-delta", "id": self._open[index], "delta": chunk["args"]})

    async def end(self, message: AIMessage) -> AIMessage:
        """Sends the calls and the end; gives the answer with the ids of its calls."""
        calls = [{**call, "id": self._name(call["id"] or call["name"])} for call in message.tool_calls]
        for call in calls:
            part = {"type": "tool-call", "id": call["id"], "name": call["name"], "params": encode(call["args"])}
            await self._send(part)
        usage: Any = message.usage_metadata or {}
        details_in, details_out = usage.get("input_token_details") or {}, usage.get("output_token_details") or {}
        counts = {
            "inputTokens": usage.get("input_tokens", 0),
            "outputTokens": usage.get("output_tokens", 0),
            "cacheReadTokens": details_in.get("cache_read", 0),
            "cacheWriteTokens": details_in.get("cache_creation", 0),
            "reasoningTokens": details_out.get("reasoning", 0),
        }
        await self._send({"type": "finish", "reason": "tool-calls" if calls else "stop", "usage": counts})
        return message.model_copy(update={"tool_calls": calls})

    def _name(self, given: str) -> str:
        return self._names.setdefault(given, self._ids.fresh(given))

    async def _send(self, part: dict[str, Any]) -> None:
        await self._run.part(self._call, part)


async def _hosted_agenerate(
    self: Any, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any
) -> ChatResult:
    calls = hosting.get()
    if calls is None:
        return await _agenerate(self, messages, stop=stop, run_manager=run_manager, **options)
    return await calls.model(self, messages, stop, options)


def _hosted_generate(self: Any, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any) -> ChatResult:
    calls = hosting.get()
    if calls is None:
        return _generate(self, messages, stop=stop, run_manager=run_manager, **options)
    return calls.wait(calls.model(self, messages, stop, options))


async def _hosted_astream(self: Any, input: Any, config: Any = None, **options: Any) -> Any:
    if hosting.get() is None:
        async for chunk in _astream(self, input, config, **options):
            yield chunk
    else:
        yield chunk_of(await self.ainvoke(input, config, **options))


def _hosted_stream(self: Any, input: Any, config: Any = None, **options: Any) -> Any:
    if hosting.get() is None:
        yield from _stream(self, input, config, **options)
    else:
        yield chunk_of(self.invoke(input, config, **options))


def chunk_of(message: AIMessage) -> AIMessageChunk:
    """A whole answer as the only piece of a stream."""
    calls = [
        tool_call_chunk(id=call["id"], name=call["name"], args=json.dumps(call["args"]), index=index)
        for index, call in enumerate(message.tool_calls)
    ]
    return AIMessageChunk(
        content=message.content, id=message.id, tool_call_chunks=calls, usage_metadata=message.usage_metadata
    )


async def _hosted_ainvoke_tool(self: Any, input: Any, config: Any = None, **options: Any) -> Any:
    calls = hosting.get()
    if calls is None or not is_call(input):
        return await _ainvoke_tool(self, input, config, **options)
    return await calls.tool(self, input, config, options)


def _hosted_invoke_tool(self: Any, input: Any, config: Any = None, **options: Any) -> Any:
    calls = hosting.get()
    if calls is None or not is_call(input):
        return _invoke_tool(self, input, config, **options)
    return calls.wait(calls.tool(self, input, config, options))


def parameters_of(tool: BaseTool) -> dict[str, Any]:
    """The JSON schema of the arguments that a model gives."""
    schema: Any = tool.tool_call_schema
    found = schema if isinstance(schema, dict) else schema.model_json_schema()
    return {"properties": {}, **found}


def is_call(value: Any) -> bool:
    """Whether a model has asked for it; a call of user code is a part of that code."""
    return isinstance(value, dict) and value.get("type") == "tool_call"


def install() -> None:
    """Puts the server before every call of a model or a tool of this process that a run makes."""
    BaseChatModel._agenerate_with_cache = _hosted_agenerate  # type: ignore[method-assign]
    BaseChatModel._generate_with_cache = _hosted_generate  # type: ignore[method-assign]
    BaseChatModel.astream = _hosted_astream  # type: ignore[method-assign]
    BaseChatModel.stream = _hosted_stream  # type: ignore[method-assign]
    BaseTool.ainvoke = _hosted_ainvoke_tool  # type: ignore[method-assign]
    BaseTool.invoke = _hosted_invoke_tool  # type: ignore[method-assign]
