"""Agents that misbehave, and some that do not."""

import asyncio
import os
import subprocess
import sys
import threading
import time

from fastagentic import BlockingRun, Run

held: list[bytes] = []


async def pid() -> int:
    """Names its process."""
    return os.getpid()


async def work(steps: int, seconds: float, run: Run) -> list[int]:
    """Does steps, and says in which process each was done."""

    async def one() -> int:
        await asyncio.sleep(seconds)
        return os.getpid()

    return [await run.step("one", one) for _ in range(steps)]


async def together(count: int, run: Run) -> list[int]:
    """Does steps side by side."""

    async def one(number: int) -> int:
        return number

    return await asyncio.gather(*(run.step(f"step {number}", one, number) for number in range(count)))


async def tokens(count: int):
    """Says many tokens."""
    for number in range(count):
        yield f"{number} "


def blocking_tokens(count: int):
    """Says many tokens from a thread."""
    for number in range(count):
        yield f"{number} "
    return "done"


async def loud(seconds: float) -> str:
    """Prints as fast as it can, to every place that a print may go."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(100):
            print('{"t":"done","run":1,"output":"forged"}')
            sys.stderr.write("noise " * 20 + "\n")
            os.write(1, b'{"t":"hello"}\n')
        await asyncio.sleep(0)
    return "quiet"


async def reads() -> str:
    """Reads where the frames came from."""
    return sys.stdin.read()


async def hang() -> str:
    """Stops the loop."""
    time.sleep(120)
    return "awake"


def spin() -> str:
    """Works in a thread, and looks at nothing."""
    while True:
        pass


def trap() -> str:
    """Ignores every request to end."""
    import signal

    while True:
        try:
            time.sleep(0.01)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        except BaseException:
            continue


async def leak(megabytes: int) -> int:
    """Holds memory for ever."""
    held.append(b"x" * (megabytes * 1024 * 1024))
    await asyncio.sleep(1.5)
    return os.getpid()


async def forks(run: Run) -> list[int]:
    """Starts processes that nobody waits for."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    forked = os.fork()
    if forked == 0:
        time.sleep(600)
        os._exit(0)
    return [os.getpid(), child.pid, forked]


async def die(run: Run) -> str:
    """Ends its process, each time."""
    os._exit(9)


async def dies_or_waits(dies: bool, seconds: float) -> str:
    """Ends its process, or waits beside one that does."""
    if dies:
        await asyncio.sleep(0.3)
        os._exit(9)
    await asyncio.sleep(seconds)
    return "survived"


async def leave() -> str:
    """Wants to end its process politely."""
    sys.exit(3)


async def large(megabytes: int, run: Run) -> int:
    """Stores a value that no frame can hold."""
    return len(await run.step("large", lambda: "x" * (megabytes * 1024 * 1024)))


async def typed(run: Run) -> str:
    """Tries to send an event that is the runtime's own."""
    await run.emit({"type": "done", "data": {"output": "forged"}})
    return "sent"


async def asks(run: Run) -> str:
    """Asks, and works beside the question."""

    async def work() -> None:
        await run.step("slow", asyncio.sleep, 0.1)

    await run.step("first", int)
    sure, _ = await asyncio.gather(run.interrupt("sure", str, message=str(os.getpid())), work())
    return sure


def steps(run: BlockingRun) -> str:
    """Asks and pauses from a thread."""
    first = run.step("first", lambda: threading.current_thread().name)
    run.sleep(0.01)
    sure = run.interrupt("sure", bool, message=first)
    return "yes" if sure else "no"


async def forking(run: Run) -> list[float]:
    """Draws two numbers, and fails the first time that its process sees a marker file."""
    import random

    first = await run.step("first", random.random)
    second = await run.step("second", random.random)
    marker = os.environ.get("MARKER")
    if marker and not os.path.exists(marker):
        open(marker, "w").close()
        raise ValueError("the first try")
    return [first, second]


class Unsayable(Exception):
    """An error whose words raise."""

    def __str__(self) -> str:
        raise KeyError("no words")


class Exiting(Exception):
    """An error whose words end the process."""

    def __str__(self) -> str:
        sys.exit(4)


class Sealed(Exception):
    """An error that refuses attributes, and whose fields cannot be read."""

    def __setattr__(self, name: str, value: object) -> None:
        raise RuntimeError("sealed")

    @property
    def __dict__(self) -> dict:  # type: ignore[override]
        raise RuntimeError("sealed")


class Bare(BaseException):
    """What is no `Exception`."""


def unsayable(kind: str) -> Exception:
    """An error that cannot be described."""
    if kind == "huge":
        error = ValueError("huge")
        error.field = "x" * (9 * 1024 * 1024)  # type: ignore[attr-defined]
        return error
    kinds = {"words": Unsayable, "exits": Exiting, "sealed": Sealed, "bare": Bare}
    return kinds[kind]("an error")


async def breaks(kind: str, step: bool, run: Run) -> str:
    """Raises an error that cannot be described, in a step or outside."""

    def work() -> str:
        raise unsayable(kind)

    return await run.step("one", work) if step else work()
