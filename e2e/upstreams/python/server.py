"""An MCP server on the Python SDK, for the end-to-end tests.

    server.py PORT [sse]    binds 127.0.0.1; PORT 0 takes a free one; sse: HTTP+SSE as of 2024-11-05
    server.py stdio         speaks on its standard streams

By HTTP it prints one JSON line, {"port": N, "url": "http://127.0.0.1:N/mcp"}, when it is ready (sse: the URL ends after the port;
the stream is /sse, messages go to /messages/); ends on SIGTERM.
What it offers stands in ../fixtures.json, which the rmcp server reads too. Transport, sessions, sealing
of request states, Host and Origin checks are the SDK's own, with its defaults for a loopback address.
"""

import asyncio
import json
import re
import socket
import sys
import warnings
from pathlib import Path

import mcp_types as types
import uvicorn
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.mcpserver import MCPServer
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourceUpdated,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError

# Sampling, logging and roots are deprecated from 2026-07-28 on; serving both eras is what this server is for.
warnings.simplefilter("ignore", MCPDeprecationWarning)

FIXTURES = json.loads((Path(__file__).parent.parent / "fixtures.json").read_text())
TOOLS = {entry["tool"]["name"]: entry for entry in FIXTURES["tools"]}
PROMPTS = {entry["prompt"]["name"]: entry for entry in FIXTURES["prompts"]}
RESOURCES = {entry["resource"]["uri"]: entry for entry in FIXTURES["resources"]}

MODERN = "2026-07-28"
LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
WATCHED = "test://watched-resource"

bus = InMemorySubscriptionBus()
slow_outcomes: dict[str, str] = {}
log_levels: dict[str, int] = {}
subscriptions: dict[str, set[str]] = {}


class Events(EventStore):
    """Every event sent so far, by stream: what `Last-Event-ID` resumes from."""

    def __init__(self) -> None:
        self.streams: list[str] = []
        self.messages: list[types.JSONRPCMessage | None] = []

    async def store_event(self, stream_id: str, message: types.JSONRPCMessage | None) -> str:
        self.streams.append(stream_id)
        self.messages.append(message)
        return str(len(self.streams) - 1)

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        if not last_event_id.isdigit() or int(last_event_id) >= len(self.streams):
            return None
        last = int(last_event_id)
        stream = self.streams[last]
        for index in range(last + 1, len(self.streams)):
            message = self.messages[index]
            if self.streams[index] == stream and message is not None:
                await send_callback(EventMessage(message, str(index)))
        return stream


# --- tools


async def list_tools(ctx, params):
    return {"tools": [entry["tool"] for entry in FIXTURES["tools"]]}


async def call_tool(ctx, params):
    entry = TOOLS.get(params.name)
    if entry is None:
        raise MCPError(types.INVALID_PARAMS, f"unknown tool: {params.name}")
    arguments = params.arguments or {}
    for name in entry["tool"]["inputSchema"].get("required", []):
        if name not in arguments:
            raise MCPError(types.INVALID_PARAMS, f"{params.name} needs the argument `{name}`")
    if "result" in entry:
        return entry["result"]
    if "rounds" in entry:
        asked = rounds(ctx, entry)
        return asked if isinstance(asked, dict) else text(fill(entry["reply"], shown(asked)))
    if "elicit" in entry:
        return await elicit(ctx, entry, arguments)
    return await BY_HAND[params.name](ctx, **arguments)


def text(line, *, failed=False):
    return {"content": [{"type": "text", "text": line}], "isError": failed}


def fill(template, values):
    """Puts each value in the place of its `{name}`; other braces stay."""
    return re.sub(r"\{(\w+)\}", lambda m: str(values.get(m[1], m[0])), template)


async def elicit(ctx, entry, arguments):
    wanted = entry["elicit"]
    try:
        answer = await ctx.session.elicit_form(
            arguments.get("message", wanted["message"]), wanted["requestedSchema"], ctx.request_id
        )
    except Exception as error:
        return text(f"the client did not answer: {error}", failed=True)
    return text(f"{entry['reply']}: action={answer.action}, content={json.dumps(answer.content)}")


