"""Uses an MCP server with the official Python client and prints what it saw as one line of JSON."""

import asyncio
import json
import sys

import httpx2
from mcp import types
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client


async def main(url: str, key: str) -> dict:
    asked = []

    async def decide(context, params):
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"decision": "approve"})

    def transport(token: str):
        return streamable_http_client(url, http_client=httpx2.AsyncClient(headers={"x-api-key": token}))

    async with Client(transport(key), elicitation_callback=decide) as client:
        tools = (await client.list_tools()).tools
        found = await client.call_tool("find_order", {"orderId": 1001})
        failed = await client.call_tool("find_order", {"orderId": 1})
        refunded = await client.call_tool("refund_order", {"orderId": 1001, "amount": 1})
        page = await client.read_resource("handbook://returns")
        prompt = await client.get_prompt("triage", {"severity": "high"})
        saw = {
            "tools": [tool.name for tool in tools],
            "found": found.structured_content,
            "failed": [failed.is_error, failed.content[0].text],
            "refunded": refunded.structured_content,
            "asked": asked,
            "resource": page.contents[0].text,
            "prompt": prompt.messages[0].content.text,
        }
    try:
        async with Client(transport("wrong")) as client:
            await client.list_tools()
        saw["refused"] = ""
    except BaseException as error:
        saw["refused"] = repr(error)
    return saw


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
