"""Tools of CrewAI as steps of the run, when an agent calls them."""

from __future__ import annotations

import inspect
import json
from contextvars import ContextVar
from functools import wraps
from typing import Any

from crewai.agents import agent_executor, step_executor
from crewai.hooks import register_after_tool_call_hook
from crewai.hooks.dispatch import HookAborted
from crewai.hooks.llm_hooks import LLMCallHookContext
from crewai.hooks.tool_hooks import ToolCallHookContext
from crewai.tools.base_tool import BaseTool, Tool
from crewai.tools.structured_tool import CrewStructuredTool
from crewai.tools.tool_failure import ToolFailure
from crewai.utilities.agent_utils import extract_tool_call_info, format_native_tool_output_for_agent

from .crew_app import CrewTool
from .crew_run import CrewRun, hosting, words_of
from .errors import InterruptDenied
from .schemas import encode

FAILURE = "CrewAIToolFailure"

#: The id of the call that an agent makes; a tool that code calls by itself is a part of that code.
calling: ContextVar[str | None] = ContextVar("fastagentic_crew_call", default=None)
#: The words with which a human has denied the call that is made.
denial: ContextVar[str | None] = ContextVar("fastagentic_crew_denial", default=None)


def run_tool(run: CrewRun, tool: BaseTool, call_id: str, arguments: dict[str, Any]) -> Any:
    """Makes a call of an agent."""
    arguments = tool._validate_kwargs(arguments)
    limit = tool._claim_usage()
    if limit is not None:
        return limit

    async def in_loop(given: dict[str, Any]) -> Any:
        return await tool._run(**given)

    def in_thread(given: dict[str, Any]) -> Any:
        return tool._run(**given)

    work = in_loop if is_async(tool) else in_thread
    return make_call(run, tool, call_id, arguments, work)


def make_call(run: CrewRun, tool: Any, call_id: str, arguments: dict[str, Any], work: Any) -> Any:
    raised: list[Exception] = []
    asked = {name: as_json(value) for name, value in arguments.items()}

    def given_in(data: dict[str, Any]) -> dict[str, Any]:
        given = data["arguments"]
        return arguments if given == asked else {**arguments, **given}

    def perform(data: dict[str, Any]) -> Any:
        try:
            return stored(tool, work(given_in(data)))
        except Exception as error:
            raised.append(error)
            raise

    async def perform_in_loop(data: dict[str, Any]) -> Any:
        try:
            return stored(tool, await work(given_in(data)))
        except Exception as error:
            raised.append(error)
            raise

    request = {
        "name": tool.name,
        "description": tool.description or "",
        "parameters": parameters_of(tool),
        "toolCallId": call_id,
        "arguments": asked,
        "needsApproval": False,
    }
    app = getattr(tool, "_original_tool", tool)
    if isinstance(app, CrewTool):
        outcome = run.blocking.ask("app_tool", app.app.request(asked, call_id))
    elif inspect.iscoroutinefunction(work):
        outcome = run.blocking.ask_in_loop("tool", request, perform_in_loop)
    else:
        outcome = run.blocking.ask("tool", request, perform)
    result = outcome["result"]
    if outcome["denied"]:
        return f"The call was denied: {json.dumps(result)}"
    if outcome["isError"]:
        raise raised[-1] if raised else RuntimeError(json.dumps(result))
    if isinstance(result, dict) and result.get("_tag") == FAILURE:
        return ToolFailure.model_validate(result["failure"])
    return result


def stored(tool: Any, value: Any) -> Any:
    """A result as JSON. One of another type is the text that the agent reads."""
    if isinstance(value, ToolFailure):
        return {"_tag": FAILURE, "failure": encode(value)}
    try:
        encoded = encode(value)
    except TypeError:
        encoded = None
    return encoded if encoded == value else format_native_tool_output_for_agent(tool, value)


def as_json(value: Any) -> Any:
    try:
        return encode(value)
    except TypeError:
        return str(value)


