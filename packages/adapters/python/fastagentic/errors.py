"""Errors that the server sends, and the form in which errors of the agent go to the server."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from .schemas import encode

LONGEST_TRACEBACK = 16_384
DEEPEST = 4


class Refused(Exception):
    """The server refused a request of the run, such as a call of a model that a budget or a hook does not allow."""

    def __init__(self, tag: str, message: str) -> None:
        super().__init__(message)
        self.tag = tag


class InterruptDenied(Refused):
    """The answer to a question was no, or none came in time."""


class FrameTooLarge(ValueError):
    """A value is larger than one frame may be."""


class Stopped(BaseException):
    """The run has ended: raised in threads whose code still works for it."""


class Denied(BaseException):
    """A denial that ends the run: frameworks would try again after an exception that they can catch."""

    def __init__(self, error: InterruptDenied) -> None:
        super().__init__(str(error))
        self.error = error


def refusal(error: dict[str, Any]) -> Exception:
    """The exception for a refusal of the server."""
    kind = InterruptDenied if error["tag"] == "InterruptDenied" else Refused
    return kind(error["tag"], error["message"])


def describe(error: BaseException, depth: int = 0) -> dict[str, Any]:
    """An error as the server reads it. `failure` is the number under which the server knows it already."""
    text = "".join(traceback.format_exception(error)) if depth == 0 else ""
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else (error.__cause__,)
    described: dict[str, Any] = {
        "type": type(error).__name__,
        "message": str(error)[:LONGEST_TRACEBACK],
        "fields": fields_of(error),
        "traceback": text[-LONGEST_TRACEBACK:],
        "inner": [describe(one, depth + 1) for one in inner if one is not None] if depth < DEEPEST else [],
    }
    failure = getattr(error, "_fastagentic_failure", None)
    return described if failure is None else {**described, "failure": failure}


def report(send: Callable[[dict[str, Any]], None], frame: dict[str, Any], error: BaseException) -> None:
    """Sends an error. One whose own code fails, or that is too large for a frame, is sent without its words."""
    try:
        send({**frame, "error": describe(error)})
    except BaseException as failed:  # noqa: BLE001 - the error of an agent is code of the agent
        name, why = type(error).__name__, type(failed).__name__
        place = "".join(traceback.format_tb(error.__traceback__))[-LONGEST_TRACEBACK:]
        bare = {"type": name, "message": "", "fields": {}, "inner": []}
        send({**frame, "error": {**bare, "traceback": f"{place}{name} (it cannot be described: {why})"}})


def remember(error: BaseException, failure: int) -> BaseException:
    """Marks an error with the number under which the server knows it."""
    try:
        error._fastagentic_failure = failure  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - an error may refuse attributes
        pass
    return error


def fields_of(error: BaseException) -> dict[str, Any]:
    """The attributes of an error that are JSON."""
    fields: dict[str, Any] = {}
    for name, value in getattr(error, "__dict__", {}).items():
        if name.startswith("_"):
            continue
        try:
            fields[name] = encode(value)
        except Exception:  # noqa: BLE001 - a value of the agent may be anything
            continue
    return fields
