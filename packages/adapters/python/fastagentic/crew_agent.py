"""Hosts a crew or a flow of CrewAI: its models and tools are steps of the run, and its questions wait for a human."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from crewai import Crew, Flow
from crewai.core.providers.human_input import SyncHumanInputProvider, set_provider
from crewai.crews.crew_output import CrewOutput
from crewai.flow.flow_config import flow_config
from crewai.flow.human_feedback import HumanFeedbackResult

from . import crew_model, crew_places, crew_tools
from .blocking import BlockingRun, in_thread
from .callables import first_paragraph
from .crew_run import CrewRun, hosting, words_of
from .errors import InterruptDenied
from .run import Run
from .schemas import NoSchema, encode, is_model, schema_of

class HumanInput(SyncHumanInputProvider):
    """`human_input=True` of a task: the agent works again with the words of a human, until there are none."""

    def handle_feedback(self, formatted_answer: Any, context: Any) -> Any:
        answer = formatted_answer
        while self._asks(answer, context):
            answer = context._invoke_loop()
        return answer

    async def handle_feedback_async(self, formatted_answer: Any, context: Any) -> Any:
        answer = formatted_answer
        while self._asks(answer, context):
            answer = await context._ainvoke_loop()
        return answer

    def _asks(self, answer: Any, context: Any) -> bool:
        run = hosting.get()
        assert run is not None
        words = run.feedback("Approve the result, or say what is to change", {"output": self._get_output_string(answer)})
        context.ask_for_human_input = words.strip() != ""
        if context.ask_for_human_input:
            context.messages.append(context._format_feedback_message(words))
        return bool(context.ask_for_human_input)


class FlowHuman:
    """`@human_feedback` and `ask` of a flow."""

    def request_feedback(self, context: Any, flow: Any) -> str:
        run = hosting.get()
        assert run is not None
        outcomes = {"outcomes": list(context.emit)} if context.emit else {}
        return run.feedback(context.message, {"output": as_output(context.method_output), **outcomes})

    def request_input(self, message: str, flow: Any, metadata: dict[str, Any] | None = None) -> str | None:
        run = hosting.get()
        assert run is not None
        try:
            answer = run.human("ask", message, metadata)
        except InterruptDenied:
            return None
        return "" if answer is None else words_of(answer)


class CrewAgent:
    """A crew, or a class with `@CrewBase` that makes one for each run."""

    kind = "crewai"

    def __init__(self, make: Callable[[], Crew], description: str) -> None:
        install()
        self._make = make
        self._description = description

    def describe(self) -> dict[str, Any]:
        crew = self._make()
        names = sorted(crew.fetch_inputs())
        return {
            "description": self._description,
            "input": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in names},
                "required": names,
            },
            "output": output_of(crew),
        }

    async def invoke(self, run: Run, payload: dict[str, Any]) -> Any:
        def kickoff(blocking: BlockingRun) -> Any:
            begin(blocking)
            crew = self._make()
            crew.stream = False
            return crew.kickoff(inputs=payload)

        return as_output(await in_thread(run, kickoff))


class FlowAgent:
    """A class of flows, whose payload is the state that it starts with."""

    kind = "crewai"

    def __init__(self, flow: type[Flow[Any]]) -> None:
        install()
        self._flow = flow
        state = getattr(flow, "_initial_state_t", None)
        self._state = state if isinstance(state, type) and is_model(state) else None

    def describe(self) -> dict[str, Any]:
        inputs = {"type": "object", "properties": {"inputs": {"type": "object"}}}
        schema = inputs if self._state is None else schema_of(self._state)
        properties = {name: one for name, one in schema["properties"].items() if name != "id"}
        return {
            "description": first_paragraph(self._flow) if "__doc__" in vars(self._flow) else "",
            "input": {**schema, "properties": properties},
            "output": {},
        }

    async def invoke(self, run: Run, payload: dict[str, Any]) -> Any:
        inputs = payload.get("inputs") if self._state is None and set(payload) == {"inputs"} else payload

        def kickoff(blocking: BlockingRun) -> Any:
            begin(blocking)
            flow = self._flow()
            flow.stream = False
            return flow.kickoff(inputs=inputs)

        return as_output(await in_thread(run, kickoff))


@cache
def install() -> None:
    """Puts the server around CrewAI in this process, once."""
    crew_model.install()
    crew_tools.install()
    crew_places.install()
    flow_config.hitl_provider = flow_config.input_provider = FlowHuman()


def begin(blocking: BlockingRun) -> None:
    """Makes the run that of the calling thread, and of those that CrewAI starts from it."""
    hosting.set(CrewRun(blocking))
    set_provider(HumanInput())


def output_of(crew: Crew) -> dict[str, Any]:
    """The schema of what the last task gives."""
    last = crew.tasks[-1]
    model = last.output_pydantic or last.output_json
    try:
        return {"type": "string"} if model is None else schema_of(model)
    except NoSchema:
        return {}


def as_output(value: Any) -> Any:
    """What a crew or a flow gives, as JSON."""
    if isinstance(value, CrewOutput):
        if value.pydantic is not None:
            return encode(value.pydantic)
        return encode(value.json_dict) if value.json_dict is not None else value.raw
    if isinstance(value, HumanFeedbackResult):
        return as_output(value.output)
    try:
        return encode(value)
    except TypeError:
        return str(value)
