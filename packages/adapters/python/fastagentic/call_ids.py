"""The ids of tool calls, which models choose."""

from __future__ import annotations

from collections.abc import Iterable


class CallIds:
    """The ids of the tool calls of a run: one that comes again gets another."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._new: list[str] = []

    def fresh(self, given: str) -> str:
        number, name = 1, given
        while name in self._used:
            number += 1
            name = f"{given}#{number}"
        return name

    def use(self, ids: Iterable[str]) -> None:
        for one in ids:
            if one not in self._used:
                self._used.add(one)
                self._new.append(one)

    @property
    def used(self) -> list[str]:
        return sorted(self._used)

    def take_new(self) -> list[str]:
        """The ids since the last time."""
        new, self._new = self._new, []
        return new