async def echo(ctx, message):
    return text(message)


async def request_headers(ctx):
    return text(json.dumps(dict(ctx.request.headers) if ctx.request else {}))


async def slow(ctx, label, seconds):
    slow_outcomes[label] = "running"
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        slow_outcomes[label] = "cancelled"
        raise
    slow_outcomes[label] = "finished"
    return text(f"waited {seconds} s")


async def slow_outcome(ctx, label):
    return text(slow_outcomes.get(label, "unknown"))


async def log(ctx, line):
    # From 2026-07-28 on the SDK sends what the request's own `_meta` opts into; before, `logging/setLevel` decides.
    if LEVELS.index("info") >= log_levels.get(session_id(ctx), 0):
        await ctx.session.send_log_message("info", line, related_request_id=ctx.request_id)


async def with_logging(ctx):
    await log(ctx, "Tool execution started")
    await asyncio.sleep(0.05)
    await log(ctx, "Tool processing data")
    await asyncio.sleep(0.05)
    await log(ctx, "Tool execution completed")
    return text("Tool with logging executed")


async def one_log(ctx):
    await log(ctx, "One message")
    return text("One message was logged, if asked for")


async def with_progress(ctx):
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100, f"{done} of 100")
        await asyncio.sleep(0.05)
    return text("Tool with progress executed")


async def sampling(ctx, prompt):
    question = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=prompt))
    try:
        answer = await ctx.session.create_message([question], max_tokens=100, related_request_id=ctx.request_id)
    except Exception as error:
        return text(f"the client did not answer: {error}", failed=True)
    return text(f"LLM response: {answer.content.text}")


async def reconnection(ctx):
    await log(ctx, "Before the stream closes")
    if ctx.close_sse_stream is not None:
        await ctx.close_sse_stream()
    await asyncio.sleep(0.3)
    await log(ctx, "After the stream closed")
    return text("Reconnection test completed")


async def change(ctx, event, notification):
    """Announces a change in the way of the caller's era."""
    if ctx.protocol_version >= MODERN:
        await bus.publish(event)
    else:
        await ctx.session.send_notification(notification)
    return text("announced")


async def tool_change(ctx):
    return await change(ctx, ToolsListChanged(), types.ToolListChangedNotification())


async def prompt_change(ctx):
    return await change(ctx, PromptsListChanged(), types.PromptListChangedNotification())


async def resource_update(ctx):
    if ctx.protocol_version < MODERN and WATCHED not in subscriptions.get(session_id(ctx), ()):
        return text("nobody subscribed")
    params = types.ResourceUpdatedNotificationParams(uri=WATCHED)
    return await change(ctx, ResourceUpdated(uri=WATCHED), types.ResourceUpdatedNotification(params=params))


BY_HAND = {
    "echo": echo,
    "request_headers": request_headers,
    "slow": slow,
    "slow_outcome": slow_outcome,
    "test_tool_with_logging": with_logging,
    "test_logging_tool": one_log,
    "test_tool_with_progress": with_progress,
    "test_sampling": sampling,
    "test_reconnection": reconnection,
    "test_trigger_tool_change": tool_change,
    "test_trigger_prompt_change": prompt_change,
    "test_trigger_resource_update": resource_update,
}


# --- several rounds (SEP-2322)

NEEDS = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}


