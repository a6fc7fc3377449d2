"""The nodes of graphs in places of their own, those of graphs inside of nodes too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from langchain_core.runnables import Runnable
from langgraph.errors import GraphBubbleUp
from langgraph.pregel import Pregel

from .blocking import BlockingRun
from .langchain_calls import hosting
from .run import Run

_astream, _stream = Pregel.astream, Pregel.stream


class Places:
    """The places of one run; `turn` counts its answers, because a node that has asked has another place after the answer."""

    def __init__(self, run: Run, turn: Callable[[], int]) -> None:
        self.run = run
        self.turn = turn
        self.blocking = BlockingRun(run, asyncio.get_running_loop())


class Node(Runnable[Any, Any]):
    """A node whose names are its own, whatever else has run before it or runs beside it."""

    def __init__(self, name: str, bound: Runnable[Any, Any], places: Places) -> None:
        self.name = name
        self._bound = bound
        self._places = places

    async def ainvoke(self, input: Any, config: Any = None, **options: Any) -> Any:
        work, run = Work(self.name or "", config), self._places.run

        async def invoke(_: Any) -> None:
            await run.emit(work.enter())
            try:
                work.ended(await self._bound.ainvoke(input, config, **options))
            except GraphBubbleUp as interrupted:
                work.stopped(interrupted)
            finally:
                await run.emit(work.exit())

        await run.ask("node", work.asked(self._places.turn()), invoke)
        return work.result()

    def invoke(self, input: Any, config: Any = None, **options: Any) -> Any:
        run = self._places.blocking
        if run.is_in_loop():
            return self._bound.invoke(input, config, **options)
        work = Work(self.name or "", config)

        def invoke(_: Any) -> None:
            run.emit(work.enter())
            try:
                work.ended(self._bound.invoke(input, config, **options))
            except GraphBubbleUp as interrupted:
                work.stopped(interrupted)
            finally:
                run.emit(work.exit())

        run.ask("node", work.asked(self._places.turn()), invoke)
        return work.result()


class Work:
    """One execution of a node."""

    def __init__(self, name: str, config: Any) -> None:
        metadata = (config or {}).get("metadata", {})
        path = "/".join(str(part) for part in metadata.get("langgraph_path", ()))
        tasks = str(metadata.get("langgraph_checkpoint_ns", "")).split("|")
        self._name = name
        # A graph inside of a node may be one of several there, so its tasks count; their ids are those of its checkpoints.
        inner = [" ".join(tasks[1:])] if len(tasks) > 1 else []
        self._id = " ".join([str(metadata.get("langgraph_step", 0)), path or name, *inner])
        self._started = time.monotonic()
        self._status = "error"
        self._result: Any = None
        self._raised: GraphBubbleUp | None = None

    def place(self, turn: int) -> str:
        """A node that is through is not entered again: the server knows such places by their first character."""
        return f"~node {self._id}" if turn == 0 else f"~node {self._id} after {turn}"

    def asked(self, turn: int) -> dict[str, Any]:
        return {"name": self.place(turn), "node": {"nodeId": self._id, "name": self._name, "kind": "node"}}

    def enter(self) -> dict[str, Any]:
        return self._event("node_enter", {"kind": "node"})

    def exit(self) -> dict[str, Any]:
        duration = round((time.monotonic() - self._started) * 1000)
        return self._event("node_exit", {"status": self._status, "durationMs": duration})

    def ended(self, result: Any) -> None:
        self._result, self._status = result, "ok"

    def stopped(self, raised: GraphBubbleUp) -> None:
        self._raised, self._status = raised, "interrupted"

    def result(self) -> Any:
        if self._raised is not None:
            raise self._raised
        return self._result

    def _event(self, kind: str, more: dict[str, Any]) -> dict[str, Any]:
        return {"type": kind, "data": {"nodeId": self._id, "name": self._name, **more}}


def hosted(graph: Any, places: Places, **changes: Any) -> Any:
    """The graph with nodes in places of their own."""
    nodes = {
        name: node if name.startswith("__") else node.copy({"bound": Node(name, node.bound, places)})
        for name, node in graph.nodes.items()
    }
    copied = graph.copy({"nodes": nodes, **changes})
    copied._fastagentic_hosted = True
    return copied


def _inner(graph: Any) -> Any:
    """A graph that code of a run calls. One without checkpoints runs again from its top, in the place of its node."""
    calls = hosting.get()
    if calls is None or graph.checkpointer is False or getattr(graph, "_fastagentic_hosted", False):
        return graph
    return calls.inner(graph)


async def _hosted_astream(self: Any, *args: Any, **options: Any) -> AsyncIterator[Any]:
    async for chunk in _astream(_inner(self), *args, **options):
        yield chunk


def _hosted_stream(self: Any, *args: Any, **options: Any) -> Iterator[Any]:
    yield from _stream(_inner(self), *args, **options)


def install() -> None:
    """Gives the nodes of every graph that code of a run calls their places."""
    Pregel.astream = _hosted_astream  # type: ignore[method-assign]
    Pregel.stream = _hosted_stream  # type: ignore[method-assign]
