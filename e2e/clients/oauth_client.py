"""The client of the Python SDK with its own OAuth: oauth_client.py URL --ca FILE [--over SECONDS]. Prints one JSON line.

With --over it calls once more when its token has been over for so many seconds.
"""

import argparse
import asyncio
import base64
import json
import ssl
import time
import traceback
from urllib.parse import parse_qs, urlparse

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

CALLBACK = "http://127.0.0.1:9/callback"


class Storage:
    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Person:
    """Follows the authorization server's pages to the code at the redirect URI."""

    visits = 0

    async def redirect(self, url):
        self.visits += 1
        async with httpx2.AsyncClient() as http:
            for _ in range(20):
                answer = await http.get(url, follow_redirects=False)
                if "location" not in answer.headers:
                    raise RuntimeError(f"{url}: {answer.status_code} {answer.text[:300]}")
                url = str(answer.url.join(answer.headers["location"]))
                if url.startswith(CALLBACK):
                    self.query = parse_qs(urlparse(url).query)
                    return
        raise RuntimeError("too many redirects")

    async def callback(self):
        one = lambda name: self.query.get(name, [None])[0]
        return AuthorizationCodeResult(code=one("code"), state=one("state"), iss=one("iss"))


def end(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]


async def run(url, ca, over):
    person, storage = Person(), Storage()
    metadata = OAuthClientMetadata(
        client_name="palisade-e2e",
        redirect_uris=[CALLBACK],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",
        application_type="native",
        scope="mcp:read",
    )
    auth = OAuthClientProvider(url, metadata, storage, person.redirect, person.callback)
    context = ssl.create_default_context(cafile=ca)
    passed = []
    async with httpx2.AsyncClient(auth=auth, verify=context, timeout=30) as http:
        async with Client(streamable_http_client(url, http_client=http), mode="legacy") as client:
            passed.append("token")
            tools = await client.list_tools()
            assert any(tool.name == "echo" for tool in tools.tools), tools

            async def call():
                result = await client.call_tool("echo", {"message": "hi"})
                assert "hi" in str(result.content), result

            await call()
            passed.append("call")
            if over:
                first, visits = storage.tokens.access_token, person.visits
                await asyncio.sleep(max(end(first) + over - time.time(), 0))
                await call()
                fresh = storage.tokens.access_token
                assert fresh != first, "the token is the same"
                assert person.visits == visits, "a person was asked again"
                # What is over is over for everybody.
                async with httpx2.AsyncClient(verify=context, timeout=30) as plain:
                    for token, refused in [(first, True), (fresh, False)]:
                        answer = await plain.get(url, headers={"authorization": f"Bearer {token}", "accept": "text/html"})
                        assert (answer.status_code == 401) == refused, answer
                passed.append("over")
    return passed


parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("--ca", required=True)
parser.add_argument("--over", type=float, default=0)
arguments = parser.parse_args()
try:
    print(json.dumps({"passed": asyncio.run(run(arguments.url, arguments.ca, arguments.over)), "failed": []}))
except BaseException:
    print(json.dumps({"passed": [], "failed": [traceback.format_exc()]}))
    raise SystemExit(1)
