"""fastmcp's client: legacy by choice, and auto, which must find 2026-07-28. Needs requirements-fastmcp.txt."""

import os

# It looks for a newer version of itself online otherwise.
os.environ["FASTMCP_CHECK_FOR_UPDATES"] = "off"

from contextlib import asynccontextmanager

from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from mcp.client.subscriptions import listen

import exercises


class Peer:
    def __init__(self, client, notifications):
        self.client = client
        self.session = Mcp(client)
        self.version = client.session.protocol_version
        self.notifications = notifications

    async def call(self, name, arguments, progress=None):
        return await self.client.call_tool_mcp(name, arguments, progress_handler=progress)

    def listen(self, **wanted):
        # fastmcp has no call for it; the session below it has.
        return listen(self.client.session, **wanted)


class Mcp:
    """fastmcp's own methods under the names of the SDK's; its `_mcp` ones give the protocol's results."""

    def __init__(self, client):
        self.list_tools = client.list_tools_mcp
        self.list_prompts = client.list_prompts_mcp
        self.list_resources = client.list_resources_mcp
        self.list_resource_templates = client.list_resource_templates_mcp
        self.get_prompt = client.get_prompt_mcp
        self.read_resource = client.read_resource_mcp
        self.subscribe_resource = client.session.subscribe_resource
        self.unsubscribe_resource = client.session.unsubscribe_resource


async def elicit(message, response_type, params, context):
    return exercises.form_answer(params.requested_schema)


def connect(url, era, seen):
    return connected(StreamableHttpTransport(url, httpx_client_factory=seen.http_client), era)


def connect_stdio(command, era, seen):
    # Without `keep_alive=False` it leaves the command running for a next client.
    return connected(StdioTransport(command[0], command[1:], keep_alive=False), era)


@asynccontextmanager
async def connected(transport, era):
    notifications = []

    async def note(message):
        notifications.append(getattr(message, "method", None))

    client = Client(
        transport,
        mode=era,
        sampling_handler=exercises.answer_sampling,
        elicitation_handler=elicit,
        roots=["file:///srv/example"],
        message_handler=note,
    )
    async with client:
        yield Peer(client, notifications)


if __name__ == "__main__":
    exercises.main("fastmcp", connect, connect_stdio=connect_stdio)
