"""An MCP server on fastmcp, on standard streams: the part of `fixtures.json` that the exercises of `clients` need.

    server.py

Needs requirements-fastmcp.txt. It knows no rounds of 2026-07-28: what it asks, it asks in the middle of a call.
"""

import json
import os
from dataclasses import dataclass

# It looks for a newer version of itself online otherwise.
os.environ["FASTMCP_CHECK_FOR_UPDATES"] = "off"

import mcp_types as types
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError

mcp = FastMCP("palisade-e2e-fastmcp", version="1.0.0")


@dataclass
class Who:
    username: str


@mcp.tool
def echo(message: str) -> str:
    return message


@mcp.tool
def test_error_handling() -> str:
    raise ToolError("This tool intentionally returns an error for testing")


@mcp.tool
async def test_tool_with_progress(ctx: Context) -> str:
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100)
    return "done"


@mcp.tool
async def test_sampling(prompt: str, ctx: Context) -> str:
    message = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=prompt))
    # fastmcp has no call for it; the session below it has.
    answer = await ctx.session.create_message([message], max_tokens=100, related_request_id=ctx.request_id)
    return f"LLM response: {answer.content.text}"


@mcp.tool
async def test_elicitation(message: str, ctx: Context) -> str:
    answer = await ctx.elicit(message, response_type=Who)
    return f"User response: {answer.data.username}" if answer.action == "accept" else answer.action


@mcp.prompt
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@mcp.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:
    return json.dumps({"id": id})


if __name__ == "__main__":
    mcp.run(transport="stdio", show_banner=False)
