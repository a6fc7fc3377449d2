"""The agent of the conformance kit as a factory of PydanticAI: its model and its tools are those of the app."""

from typing import Any

from fastagentic import Runtime
from pydantic_ai import Agent


def agent(rt: Runtime) -> Agent[Any, str]:
    """Plays."""
    return Agent(rt.model().pydantic_ai(), tools=rt.tools.pydantic_ai())
