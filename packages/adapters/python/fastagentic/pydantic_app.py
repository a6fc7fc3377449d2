"""Models and tools of the app for agents of PydanticAI; pydantic_agent.py and pydantic_model.py ask the server for them."""

from __future__ import annotations

from typing import Any

from pydantic_ai.models import Model
from pydantic_ai.tools import Tool

from .runtime import AppTool

APP = {"fastagentic": "app"}


class PydanticModel(Model):
    """A model of the app."""

    def __init__(self, name: str | None) -> None:
        super().__init__()
        self.app = name

    @property
    def model_name(self) -> str:
        return self.app or "default"

    @property
    def system(self) -> str:
        return "fastagentic"

    async def request(self, messages: Any, model_settings: Any, model_request_parameters: Any) -> Any:
        raise RuntimeError("a model of the app is asked by the agent of a run, not from inside of another model")


def tool(app: AppTool) -> Tool[Any]:
    made: Tool[Any] = Tool.from_schema(app.__call__, app.name, app.description, app.parameters)
    made.metadata = APP
    return made