def rounds(ctx, entry):
    """The next `input_required` result (a dict), or, when every round is answered, the list of answers.

    Only what the caller's capabilities allow is asked; a round of which nothing is left is refused.
    """
    if ctx.protocol_version < MODERN:
        raise MCPError(types.INVALID_REQUEST, f"several rounds exist from {MODERN} on")
    params = ctx.params or {}
    given = params.get("inputResponses")
    state = params.get("requestState")
    # The SDK has opened the seal: what it did not seal itself never gets here.
    answers = json.loads(state) if state else []
    capabilities = ctx.session.client_capabilities
    for index in range(len(answers), len(entry["rounds"])):
        asked = entry["rounds"][index]
        allowed = {
            key: request
            for key, request in asked.items()
            if getattr(capabilities, NEEDS[request["method"]], None) is not None
        }
        if not allowed:
            missing = {NEEDS[request["method"]]: {} for request in asked.values()}
            raise MCPError(
                types.MISSING_REQUIRED_CLIENT_CAPABILITY,
                f"this needs the client capabilities {', '.join(sorted(missing))}",
                {"requiredCapabilities": missing},
            )
        if isinstance(given, dict) and all(valid(request, given.get(key)) for key, request in allowed.items()):
            answers.append({key: given[key] for key in allowed})
            given = None
            continue
        result = {"resultType": "input_required", "inputRequests": allowed}
        if entry["state"]:
            result["requestState"] = json.dumps(answers)
        return result
    return answers


def valid(request, answer):
    """Whether an answer has the form its request asks for."""
    if not isinstance(answer, dict):
        return False
    match request["method"]:
        case "elicitation/create":
            if answer.get("action") != "accept":
                return answer.get("action") in ("decline", "cancel")
            wanted = request["params"]["requestedSchema"].get("required", [])
            content = answer.get("content")
            return isinstance(content, dict) and all(name in content for name in wanted)
        case "sampling/createMessage":
            return isinstance(answer.get("content"), dict | list)
        case _:
            return isinstance(answer.get("roots"), list)


def shown(answers):
    """The answers of all rounds as short texts, by key."""
    found = {}
    for key, answer in (item for answered in answers for item in answered.items()):
        if "roots" in answer:
            found[key] = ", ".join(root.get("uri", "?") for root in answer["roots"])
        elif "action" in answer:
            content = (answer.get("content") or {}).values()
            found[key] = ", ".join(map(str, content)) or answer["action"]
        else:
            content = answer["content"]
            blocks = content if isinstance(content, list) else [content]
            found[key] = " ".join(block.get("text", "") for block in blocks)
    return found


# --- prompts, resources, completion, logging


async def list_prompts(ctx, params):
    return {"prompts": [entry["prompt"] for entry in FIXTURES["prompts"]]}


async def get_prompt(ctx, params):
    entry = PROMPTS.get(params.name)
    if entry is None:
        raise MCPError(types.INVALID_PARAMS, f"unknown prompt: {params.name}")
    values = params.arguments or {}
    for argument in entry["prompt"].get("arguments", []):
        if argument["required"] and argument["name"] not in values:
            raise MCPError(types.INVALID_PARAMS, f"{params.name} needs the argument `{argument['name']}`")
    if "rounds" in entry:
        asked = rounds(ctx, entry)
        if isinstance(asked, dict):
            return asked
        values = shown(asked)
    return {"messages": filled(entry["messages"], values)}


def filled(value, values):
    """`fill` in every string of a JSON value."""
    if isinstance(value, dict):
        return {key: filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, values) for item in value]
    return fill(value, values) if isinstance(value, str) else value


async def list_resources(ctx, params):
    return {"resources": [entry["resource"] for entry in FIXTURES["resources"]]}


async def list_templates(ctx, params):
    return {"resourceTemplates": [entry["template"] for entry in FIXTURES["templates"]]}


async def read_resource(ctx, params):
    uri = str(params.uri)
    entry = RESOURCES.get(uri)
    if entry is not None:
        body = {key: entry[key] for key in ("text", "blob") if key in entry}
        return {"contents": [{"uri": uri, "mimeType": entry["resource"]["mimeType"], **body}]}
    for entry in FIXTURES["templates"]:
        template = entry["template"]
        before, after = template["uriTemplate"].split("{id}")
        found = re.fullmatch(re.escape(before) + r"([^/]+)" + re.escape(after), uri)
        if found:
            body = fill(entry["text"], {"id": found[1]})
            return {"contents": [{"uri": uri, "mimeType": template["mimeType"], "text": body}]}
    code = types.INVALID_PARAMS if ctx.protocol_version >= MODERN else -32002
    raise MCPError(code, "Resource not found", {"uri": uri})


