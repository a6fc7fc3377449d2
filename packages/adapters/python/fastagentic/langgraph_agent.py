"""Hosts a compiled graph of LangGraph: its models and tools are steps of the run, its questions wait for a human."""

from __future__ import annotations

import time
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import Runnable
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphBubbleUp
from langgraph.types import Command, Interrupt

from .errors import InterruptDenied
from .langchain_calls import Calls, hosting, install
from .langchain_prompt import from_prompt, text_of, to_prompt
from .run import Run
from .schemas import encode


class Node(Runnable[Any, Any]):
    """A node in a place of its own, so that nodes side by side do not share names."""

    def __init__(self, name: str, bound: Runnable[Any, Any], run: Run) -> None:
        self.name = name
        self._bound = bound
        self._run = run

    def invoke(self, input: Any, config: Any = None, **options: Any) -> Any:
        raise RuntimeError("a graph of a run works in its loop")

    async def ainvoke(self, input: Any, config: Any = None, **options: Any) -> Any:
        metadata = (config or {}).get("metadata", {})
        path = "/".join(str(part) for part in metadata.get("langgraph_path", ()))
        node_id = f"{metadata.get('langgraph_step', 0)} {path or self.name}"
        results: list[Any] = []

        async def work(_: Any) -> None:
            started = time.monotonic()
            await self._tell("node_enter", node_id, {"kind": "node"})
            status = "error"
            try:
                results.append(await self._bound.ainvoke(input, config, **options))
                status = "ok"
            except GraphBubbleUp as interrupted:
                results.append(interrupted)
                status = "interrupted"
            finally:
                duration = round((time.monotonic() - started) * 1000)
                await self._tell("node_exit", node_id, {"status": status, "durationMs": duration})

        await self._run.ask("scope", {"name": f"node {node_id}"}, work)
        if isinstance(results[-1], GraphBubbleUp):
            raise results[-1]
        return results[-1]

    async def _tell(self, kind: str, node_id: str, more: dict[str, Any]) -> None:
        await self._run.emit({"type": kind, "data": {"nodeId": node_id, "name": self.name or "", **more}})


class GraphAgent:
    """A compiled graph, such as the one of `create_agent`."""

    kind = "langgraph"

    def __init__(self, graph: Any) -> None:
        install()
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
        hosting.set(Calls(run))
        graph = self._copy(run)
        history = from_prompt(run.history)
        state: Any = {"messages": [*history, HumanMessage(prompt_of(payload))]} if self._speaks else payload
        config = {"configurable": {"thread_id": run.run_id}}
        asked = 0
        while True:
            result = await graph.ainvoke(state, config, durability="sync")
            interrupts = result.get("__interrupt__", []) if isinstance(result, dict) else []
            if not interrupts:
                return self._output(run, result, len(history))
            answers = {}
            for one in interrupts:
                asked += 1
                answers[one.id] = await answer(run, f"interrupt {asked}", one)
            state = Command(resume=answers)

    def _copy(self, run: Run) -> Any:
        """The graph for one run: its checkpoints are in memory, because what it did is stored as steps."""
        nodes = {
            name: node if name.startswith("__") else node.copy({"bound": Node(name, node.bound, run)})
            for name, node in self._graph.nodes.items()
        }
        return self._graph.copy({"nodes": nodes, "checkpointer": InMemorySaver()})

    def _output(self, run: Run, result: Any, old: int) -> Any:
        if not self._speaks:
            return encode({key: as_value(value) for key, value in result.items()})
        messages: list[BaseMessage] = result["messages"]
        run.said = to_prompt(messages[old:])
        return text_of(messages[-1]) if messages else ""


async def answer(run: Run, name: str, interrupt: Interrupt) -> Any:
    """The answer to a question of a node; without a value it is `True`, and a denial ends the run."""
    value = as_value(interrupt.value)
    actions = value.get("action_requests") if isinstance(value, dict) else None
    if isinstance(actions, list):
        decisions = [await decision(run, f"{name}.{number}", action) for number, action in enumerate(actions)]
        return {"decisions": decisions}
    schema = interrupt.response_schema if isinstance(getattr(interrupt, "response_schema", None), dict) else {}
    got = await run.ask("interrupt", {"name": name, "schema": schema, "arguments": value})
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


def prompt_of(payload: dict[str, Any]) -> str:
    texts = [value for value in payload.values() if isinstance(value, str)]
    prompt = payload.get("prompt", texts[0] if texts else "")
    return str(prompt)
