"""The agents of the conformance kit for LangGraph and LangChain, with a model that performs the play."""

import json
from collections.abc import AsyncIterator
from typing import Any

import play
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import interrupt


class PlayModel(BaseChatModel):
    @property
    def _llm_type(self) -> str:
        return "play"

    def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
        return {"ls_model_type": "chat", "ls_provider": "play", "ls_model_name": "play-1"}

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        raise NotImplementedError("this model only streams")

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        answers = sum(isinstance(message, AIMessage) for message in messages)
        heard = json.dumps([{"type": message.type, "content": message.content} for message in messages])
        turn = await play.answer(answers, heard)
        for text in turn["texts"]:
            yield ChatGenerationChunk(message=AIMessageChunk(text))
        for index, call in enumerate(turn["calls"]):
            chunk = {"index": index, "id": call["id"], "name": call["name"], "args": json.dumps(call["args"])}
            yield ChatGenerationChunk(message=AIMessageChunk("", tool_call_chunks=[chunk]))
        usage = turn["usage"]
        counts = {"input_tokens": usage["inputTokens"], "output_tokens": usage["outputTokens"]}
        total = usage["inputTokens"] + usage["outputTokens"]
        yield ChatGenerationChunk(message=AIMessageChunk("", usage_metadata={**counts, "total_tokens": total}))


@tool
async def look(order: int) -> str:
    """Looks."""
    return await play.work("look", {"order": order})


@tool
async def refund(order: int) -> str:
    """Pays back."""
    return await play.work("refund", {"order": order})


@tool
async def pay(order: int) -> str:
    """Pays."""
    return await play.work("pay", {"order": order})


@tool("pay")
async def pay_asking(order: int) -> str:
    """Asks, and pays."""
    interrupt({"pay": order})
    return await play.work("pay", {"order": order})


model = PlayModel()


async def call_model(state: MessagesState) -> dict[str, Any]:
    return {"messages": [await model.ainvoke(state["messages"])]}


def route(state: MessagesState) -> str:
    last = state["messages"][-1]
    return "tools" if isinstance(last, AIMessage) and last.tool_calls else END


graph = (
    StateGraph(MessagesState)
    .add_node("model", call_model)
    .add_node("tools", ToolNode([look, refund, pay_asking]))
    .add_edge(START, "model")
    .add_conditional_edges("model", route)
    .add_edge("tools", "model")
    .compile()
)

agent = create_agent(
    model,
    tools=[look, refund, pay],
    middleware=[HumanInTheLoopMiddleware(interrupt_on={"pay": {"allowed_decisions": ["approve", "edit", "reject"]}})],
)
