"""Crews and flows of CrewAI with fake models."""

import json
import os
import time
from typing import Any

from crewai import Agent, Crew, Flow, Process, Task
from crewai.flow.flow import and_, listen, start
from crewai.flow.human_feedback import human_feedback
from crewai.llms.base_llm import BaseLLM
from crewai.project import CrewBase, agent, crew, task
from crewai.tools import tool
from fastagentic import current
from pydantic import BaseModel


def world(word: str) -> None:
    """Writes into the world, which no run can take back."""
    with open(os.environ["WORLD"], "a", encoding="utf-8") as file:
        file.write(f"{current().run_id} {os.getpid()} {word}\n")


class Fake(BaseLLM):
    """Says what `say` gives for the conversation: a text, or calls."""

    delay: float = 0
    native: bool = True
    say: Any = None

    def supports_function_calling(self) -> bool:
        return self.native

    def call(self, messages: Any, tools: Any = None, callbacks: Any = None, **options: Any) -> Any:
        time.sleep(self.delay)
        if "WORLD" in os.environ:
            world("model")
        given = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        return self.say(given, options.get("response_model"))


def fake(say: Any, **more: Any) -> Fake:
    return Fake(model="fake-1", provider="fake", say=say, **more)


def call_of(name: str, **arguments: Any) -> list[Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return [{"id": "c", "type": "function", "function": function}]


def last(messages: Any) -> str:
    return str(messages[-1]["content"])


def worker(llm: Fake, role: str = "writer", **more: Any) -> Agent:
    return Agent(role=role, goal="Write", backstory="Writes", llm=llm, **more)


# A review: the agent works again with the words of a human.
def draft(messages: Any, _: Any) -> str:
    return f"draft {sum('shorter' in str(message['content']) for message in messages)}"


reviewed = Crew(
    agents=[one := worker(fake(draft))],
    tasks=[Task(description="Write on {topic}", expected_output="A text", agent=one, human_input=True)],
)


# Tasks side by side, and one that reads both.
def about(messages: Any, _: Any) -> str:
    text = json.dumps(messages)
    if "Join" in text:
        return "a and b" if "wrote A" in text and "wrote B" in text else "something is missing"
    return "wrote A" if "Write A" in text else "wrote B"


sides = [worker(fake(about, delay=0.3), role) for role in ("left", "right", "joiner")]
left = Task(name="left", description="Write A", expected_output="A", agent=sides[0], async_execution=True)
right = Task(name="right", description="Write B", expected_output="B", agent=sides[1], async_execution=True)
join = Task(name="join", description="Join", expected_output="Both", agent=sides[2], context=[left, right])
fan = Crew(agents=sides, tasks=[left, right, join])


class City(BaseModel):
    name: str
    degrees: int


def city(messages: Any, response_model: Any) -> Any:
    return json.dumps({"name": "Ulm", "degrees": 7})


@CrewBase
class Typed:
    """Finds a city."""

    agents_config: Any = None
    tasks_config: Any = None

    @agent
    def finder(self) -> Agent:
        return worker(fake(city))

    @task
    def find(self) -> Task:
        return Task(description="Find {name}", expected_output="A city", agent=self.finder(), output_pydantic=City)

    @crew
    def crew(self) -> Crew:
        return Crew(agents=self.agents, tasks=self.tasks, process=Process.sequential)


# Tools: one that fails, one with a step inside, and calls that are written as text.
@tool
def breaks(order: int) -> str:
    """Breaks."""
    raise ValueError(f"no order {order}")


@tool
def steps(order: int) -> dict[str, int]:
    """Counts."""
    return {"order": order, "sum": current().step("sum", lambda: order + 1)}


def uses(messages: Any, _: Any) -> Any:
    answers = [message for message in messages if message["role"] == "tool"]
    if len(answers) == 2:
        return " | ".join(str(answer["content"]) for answer in answers)
    return call_of("breaks", order=3) if not answers else call_of("steps", order=4)


tools = Crew(
    agents=[two := worker(fake(uses), tools=[breaks, steps])],
    tasks=[Task(description="Go", expected_output="It", agent=two)],
)


def writes(messages: Any, _: Any) -> str:
    text = json.dumps(messages)
    if "Observation" in last(messages) or "'sum': 5" in text or '\\"sum\\": 5' in text:
        return f"Thought: I now know the final answer\nFinal Answer: {'five' if 'sum' in text and '5' in text else 'none'}"
    return 'Thought: I count\nAction: steps\nAction Input: {"order": 4}'


texts = Crew(
    agents=[three := worker(fake(writes, native=False), tools=[steps])],
    tasks=[Task(description="Go", expected_output="It", agent=three)],
)


# Many answers, each of which takes a while.
@tool
def slow(order: int) -> str:
    """Writes into the world."""
    time.sleep(0.2)
    world("tool")
    return f"done {order}"


def patiently(messages: Any, _: Any) -> Any:
    answers = sum(message["role"] == "tool" for message in messages)
    return "ready" if answers == 2 else call_of("slow", order=answers)


patient = Crew(
    agents=[four := worker(fake(patiently, delay=0.3), tools=[slow])],
    tasks=[Task(description="Go", expected_output="It", agent=four)],
)


class Trip(BaseModel):
    to: str = ""
    parts: list[str] = []


class Asyncable(Fake):
    async def acall(self, messages: Any, *args: Any, **options: Any) -> Any:
        return self.call(messages)


asyncable = Asyncable(model="fake-2", provider="fake", say=lambda messages, _: "ideas")


class Travel(Flow[Trip]):
    """Plans a trip."""

    @start()
    def who(self) -> str:
        return str(self.ask("Your name?"))

    @start()
    async def ideas(self) -> str:
        self.state.parts.append(str(await asyncable.acall([{"role": "user", "content": f"ideas for {self.state.to}"}])))
        self.state.parts.append((await fan.copy().akickoff()).raw)
        return "had"

    @listen(and_(who, ideas))
    def prepare(self) -> None:
        self.state.parts.extend(one.copy().kickoff().raw for one in (fan, tools, texts))
        self.state.parts.append(reviewed.copy().kickoff(inputs={"topic": "cats"}).raw)

    @listen(prepare)
    @human_feedback(message="Good?", emit=["book", "drop"], llm=fake(lambda messages, _: '{"outcome": "book"}'))
    def plan(self) -> str:
        return f"a trip to {self.state.to}"

    @listen("book")
    def booked(self, result: Any) -> Any:
        return {"plan": result.output, "feedback": result.feedback, "parts": self.state.parts, "pid": os.getpid()}

    @listen("drop")
    def dropped(self) -> str:
        return "dropped"
