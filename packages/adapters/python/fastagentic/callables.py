"""Plain callables as agents: functions and generators, async or not. Their hints are the schemas."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable
from typing import Any

from .blocking import BlockingRun, in_thread
from .run import Run
from .schemas import decode, encode, is_model, schema_of


class CallableAgent:
    """Hosts a function. A generator yields tokens and events; its answer is what it returns, or its tokens."""

    kind = "callable"

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        code = function if inspect.isroutine(function) else type(function).__call__
        hints = typing.get_type_hints(code, include_extras=True)
        self._is_async_generator = inspect.isasyncgenfunction(code)
        self._is_generator = inspect.isgeneratorfunction(code)
        self._is_async = inspect.iscoroutinefunction(code)
        self._hints: dict[str, Any] = {}
        self._required: list[str] = []
        self._run_name: str | None = None
        for parameter in inspect.signature(function).parameters.values():
            self._add(parameter, hints.get(parameter.name, Any))
        returned = hints.get("return", Any)
        self._returned = str if self._is_generator or self._is_async_generator else returned

    def _add(self, parameter: inspect.Parameter, hint: Any) -> None:
        if hint in (Run, BlockingRun):
            if (hint is Run) != (self._is_async or self._is_async_generator):
                raise TypeError("async code takes a Run, and code without async a BlockingRun")
            self._run_name = parameter.name
            return
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"the parameter {parameter} has no name that callers could use")
        self._hints[parameter.name] = hint
        if parameter.default is parameter.empty:
            self._required.append(parameter.name)

    @property
    def _whole(self) -> tuple[str, Any] | None:
        """The only parameter, when its model is the whole payload."""
        if len(self._hints) != 1:
            return None
        [(name, hint)] = self._hints.items()
        return (name, hint) if is_model(hint) or (isinstance(hint, type) and dataclasses.is_dataclass(hint)) else None

    def describe(self) -> dict[str, Any]:
        properties = {name: schema_of(hint) for name, hint in self._hints.items()}
        whole = self._whole
        payload = schema_of(whole[1]) if whole else {
            "type": "object",
            "properties": properties,
            "required": self._required,
        }
        return {
            "description": first_paragraph(self._function),
            "input": payload,
            "output": {} if self._returned in (Any, inspect.Parameter.empty) else schema_of(self._returned),
        }

    async def invoke(self, run: Run, payload: dict[str, Any]) -> Any:
        whole = self._whole
        arguments = (
            {whole[0]: decode(whole[1], payload)}
            if whole
            else {name: decode(self._hints[name], value) for name, value in payload.items()}
        )
        if self._is_async_generator:
            return await self._collect(run, self._function(**arguments, **self._given(run)))
        if self._is_async:
            return encode(await self._function(**arguments, **self._given(run)))
        return encode(await in_thread(run, lambda blocking: self._in_thread(blocking, arguments)))

    def _given(self, run: Run | BlockingRun) -> dict[str, Any]:
        return {} if self._run_name is None else {self._run_name: run}

    def _in_thread(self, run: BlockingRun, arguments: dict[str, Any]) -> Any:
        made = self._function(**arguments, **self._given(run))
        if not self._is_generator:
            return made
        text: list[str] = []
        while True:
            try:
                item = next(made)
            except StopIteration as end:
                return "".join(text) if end.value is None else end.value
            run.emit(item)
            text.append(said(item))

    async def _collect(self, run: Run, items: Any) -> str:
        text = []
        async for item in items:
            await run.emit(item)
            text.append(said(item))
        return "".join(text)


def said(item: Any) -> str:
    """The text of a token, or nothing."""
    if isinstance(item, str):
        return item
    return item["data"].get("delta", "") if item.get("type") == "token" else ""


def first_paragraph(value: Any) -> str:
    """The description of an agent: how its documentation begins."""
    return " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())
