"""The crew of the conformance kit as a factory: its model and its tools are those of the app."""

from crewai import Agent, Crew, Task
from fastagentic import Runtime


def crew(rt: Runtime) -> Crew:
    """Plays."""
    clerk = Agent(role="clerk", goal="Help", backstory="A shop", llm=rt.model().crewai(), tools=rt.tools.crewai())
    task = Task(description='Answer: the question is "{question}"', expected_output="An answer", agent=clerk)
    return Crew(agents=[clerk], tasks=[task])
