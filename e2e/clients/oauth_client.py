"""The client of the Python SDK with its own OAuth: oauth_client.py URL --ca FILE. Prints one JSON line."""

import argparse
import asyncio
import json
import ssl
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

    async def redirect(self, url):
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


async def run(url, ca):
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
            result = await client.call_tool("echo", {"message": "hi"})
            assert "hi" in str(result.content), result
            passed.append("call")
    return passed


parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("--ca", required=True)
arguments = parser.parse_args()
try:
    print(json.dumps({"passed": asyncio.run(run(arguments.url, arguments.ca)), "failed": []}))
except BaseException:
    print(json.dumps({"passed": [], "failed": [traceback.format_exc()]}))
    raise SystemExit(1)