async def subscribe(ctx, params):
    subscriptions.setdefault(session_id(ctx), set()).add(str(params.uri))
    return {}


async def unsubscribe(ctx, params):
    subscriptions.get(session_id(ctx), set()).discard(str(params.uri))
    return {}


async def complete(ctx, params):
    known = FIXTURES["completions"].get(params.argument.name, [])
    values = [value for value in known if value.startswith(params.argument.value)]
    return {"completion": {"values": values, "total": len(values), "hasMore": False}}


async def set_level(ctx, params):
    log_levels[session_id(ctx)] = LEVELS.index(params.level)
    return {}


def session_id(ctx):
    # On standard streams there is one session, without a name.
    return ctx.request.headers.get("mcp-session-id", "") if ctx.request else ""


# --- the server


class Peer(Server):
    """The SDK leaves it to the caller to say which lists may change; over HTTP it asks with this method."""

    def create_initialization_options(self, notification_options=None, *rest, **named):
        changes = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
        return super().create_initialization_options(notification_options or changes, *rest, **named)


def answering(model, handler):
    """`handler` with its plain dict made into the SDK's result, which the SDK completes for the caller's era."""

    async def answer(ctx, params):
        result = await handler(ctx, params)
        asks = result.get("resultType") == "input_required"
        return (types.InputRequiredResult if asks else model).model_validate(result)

    return answer


class Announced(uvicorn.Server):
    """Says on stdout where it listens, once it does."""

    def __init__(self, config, path):
        super().__init__(config)
        self.path = path

    async def startup(self, sockets=None):
        await super().startup(sockets=sockets)
        port = sockets[0].getsockname()[1]
        print(json.dumps({"port": port, "url": f"http://127.0.0.1:{port}{self.path}"}), flush=True)


def sse_app(server):
    """The SDK's own routes for HTTP+SSE; it has them for its other server class only."""
    other = MCPServer(server.name)
    other._lowlevel_server = server
    return other.sse_app()


async def serve_streams(server):
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def main():
    by_streams = sys.argv[1:] == ["stdio"]
    by_http = sys.argv[1:] and sys.argv[1].isdigit() and sys.argv[2:] in ([], ["sse"])
    if not by_streams and not by_http:
        sys.exit("usage: server.py PORT [sse] | server.py stdio (PORT 0 takes a free one)")
    server = Peer(
        "palisade-e2e-python",
        version="1.0.0",
        get_tool_input_schema=lambda name: TOOLS[name]["tool"]["inputSchema"] if name in TOOLS else None,
        on_list_tools=answering(types.ListToolsResult, list_tools),
        on_call_tool=answering(types.CallToolResult, call_tool),
        on_list_prompts=answering(types.ListPromptsResult, list_prompts),
        on_get_prompt=answering(types.GetPromptResult, get_prompt),
        on_list_resources=answering(types.ListResourcesResult, list_resources),
        on_list_resource_templates=answering(types.ListResourceTemplatesResult, list_templates),
        on_read_resource=answering(types.ReadResourceResult, read_resource),
        on_subscribe_resource=answering(types.EmptyResult, subscribe),
        on_unsubscribe_resource=answering(types.EmptyResult, unsubscribe),
        on_subscriptions_listen=ListenHandler(bus),
        on_completion=answering(types.CompleteResult, complete),
        on_set_logging_level=answering(types.EmptyResult, set_level),
    )
    server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=server.name))
    if by_streams:
        return asyncio.run(serve_streams(server))
    if sys.argv[2:]:
        app, path = sse_app(server), ""
    else:
        app, path = server.streamable_http_app(event_store=Events(), retry_interval=100), "/mcp"
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(sys.argv[1])))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    Announced(config, path).run(sockets=[listener])


if __name__ == "__main__":
    main()
