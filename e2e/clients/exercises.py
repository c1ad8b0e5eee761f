"""What the Python clients are put through, the same for the SDK's client and fastmcp's, in both eras.

    CLIENT.py URL [--ca FILE] [--only EXERCISE]... [--sse] [--connect PALISADE]

--sse: by HTTP+SSE, as of 2024-11-05, for the client that has it; that knows no resumption and no end of a session.
--connect: by the standard streams of `PALISADE connect URL`; there the client sees no HTTP, and so none is asked for.
Prints one JSON line {"client", "url", "passed": [ERA/EXERCISE...], "failed": [{"exercise", "reason"}...]}; exit 0: all
passed; 1: some did not. Without --ca the machine's own roots count, and what SSL_CERT_FILE names.
"""

import argparse
import asyncio
import json
import logging
import os
import ssl
import sys
import time
import warnings

import httpx2
import mcp_types as types

WATCHED = "test://watched-resource"
LIMIT_S = 60
VERSIONS = {"legacy": "2025-11-25", "auto": "2026-07-28"}


class Seen:
    """Every HTTP exchange of a client so far, as (method, request headers, status)."""

    def __init__(self, ca, blind=False):
        self.ca = ca
        self.blind = blind
        self.exchanges = []

    def http_client(self, **options):
        """An HTTP client as the SDK makes it, watched, and trusting the test's CA."""
        options.setdefault("timeout", httpx2.Timeout(30, read=300))
        if self.ca:
            options["verify"] = ssl.create_default_context(cafile=self.ca)
        client = httpx2.AsyncClient(**options)
        client.event_hooks["response"].append(self.note)
        return client

    async def note(self, response):
        request = response.request
        self.exchanges.append((request.method, dict(request.headers), response.status_code))

    def of(self, method, header=None):
        return [found for found in self.exchanges if found[0] == method and (header is None or header in found[1])]


async def answer_sampling(*_):
    content = types.TextContent(type="text", text="Paris")
    return types.CreateMessageResult(role="assistant", model="test-model", stop_reason="endTurn", content=content)


def form_answer(schema):
    """Every property that a form asks for, answered with its own name."""
    return {name: f"my {name}" for name in schema["properties"]}


def text(result):
    return "".join(getattr(block, "text", "") for block in result.content)


# Each takes what `connect` gives: an object with `session` (the SDK's), `call`, `listen` and `version`.


async def list_(peer, seen):
    names = [tool.name for tool in (await peer.session.list_tools()).tools]
    assert "echo" in names, f"tools/list lacks echo: {names}"
    assert len((await peer.session.list_prompts()).prompts) == 5, "prompts/list has not 5 prompts"
    assert len((await peer.session.list_resources()).resources) == 3, "resources/list has not 3 resources"
    templates = (await peer.session.list_resource_templates()).resource_templates
    assert len(templates) == 1, "resources/templates/list has not 1 template"


async def call(peer, seen):
    message = 'Grüße, 世界 — "quoted"\n\U0001f600'
    assert text(await peer.call("echo", {"message": message})) == message, "echo changed the message"
    assert (await peer.call("test_error_handling", {})).is_error, "a failing tool was not reported as one"
    prompt = await peer.session.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
    assert "arg1='a', arg2='b'" in prompt.messages[0].content.text, "the prompt lost its arguments"
    read = await peer.session.read_resource("test://template/42/data")
    assert json.loads(read.contents[0].text)["id"] == "42", "the resource template lost its id"


async def progress(peer, seen):
    got = []

    async def note(done, total, message):
        got.append((done, total))

    await peer.call("test_tool_with_progress", {}, note)
    assert got == [(0, 100), (50, 100), (100, 100)], f"progress came as {got}"


async def sampling(peer, seen):
    if peer.version >= VERSIONS["auto"]:
        said = text(await peer.call("test_input_required_result_sampling", {}))
    else:
        said = text(await peer.call("test_sampling", {"prompt": "What is the capital of France?"}))
    assert said.endswith(": Paris"), f"the answer of the model came back as: {said}"


async def elicitation(peer, seen):
    if peer.version >= VERSIONS["auto"]:
        said, wanted = text(await peer.call("test_input_required_result_elicitation", {})), "my name"
    else:
        said, wanted = text(await peer.call("test_elicitation", {"message": "Who are you?"})), "my username"
    assert wanted in said, f"the answer of the user came back as: {said}"


async def rounds(peer, seen):
    said = text(await peer.call("test_input_required_result_multi_round", {}))
    assert said == "my name likes my color", f"two rounds came back as: {said}"


