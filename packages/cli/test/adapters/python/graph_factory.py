"""The agents of the conformance kit as factories of LangGraph and LangChain: models and tools are those of the app."""

from typing import Any, TypedDict

from fastagentic import Runtime
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode


def graph(rt: Runtime) -> Any:
    """Plays."""
    tools = rt.tools.langchain()
    model = rt.model().langchain().bind_tools(tools)

    async def call_model(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    def route(state: MessagesState) -> str:
        last = state["messages"][-1]
        return "tools" if isinstance(last, AIMessage) and last.tool_calls else END

    return (
        StateGraph(MessagesState)
        .add_node("model", call_model)
        .add_node("tools", ToolNode(tools))
        .add_edge(START, "model")
        .add_conditional_edges("model", route)
        .add_edge("tools", "model")
        .compile(checkpointer=rt.checkpointer)
    )


def agent(rt: Runtime) -> Any:
    """Plays."""
    return create_agent(rt.model().langchain(), tools=rt.tools.langchain())


class Order(TypedDict, total=False):
    order: int
    seen: str
    kept: bool


def direct(rt: Runtime) -> Any:
    """A node that calls a tool of the app by itself, and reads the checkpoints of its run."""

    async def work(state: dict[str, Any]) -> dict[str, Any]:
        seen = await rt.tools["look"](order=state["order"])
        kept = [one async for one in rt.checkpointer.alist({"configurable": {"thread_id": rt.run_id}})]
        return {"order": state["order"], "seen": seen, "kept": len(kept) > 0}

    return StateGraph(Order).add_node("work", work).add_edge(START, "work").add_edge("work", END).compile()
