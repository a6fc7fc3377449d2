"""The run for code without async, which works in a thread of its own; and that thread."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from .errors import Stopped
from .run import Run, result_hint, within
from .schemas import decode, encode, schema_of

A = TypeVar("A")

MOST_THREADS = 64
_threads = asyncio.Semaphore(MOST_THREADS)


class BlockingRun:
    """A run, for code without async: each request waits in its thread."""

    def __init__(self, run: Run, loop: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self._loop = loop
        self._requests: set[Any] = set()
        self.run_id = run.run_id
        self.thread_id = run.thread_id

    def step(self, name: str, work: Callable[..., A], *args: Any, **kwargs: Any) -> A:
        """Does work once per run: a resumed run gets the stored result. A result type in its hints is restored."""
        run = self._run
        call = self._wait(self._open("step", {"name": name}))
        try:
            while (reply := self._wait(call.replies.get()))["t"] == "work":
                context = copy_context()
                context.run(within.set, call.number)
                try:
                    value = context.run(work, *args, **kwargs)
                except Exception as error:  # noqa: BLE001 - whatever work raises goes to the server
                    self._loop.call_soon_threadsafe(partial(run.did, call, error=error))
                else:
                    self._loop.call_soon_threadsafe(partial(run.did, call, value=value))
            return decode(result_hint(work), run.answer(call, reply))
        finally:
            self._loop.call_soon_threadsafe(run.close, call)

    def emit(self, event: str | dict[str, Any]) -> None:
        """Adds a token, or an event with `type` and `data`, to the journal; waits while the journal is behind."""
        self._wait(self._run.emit(event))

    def interrupt(self, name: str, answer: Any = Any, **options: Any) -> Any:
        """Pauses until somebody answers, over any restart; see `Run.interrupt`."""
        data = {"name": name, "schema": schema_of(answer), **encode(options)}
        return decode(answer, self._wait(self._run.ask("interrupt", data)))

    def sleep(self, seconds: float) -> None:
        """Waits, over any restart."""
        self._wait(self._run.sleep(seconds))

    def stop(self) -> None:
        """Ends the requests that wait; the loop calls it."""
        for request in list(self._requests):
            request.cancel()

    async def _open(self, kind: str, data: dict[str, Any]) -> Any:
        return self._run.open(kind, data)

    def _wait(self, request: Coroutine[Any, Any, A]) -> A:
        future = asyncio.run_coroutine_threadsafe(request, self._loop)
        self._requests.add(future)
        try:
            return future.result()
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
                result = context.run(work, blocking)
            except Stopped:
                failed = RuntimeError("the run has ended")
            except BaseException as error:  # noqa: BLE001 - a thread ends with its run
                failed = error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__} in a thread")
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
