"""Hosts a compiled graph of LangGraph: its models and tools are steps of the run, its questions wait for a human."""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage
from langgraph.types import Command, Interrupt

from . import langchain_calls, langgraph_nodes
from .errors import InterruptDenied
from .langchain_calls import hosting
from .langchain_prompt import from_prompt, text_of, to_prompt
from .langgraph_nodes import Places, hosted
from .langgraph_saver import RunSaver, saver_of
from .run import Run
from .schemas import encode


class GraphAgent:
    """A compiled graph, such as the one of `create_agent`."""

    kind = "langgraph"

    def __init__(self, graph: Any) -> None:
        langchain_calls.install()
        langgraph_nodes.install()
        self._graph = graph
        self._speaks = "messages" in graph.get_input_jsonschema().get("properties", {})

    def describe(self) -> dict[str, Any]:
        prompt = {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]}
        payload = self._graph.get_input_jsonschema()
        return {
            "description": "",
            "input": prompt if self._speaks else {**payload, "properties": payload.get("properties", {})},
            "output": {"type": "string"} if self._speaks else {},
        }

    async def invoke(self, run: Run, payload: dict[str, Any]) -> Any:
        saver = saver_of(run)
        assert isinstance(saver, RunSaver)
        calls = saver.calls
        places = Places(run, lambda: saver.turn)
        calls.inner = remembered(lambda graph: hosted(graph, places))
        hosting.set(calls)
        await saver.restore()
        graph = hosted(self._graph, places, checkpointer=saver)
        history = from_prompt(run.history)
        state: Any = {"messages": [*history, HumanMessage(prompt_of(payload))]} if self._speaks else payload
        if not saver.is_new:
            state = await self._answers(run, saver)
        config = {"configurable": {"thread_id": run.run_id}}
        while True:
            result = await graph.ainvoke(state, config, durability="sync")
            interrupts = result.get("__interrupt__", []) if isinstance(result, dict) else []
            if not interrupts:
                return self._output(run, result, len(history))
            await saver.end([question(one) for one in interrupts])
            state = await self._answers(run, saver)

    async def _answers(self, run: Run, saver: RunSaver) -> Any:
        """The answers to what the graph has asked last, as its next input; nothing when it goes on without."""
        first = saver.asked - len(saver.questions) + 1
        asking = (answer(run, f"interrupt {first + number}", one) for number, one in enumerate(saver.questions))
        answers = await asyncio.gather(*asking)
        left = saver.answered({one["id"]: got for one, got in zip(saver.questions, answers)})
        return Command(resume=left) if left else None

    def _output(self, run: Run, result: Any, old: int) -> Any:
        if not self._speaks:
            return encode({key: as_value(value) for key, value in result.items()})
        messages: list[BaseMessage] = result["messages"]
        run.said = to_prompt(messages[old:])
        return text_of(messages[-1]) if messages else ""


def question(interrupt: Interrupt) -> dict[str, Any]:
    """A question of a node, as it is stored and asked."""
    schema = getattr(interrupt, "response_schema", None)
    asked = {"id": interrupt.id, "value": as_value(interrupt.value)}
    return {**asked, "schema": schema} if isinstance(schema, dict) else asked


async def answer(run: Run, name: str, asked: dict[str, Any]) -> Any:
    """The answer to a question of a node; without a value it is `True`, and a denial ends the run."""
    value = asked["value"]
    actions = value.get("action_requests") if isinstance(value, dict) else None
    if isinstance(actions, list):
        deciding = (decision(run, f"{name}.{number}", action) for number, action in enumerate(actions))
        return {"decisions": await asyncio.gather(*deciding)}
    got = await run.ask("interrupt", {"name": name, "schema": asked.get("schema", {}), "arguments": value})
    return True if got is None else got


async def decision(run: Run, name: str, action: dict[str, Any]) -> dict[str, Any]:
    """The decision about a call that LangChain's human-in-the-loop middleware holds."""
    data = {"name": name, "schema": {}, "message": action["name"], "arguments": action["args"]}
    try:
        got = await run.ask("interrupt", data)
    except InterruptDenied as denied:
        return {"type": "reject", "message": str(denied)}
    if isinstance(got, dict):
        return {"type": "edit", "edited_action": {"name": action["name"], "args": got}}
    return {"type": "approve"}


def as_value(value: Any) -> Any:
    """A value of the graph's state as JSON."""
    if isinstance(value, BaseMessage):
        return {"type": value.type, "content": value.content}
    if isinstance(value, (list, tuple)):
        return [as_value(one) for one in value]
    if isinstance(value, dict):
        return {key: as_value(one) for key, one in value.items()}
    return encode(value)


def remembered(make: Any) -> Any:
    """Makes something of each graph once."""
    made: dict[int, tuple[Any, Any]] = {}

    def of(graph: Any) -> Any:
        if id(graph) not in made:
            made[id(graph)] = (graph, make(graph))
        return made[id(graph)][1]

    return of


def prompt_of(payload: dict[str, Any]) -> str:
    texts = [value for value in payload.values() if isinstance(value, str)]
    prompt = payload.get("prompt", texts[0] if texts else "")
    return str(prompt)
