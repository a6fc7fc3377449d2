"""The run that code works for: its requests to the server, and the work that the server asks back for."""

from __future__ import annotations

import asyncio
import inspect
import threading
import typing
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from .errors import refusal, remember, report
from .frames import Sink
from .schemas import decode, encode, schema_of

A = TypeVar("A")

#: The call whose work this code does: what it asks for belongs there.
within: ContextVar[int | None] = ContextVar("fastagentic_within", default=None)
_current: ContextVar[Run] = ContextVar("fastagentic_run")
#: The same run for code in a thread of its own.
_blocking: ContextVar[Any] = ContextVar("fastagentic_blocking", default=None)


def current() -> Any:
    """The run that the calling code works for: a `Run` in the loop of the process, a `BlockingRun` in threads."""
    blocking = _blocking.get()
    return _current.get() if blocking is None or blocking.is_in_loop() else blocking


class Call:
    """One request. The server answers it, or first asks for its work, as often as hooks want it done."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.replies: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.task: asyncio.Task[Any] | None = None
        self.error: BaseException | None = None


class Run:
    """A run, for async code. Everything that it stores is JSON."""

    def __init__(self, sink: Sink, session: int, start: dict[str, Any]) -> None:
        self._sink = sink
        self._session = session
        self._credit: int = start["credit"]
        #: Threads spend it too.
        self._lock = threading.Lock()
        self._waiting: asyncio.Future[None] | None = None
        self._calls: dict[int, Call] = {}
        self._last = 0
        #: The conversation before this run, and the part of it that this run adds.
        self.history: list[dict[str, Any]] = start.get("history", [])
        self.said: list[dict[str, Any]] = []
        #: The checkpoints of a graph of LangGraph, once one needs them.
        self.checkpointer: Any = None
        self.run_id: str = start["runId"]
        self.thread_id: str = start["threadId"]

    async def step(self, name: str, work: Callable[..., A | Awaitable[A]], *args: Any, **kwargs: Any) -> A:
        """Does work once per run: a resumed run gets the stored result. A result type in its hints is restored."""

        async def perform(_: Any) -> Any:
            made = work(*args, **kwargs)
            return await made if inspect.isawaitable(made) else made

        return decode(result_hint(work), await self.ask("step", {"name": name}, perform))

    async def emit(self, event: str | dict[str, Any]) -> None:
        """Adds a token, or an event with `type` and `data`, to the journal; waits while the journal is behind."""
        frame = event_frame(event)
        await self.spend()
        self._send(frame)

    def emit_soon(self, event: str | dict[str, Any]) -> bool:
        """`emit` for a thread, unless the journal is behind."""
        frame = {**event_frame(event), "run": self._session}
        with self._lock:
            if self._credit == 0:
                return False
            self._credit -= 1
        self._sink.send_soon(frame)
        return True

    async def interrupt(self, name: str, answer: Any = Any, **options: Any) -> Any:
        """Pauses until somebody answers with a value of the type `answer`, over any restart. `InterruptDenied` is a no.

        Options: `message`, `arguments`, `default`, `expires_in` in seconds, `scopes`, `not_requester`.
        """
        data = {"name": name, "schema": schema_of(answer), **encode(options)}
        return decode(answer, await self.ask("interrupt", data))

    async def sleep(self, seconds: float) -> None:
        """Waits, over any restart."""
        await self.ask("sleep", {"millis": round(seconds * 1000)})

    async def ask(
        self, kind: str, data: dict[str, Any], work: Callable[[Any], Awaitable[Any]] | None = None
    ) -> Any:
        """Sends a request and gives its answer; does its work when the server asks for it."""
        call = self.open(kind, data)
        try:
            while (reply := await call.replies.get())["t"] == "work":
                assert work is not None
                await self._perform(call, work, reply.get("data"))
            return self.answer(call, reply)
        finally:
            self.close(call)

    def open(self, kind: str, data: dict[str, Any]) -> Call:
        self._last += 1
        call = self._calls[self._last] = Call(self._last)
        self._send({"t": "ask", "call": call.number, "kind": kind, "data": data, **place()})
        return call

    def close(self, call: Call) -> None:
        self._calls.pop(call.number, None)

    def answer(self, call: Call, reply: dict[str, Any]) -> Any:
        """The value of a reply; its error is the one that the work of the call has raised, if it has."""
        error = reply.get("error")
        if error is None:
            return reply.get("value")
        raised = call.error if error["own"] and call.error is not None else refusal(error)
        raise remember(raised, error["failure"])

    async def _perform(self, call: Call, work: Callable[[Any], Awaitable[Any]], data: Any) -> None:
        context = copy_context()
        context.run(within.set, call.number)
        call.task = asyncio.create_task(guarded(work(data)), context=context)
        try:
            value = await call.task
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling() > 0:
                raise
            self.did(call, error=error)
        except Exception as error:  # noqa: BLE001 - whatever work raises goes to the server
            self.did(call, error=error)
        else:
            self.did(call, value=value)
        finally:
            call.task = None

    def did(self, call: Call, *, value: Any = None, error: BaseException | None = None) -> None:
        """Reports the work of a call. A value that cannot be sent is an error of the work."""
        if error is None:
            try:
                return self._send({"t": "did", "call": call.number, "value": encode(value)})
            except Exception as unsendable:  # noqa: BLE001
                error = unsendable
        call.error = error
        report(self._send, {"t": "did", "call": call.number}, error)

    async def part(self, call: int, part: dict[str, Any]) -> None:
        """Sends a piece of the work of a call."""
        await self.spend()
        self._send({"t": "part", "call": call, "part": part})

    async def spend(self) -> None:
        """Waits until the server takes one more event of this run."""
        while True:
            with self._lock:
                if self._credit > 0:
                    self._credit -= 1
                    return
            if self._waiting is None:
                self._waiting = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._waiting)

    def take(self, frame: dict[str, Any]) -> None:
        """Takes a frame of the server that is about this run."""
        if frame["t"] == "credit":
            with self._lock:
                self._credit += frame["n"]
            if self._waiting is not None:
                self._waiting.set_result(None)
                self._waiting = None
            return
        call = self._calls.get(frame["call"])
        if call is None:
            return
        if frame["t"] == "abort":
            if call.task is not None:
                call.task.cancel()
            return
        call.replies.put_nowait(frame)

    def _send(self, frame: dict[str, Any]) -> None:
        self._sink.send({**frame, "run": self._session})


def event_frame(event: str | dict[str, Any]) -> dict[str, Any]:
    body = {"type": "token", "data": {"delta": event}} if isinstance(event, str) else encode(event)
    return {"t": "event", "event": body, **place()}


def enter(run: Run) -> None:
    """Makes a run the current one of the calling context."""
    _current.set(run)


def enter_thread(blocking: Any) -> None:
    """Makes a run for code without async the current one of the calling context."""
    _blocking.set(blocking)


def place() -> dict[str, int]:
    """The call in whose work this code is."""
    number = within.get()
    return {} if number is None else {"within": number}


async def guarded(work: Awaitable[A]) -> A:
    """Code that wants to end the process, or raises what is no `Exception`, ends its run."""
    try:
        return await work
    except (asyncio.CancelledError, Exception):
        raise
    except BaseException as error:
        raise RuntimeError(f"{type(error).__name__} ends the run, not the process") from error


def result_hint(work: Any) -> Any:
    """The result type that a function states, or `Any`."""
    try:
        return typing.get_type_hints(work).get("return", Any)
    except Exception:  # noqa: BLE001 - hints that cannot be read say nothing
        return Any
