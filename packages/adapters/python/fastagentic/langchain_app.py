"""Models and tools of the app for LangChain and LangGraph; langchain_calls.py asks the server for them."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.outputs import ChatResult
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from .runtime import AppTool


class LangChainTool(BaseTool):
    """A tool of the app."""

    app: Any

    @classmethod
    def of(cls, app: AppTool) -> LangChainTool:
        return cls(name=app.name, description=app.description, args_schema=app.parameters, app=app)

    def _run(self, **arguments: Any) -> Any:
        return self.app.call(**arguments)

    async def _arun(self, **arguments: Any) -> Any:
        return await self.app(**arguments)


class LangChainModel(BaseChatModel):
    """A model of the app."""

    app: str | None = None

    @property
    def _llm_type(self) -> str:
        return "fastagentic"

    def _get_ls_params(self, stop: Any = None, **options: Any) -> Any:
        return {"ls_model_type": "chat", "ls_provider": "fastagentic", "ls_model_name": self.app or "default"}

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(one) for one in tools], **options)

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any) -> ChatResult:
        raise RuntimeError("a model of the app is asked by code of a run, not from inside of another model")
