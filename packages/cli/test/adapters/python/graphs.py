"""Graphs of LangGraph with fake models."""

import asyncio
import operator
import os
import time
from typing import Annotated, Any, TypedDict

from langchain_core.language_models import BaseChatModel
from fastagentic import current
from langchain.agents import AgentState, create_agent
from langchain.tools import InjectedState, ToolRuntime
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Send, interrupt


class Echo(BaseChatModel):
    word: str

    @property
    def _llm_type(self) -> str:
        return "echo"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        text = " ".join([self.word, *(str(message.content) for message in messages)])
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])


about, heard = Echo(word="about"), Echo(word="heard")


class State(TypedDict):
    topics: list[str]
    said: Annotated[list[str], operator.add]


def spread(state: State) -> list[Send]:
    return [Send("write", {"topics": [topic], "said": []}) for topic in state["topics"]]


def write(state: State) -> dict[str, Any]:
    return {"said": [about.invoke(state["topics"][0]).content]}


async def plan(state: State) -> dict[str, Any]:
    return {}


fan = (
    StateGraph(State)
    .add_node("plan", plan)
    .add_node("write", write)
    .add_edge(START, "plan")
    .add_conditional_edges("plan", spread, ["write"])
    .compile()
)


class Asked(TypedDict):
    said: Annotated[list[Any], operator.add]


def ask(state: Asked) -> dict[str, Any]:
    if state["said"] == ["pid"]:
        return {"said": [os.getpid()]}
    name = interrupt("name?")
    age = interrupt("age?")
    return {"said": [f"{name} is {age}"]}


inner = StateGraph(Asked).add_node("ask", ask).add_edge(START, "ask").compile()


async def through(state: Asked) -> dict[str, Any]:
    result = await inner.ainvoke(state)
    return {"said": result["said"][len(state["said"]) :]}


asking = StateGraph(Asked).add_node("inner", through).add_edge(START, "inner").compile()


async def speak(state: MessagesState) -> dict[str, Any]:
    return {"messages": [await heard.ainvoke(state["messages"])]}


memory = StateGraph(MessagesState).add_node("speak", speak).add_edge(START, "speak").compile()


