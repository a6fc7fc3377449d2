import json
from typing import Any

import play
from fastagentic import Run


async def agent(question: str, run: Run) -> str:
    """Plays."""
    answers = 0
    while True:
        turn = await run.step(f"model {answers}", play.answer, answers, json.dumps(question))
        answers += 1
        for text in turn["texts"]:
            await run.emit(text)
        for call in turn["calls"]:
            if call["name"] == "pay":
                await run.interrupt("pay", Any)
            await run.step(call["id"], play.work, call["name"], call["args"])
        if not turn["calls"]:
            return "".join(turn["texts"])