async def cancellation(peer, seen):
    label = f"{peer.version}-{os.getpid()}-{time.monotonic_ns()}"

    async def outcome(wanted):
        return text(await peer.call("slow_outcome", {"label": label})) == wanted

    slow = asyncio.create_task(peer.call("slow", {"label": label, "seconds": 20}))
    await until("the call runs", lambda: outcome("running"))
    slow.cancel()
    await asyncio.wait([slow])
    assert slow.cancelled(), "the cancelled call was answered"
    await until("the server notices the cancellation", lambda: outcome("cancelled"))


async def subscription(peer, seen):
    if peer.version >= VERSIONS["auto"]:
        got = set()
        async with peer.listen(tools_list_changed=True, resource_subscriptions=[WATCHED]) as events:
            for what in ("prompt_change", "tool_change", "resource_update"):
                await peer.call(f"test_trigger_{what}", {})
            async for event in events:
                got.add(type(event).__name__)
                if len(got) == 2:
                    break
        assert got == {"ToolsListChanged", "ResourceUpdated"}, f"the changes came as {got}"
        return
    await until("the GET stream opens", lambda: ready(seen.blind or seen.of("GET")))
    await peer.session.subscribe_resource(WATCHED)
    await peer.call("test_trigger_tool_change", {})
    await peer.call("test_trigger_resource_update", {})
    wanted = {"notifications/tools/list_changed", "notifications/resources/updated"}
    await until("both changes arrive", lambda: ready(wanted <= set(peer.notifications)))
    await peer.session.unsubscribe_resource(WATCHED)


async def resumption(peer, seen):
    said = text(await peer.call("test_reconnection", {}))
    assert said == "Reconnection test completed", f"the resumed call answered: {said}"
    if seen.blind:
        return
    resumed = seen.of("GET", "last-event-id")
    assert resumed, "the stream was not resumed by Last-Event-ID"
    assert all(status == 200 for *_, status in resumed), f"resuming was refused: {resumed}"


async def session_end(seen, url):
    """After the client has closed: it has ended its session, and the server knows it no more."""
    ended = seen.of("DELETE", "mcp-session-id")
    assert ended and ended[0][2] < 300, f"the session was not ended: {ended}"
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-session-id": ended[0][1]["mcp-session-id"],
        "mcp-protocol-version": VERSIONS["legacy"],
    }
    async with seen.http_client() as client:
        after = await client.post(url, headers=headers, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert after.status_code == 404, f"the ended session was answered {after.status_code}"


BOTH = [list_, call, progress, sampling, elicitation, cancellation, subscription]
EXERCISES = {"legacy": [*BOTH, resumption], "auto": [*BOTH, rounds]}


async def ready(value):
    return value


async def until(what, probe, limit=20):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if await probe():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"did not come about in {limit} s: {what}")


def main(name, connect, connect_sse=None, connect_stdio=None):
    """`connect(url, era, seen)` is an async context manager that gives a peer; for `connect_stdio`, the URL is a command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--ca")
    parser.add_argument("--only", action="append")
    parser.add_argument("--sse", action="store_true")
    parser.add_argument("--connect")
    options = parser.parse_args()
    if options.sse and connect_sse is None:
        parser.error(f"{name} has no --sse")
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    options.target = options.url
    if options.connect:
        connect = connect_stdio
        ca = ["--ca", options.ca] if options.ca else []
        options.target = [options.connect, "connect", options.url, *ca]
    report = asyncio.run(run(connect_sse if options.sse else connect, options))
    print(json.dumps({"client": name, "url": options.url, **report}))
    sys.exit(1 if report["failed"] or not report["passed"] else 0)


async def run(connect, options):
    report = {"passed": [], "failed": []}

    async def attempt(title, exercise):
        if options.only and title not in options.only and title.split("/")[1] not in options.only:
            return
        try:
            await asyncio.wait_for(exercise(), LIMIT_S)
            report["passed"].append(title)
        except Exception as error:
            report["failed"].append({"exercise": title, "reason": reason(error)})

    for era, exercises in {"legacy": BOTH}.items() if options.sse else EXERCISES.items():
        for exercise in exercises:

            async def connected(exercise=exercise, era=era):
                seen = Seen(options.ca, blind=bool(options.connect))
                async with connect(options.target, era, seen) as peer:
                    assert peer.version == VERSIONS[era], f"{VERSIONS[era]} was to be negotiated, not {peer.version}"
                    await exercise(peer, seen)

            await attempt(f"{era}/{exercise.__name__.strip('_')}", connected)

    async def ended():
        seen = Seen(options.ca)
        async with connect(options.url, "legacy", seen):
            pass
        await session_end(seen, options.url)

    if not options.sse and not options.connect:
        await attempt("legacy/session_end", ended)
    return report


def reason(error):
    """The innermost of what went wrong: task groups wrap it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError) and not str(error):
        return f"took more than {LIMIT_S} s"
    return f"{type(error).__name__}: {error}"
