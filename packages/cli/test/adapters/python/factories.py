"""Factories of plain callables: their models and tools are those of the app."""

import asyncio
import threading
from typing import Any

from fastagentic import BlockingRun, Runtime, ToolFailed


def shop(rt: Runtime) -> Any:
    """Looks after orders."""

    async def agent(order: int) -> dict[str, Any]:
        seen = await asyncio.gather(rt.tools["look"](order=order), rt.tools["look"](order=order + 1))
        try:
            paid = await rt.tools["pay"](order=order)
        except ToolFailed as failed:
            paid = {"denied": failed.denied, "result": failed.result}
        return {"ids": [rt.run_id, rt.thread_id], "seen": seen, "paid": paid, "words": await rt.model()("twins")}

    return agent


def threaded(rt: Runtime) -> Any:
    """The same for code without async."""

    def stamp(order: int) -> str:
        """Stamps an order."""
        return f"{order} in {threading.current_thread().name.split()[0]}"

    stamped = rt.hooked(stamp)

    def agent(order: int, run: BlockingRun) -> list[str]:
        return [rt.tools["look"].call(order=order), rt.model("second").call("twins"), stamped(order)]

    return agent


def hooking(rt):
    """Has a tool of its own, which hooks see; the parameter has no hint."""

    @rt.hooked
    async def charge(order: int, cents: int = 5) -> int:
        """Charges an order."""
        return order * 100 + cents

    async def agent(order: int) -> list[int]:
        return [await charge(order), await charge(order), await charge(order, cents=7)]

    return agent


def stray(rt: Runtime) -> Any:
    """Uses what the app does not give."""

    async def agent(what: str) -> str:
        if what == "words":
            return await rt.model()("twins")
        if what == "tool":
            return str(await rt.tools["nothing"]())
        if what == "same tools":
            return str(await asyncio.gather(rt.tools["look"](order=3), rt.tools["look"](order=3)))
        if what == "same models":
            return str(await asyncio.gather(rt.model()("twins"), rt.model()("twins")))
        return await rt.model("nothing")("words")

    return agent


async def slow(rt: Runtime) -> Any:
    """A factory cannot be async."""
    return rt
