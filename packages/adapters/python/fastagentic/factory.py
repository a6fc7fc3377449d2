"""Agents that a factory makes for each run."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any, Protocol

from .callables import first_paragraph
from .run import Run
from .runtime import Runtime


class Hosted(Protocol):
    kind: str

    def describe(self) -> dict[str, Any]: ...

    async def invoke(self, run: Run, payload: dict[str, Any]) -> Any: ...


class FactoryAgent:
    """Makes the agent of each run; the one that it makes first describes them all."""

    def __init__(self, make: Callable[[Runtime], Any], host: Callable[[Any], Hosted], specs: list[dict[str, Any]]) -> None:
        if inspect.iscoroutinefunction(make) or inspect.isgeneratorfunction(make) or inspect.isasyncgenfunction(make):
            raise TypeError("a factory gives the agent back at once: it has no async and no yield")
        self._make = make
        self._host = host
        self._specs = specs
        self._first = host(make(Runtime(specs, None)))
        self.kind = self._first.kind

    def describe(self) -> dict[str, Any]:
        described = self._first.describe()
        return {**described, "description": described["description"] or first_paragraph(self._make)}

    async def invoke(self, run: Run, payload: dict[str, Any]) -> Any:
        agent = self._host(self._make(Runtime(self._specs, run)))
        if agent.kind != self.kind:
            raise TypeError(f"the factory has made a {agent.kind} agent, and a {self.kind} agent before")
        return await agent.invoke(run, payload)


def is_factory(value: Any) -> bool:
    """A function of one parameter, which is a `Runtime`, or has no hint and is called `rt`."""
    if not inspect.isfunction(value):
        return False
    parameters = list(inspect.signature(value).parameters.values())
    if len(parameters) != 1:
        return False
    [only] = parameters
    if only.annotation is only.empty:
        return only.name == "rt"
    try:
        return typing.get_type_hints(value).get(only.name) is Runtime
    except NameError:
        return only.annotation == "Runtime"
