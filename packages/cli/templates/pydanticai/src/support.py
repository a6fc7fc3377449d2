"""Answers questions about orders."""

import os
import re

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel


def offline(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Stands in for a model: it looks for the order of the question."""
    parts = [part for message in messages for part in message.parts]
    last = parts[-1]
    if isinstance(last, ToolReturnPart):
        return ModelResponse(parts=[TextPart(f"Your order is {last.content}.")])
    question = str([part for part in parts if isinstance(part, UserPromptPart)][-1].content)
    number = re.search(r"\d+", question)
    if number is None:
        return ModelResponse(parts=[TextPart("Which order do you mean?")])
    return ModelResponse(parts=[ToolCallPart("find_order", {"order_id": int(number.group())})])


agent = Agent(
    os.environ.get("SUPPORT_MODEL") or FunctionModel(offline),
    instructions="Answer questions about orders.",
)


@agent.tool_plain
def find_order(order_id: int) -> str:
    """Find one order by its id."""
    return f"shipped, number {order_id}"


@agent.tool_plain(requires_approval=True)
def cancel_order(order_id: int) -> str:
    """Cancel one order by its id."""
    return f"order {order_id} is cancelled"
