"""What a factory of an agent gets: the run, and the tools and models of the app."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import wraps
from typing import Any, TypeVar

from .blocking import BlockingRun
from .errors import Refused
from .run import Run, current
from .schemas import decode, encode, schema_of

F = TypeVar("F", bound=Callable[..., Any])


class ToolFailed(Refused):
    """A call of a tool failed, or was denied; `result` says why."""

    def __init__(self, name: str, outcome: dict[str, Any]) -> None:
        kind = "ToolDenied" if outcome["denied"] else "ToolFailed"
        super().__init__(kind, f"the call of {name} {'was denied' if outcome['denied'] else 'failed'}")
        self.denied: bool = outcome["denied"]
        self.result = outcome["result"]


class AppTool:
    """A tool of the app. A call passes the door and the hooks of the app, and is a step of the run."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.name: str = spec["name"]
        self.description: str = spec["description"]
        self.parameters: dict[str, Any] = spec["parameters"]

    async def __call__(self, **arguments: Any) -> Any:
        return value_of(self.name, await ask("app_tool", self.request(arguments)))

    def call(self, **arguments: Any) -> Any:
        """The call, for code without async."""
        return value_of(self.name, ask_in_thread("app_tool", self.request(arguments)))

    def request(self, arguments: dict[str, Any], call_id: str | None = None) -> dict[str, Any]:
        return {"name": self.name, "arguments": arguments, **({} if call_id is None else {"toolCallId": call_id})}


class Tools(Mapping[str, AppTool]):
    """The tools of the app by name, and in the forms of the frameworks."""

    def __init__(self, specs: list[dict[str, Any]]) -> None:
        self._tools = {spec["name"]: AppTool(spec) for spec in specs}

    def __getitem__(self, name: str) -> AppTool:
        if name not in self._tools:
            raise KeyError(f"the app gives this agent no tool {name!r}; it gives {sorted(self._tools)}")
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def pydantic_ai(self, *names: str) -> list[Any]:
        """All of them, or those that are named, for `Agent(tools=…)`."""
        from .pydantic_app import tool

        return [tool(one) for one in self._chosen(names)]

    def langchain(self, *names: str) -> list[Any]:
        """All of them, or those that are named, for `create_agent`, `ToolNode` and `bind_tools`."""
        from .langchain_app import LangChainTool

        return [LangChainTool.of(one) for one in self._chosen(names)]

    def crewai(self, *names: str) -> list[Any]:
        """All of them, or those that are named, for agents and tasks."""
        from .crew_app import CrewTool

        return [CrewTool.of(one) for one in self._chosen(names)]

    def _chosen(self, names: tuple[str, ...]) -> list[AppTool]:
        return [self[name] for name in names or self._tools]


class AppModel:
    """A model of the app. A call passes the hooks and the budget of the app, and is a step of the run."""

    def __init__(self, name: str | None) -> None:
        self.name = name

    async def __call__(self, prompt: str | list[dict[str, Any]], system: str | None = None) -> str:
        """The text of an answer."""
        return text_of(await ask("app_model", self.request(prompt, system)))

    def call(self, prompt: str | list[dict[str, Any]], system: str | None = None) -> str:
        """The text of an answer, for code without async."""
        return text_of(ask_in_thread("app_model", self.request(prompt, system)))

    def request(self, prompt: str | list[dict[str, Any]], system: str | None) -> dict[str, Any]:
        told = [] if system is None else [{"role": "system", "content": system}]
        said = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        return {"app": self.name, "tools": [], "prompt": [*told, *(message(one) for one in said)]}

    def pydantic_ai(self) -> Any:
        """The model for `pydantic_ai.Agent`."""
        from .pydantic_app import PydanticModel

        return PydanticModel(self.name)

    def langchain(self) -> Any:
        """The chat model for LangChain and for nodes of LangGraph."""
        from .langchain_app import LangChainModel

        return LangChainModel(app=self.name)

    def crewai(self) -> Any:
        """The `llm` for agents of CrewAI."""
        from .crew_app import CrewModel

        return CrewModel.of(self.name)


