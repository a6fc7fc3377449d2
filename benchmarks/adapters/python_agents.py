"""The agents of the benchmark in Python: the same run for each framework. Run as a program, it makes runs of one alone."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

STEPS, TOKENS = 5, 40
WORDS = [f" word{index}" for index in range(TOKENS)]


def made(name: str) -> Any:
    return {"python": lambda: plain, "pydantic-ai": pydantic, "langgraph": langgraph}[name]()


async def plain(question: str) -> AsyncIterator[str]:
    """Says five answers, and does work after each but the last."""
    from fastagentic import current

    for number in range(STEPS):
        for word in WORDS:
            yield word
        if number < STEPS - 1:
            await current().step(f"look {number}", look, number)


async def look(order: int) -> str:
    """Looks for an order."""
    return f"order {order} is on its way"


async def plain_alone() -> AsyncIterator[str]:
    for number in range(STEPS):
        for word in WORDS:
            yield word
        if number < STEPS - 1:
            await look(number)


def pydantic() -> Any:
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

    async def answer(messages: list[Any], info: AgentInfo) -> AsyncIterator[Any]:
        before = sum(isinstance(one, ModelResponse) for one in messages)
        for word in WORDS:
            yield word
        if before < STEPS - 1:
            yield {1: DeltaToolCall(name="look", json_args=f'{{"order": {before}}}', tool_call_id=f"call_{before}")}

    return Agent(FunctionModel(stream_function=answer), tools=[look])


async def pydantic_alone(agent: Any) -> AsyncIterator[str]:
    from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

    async with agent.run_stream_events("Where is it?") as events:
        async for event in events:
            if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                yield event.part.content
            elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                yield event.delta.content_delta


def langgraph() -> Any:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.outputs import ChatGenerationChunk
    from langchain_core.tools import tool
    from langgraph.graph import END, START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode

    class ScriptModel(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "script"

        def _generate(self, *args: Any, **options: Any) -> Any:
            raise NotImplementedError

        async def _astream(self, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any) -> Any:
            before = sum(isinstance(one, AIMessage) for one in messages)
            for word in WORDS:
                chunk = ChatGenerationChunk(message=AIMessageChunk(word))
                if run_manager is not None:
                    await run_manager.on_llm_new_token(word, chunk=chunk)
                yield chunk
            if before < STEPS - 1:
                call = {"index": 0, "id": f"call_{before}", "name": "look", "args": f'{{"order": {before}}}'}
                yield ChatGenerationChunk(message=AIMessageChunk("", tool_call_chunks=[call]))

    model = ScriptModel()

    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    def after(state: MessagesState) -> str:
        last = state["messages"][-1]
        return "tools" if isinstance(last, AIMessage) and last.tool_calls else END

    return (
        StateGraph(MessagesState)
        .add_node("model", ask)
        .add_node("tools", ToolNode([tool(look)]))
        .add_edge(START, "model")
        .add_conditional_edges("model", after)
        .add_edge("tools", "model")
        .compile()
    )


async def langgraph_alone(graph: Any) -> AsyncIterator[str]:
    state = {"messages": [("user", "Where is it?")]}
    async for chunk, _ in graph.astream(state, stream_mode="messages"):
        if type(chunk).__name__ == "AIMessageChunk" and chunk.content:
            yield chunk.content


async def alone(name: str) -> None:
    """Makes a run for each line that it reads; says when its first token is there, and how many there were."""
    agent = made(name)
    stream = {
        "python": lambda: plain_alone(),
        "pydantic-ai": lambda: pydantic_alone(agent),
        "langgraph": lambda: langgraph_alone(agent),
    }[name]
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        count = 0
        async for _ in stream():
            count += 1
            if count == 1:
                print("first", flush=True)
        print(count, flush=True)


def __getattr__(name: str) -> Any:
    """An agent by its name, made when it is asked for: each interpreter has one framework."""
    names = {"python_agent": "python", "pydantic_agent": "pydantic-ai", "langgraph_agent": "langgraph"}
    if name not in names:
        raise AttributeError(name)
    return made(names[name])


if __name__ == "__main__":
    asyncio.run(alone(sys.argv[1]))
