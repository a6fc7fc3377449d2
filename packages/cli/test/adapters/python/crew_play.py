"""The crew of the conformance kit, with a model that performs the play."""

import asyncio
import json
import re
from typing import Any

import play
from crewai import Agent, Crew, Task
from crewai.events.types.llm_events import LLMCallType
from crewai.hooks import before_tool_call
from crewai.llms.base_llm import BaseLLM, llm_call_context
from crewai.tools import tool


class PlayModel(BaseLLM):
    model: str = "play-1"
    provider: str = "play"

    def supports_function_calling(self) -> bool:
        return True

    def call(self, messages: Any, tools: Any = None, callbacks: Any = None, **options: Any) -> Any:
        answers = sum(message["role"] == "assistant" for message in messages)
        question = re.search(r"the question is (\w+)", json.dumps(messages))
        assert question is not None
        heard = json.dumps({"question": question[1], "messages": messages})
        turn = asyncio.run(play.answer(answers, heard))
        with llm_call_context():
            for text in turn["texts"]:
                self._emit_stream_chunk_event(text)
            usage = {"prompt_tokens": turn["usage"]["inputTokens"], "completion_tokens": turn["usage"]["outputTokens"]}
            self._emit_call_completed_event("", LLMCallType.LLM_CALL, usage=usage)
        calls = [
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": json.dumps(call["args"])}}
            for call in turn["calls"]
        ]
        return calls or "".join(turn["texts"])


@tool
async def look(order: int) -> str:
    """Looks."""
    return await play.work("look", {"order": order})


@tool
async def refund(order: int) -> str:
    """Pays back."""
    return await play.work("refund", {"order": order})


@tool
def pay(order: int) -> str:
    """Pays."""
    return asyncio.run(play.work("pay", {"order": order}))


@before_tool_call
def ask_first(context: Any) -> bool | None:
    if context.tool_name == "pay" and context.request_human_input("Pay?", "Type 'approve' to continue:") != "approve":
        return False
    return None


clerk = Agent(role="clerk", goal="Help", backstory="A shop", llm=PlayModel(model="play-1"), tools=[look, refund, pay])
task = Task(description="Answer: the question is {question}", expected_output="An answer", agent=clerk)
crew = Crew(agents=[clerk], tasks=[task])
