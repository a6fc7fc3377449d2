"""The agent of the conformance kit, with a model that performs the play."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import play
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.usage import RequestUsage


@dataclass
class PlayStream(StreamedResponse):
    turn: dict[str, Any]

    async def _get_event_iterator(self) -> AsyncIterator[Any]:
        for text in self.turn["texts"]:
            for event in self._parts_manager.handle_text_delta(vendor_part_id="text", content=text):
                yield event
        for index, call in enumerate(self.turn["calls"]):
            for event in self._parts_manager.handle_tool_call_delta_events(
                vendor_part_id=index, tool_name=call["name"], args=json.dumps(call["args"]), tool_call_id=call["id"]
            ):
                yield event
        usage = self.turn["usage"]
        self._usage = RequestUsage(input_tokens=usage["inputTokens"], output_tokens=usage["outputTokens"])

    @property
    def model_name(self) -> str:
        return "play-1"

    @property
    def provider_name(self) -> str:
        return "play"

    @property
    def provider_url(self) -> None:
        return None

    @property
    def timestamp(self) -> datetime:
        return datetime.now(timezone.utc)


class PlayModel(Model):
    @property
    def model_name(self) -> str:
        return "play-1"

    @property
    def system(self) -> str:
        return "play"

    async def request(self, messages: Any, model_settings: Any, model_request_parameters: Any) -> ModelResponse:
        raise NotImplementedError("this model only streams")

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: Any,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncGenerator[StreamedResponse]:
        answers = sum(isinstance(message, ModelResponse) for message in messages)
        heard = ModelMessagesTypeAdapter.dump_json(messages).decode()
        turn = await play.answer(answers, heard)
        yield PlayStream(model_request_parameters=model_request_parameters, turn=turn)


agent = Agent(PlayModel())


@agent.tool_plain
async def look(order: int) -> str:
    """Looks."""
    return await play.work("look", {"order": order})


@agent.tool_plain
async def refund(order: int) -> str:
    """Pays back."""
    return await play.work("refund", {"order": order})


@agent.tool_plain(requires_approval=True)
async def pay(order: int) -> str:
    """Pays."""
    return await play.work("pay", {"order": order})
