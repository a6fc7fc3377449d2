"""Hosts an agent of PydanticAI: its models and tools are steps of the run, and its deferred tools wait for a human."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred, ModelRetry, ToolRetryError
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults

from .call_ids import CallIds
from .errors import InterruptDenied
from .pydantic_app import APP
from .pydantic_model import HostedModel
from .pydantic_prompt import as_json, from_prompt, to_prompt
from .run import Run
from .schemas import NoSchema, decode, encode, schema_of

RETRY = "ToolRetry"
DEFERRED = {"ApprovalRequired": ApprovalRequired, "CallDeferred": CallDeferred}


class Hosted(AbstractCapability[Any]):
    """Puts the run around the models and tools of an agent, for one run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._ids = CallIds()
        self._approved: set[str] = set()
        self._again: set[str] = set()

    def get_ordering(self) -> CapabilityOrdering:
        return CapabilityOrdering(position="innermost")

    async def prepare_model_request(self, ctx: Any, request_context: Any) -> Any:
        if not isinstance(request_context.model, HostedModel):
            request_context.model = HostedModel(request_context.model, self._run, self._ids)
        return request_context

    async def wrap_tool_execute(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, handler: Any) -> Any:
        asked = as_json(call.args_as_dict())
        call_id = call.tool_call_id
        raised: list[BaseException] = []
        if tool_def.metadata == APP:
            request = {"name": call.tool_name, "toolCallId": call_id, "arguments": asked}
            return self._result(call_id, await self._run.ask("app_tool", request), raised)

        async def work(given: dict[str, Any]) -> Any:
            arguments = given["arguments"]
            try:
                return as_json(await handler(args if arguments == asked else validated(ctx, call, arguments)))
            except (ToolRetryError, ModelRetry) as retry:
                return {"_tag": RETRY, "message": retry_text(retry)}
            except (ApprovalRequired, CallDeferred) as deferral:
                return {"_tag": type(deferral).__name__}
            except Exception as error:
                raised.append(error)
                raise

        outcome = await self._run.ask(
            "tool",
            {
                "name": call.tool_name,
                "description": tool_def.description or "",
                "parameters": tool_def.parameters_json_schema,
                # A tool that has asked for its own approval is called a second time.
                "toolCallId": f"{call_id}#approved" if call_id in self._again else call_id,
                "arguments": asked,
                "needsApproval": call_id in self._approved,
            },
            work,
        )
        return self._result(call_id, outcome, raised)

    def _result(self, call_id: str, outcome: dict[str, Any], raised: list[BaseException]) -> Any:
        result = outcome["result"]
        if outcome["denied"]:
            return f"The call was denied: {json.dumps(result)}"
        if outcome["isError"]:
            if raised:
                raise raised[-1]
            raise RuntimeError(json.dumps(result))
        tag = result.get("_tag") if isinstance(result, dict) else None
        if tag == RETRY:
            raise ModelRetry(result["message"])
        if tag in DEFERRED:
            self._again.add(call_id)
            raise DEFERRED[tag]()
        return result

    async def handle_deferred_tool_calls(self, ctx: Any, *, requests: DeferredToolRequests) -> DeferredToolResults:
        """Approvals are asked for when the call is made, so that an approver sees and may edit it."""
        self._approved.update(call.tool_call_id for call in requests.approvals)
        answers = await asyncio.gather(*(self._external(call) for call in requests.calls))
        return DeferredToolResults(
            approvals={call.tool_call_id: True for call in requests.approvals},
            calls={call.tool_call_id: answer for call, answer in zip(requests.calls, answers, strict=True)},
        )

    async def _external(self, call: Any) -> Any:
        """The result of a call that somebody else makes."""
        try:
            return await self._run.interrupt(
                f"call {call.tool_call_id}",
                Any,
                message=f"The result of {call.tool_name}",
                arguments=as_json(call.args_as_dict()),
            )
        except InterruptDenied as denied:
            return ModelRetry(str(denied))


class PydanticAgent:
    """An instance of `pydantic_ai.Agent`."""

    kind = "pydantic-ai"

    def __init__(self, agent: Agent[Any, Any]) -> None:
        self._agent = agent
        deps = getattr(agent, "deps_type", type(None))
        self._deps = None if deps in (None, type(None), object, Any) else deps

    def describe(self) -> dict[str, Any]:
        properties: dict[str, Any] = {"prompt": {"type": "string"}}
        if self._deps is not None:
            properties["deps"] = schema_of(self._deps)
        description = getattr(self._agent, "description", None)
        return {
            "description": description if isinstance(description, str) else "",
            "input": {"type": "object", "properties": properties, "required": list(properties)},
            "output": self._output(),
        }

    def _output(self) -> dict[str, Any]:
        try:
            return schema_of(self._agent.output_type)
        except NoSchema:
            return self._agent.output_json_schema()

    async def invoke(self, run: Run, payload: dict[str, Any]) -> Any:
        more = {} if self._deps is None else {"deps": decode(self._deps, payload.get("deps"))}
        result = await self._agent.run(
            prompt_of(payload),
            message_history=from_prompt(run.history) or None,
            capabilities=[Hosted(run)],
            **more,
        )
        run.said = to_prompt(result.new_messages())
        return encode(result.output)


def prompt_of(payload: dict[str, Any]) -> str:
    """The field `prompt`, the only text of the payload, or the payload as JSON."""
    texts = [value for value in payload.values() if isinstance(value, str)]
    prompt = payload.get("prompt", texts[0] if len(texts) == 1 else None)
    return prompt if isinstance(prompt, str) else json.dumps(payload)


def validated(ctx: Any, call: Any, arguments: Any) -> Any:
    """Arguments that a hook or an approver has changed, as the tool takes them."""
    manager = getattr(ctx, "tool_manager", None)
    tool = (manager.tools or {}).get(call.tool_name) if manager is not None else None
    if tool is None or not isinstance(arguments, dict):
        return arguments
    return tool.args_validator.validate_python(arguments, context=getattr(ctx, "validation_context", None))


def retry_text(retry: Exception) -> str:
    """The text of a retry, for the model."""
    part = getattr(retry, "tool_retry", None)
    if part is None:
        return str(retry)
    content = getattr(part, "content", None)
    return content if isinstance(content, str) else json.dumps(as_json(content))
