"""A registry for npm and an index for uv, on loopback, with one package each whose program is an MCP server.

Writes its port to standard output.
"""

import base64
import hashlib
import http.server
import io
import json
import tarfile
import zipfile

JAVASCRIPT = """#!/usr/bin/env node
require('readline').createInterface({ input: process.stdin }).on('line', line => {
  const { id, method } = JSON.parse(line);
  const serverInfo = { name: 'tiny', version: '1.2.3' };
  const result = method === 'initialize' ? { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo } : {};
  if (id !== undefined) console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
});
"""

PYTHON = """import json, sys
def main():
    for line in sys.stdin:
        message = json.loads(line)
        server = {'name': 'tiny', 'version': '1.2.3'}
        result = {'protocolVersion': '2025-11-25', 'capabilities': {'tools': {}}, 'serverInfo': server}
        if 'id' in message:
            print(json.dumps({'jsonrpc': '2.0', 'id': message['id'], 'result': result}), flush=True)
"""


def tarball():
    package = {"name": "tiny-server", "version": "1.2.3", "bin": {"tiny-server": "server.js"}}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in [("package.json", json.dumps(package)), ("server.js", JAVASCRIPT)]:
            info = tarfile.TarInfo("package/" + name)
            info.size, info.mode = len(text), 0o755
            tar.addfile(info, io.BytesIO(text.encode()))
    return package, out.getvalue()


def wheel():
    info = "tiny_server-1.2.3.dist-info"
    files = {
        "tiny_server.py": PYTHON,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny-server\nVersion: 1.2.3\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ntiny-server = tiny_server:main\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


PACKAGE, TARBALL = tarball()
WHEEL = wheel()


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        at = f"http://{self.headers['Host']}"
        if self.path == "/tiny-server":
            digest = base64.b64encode(hashlib.sha512(TARBALL).digest()).decode()
            dist = {"tarball": f"{at}/tiny-server-1.2.3.tgz", "integrity": "sha512-" + digest}
            packument = {"name": "tiny-server", "dist-tags": {"latest": "1.2.3"}, "versions": {"1.2.3": {**PACKAGE, "dist": dist}}}
            kind, body = "application/json", json.dumps(packument).encode()
        elif self.path == "/simple/tiny-server/":
            kind, body = "text/html", b'<a href="/tiny_server-1.2.3-py3-none-any.whl">tiny_server-1.2.3-py3-none-any.whl</a>'
        elif self.path.endswith(".tgz"):
            kind, body = "application/octet-stream", TARBALL
        elif self.path.endswith(".whl"):
            kind, body = "application/octet-stream", WHEEL
        else:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
print(server.server_port, flush=True)
server.serve_forever()
