"""Answers questions about orders."""

import json
import os
import re
from typing import Any

from crewai import LLM, Agent, BaseLLM, Crew, Task
from crewai.hooks import before_tool_call
from crewai.tools import tool


class Offline(BaseLLM):
    """Stands in for a model: it looks for the order of the question."""

    def supports_function_calling(self) -> bool:
        return True

    def call(self, messages: Any, tools: Any = None, callbacks: Any = None, **options: Any) -> Any:
        last = messages[-1]
        if last["role"] == "tool":
            return f"Your order is {last['content']}."
        number = re.search(r"Question: .*?(\d+)", str(last["content"]))
        if number is None:
            return "Which order do you mean?"
        function = {"name": "find_order", "arguments": json.dumps({"order_id": int(number[1])})}
        return [{"id": "call", "type": "function", "function": function}]


@tool
def find_order(order_id: int) -> str:
    """Find one order by its id."""
    return f"shipped, number {order_id}"


@tool
def cancel_order(order_id: int) -> str:
    """Cancel one order by its id."""
    return f"order {order_id} is cancelled"


@before_tool_call
def ask_first(context: Any) -> bool | None:
    """A human decides about every order that is to be cancelled."""
    if context.tool_name != "cancel_order":
        return None
    answer = context.request_human_input("Cancel the order?", "Type 'approve' to continue:")
    return None if answer == "approve" else False


model = os.environ.get("SUPPORT_MODEL")
clerk = Agent(
    role="Clerk",
    goal="Answer questions about orders",
    backstory="Works in a shop",
    llm=LLM(model=model) if model else Offline(model="offline"),
    tools=[find_order, cancel_order],
)
task = Task(description="Question: {question}", expected_output="An answer", agent=clerk)
crew = Crew(agents=[clerk], tasks=[task])
