"""Models of CrewAI as steps of the run: wherever code of a run calls one, the server is asked first."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from crewai.events.stream_context import add_stream_sink, reset_stream_sinks
from crewai.llms.base_llm import BaseLLM, call_stop_override, call_stream_override
from crewai.types.usage_metrics import UsageMetrics
from crewai.utilities.agent_utils import extract_tool_call_info, is_tool_call_list
from pydantic import BaseModel

from .crew_app import CrewModel
from .crew_prompt import arguments_of, from_prompt, to_prompt, tool_call, tool_calls
from .crew_run import CrewRun, hosting
from .run import within
from .schemas import encode

HOSTED = "_fastagentic_hosted"


class ModelCall:
    """One call of a model: the request that the server sees, the work, and the answer that is stored."""

    def __init__(self, run: CrewRun, llm: BaseLLM, method: Callable[..., Any], arguments: dict[str, Any]) -> None:
        self._run = run
        self._llm = llm
        self._method = method
        self._arguments = arguments

    @property
    def kind(self) -> str:
        return "app_model" if isinstance(self._llm, CrewModel) else "model"

    @property
    def request(self) -> dict[str, Any]:
        limit = self._llm._effective_max_tokens()
        named: dict[str, Any] = {"model": self._llm.model}
        if isinstance(self._llm, CrewModel):
            named = {"app": self._llm.app, "ids": self._run.ids.used}
        elif self._llm.provider:
            named["provider"] = self._llm.provider
        return {
            **named,
            "prompt": to_prompt(self._arguments.get("messages") or []),
            "tools": [encode(tool) for tool in self._arguments.get("tools") or [] if isinstance(tool, dict)],
            **({} if limit is None else {"maxOutputTokens": int(limit)}),
        }

    def work(self, given: dict[str, Any]) -> Any:
        with self._answering(given) as (pieces, llm, arguments):
            return pieces.end(self._method(llm, **arguments))

    async def work_async(self, given: dict[str, Any]) -> Any:
        with self._answering(given) as (pieces, llm, arguments):
            return pieces.end(await self._method(llm, **arguments))

    @contextmanager
    def _answering(self, given: dict[str, Any]) -> Iterator[tuple[Pieces, BaseLLM, dict[str, Any]]]:
        asked = {"messages": from_prompt(given["prompt"])} if "prompt" in given else {}
        llm = limited(self._llm, given.get("maxOutputTokens"))
        pieces = Pieces(self._run, within.get() or 0)
        token, sinks = hosting.set(None), add_stream_sink(pieces.take)
        stop = self._llm.stop_sequences if llm is not self._llm else None
        try:
            with call_stream_override(llm, True), call_stop_override(llm, stop) if stop else nothing():
                yield pieces, llm, {**self._arguments, **asked}
        finally:
            reset_stream_sinks(sinks)
            hosting.reset(token)

    def answer(self, reply: dict[str, Any]) -> Any:
        """The stored answer: in its own form, or from its parts when a hook has changed it."""
        native = reply.get("native")
        model = self._arguments.get("response_model")
        if native is None:
            calls = tool_calls(reply["parts"])
            text = "".join(part["text"] for part in reply["parts"] if part["type"] == "text")
            native = {"calls": calls} if calls else {"text": text}
        if "calls" in native:
            self._run.ids.use(call["id"] for call in native["calls"])
            return native["calls"]
        if "value" in native and model is not None:
            return model.model_validate(native["value"])
        return native.get("text", "")


class Pieces:
    """The pieces of one answer on their way to the server."""

    def __init__(self, run: CrewRun, call: int) -> None:
        self._run = run
        self._call = call
        self._has_text = False
        self._usage: UsageMetrics | None = None

    def take(self, _: Any, event: Any) -> None:
        """Takes an event of CrewAI, in the code that emits it."""
        if event.type == "llm_stream_chunk" and event.tool_call is None and event.chunk:
            self._has_text = True
            self._send({"type": "text-delta", "id": "text", "delta": event.chunk})
        elif event.type == "llm_thinking_chunk" and event.chunk:
            self._send({"type": "reasoning-delta", "id": "reasoning", "delta": event.chunk})
        elif event.type == "llm_call_completed":
            usage = UsageMetrics.from_provider_dict(event.usage)
            if usage is not None:
                self._usage = usage

    def end(self, result: Any) -> dict[str, Any]:
        """Sends what was not streamed, and the end; gives the answer as JSON."""
        calls: list[dict[str, Any]] = []
        native: dict[str, Any]
        if isinstance(result, list) and is_tool_call_list(result):
            for one in result:
                info = extract_tool_call_info(one)
                if info is not None:
                    calls.append(tool_call(self._run.ids.fresh(info[0]), info[1], info[2]))
                    self._run.ids.use([calls[-1]["id"]])
            native = {"calls": calls}
        elif isinstance(result, BaseModel):
            native = {"value": encode(result)}
            self._say(result.model_dump_json())
        else:
            native = {"text": "" if result is None else str(result)}
            self._say(native["text"])
        for call in calls:
            function = call["function"]
            params = arguments_of(function["arguments"])
            self._send({"type": "tool-call", "id": call["id"], "name": function["name"], "params": params})
        finish: dict[str, Any] = {"type": "finish", "reason": "tool-calls" if calls else "stop"}
        if (usage := self._usage) is not None:
            finish["usage"] = {
                "inputTokens": usage.prompt_tokens,
                "outputTokens": usage.completion_tokens,
                "cacheReadTokens": usage.cached_prompt_tokens,
                "cacheWriteTokens": usage.cache_creation_tokens,
                "reasoningTokens": usage.reasoning_tokens,
            }
        self._send(finish)
        return native

    def _say(self, text: str) -> None:
        if text and not self._has_text:
            self._send({"type": "text-delta", "id": "text", "delta": text})

    def _send(self, part: dict[str, Any]) -> None:
        self._run.blocking.part(self._call, part)


@contextmanager
def nothing() -> Iterator[None]:
    yield


def limited(llm: BaseLLM, most: int | None) -> BaseLLM:
    """The model, or a copy of it that answers with fewer tokens."""
    if most is None or most == llm._effective_max_tokens():
        return llm
    names = type(llm).model_fields
    if "max_completion_tokens" not in names or "openai_compatible" in type(llm).__module__:
        return llm.model_copy(update={"max_tokens": most})
    return llm.model_copy(update={"max_tokens": None, "max_completion_tokens": most})


def hosted(method: Callable[..., Any]) -> Callable[..., Any]:
    """`call` of a class of models, which asks the server."""
    signature = inspect.signature(method)

    @wraps(method)
    def call(self: BaseLLM, *args: Any, **options: Any) -> Any:
        run = hosting.get()
        if run is None:
            return method(self, *args, **options)
        asked = ModelCall(run, self, method, arguments_in(signature, self, args, options))
        return asked.answer(run.blocking.ask(asked.kind, asked.request, asked.work))

    setattr(call, HOSTED, True)
    return call


def hosted_async(method: Callable[..., Any]) -> Callable[..., Any]:
    """`acall` of a class of models, which asks the server."""
    signature = inspect.signature(method)

    @wraps(method)
    async def acall(self: BaseLLM, *args: Any, **options: Any) -> Any:
        run = hosting.get()
        if run is None:
            return await method(self, *args, **options)
        asked = ModelCall(run, self, method, arguments_in(signature, self, args, options))
        return asked.answer(await run.blocking.ask_async(asked.kind, asked.request, asked.work_async))

    setattr(acall, HOSTED, True)
    return acall


def arguments_in(
    signature: inspect.Signature, llm: BaseLLM, args: tuple[Any, ...], options: dict[str, Any]
) -> dict[str, Any]:
    """The arguments of a call by their names."""
    bound = signature.bind(llm, *args, **options)
    arguments = dict(list(bound.arguments.items())[1:])
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments.update(arguments.pop(parameter.name, {}))
    return arguments


def host_class(cls: type[Any]) -> None:
    for name, wrap in (("call", hosted), ("acall", hosted_async)):
        method = cls.__dict__.get(name)
        if method is not None and not hasattr(method, HOSTED):
            setattr(cls, name, wrap(method))


def install() -> None:
    """Puts the server before every call of a model of this process that a run makes, also of classes that come later."""
    known: list[type[Any]] = [BaseLLM]
    for cls in known:
        known.extend(cls.__subclasses__())
        if cls is not BaseLLM:
            host_class(cls)
    original = BaseLLM.__init_subclass__.__func__  # type: ignore[attr-defined]

    def init_subclass(cls: type[Any], **options: Any) -> None:
        original(cls, **options)
        host_class(cls)

    BaseLLM.__init_subclass__ = classmethod(init_subclass)  # type: ignore[assignment]
