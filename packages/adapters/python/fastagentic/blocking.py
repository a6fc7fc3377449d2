"""The run for code without async, which works in a thread of its own; and that thread."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from .errors import Denied, Stopped
from .run import Run, enter_thread, result_hint, within
from .schemas import decode, encode, schema_of

A = TypeVar("A")

MOST_THREADS = 64
_threads = asyncio.Semaphore(MOST_THREADS)


class BlockingRun:
    """A run, for code without async: each request waits in its thread."""

    def __init__(self, run: Run, loop: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self._loop = loop
        self._requests: set[Future[Any]] = set()
        self._is_over = False
        self.run_id = run.run_id
        self.thread_id = run.thread_id

    def step(self, name: str, work: Callable[..., A], *args: Any, **kwargs: Any) -> A:
        """Does work once per run: a resumed run gets the stored result. A result type in its hints is restored."""

        def perform(_: Any) -> Any:
            return copy_context().run(work, *args, **kwargs)

        return decode(result_hint(work), self.ask("step", {"name": name}, perform))

    def ask(self, kind: str, data: dict[str, Any], work: Callable[[Any], Any] | None = None) -> Any:
        """Sends a request and gives its answer; does its work in this thread when the server asks for it."""
        call = self._wait(self._open(kind, data))
        try:
            while (reply := self._wait(call.replies.get()))["t"] == "work":
                assert work is not None
                token = within.set(call.number)
                try:
                    value = work(reply.get("data"))
                except Exception as error:  # noqa: BLE001 - whatever work raises goes to the server
                    self._did(call, error=error)
                else:
                    self._did(call, value=value)
                finally:
                    within.reset(token)
            return self._run.answer(call, reply)
        finally:
            self._loop.call_soon_threadsafe(self._run.close, call)

    async def ask_async(
        self, kind: str, data: dict[str, Any], work: Callable[[Any], Coroutine[Any, Any, Any]]
    ) -> Any:
        """`ask` for async code in a loop of its own; its work is done there."""
        if self.is_in_loop():
            return await self._run.ask(kind, data, work)
        call = await self._reach(self._open(kind, data))
        try:
            while (reply := await self._reach(call.replies.get()))["t"] == "work":
                token = within.set(call.number)
                try:
                    value = await work(reply.get("data"))
                except asyncio.CancelledError as error:
                    self._did(call, error=error)
                    raise
                except Exception as error:  # noqa: BLE001 - whatever work raises goes to the server
                    self._did(call, error=error)
                else:
                    self._did(call, value=value)
                finally:
                    within.reset(token)
            return self._run.answer(call, reply)
        finally:
            self._loop.call_soon_threadsafe(self._run.close, call)

    def ask_in_loop(self, kind: str, data: dict[str, Any], work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        """`ask` whose work is async, and is done in the loop of the process."""
        return self._wait(self._run.ask(kind, data, work))

    def part(self, call: int, part: dict[str, Any]) -> None:
        """Sends a piece of the work of a call."""
        self._wait(self._run.part(call, part))

    def emit(self, event: str | dict[str, Any]) -> None:
        """Adds a token, or an event with `type` and `data`, to the journal; waits while the journal is behind."""
        if self._is_over or self.is_in_loop() or not self._run.emit_soon(event):
            self._wait(self._run.emit(event))

    async def emit_async(self, event: str | dict[str, Any]) -> None:
        """`emit` for async code in a loop of its own."""
        emitted = self._run.emit(event)
        await (emitted if self.is_in_loop() else self._reach(emitted))

    def interrupt(self, name: str, answer: Any = Any, **options: Any) -> Any:
        """Pauses until somebody answers, over any restart; see `Run.interrupt`."""
        data = {"name": name, "schema": schema_of(answer), **encode(options)}
        return decode(answer, self._wait(self._run.ask("interrupt", data)))

    def sleep(self, seconds: float) -> None:
        """Waits, over any restart."""
        self._wait(self._run.sleep(seconds))

    def is_in_loop(self) -> bool:
        """Whether the calling code works in the loop of the process."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def stop(self) -> None:
        """Ends the requests that wait, and refuses others; the loop calls it."""
        self._is_over = True
        for request in list(self._requests):
            request.cancel()

    async def _open(self, kind: str, data: dict[str, Any]) -> Any:
        return self._run.open(kind, data)

    def _did(self, call: Any, *, value: Any = None, error: BaseException | None = None) -> None:
        self._loop.call_soon_threadsafe(partial(self._run.did, call, value=value, error=error))

    def _start(self, request: Coroutine[Any, Any, A]) -> Future[A]:
        if self._is_over or self.is_in_loop():
            request.close()
            raise Stopped if self._is_over else RuntimeError("code in the loop of the process has to await its requests")
        future = asyncio.run_coroutine_threadsafe(request, self._loop)
        self._requests.add(future)
        return future

    def _wait(self, request: Coroutine[Any, Any, A]) -> A:
        future = self._start(request)
        try:
            return future.result()
        except CancelledError:
            if self._is_over:
                raise Stopped from None
            raise
        finally:
            self._requests.discard(future)

    async def _reach(self, request: Coroutine[Any, Any, A]) -> A:
        future = self._start(request)
        try:
            return await asyncio.wrap_future(future)
        finally:
            self._requests.discard(future)


async def in_thread(run: Run, work: Callable[[BlockingRun], A]) -> A:
    """Does work in a thread. A cancellation raises `Stopped` there; the server ends a process whose thread ignores it."""
    async with _threads:
        loop = asyncio.get_running_loop()
        blocking, context, done = BlockingRun(run, loop), copy_context(), loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        def target() -> None:
            result: Any = None
            failed: Exception | None = None
            try:
                context.run(enter_thread, blocking)
                result = context.run(work, blocking)
            except Stopped:
                failed = RuntimeError("the run has ended")
            except Denied as denied:
                failed = denied.error
            except BaseException as error:  # noqa: BLE001 - a thread ends with its run
                if isinstance(error, Exception):
                    failed = error
                else:
                    failed = RuntimeError(f"{type(error).__name__} in a thread")
                    failed.__cause__ = error.__cause__ or error.__context__
            loop.call_soon_threadsafe(settle, result, failed)

        thread = threading.Thread(target=target, name=f"run {run.run_id}", daemon=True)
        thread.start()
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            blocking.stop()
            while not done.done() and thread.is_alive():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(Stopped))
                await asyncio.wait([done], timeout=0.2)
            if done.done() and not done.cancelled():
                done.exception()
            raise
