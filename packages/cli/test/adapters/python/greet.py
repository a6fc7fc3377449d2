import datetime
import enum
import os
import sys
from dataclasses import dataclass
from typing import Annotated, Literal, NotRequired, TypedDict

from fastagentic import Run


class Tone(enum.Enum):
    WARM = "warm"
    COLD = "cold"


class Place(TypedDict):
    city: str
    code: NotRequired[int]


@dataclass
class Person:
    name: str
    born: datetime.date | None = None


async def agent(
    person: Person,
    tone: Tone = Tone.WARM,
    place: Place | None = None,
    size: Annotated[Literal["S", "L"], "The size of the card"] = "S",
    tags: tuple[str, ...] = (),
    *,
    run: Run,
) -> dict[str, str | int | list[str]]:
    """Greets somebody.

    This line is for readers of the code.
    """
    age = await run.step("age", lambda: 2026 - person.born.year if person.born else -1)
    city = place["city"] if place else ""
    return {
        "text": f"{tone.name} {size} {person.name} {city} {','.join(tags)}",
        "age": age,
        "pid": os.getpid(),
        "settings": [name for name in os.environ if name.startswith("FASTAGENTIC_")],
        "python": ".".join(str(part) for part in sys.version_info[:2]),
    }


def broken() -> str:
    """Has a default that cannot be read."""
    raise ValueError("hunter2")


def unreadable(value: object, other: "Missing") -> str:  # noqa: F821
    return ""


not_an_agent = 3