class Caller(Echo):
    """Calls its tool once, and says what came back."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        last = messages[-1]
        if isinstance(last, ToolMessage):
            message = AIMessage(f"{last.content}")
        else:
            message = AIMessage("", tool_calls=[{"id": "c", "name": self.word, "args": {"order": 3}, "type": "tool_call"}])
        return ChatResult(generations=[ChatGeneration(message=message)])


@tool
def count(order: int, state: Annotated[AgentState, InjectedState], runtime: ToolRuntime) -> str:
    """Sees the state that the graph adds."""
    return f"order {order} of {len(state['messages'])} messages, call {runtime.tool_call_id}"


injected = create_agent(Caller(word="count"), tools=[count])


@tool
def fail(order: int) -> str:
    """Fails."""
    raise ValueError("hunter2")


failing = create_agent(Caller(word="fail"), tools=[fail])


class Slow(Echo):
    """Takes a while, and writes into the world."""

    async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        await asyncio.sleep(0.4)
        with open(os.environ["WORLD"], "a", encoding="utf-8") as world:
            world.write(f"{current().run_id} {os.getpid()}\n")
        return self._generate(messages)


slow = Slow(word="slow")


def row(name: str) -> Any:
    async def node(state: Asked) -> dict[str, Any]:
        return {"said": [(await slow.ainvoke(name)).content]}

    return node


patient = (
    StateGraph(Asked)
    .add_node("one", row("1"))
    .add_node("left", row("2"))
    .add_node("right", row("3"))
    .add_node("last", row("4"))
    .add_edge(START, "one")
    .add_edge("one", "left")
    .add_edge("one", "right")
    .add_edge(["left", "right"], "last")
    .compile()
)


def mark(word: str) -> None:
    with open(os.environ["WORLD"], "a", encoding="utf-8") as world:
        world.write(f"{word} {os.getpid()}\n")


def may_go() -> bool:
    with open(os.environ["WORLD"], encoding="utf-8") as world:
        return any(line.startswith("go") for line in world)


def marked(name: str) -> Any:
    """A node whose work is no step: it leaves a mark, and asks a model."""

    async def node(state: Asked) -> dict[str, Any]:
        mark(name)
        return {"said": [(await about.ainvoke(name)).content]}

    return node


async def held(state: Asked) -> dict[str, Any]:
    mark("held")
    answer = (await about.ainvoke("held")).content
    while not may_go():
        await asyncio.sleep(0.02)
    return {"said": [answer]}


deep = (
    StateGraph(Asked)
    .add_node("first", marked("first"))
    .add_node("held", held)
    .add_edge(START, "first")
    .add_edge("first", "held")
    .compile()
)


async def dive(state: Asked) -> dict[str, Any]:
    return {"said": (await deep.ainvoke({"said": []}))["said"]}


kept = (
    StateGraph(Asked)
    .add_node("one", marked("one"))
    .add_node("left", marked("left"))
    .add_node("dive", dive)
    .add_node("last", marked("last"))
    .add_edge(START, "one")
    .add_edge("one", "left")
    .add_edge("one", "dive")
    .add_edge(["left", "dive"], "last")
    .compile()
)


def marked_still(name: str) -> Any:
    def node(state: Asked) -> dict[str, Any]:
        mark(name)
        return {"said": [about.invoke(name).content]}

    return node


def held_still(state: Asked) -> dict[str, Any]:
    mark("held")
    answer = about.invoke("held").content
    while not may_go():
        time.sleep(0.02)
    return {"said": [answer]}


deep_still = (
    StateGraph(Asked)
    .add_node("first", marked_still("first"))
    .add_node("held", held_still)
    .add_edge(START, "first")
    .add_edge("first", "held")
    .compile()
)


def dive_still(state: Asked) -> dict[str, Any]:
    return {"said": deep_still.invoke({"said": []})["said"]}


still = (
    StateGraph(Asked)
    .add_node("one", marked_still("one"))
    .add_node("left", marked_still("left"))
    .add_node("dive", dive_still)
    .add_node("last", marked_still("last"))
    .add_edge(START, "one")
    .add_edge("one", "left")
    .add_edge("one", "dive")
    .add_edge(["left", "dive"], "last")
    .compile()
)


async def sure(state: Asked) -> dict[str, Any]:
    mark("sure")
    first = (await about.ainvoke("sure")).content
    second = interrupt("sure?")
    return {"said": [first, second, (await about.ainvoke("then")).content]}


careful = (
    StateGraph(Asked)
    .add_node("one", marked("one"))
    .add_node("sure", sure)
    .add_node("held", held)
    .add_edge(START, "one")
    .add_edge("one", "sure")
    .add_edge("sure", "held")
    .compile()
)


async def fails_once(state: Asked) -> dict[str, Any]:
    mark("fails")
    answer = (await about.ainvoke("fails")).content
    if not may_go():
        raise ValueError("not yet")
    return {"said": [answer]}


failing_once = (
    StateGraph(Asked)
    .add_node("one", marked("one"))
    .add_node("left", marked("left"))
    .add_node("fails", fails_once)
    .add_edge(START, "one")
    .add_edge("one", "left")
    .add_edge("left", "fails")
    .compile()
)


async def both(state: Asked) -> dict[str, Any]:
    mark("both")
    return {"said": [interrupt("left?")]}


async def other(state: Asked) -> dict[str, Any]:
    mark("other")
    return {"said": [interrupt("right?")]}


two_questions = (
    StateGraph(Asked)
    .add_node("both", both)
    .add_node("other", other)
    .add_node("held", held)
    .add_edge(START, "both")
    .add_edge(START, "other")
    .add_edge(["both", "other"], "held")
    .compile()
)
