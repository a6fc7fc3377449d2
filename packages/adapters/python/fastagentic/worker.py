"""The worker: loads one agent, and works for many runs at a time, each a task of one loop."""

from __future__ import annotations

import asyncio
import os
import platform
import resource
import sys
from typing import Any

from .blocking import BlockingRun
from .errors import report
from .factory import FactoryAgent
from .frames import Sink, read, take_descriptors
from .load import HostedAgent, load
from .run import Run, enter, enter_thread, guarded

PROTOCOL = 1


class Worker:
    """Takes the frames of the server."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._agent: HostedAgent | None = None
        self._runs: dict[int, tuple[Run, asyncio.Task[None]]] = {}

    def take(self, frame: dict[str, Any]) -> None:
        kind = frame["t"]
        if kind == "ping":
            self._sink.send({"t": "pong", "n": frame["n"], "memory": memory()})
        elif kind == "load":
            self._load(frame["entrypoint"], frame["tools"])
        elif kind == "start":
            run = Run(self._sink, frame["run"], frame)
            self._runs[frame["run"]] = (run, asyncio.create_task(self._work(run, frame)))
        elif frame["run"] in self._runs:
            run, task = self._runs[frame["run"]]
            if kind == "cancel":
                task.cancel()
            else:
                run.take(frame)

    def _load(self, entrypoint: str, tools: list[dict[str, Any]]) -> None:
        try:
            agent = self._agent = load(entrypoint, tools)
            made = isinstance(agent, FactoryAgent)
            self._sink.send({"t": "loaded", "kind": agent.kind, "factory": made, **agent.describe()})
        except BaseException as error:  # noqa: BLE001 - user code may even exit
            report(self._sink.send, {"t": "refused"}, error)

    async def _work(self, run: Run, frame: dict[str, Any]) -> None:
        session = frame["run"]
        assert self._agent is not None
        enter(run)
        # Code of a framework may leave the loop for threads of its own.
        enter_thread(BlockingRun(run, asyncio.get_running_loop()))
        try:
            output = await guarded(self._agent.invoke(run, frame["input"]))
            self._sink.send({"t": "done", "run": session, "output": output, "said": run.said})
        except asyncio.CancelledError:
            self._sink.send({"t": "done", "run": session, "cancelled": True})
        except Exception as error:  # noqa: BLE001 - whatever an agent raises goes to the server
            report(self._sink.send, {"t": "done", "run": session}, error)
        finally:
            del self._runs[session]


def memory() -> int:
    """The memory that this process holds, in bytes."""
    try:
        with open("/proc/self/statm", encoding="ascii") as stats:
            return int(stats.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def main() -> None:
    source, descriptor = take_descriptors()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    sink = Sink(descriptor, loop)
    worker = Worker(sink)
    read(source, loop, worker.take)
    sink.send({"t": "hello", "protocol": PROTOCOL, "pid": os.getpid(), "python": platform.python_version()})
    loop.run_forever()
