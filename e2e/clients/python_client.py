"""The client of the Python SDK, `mcp`: legacy by choice, and auto, which must find 2026-07-28."""

from contextlib import asynccontextmanager

import mcp_types as types
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

import exercises


class Peer:
    def __init__(self, client, notifications):
        # The client itself has the methods of a session, and drives the rounds of 2026-07-28 besides.
        self.session = client
        self.version = client.protocol_version
        self.notifications = notifications
        self.listen = client.listen

    async def call(self, name, arguments, progress=None):
        return await self.session.call_tool(name, arguments, progress_callback=progress)


async def elicit(context, params):
    return types.ElicitResult(action="accept", content=exercises.form_answer(params.requested_schema))


async def roots(context):
    return types.ListRootsResult(roots=[types.Root(uri="file:///srv/example", name="example")])


@asynccontextmanager
async def connected(transport, era):
    notifications = []

    async def note(message):
        notifications.append(getattr(message, "method", None))

    client = Client(
        transport,
        mode=era,
        sampling_callback=exercises.answer_sampling,
        elicitation_callback=elicit,
        list_roots_callback=roots,
        message_handler=note,
    )
    async with client:
        yield Peer(client, notifications)


@asynccontextmanager
async def connect(url, era, seen):
    async with seen.http_client() as http_client:
        async with connected(streamable_http_client(url, http_client=http_client), era) as peer:
            yield peer


@asynccontextmanager
async def connect_sse(url, era, seen):
    async with connected(sse_client(url, httpx_client_factory=seen.http_client), era) as peer:
        yield peer


@asynccontextmanager
async def connect_stdio(command, era, seen):
    parameters = StdioServerParameters(command=command[0], args=command[1:])
    async with connected(stdio_client(parameters), era) as peer:
        yield peer


if __name__ == "__main__":
    exercises.main("python", connect, connect_sse, connect_stdio)
