"""The checkpoints of a graph as steps of its run: the graph waits for each, and a resumed run reads them before it goes on."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Coroutine, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import get_checkpoint_metadata
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Interrupt

from .langchain_calls import Calls
from .run import Run, within

FORMAT = "langgraph-python/1"
STEP = "langgraph"


def saver_of(run: Run | None) -> InMemorySaver:
    """The checkpointer of a run; one that keeps nothing while there is none."""
    if run is None:
        return InMemorySaver()
    if run.checkpointer is None:
        run.checkpointer = RunSaver(run, Calls(run))
    assert isinstance(run.checkpointer, RunSaver)
    return run.checkpointer


class RunSaver(InMemorySaver):
    """A checkpointer for one run, whose thread it is. Every entry of its log is a step."""

    def __init__(self, run: Run, calls: Calls) -> None:
        super().__init__()
        self._run = run
        self.calls = calls
        self._loop = asyncio.get_running_loop()
        self._place = within.get()
        self._entries = 0
        self._line = asyncio.Lock()
        self._open: set[asyncio.Task[Any]] = set()
        #: How often the graph has stopped to ask, how much it has asked, and what it asked last.
        self.turn = 0
        self.asked = 0
        self.questions: list[dict[str, Any]] = []
        #: The questions that were asked again since.
        self._repeated: set[str] = set()

    @property
    def is_new(self) -> bool:
        return self._entries == 0

    async def restore(self) -> None:
        """Takes what earlier attempts have stored."""
        more = True
        while more:
            page = await self._run.ask("committed", {"name": STEP, "from": self._entries + 1})
            more = page["more"]
            for entry in page["values"]:
                self._entries += 1
                if entry["format"] != FORMAT:
                    raise RuntimeError(f"the checkpoints of this run are {entry['format']}, not {FORMAT}")
                self._take(entry)
        self.calls.ids.take_new()

    def answered(self, answers: dict[str, Any]) -> dict[str, Any]:
        """The answers that the graph has not used up yet."""
        return {one: answer for one, answer in answers.items() if one not in self._repeated}

    async def end(self, questions: list[dict[str, Any]]) -> None:
        """The graph has stopped to ask."""
        entry = {"op": "end", "questions": questions, "interrupted": self.calls.interrupted}
        await self._commit(entry)
        self._take(entry)

    async def aput(self, config: RunnableConfig, checkpoint: Any, metadata: Any, new_versions: Any) -> RunnableConfig:
        await self._commit(self._checkpoint_of(config, checkpoint, metadata, new_versions))
        return super().put(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await self._commit(self._writes_of(config, writes, task_id, task_path))
        super().put_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        await self._commit({"op": "delete", **self._thread(thread_id)})
        super().delete_thread(thread_id)

    def put(self, config: RunnableConfig, checkpoint: Any, metadata: Any, new_versions: Any) -> RunnableConfig:
        self._wait(self._commit(self._checkpoint_of(config, checkpoint, metadata, new_versions)))
        return super().put(config, checkpoint, metadata, new_versions)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self._wait(self._commit(self._writes_of(config, writes, task_id, task_path)))
        super().put_writes(config, writes, task_id, task_path)

    def delete_thread(self, thread_id: str) -> None:
        self._wait(self._commit({"op": "delete", **self._thread(thread_id)}))
        super().delete_thread(thread_id)

    def _checkpoint_of(self, config: RunnableConfig, checkpoint: Any, metadata: Any, versions: Any) -> dict[str, Any]:
        place = config["configurable"]
        values = checkpoint["channel_values"]
        return {
            "op": "put",
            **self._thread(place["thread_id"]),
            "ns": place.get("checkpoint_ns", ""),
            "parent": place.get("checkpoint_id"),
            "checkpoint": self._pack({**checkpoint, "channel_values": {}}),
            "metadata": self._pack(get_checkpoint_metadata(config, metadata)),
            "versions": self._pack(dict(versions)),
            "values": {name: self._pack(values[name]) for name in versions if name in values},
        }

    def _writes_of(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> dict[str, Any]:
        place = config["configurable"]
        return {
            "op": "writes",
            **self._thread(place["thread_id"]),
            "ns": place.get("checkpoint_ns", ""),
            "checkpoint": place["checkpoint_id"],
            "task": task_id,
            "path": task_path,
            "writes": [[channel, self._pack(value)] for channel, value in writes],
        }

    def _take(self, entry: dict[str, Any]) -> None:
        self.calls.ids.use(entry.get("ids", ()))
        if entry["op"] == "end":
            self.turn += 1
            self.questions = entry["questions"]
            self.asked += len(self.questions)
            self._repeated.clear()
            self.calls.interrupted.update(entry["interrupted"])
            return
        thread = entry.get("thread", self._run.run_id)
        if entry["op"] == "delete":
            return super().delete_thread(thread)
        place: dict[str, Any] = {"thread_id": thread, "checkpoint_ns": entry["ns"]}
        if entry["op"] == "writes":
            config: RunnableConfig = {"configurable": {**place, "checkpoint_id": entry["checkpoint"]}}
            writes = [(channel, self._unpack(value)) for channel, value in entry["writes"]]
            for _, value in writes:
                if isinstance(value, (list, tuple)):
                    self._repeated.update(one.id for one in value if isinstance(one, Interrupt))
            return super().put_writes(config, writes, entry["task"], entry["path"])
        if entry["parent"] is not None:
            place["checkpoint_id"] = entry["parent"]
        values = {name: self._unpack(value) for name, value in entry["values"].items()}
        checkpoint = {**self._unpack(entry["checkpoint"]), "channel_values": values}
        versions, metadata = self._unpack(entry["versions"]), self._unpack(entry["metadata"])
        super().put({"configurable": place}, checkpoint, metadata, versions)

    def _thread(self, thread: str) -> dict[str, str]:
        """The thread of an entry: a fork of the run has another one as its own."""
        return {} if thread == self._run.run_id else {"thread": thread}

    async def _commit(self, entry: dict[str, Any]) -> None:
        token = within.set(self._place)
        try:
            async with self._line:
                self._entries += 1
                value = {"format": FORMAT, **entry, "ids": self.calls.ids.take_new()}
                await self._run.ask("commit", {"name": f"{STEP} {self._entries}", "value": value})
        finally:
            within.reset(token)

    def _wait(self, commit: Coroutine[Any, Any, None]) -> None:
        """Waits in a thread. A graph without async in the loop itself cannot wait: what it does is stored later."""
        try:
            is_loop = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_loop = False
        if not is_loop:
            return asyncio.run_coroutine_threadsafe(commit, self._loop).result()
        task = self._loop.create_task(commit)
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    def _pack(self, value: Any) -> list[str]:
        kind, data = self.serde.dumps_typed(value)
        return [kind, b64encode(data).decode()]

    def _unpack(self, packed: list[str]) -> Any:
        return self.serde.loads_typed((packed[0], b64decode(packed[1])))