class Runtime:
    """The run that an agent is made for. A factory is called for each run, and once before to describe the agent."""

    def __init__(self, specs: list[dict[str, Any]], run: Run | None) -> None:
        self._run = run
        self.tools = Tools(specs)
        self.run_id = "" if run is None else run.run_id
        self.thread_id = "" if run is None else run.thread_id

    @property
    def run(self) -> Any:
        """The run of the calling code: a `Run`, or a `BlockingRun` in threads."""
        return running()

    def model(self, name: str | None = None) -> AppModel:
        """A model of the app by its name, or else the one that the agent declares or its layer provides."""
        return AppModel(name)

    def hooked(self, function: F) -> F:
        """A function of the agent as a tool: its calls pass the door and the hooks of the app, and are steps of the run."""
        return hooked(function)

    @property
    def checkpointer(self) -> Any:
        """The checkpoints of a graph of LangGraph, in the store of the run."""
        from .langgraph_saver import saver_of

        return saver_of(self._run)


def running() -> Any:
    try:
        return current()
    except LookupError:
        raise RuntimeError("the agent works for no run yet: a factory only makes it") from None


async def ask(kind: str, data: dict[str, Any], work: Callable[[Any], Awaitable[Any]] | None = None) -> Any:
    run = running()
    if isinstance(run, BlockingRun):
        return await run.ask_async(kind, data, typing.cast(Any, work))
    return await run.ask(kind, data, work)


def ask_in_thread(kind: str, data: dict[str, Any], work: Callable[[Any], Any] | None = None) -> Any:
    run = running()
    if not isinstance(run, BlockingRun):
        raise RuntimeError("code in the loop of the process has to await its calls")
    return run.ask(kind, data, work)


def value_of(name: str, outcome: dict[str, Any]) -> Any:
    if outcome["isError"] or outcome["denied"]:
        raise ToolFailed(name, outcome)
    return outcome["result"]


def text_of(reply: dict[str, Any]) -> str:
    return "".join(part["text"] for part in reply["parts"] if part["type"] == "text")


def message(given: dict[str, Any]) -> dict[str, Any]:
    """A message with `role` and `content`, as the server reads it."""
    content = given["content"]
    if given["role"] == "system" or not isinstance(content, str):
        return given
    return {**given, "content": [{"type": "text", "text": content}]}


def hooked(function: F) -> F:
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters.values()
    request = {
        "name": function.__name__,
        "description": inspect.getdoc(function) or "",
        "parameters": {
            "type": "object",
            "properties": {one.name: schema_of(hints.get(one.name, Any)) for one in parameters},
            "required": [one.name for one in parameters if one.default is one.empty],
        },
        "needsApproval": False,
    }

    def asked(args: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
        return {**request, "arguments": encode(inspect.signature(function).bind(*args, **options).arguments)}

    def given(data: dict[str, Any]) -> dict[str, Any]:
        return {name: decode(hints.get(name, Any), value) for name, value in data["arguments"].items()}

    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def in_loop(*args: Any, **options: Any) -> Any:
            async def work(data: dict[str, Any]) -> Any:
                return await function(**given(data))

            return result_of(function, hints, await ask("tool", asked(args, options), work))

        return typing.cast(F, in_loop)

    @wraps(function)
    def in_thread(*args: Any, **options: Any) -> Any:
        outcome = ask_in_thread("tool", asked(args, options), lambda data: function(**given(data)))
        return result_of(function, hints, outcome)

    return typing.cast(F, in_thread)


def result_of(function: Callable[..., Any], hints: dict[str, Any], outcome: dict[str, Any]) -> Any:
    return decode(hints.get("return", Any), value_of(function.__name__, outcome))
