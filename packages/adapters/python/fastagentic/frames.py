"""Frames between this process and the server: one JSON object a line, on descriptors that user code does not have."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from . import scratch
from .errors import FrameTooLarge

LARGEST = 8 * 1024 * 1024
LAST_WORDS = 1.0


def take_descriptors() -> tuple[int, int]:
    """Moves the frames to descriptors of their own: prints of user code go to the log, and its reads find nothing."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)

    def forget() -> None:
        os.close(source)
        os.close(sink)

    os.register_at_fork(after_in_child=forget)
    return source, sink


def line_of(frame: dict[str, Any]) -> bytes:
    line = json.dumps(frame, separators=(",", ":"), allow_nan=False).encode()
    if len(line) > LARGEST:
        raise FrameTooLarge(f"a value of {len(line)} bytes is larger than {LARGEST}")
    return line


class Sink:
    """Writes frames. Frames of one turn of the loop are one write."""

    def __init__(self, descriptor: int, loop: asyncio.AbstractEventLoop) -> None:
        self._descriptor = descriptor
        self._loop = loop
        self._waiting: list[bytes] = []

    def send(self, frame: dict[str, Any]) -> None:
        """Sends a frame; fails for one that is too large or no JSON, and then sends nothing."""
        self._put(line_of(frame))

    def send_soon(self, frame: dict[str, Any]) -> None:
        """`send` from another thread, which fails there."""
        self._loop.call_soon_threadsafe(self._put, line_of(frame))

    def _put(self, line: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(line)
        self._waiting.append(b"\n")

    def _flush(self) -> None:
        left = memoryview(b"".join(self._waiting))
        self._waiting.clear()
        while left:
            left = left[os.write(self._descriptor, left) :]


def read(source: int, loop: asyncio.AbstractEventLoop, take: Callable[[dict[str, Any]], None]) -> None:
    """Gives frames to the loop from a thread, so that the end of the server is seen when the loop does not move."""

    def lines() -> None:
        with open(source, "rb", closefd=False) as stream:
            for line in stream:
                loop.call_soon_threadsafe(take, json.loads(line))
        time.sleep(LAST_WORDS)
        end()

    threading.Thread(target=lines, name="fastagentic-frames", daemon=True).start()


def end() -> None:
    """Ends this process, and those that it has started: the server is gone."""
    scratch.remove()
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
