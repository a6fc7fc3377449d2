"""Models and tools of the app for CrewAI; crew_model.py and crew_tools.py ask the server for them."""

from __future__ import annotations

from typing import Any

from crewai.llms.base_llm import BaseLLM
from crewai.tools import BaseTool
from crewai.utilities.pydantic_schema_utils import create_model_from_schema

from .runtime import AppTool


class CrewTool(BaseTool):
    """A tool of the app."""

    app: Any = None

    @classmethod
    def of(cls, app: AppTool) -> CrewTool:
        schema = create_model_from_schema({"type": "object", "properties": {}, **app.parameters}, model_name=app.name)
        return cls(name=app.name, description=app.description, args_schema=schema, app=app)

    def _run(self, **arguments: Any) -> Any:
        return self.app.call(**arguments)


class CrewModel(BaseLLM):
    """A model of the app."""

    app: str | None = None

    @classmethod
    def of(cls, name: str | None) -> CrewModel:
        return cls(model=name or "default", app=name)

    def call(self, messages: Any, *args: Any, **options: Any) -> Any:
        raise RuntimeError("a model of the app is asked by code of a run, not from inside of another model")

    async def acall(self, messages: Any, *args: Any, **options: Any) -> Any:
        raise RuntimeError("a model of the app is asked by code of a run, not from inside of another model")

    def supports_function_calling(self) -> bool:
        return True
