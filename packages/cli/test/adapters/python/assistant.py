"""Agents of PydanticAI with its own fake models."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastagentic import current
from pydantic import BaseModel
from pydantic_ai import Agent, ApprovalRequired, CallDeferred, ModelRetry, RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.models.test import TestModel


def parts(messages: list[ModelMessage], kind: type) -> list[Any]:
    return [part for message in messages for part in message.parts if isinstance(part, kind)]


async def remember(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    said = [part.content for part in parts(messages, UserPromptPart)]
    answers = [part.content for part in parts(messages, TextPart)]
    yield "You said "
    yield f"{', '.join(said)}; I said {len(answers)} things."


memory = Agent(FunctionModel(stream_function=remember), instructions="Remember")


class Weather(BaseModel):
    city: str
    degrees: int


@dataclass
class Station:
    name: str


typed = Agent(
    TestModel(custom_output_args={"city": "Ulm", "degrees": 7}), deps_type=Station, output_type=Weather, retries=2
)


@typed.tool
async def station(ctx: RunContext[Station]) -> str:
    """Names the station."""
    return ctx.deps.name


def once(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Calls its first tool, and says what came back."""
    returned = parts(messages, ToolReturnPart)
    good = [part for part in returned if part.outcome == "success"]
    if good:
        return ModelResponse(parts=[TextPart(f"{good[-1].content} after {len(returned)}")])
    if any(part.outcome == "denied" for part in returned):
        return ModelResponse(parts=[TextPart("denied")])
    tool = info.function_tools[0]
    return ModelResponse(parts=[ToolCallPart(tool.name, {"amount": 5}, tool_call_id=f"call-{len(returned)}")])


careful = Agent(FunctionModel(once))
paid: list[int] = []


@careful.tool
async def transfer(ctx: RunContext[None], amount: int) -> str:
    """Moves money; asks when it is much."""
    if amount > 3 and not ctx.tool_call_approved:
        raise ApprovalRequired()
    paid.append(amount)
    return f"paid {amount} ({len(paid)})"


delegating = Agent(FunctionModel(once))


@delegating.tool_plain
async def measure(amount: int) -> str:
    """Is made by somebody else."""
    raise CallDeferred()


retrying = Agent(FunctionModel(once))
tries: list[int] = []


@retrying.tool_plain(retries=3)
async def guess(amount: int) -> str:
    """Works the second time."""
    tries.append(amount)
    if len(tries) == 1:
        raise ModelRetry("another one")
    return f"guessed in {len(tries)}"


failing = Agent(FunctionModel(once))


@failing.tool_plain
async def fail(amount: int) -> str:
    """Fails."""
    raise ValueError("hunter2")


async def slow(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
    """Calls its tool three times, and takes a while for each word."""
    done = len(parts(messages, ToolReturnPart))
    for word in ("still ", "at ", "work "):
        await asyncio.sleep(0.1)
        yield word
    if done < 3:
        yield {0: DeltaToolCall(name="note", json_args=json.dumps({"line": done}), tool_call_id=f"call-{done}")}


patient = Agent(FunctionModel(stream_function=slow))


@patient.tool_plain
async def note(line: int) -> int:
    """Writes into the world."""
    with open(os.environ["WORLD"], "a", encoding="utf-8") as world:
        world.write(f"{current().run_id} {line}\n")
    return os.getpid()
