"""Tasks of crews and methods of flows as places of the run, with `node_enter` and `node_exit`."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import datetime
from functools import wraps
from typing import Any

from crewai import Flow, Task

from .crew_run import hosting

#: The name of the task that a thread is started for.
starting: ContextVar[str] = ContextVar("fastagentic_crew_task", default="task")

_execute_sync, _execute_async = Task.execute_sync, Task.execute_async
_execute_in_thread, _aexecute_sync = Task._execute_task_async, Task.aexecute_sync
_execute_method = Flow._execute_method


@wraps(_execute_sync)
def execute_sync(self: Task, *args: Any, **options: Any) -> Any:
    run = hosting.get()
    if run is None:
        return _execute_sync(self, *args, **options)
    return run.within("task", run.name("task"), label(self), lambda: _execute_sync(self, *args, **options))


@wraps(_aexecute_sync)
async def aexecute_sync(self: Task, *args: Any, **options: Any) -> Any:
    run = hosting.get()
    if run is None:
        return await _aexecute_sync(self, *args, **options)
    return await run.within_async("task", run.name("task"), label(self), lambda: _aexecute_sync(self, *args, **options))


@wraps(_execute_async)
def execute_async(self: Task, *args: Any, **options: Any) -> Any:
    run = hosting.get()
    if run is None:
        return _execute_async(self, *args, **options)
    token = starting.set(run.name("task"))
    try:
        return _execute_async(self, *args, **options)
    finally:
        starting.reset(token)


@wraps(_execute_in_thread)
def execute_in_thread(self: Task, agent: Any, context: Any, tools: Any, future: Any) -> None:
    run = hosting.get()
    if run is None:
        return _execute_in_thread(self, agent, context, tools, future)
    self.start_time = datetime.now()
    try:
        work = run.within("task", starting.get(), label(self), lambda: self._execute_core(agent, context, tools))
    except BaseException as error:  # noqa: BLE001 - the crew waits for the future, whatever ended the thread
        future.set_exception(error)
    else:
        future.set_result(work)
    return None


@wraps(_execute_method)
async def execute_method(self: Flow[Any], method_name: Any, method: Any, *args: Any, **options: Any) -> Any:
    run = hosting.get()
    # Agents of CrewAI are flows of its own, whose methods say nothing to readers.
    if run is None or type(self).__module__.startswith("crewai."):
        return await _execute_method(self, method_name, method, *args, **options)
    name = str(method_name)
    return await run.within_async(
        "method", run.name(f"method {name}"), name, lambda: _execute_method(self, method_name, method, *args, **options)
    )


def label(task: Task) -> str:
    return task.name or "task"


def install() -> None:
    """Puts the run around every task and method of this process."""
    Task.execute_sync = execute_sync  # type: ignore[method-assign]
    Task.aexecute_sync = aexecute_sync  # type: ignore[method-assign]
    Task.execute_async = execute_async  # type: ignore[method-assign]
    Task._execute_task_async = execute_in_thread  # type: ignore[method-assign]
    Flow._execute_method = execute_method  # type: ignore[method-assign]
