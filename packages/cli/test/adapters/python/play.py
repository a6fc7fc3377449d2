"""The play of the conformance kit, which a test serves on a socket: an answer of the model, or the work of a tool."""

import asyncio
import json
import os
from typing import Any


class PlayError(Exception):
    """A failure of the play that no agent declares."""


class NoSuchOrder(Exception):
    def __init__(self, order: int) -> None:
        super().__init__(f"no order {order}")
        self.order = order


async def ask(**request: Any) -> Any:
    """Closing the connection aborts the play."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["PLAY_PORT"]))
    try:
        writer.write(json.dumps(request).encode() + b"\n")
        await writer.drain()
        reply = json.loads(await reader.readline())
    finally:
        writer.close()
    error = reply.get("error")
    if error is None:
        return reply["value"]
    raise NoSuchOrder(error["order"]) if "order" in error else PlayError(error["message"])


async def answer(answers: int, heard: str) -> dict[str, Any]:
    return await ask(answers=answers, heard=heard)


async def work(name: str, args: dict[str, Any]) -> str:
    return await ask(name=name, args=args)
