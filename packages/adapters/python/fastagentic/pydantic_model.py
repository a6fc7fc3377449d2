"""A model of PydanticAI whose calls are steps of the run: hooks and budget first, tokens as they arrive."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)
from pydantic_ai.models import CompletedStreamedResponse, Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from .call_ids import CallIds
from .pydantic_app import PydanticModel
from .pydantic_prompt import arguments_of, from_prompt, response_part, to_prompt
from .run import Run, within

REASONS = {"stop": "stop", "length": "length", "content_filter": "content-filter", "tool_call": "tool-calls"}


class HostedModel(WrapperModel):
    """A model that the server is asked for."""

    def __init__(self, wrapped: Model, run: Run, ids: CallIds) -> None:
        super().__init__(wrapped)
        self._run = run
        self._ids = ids

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        parameters = model_request_parameters
        limit = (model_settings or {}).get("max_tokens")

        async def work(given: dict[str, Any]) -> Any:
            settings, asked, wanted = model_settings, messages, parameters
            if (most := given.get("maxOutputTokens")) is not None:
                settings = {**(model_settings or {}), "max_tokens": most}
            if (prompt := given.get("prompt")) is not None:
                asked, wanted = from_prompt(prompt), dataclasses.replace(parameters, instruction_parts=None)
            return await self._answer(asked, settings, wanted)

        tools = [*parameters.function_tools, *parameters.output_tools]
        request = {
            "prompt": to_prompt(messages, instructions_of(messages, parameters)),
            "tools": [tool_of(tool) for tool in tools],
            **({} if limit is None else {"maxOutputTokens": limit}),
        }
        if isinstance(self.wrapped, PydanticModel):
            reply = await self._run.ask("app_model", {"app": self.wrapped.app, "ids": self._ids.used, **request})
        else:
            reply = await self._run.ask(
                "model", {"model": self.model_name, "provider": self.system, **request}, work
            )
        response = self._response(reply)
        self._ids.use(part.tool_call_id for part in response.parts if isinstance(part, ToolCallPart))
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncGenerator[StreamedResponse]:
        response = await self.request(messages, model_settings, model_request_parameters)
        yield CompletedStreamedResponse(
            response, model_request_parameters=model_request_parameters, replay_events=True
        )

    def _response(self, reply: dict[str, Any]) -> ModelResponse:
        """The stored answer: in its own form, or from its parts when a hook has changed it."""
        if (native := reply.get("native")) is not None:
            [response] = ModelMessagesTypeAdapter.validate_python([native])
            assert isinstance(response, ModelResponse)
            return response
        usage = reply.get("usage") or {}
        return ModelResponse(
            parts=[part for one in reply["parts"] for part in response_part(one)],
            usage=RequestUsage(input_tokens=usage.get("inputTokens", 0), output_tokens=usage.get("outputTokens", 0)),
            model_name=self.model_name,
        )

    async def _answer(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> Any:
        """Calls the model and sends its answer piece by piece; gives the whole answer as JSON."""
        answer = Answer(self._run, self._ids, {tool.name for tool in parameters.output_tools})
        response = None
        # A model of functions that has none for streams says so only when it is asked.
        if getattr(self.wrapped, "stream_function", True) is not None:
            try:
                async with self.wrapped.request_stream(messages, settings, parameters) as stream:
                    async for event in stream:
                        await answer.take(event)
                    response = stream.get()
            except NotImplementedError:
                response = None
        if response is None:
            response = await self.wrapped.request(messages, settings, parameters)
            for index, part in enumerate(response.parts):
                await answer.take(PartStartEvent(index=index, part=part))
        [native] = ModelMessagesTypeAdapter.dump_python([await answer.end(response)], mode="json")
        return native


class Answer:
    """The pieces of one answer on their way to the server."""

    def __init__(self, run: Run, ids: CallIds, output_tools: set[str]) -> None:
        self._run = run
        self._ids = ids
        self._call = within.get() or 0
        self._output_tools = output_tools
        self._names: dict[str, str] = {}
        self._open: dict[int, str | None] = {}

    async def take(self, event: Any) -> None:
        if isinstance(event, PartStartEvent):
            await self._start(event.index, event.part)
        elif isinstance(event, PartDeltaEvent):
            delta = event.delta
            if isinstance(delta, TextPartDelta):
                await self._say("text-delta", event.index, delta.content_delta)
            elif isinstance(delta, ThinkingPartDelta):
                await self._say("reasoning-delta", event.index, delta.content_delta)
            elif isinstance(delta, ToolCallPartDelta) and isinstance(delta.args_delta, str):
                await self._argue(event.index, delta.args_delta)

    async def _start(self, index: int, part: Any) -> None:
        if isinstance(part, TextPart):
            await self._say("text-delta", index, part.content)
        elif isinstance(part, ThinkingPart):
            await self._say("reasoning-delta", index, part.content)
        elif isinstance(part, ToolCallPart):
            # The call of an output tool is the answer, and calls nothing.
            is_output = part.tool_name in self._output_tools
            call_id = self._open[index] = None if is_output else self._id_of(part)
            if call_id is not None:
                await self._send({"type": "tool-params-start", "id": call_id, "name": part.tool_name})
            if isinstance(part.args, str):
                await self._argue(index, part.args)

    def _id_of(self, part: ToolCallPart) -> str:
        return self._names.setdefault(part.tool_call_id, self._ids.fresh(part.tool_call_id))

    async def _say(self, kind: str, index: int, text: str | None) -> None:
        if text:
            await self._send({"type": kind, "id": str(index), "delta": text})

    async def _argue(self, index: int, text: str) -> None:
        call_id = self._open.get(index)
        if call_id is not None and text:
            await self._send({"type": "tool-params-delta", "id": call_id, "delta": text})

    async def end(self, response: ModelResponse) -> ModelResponse:
        """Sends the calls and the end; gives the answer with the ids of its calls."""
        calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
        for part in calls:
            if part.tool_name not in self._output_tools:
                call = {"id": self._id_of(part), "name": part.tool_name, "params": arguments_of(part)}
                await self._send({"type": "tool-call", **call})
        usage = response.usage
        reason = REASONS.get(response.finish_reason or "", "tool-calls" if calls else "stop")
        counts = {
            "inputTokens": usage.input_tokens,
            "outputTokens": usage.output_tokens,
            "cacheReadTokens": usage.cache_read_tokens,
            "cacheWriteTokens": usage.cache_write_tokens,
            "reasoningTokens": (usage.details or {}).get("reasoning_tokens", 0),
        }
        await self._send({"type": "finish", "reason": reason, "usage": counts})
        renamed = [
            dataclasses.replace(part, tool_call_id=self._id_of(part)) if isinstance(part, ToolCallPart) else part
            for part in response.parts
        ]
        return dataclasses.replace(response, parts=renamed)

    async def _send(self, part: dict[str, Any]) -> None:
        await self._run.part(self._call, part)


def tool_of(tool: Any) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description or "", "parameters": tool.parameters_json_schema}


def instructions_of(messages: list[ModelMessage], parameters: ModelRequestParameters) -> str | None:
    """The instructions that go with a request."""
    parts = parameters.instruction_parts
    if parts:
        return "\n\n".join(part.content for part in parts)
    given = (getattr(message, "instructions", None) for message in reversed(messages))
    return next((one for one in given if one), None)
