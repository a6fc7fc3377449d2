"""Loads the agent that an entrypoint names, and finds the adapter for its type."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Any, Protocol

from . import scratch
from .callables import CallableAgent, first_paragraph
from .factory import FactoryAgent, is_factory
from .run import Run


class HostedAgent(Protocol):
    """An agent of any framework, as the worker runs it."""

    kind: str

    def describe(self) -> dict[str, Any]: ...

    async def invoke(self, run: Run, payload: dict[str, Any]) -> Any: ...


def load(entrypoint: str, tools: list[dict[str, Any]]) -> HostedAgent:
    """`file.py:agent`, or `package.module:agent` from the working directory; a factory gets the tools of the app."""
    target, _, path = entrypoint.rpartition(":")
    scratch.use()
    value: Any = module_of(target)
    for name in path.split("."):
        if not hasattr(value, name):
            raise AttributeError(f"{target} has no {path}")
        value = getattr(value, name)
    return FactoryAgent(value, host, tools) if is_factory(value) else host(value)


def module_of(target: str) -> Any:
    if not target.endswith(".py"):
        sys.path.insert(0, os.getcwd())
        return importlib.import_module(target)
    file = os.path.abspath(target)
    sys.path.insert(0, os.path.dirname(file))
    name = os.path.basename(file).removesuffix(".py")
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{target} cannot be loaded")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def host(value: Any) -> HostedAgent:
    """The adapter for a value. A framework is looked for only where user code has loaded it."""
    pydantic_ai = sys.modules.get("pydantic_ai")
    if pydantic_ai is not None and isinstance(value, pydantic_ai.Agent):
        from .pydantic_agent import PydanticAgent

        return PydanticAgent(value)
    pregel = sys.modules.get("langgraph.pregel")
    if pregel is not None and isinstance(value, pregel.Pregel):
        from .langgraph_agent import GraphAgent

        return GraphAgent(value)
    crewai = sys.modules.get("crewai")
    if crewai is not None and (hosted := host_crewai(crewai, value)) is not None:
        return hosted
    if callable(value):
        return CallableAgent(value)
    raise TypeError(
        f"a value of the type {type(value).__name__} is no agent; "
        "it has to be a callable, or one of PydanticAI, LangGraph or CrewAI"
    )


def host_crewai(crewai: Any, value: Any) -> HostedAgent | None:
    """A crew, a class that makes one, or a class of flows."""
    is_class = isinstance(value, type)
    is_flow = issubclass(value, crewai.Flow) if is_class else isinstance(value, crewai.Flow)
    if not is_flow and not isinstance(value, crewai.Crew) and not (is_class and hasattr(value, "is_crew_class")):
        return None
    from .crew_agent import CrewAgent, FlowAgent

    if is_flow:
        if not is_class:
            raise TypeError(f"a flow works for one run; name its class {type(value).__name__} instead of an instance")
        return FlowAgent(value)
    if is_class:
        return CrewAgent(lambda: value().crew(), first_paragraph(value))
    return CrewAgent(value.copy, "")
