"""A flow that is no agent, because it is an instance."""

from crewai import Flow
from crewai.flow.flow import start


class Once(Flow[dict[str, str]]):
    @start()
    def begin(self) -> str:
        return "begun"


instance = Once()
