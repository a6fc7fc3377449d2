"""Uses an MCP server with FastMCP and prints what it saw as one line of JSON."""

import asyncio
import json
import sys

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport


async def main(url: str, key: str) -> dict:
    asked = []

    async def decide(message, response_type, params, context):
        asked.append(message)
        return {"decision": "approve"}

    def transport(token: str) -> StreamableHttpTransport:
        return StreamableHttpTransport(url, headers={"x-api-key": token})

    async with Client(transport(key), elicitation_handler=decide) as client:
        tools = await client.list_tools()
        found = await client.call_tool("find_order", {"orderId": 1001})
        failed = await client.call_tool("find_order", {"orderId": 1}, raise_on_error=False)
        refunded = await client.call_tool("refund_order", {"orderId": 1001, "amount": 1})
        page = await client.read_resource("handbook://returns")
        prompt = await client.get_prompt("triage", {"severity": "high"})
        saw = {
            "tools": [tool.name for tool in tools],
            "found": found.structured_content,
            "failed": [failed.is_error, failed.content[0].text],
            "refunded": refunded.structured_content,
            "asked": asked,
            "resource": page[0].text,
            "prompt": prompt.messages[0].content.text,
        }
    try:
        async with Client(transport("wrong")) as client:
            await client.list_tools()
        saw["refused"] = ""
    except Exception as error:
        saw["refused"] = str(error)
    return saw


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
