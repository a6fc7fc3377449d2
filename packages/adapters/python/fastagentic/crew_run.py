"""The run that code of CrewAI works for, in whichever thread it is, and the places of its tasks and methods."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .blocking import BlockingRun
from .call_ids import CallIds
from .errors import Denied, InterruptDenied

#: The run that the calling code works for; nothing inside of a call of a model.
hosting: ContextVar[CrewRun | None] = ContextVar("fastagentic_crew", default=None)
_place: ContextVar[str] = ContextVar("fastagentic_crew_place", default="")


class CrewRun:
    """One run. Tasks and methods side by side have places of their own, so that their steps do not share names."""

    def __init__(self, blocking: BlockingRun) -> None:
        self.blocking = blocking
        self.ids = CallIds()
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def name(self, what: str) -> str:
        """The next name of its kind in the place of the calling code."""
        key = f"{_place.get()}/{what}"
        with self._lock:
            number = self._counts[key] = self._counts.get(key, 0) + 1
        return what if number == 1 else f"{what} {number}"

    def path(self, name: str) -> str:
        return f"{_place.get()}/{name}".lstrip("/")

    def within(self, kind: str, name: str, label: str, work: Callable[[], Any]) -> Any:
        """Does work in a place of its own."""
        results: list[Any] = []
        node = Node(kind, self.path(name), label)

        def perform(_: Any) -> None:
            self.blocking.emit(node.entered())
            try:
                with standing(node.path):
                    results.append(work())
            except Exception:
                self.blocking.emit(node.left("error"))
                raise
            self.blocking.emit(node.left("ok"))

        self.blocking.ask("node", {"name": name, "node": node.call}, perform)
        return results[-1]

    async def within_async(
        self, kind: str, name: str, label: str, work: Callable[[], Coroutine[Any, Any, Any]]
    ) -> Any:
        """`within` for async code."""
        results: list[Any] = []
        node = Node(kind, self.path(name), label)

        async def perform(_: Any) -> None:
            await self.blocking.emit_async(node.entered())
            try:
                with standing(node.path):
                    results.append(await work())
            except Exception:
                await self.blocking.emit_async(node.left("error"))
                raise
            await self.blocking.emit_async(node.left("ok"))

        await self.blocking.ask_async("node", {"name": name, "node": node.call}, perform)
        return results[-1]

    def human(self, what: str, message: str, arguments: Any = None) -> Any:
        """The answer of a human; `None` for an approval without one."""
        shown = {} if arguments is None else {"arguments": arguments}
        asked = {"name": self.name(what), "schema": {}, "message": message, **shown}
        return self.blocking.ask("interrupt", asked)

    def feedback(self, message: str, arguments: Any = None) -> str:
        """The words of a human; none for an approval without words. A denial ends the run."""
        try:
            answer = self.human("feedback", message, arguments)
        except InterruptDenied as denied:
            raise Denied(denied) from denied
        return "" if answer is None else words_of(answer)


@contextmanager
def standing(path: str) -> Any:
    token = _place.set(path)
    try:
        yield
    finally:
        _place.reset(token)


class Node:
    """A task or a method as the journal shows it."""

    def __init__(self, kind: str, path: str, label: str) -> None:
        self.path = path
        self._kind = kind
        self._label = label
        self._started = time.monotonic()

    @property
    def call(self) -> dict[str, Any]:
        return {"nodeId": self.path, "name": self._label, "kind": self._kind}

    def entered(self) -> dict[str, Any]:
        return {"type": "node_enter", "data": self.call}

    def left(self, status: str) -> dict[str, Any]:
        duration = round((time.monotonic() - self._started) * 1000)
        data = {"nodeId": self.path, "name": self._label, "status": status, "durationMs": duration}
        return {"type": "node_exit", "data": data}


def words_of(answer: Any) -> str:
    return answer if isinstance(answer, str) else str(answer)