def parameters_of(tool: Any) -> dict[str, Any]:
    schema = getattr(tool, "args_schema", None)
    return {"type": "object"} if schema is None else dict(schema.model_json_schema())


def is_async(tool: BaseTool) -> bool:
    return inspect.iscoroutinefunction(tool.func if isinstance(tool, Tool) else type(tool)._run)


def hosted_run(original: Any) -> Any:
    """`run` of a tool, for the call that an agent makes with native tools."""

    @wraps(original)
    def run(self: BaseTool, *args: Any, **arguments: Any) -> Any:
        hosted, call_id = hosting.get(), calling.get()
        if hosted is None or call_id is None or args:
            return original(self, *args, **arguments)
        token = calling.set(None)
        try:
            return run_tool(hosted, self, call_id, arguments)
        finally:
            calling.reset(token)

    return run


def hosted_invoke(original: Any) -> Any:
    """`invoke` of a tool, for the call that an agent writes as text."""

    @wraps(original)
    def invoke(self: CrewStructuredTool, input: Any, config: Any = None, **options: Any) -> Any:
        hosted = hosting.get()
        if hosted is None:
            return original(self, input, config, **options)
        given = json.loads(input) if isinstance(input, str) else dict(input or {})
        call_id = hosted.ids.fresh(hosted.path(hosted.name(self.name)))
        return make_call(hosted, self, call_id, given, lambda arguments: original(self, arguments, config, **options))

    return invoke


def hosted_native(original: Any, position: int) -> Any:
    """The code of an agent that makes one call of a model; the call is its argument at `position`."""

    @wraps(original)
    def native(*args: Any, **options: Any) -> Any:
        info = extract_tool_call_info(args[position] if len(args) > position else options["tool_call"])
        token = calling.set(info[0] if info else None)
        try:
            return original(*args, **options)
        finally:
            calling.reset(token)

    return native


def request_human_input(original: Any) -> Any:
    """`request_human_input` of a hook, which asks through the run."""

    @wraps(original)
    def request(self: Any, prompt: str, default_message: str = "") -> str:
        run = hosting.get()
        if run is None:
            return str(original(self, prompt, default_message))
        asked = getattr(self, "tool_input", None)
        try:
            answer = run.human(f"hook {calling.get() or ''}".strip(), prompt, None if asked is None else as_json(asked))
        except InterruptDenied as denied:
            denial.set(str(denied))
            raise HookAborted(reason=str(denied)) from denied
        return agreement(default_message) if answer is None else words_of(answer)

    return request


def agreement(message: str) -> str:
    """The word that a hook asks for, such as that of `Type 'approve' to continue`, or `yes`."""
    quoted = message.split("'")
    return quoted[1] if len(quoted) > 2 else "yes"


def tell_denial(_: ToolCallHookContext) -> str | None:
    """The model learns why a human has denied its call."""
    words = denial.get()
    denial.set(None)
    return None if words is None else f"The call was denied: {words}"


def install() -> None:
    """Puts the server before every call of a tool of this process that an agent of a run makes."""
    BaseTool.run = hosted_run(BaseTool.run)  # type: ignore[method-assign]
    Tool.run = hosted_run(Tool.run)  # type: ignore[method-assign]
    CrewStructuredTool.invoke = hosted_invoke(CrewStructuredTool.invoke)  # type: ignore[method-assign]
    executor = agent_executor.AgentExecutor
    executor._execute_single_native_tool_call = hosted_native(  # type: ignore[method-assign]
        executor._execute_single_native_tool_call, 1
    )
    step_executor.execute_single_native_tool_call = hosted_native(step_executor.execute_single_native_tool_call, 0)
    for context in (ToolCallHookContext, LLMCallHookContext):
        context.request_human_input = request_human_input(context.request_human_input)  # type: ignore[method-assign]
    register_after_tool_call_hook(tell_denial)
