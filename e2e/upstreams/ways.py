"""An MCP server on standard streams whose one tool tries ways out, each as it is told.

It goes past the proxy that its environment names, unless it is told to ask it.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(url, opener=DIRECT):
    with opener.open(url, timeout=60) as answer:
        return answer.read().decode()


def fetch_as_told(url):
    return fetch(url, urllib.request.build_opener())


def speak(address):
    """Whatever the other side says first, after it was greeted."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as stream:
        first = stream.recv(64).decode()
        stream.sendall(b"bye")
        return first + stream.recv(64).decode()


def flood(count):
    """So many connections to as many private addresses; how many of them got anywhere."""
    reached = 0
    for n in range(count):
        with socket.socket() as stream:
            stream.settimeout(60)
            try:
                stream.connect((f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}", 80))
                reached += bool(stream.recv(1))
            except OSError:
                pass
    return reached


def flood_names(count):
    """Asks for so many names of the local network; how many of them exist."""
    found = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(60)
        asking.connect(("127.0.0.1", 53))
        for n in range(count):
            label = f"n{n}".encode()
            name = bytes([len(label)]) + label + b"\x08internal\x00"
            asking.send(b"\x00\x01\x01\x00\x00\x01" + bytes(6) + name + b"\x00\x01\x00\x01")
            found += asking.recv(512)[7]
    return found


def own(address):
    """A grandchild that serves on loopback, and is asked by name and by address."""
    code = (
        "import http.server as h, sys\n"
        "class Page(h.BaseHTTPRequestHandler):\n"
        "  def do_GET(self):\n"
        "    self.send_response(200); self.end_headers(); self.wfile.write(b'own')\n"
        "  def log_message(self, *_): pass\n"
        f"s = h.HTTPServer(({address!r}, 0), Page)\n"
        "print(s.server_port, flush=True)\n"
        "s.serve_forever()\n"
    )
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    port = int(server.stdout.readline())
    try:
        said = [
            fetch(f"http://127.0.0.1:{port}/"),
            fetch_as_told(f"http://127.0.0.1:{port}/"),
            fetch_as_told(f"http://localhost:{port}/"),
        ]
    finally:
        server.kill()
        server.wait()
    return said


def run(code):
    """Another program, such as curl or Node, by its words."""
    ran = subprocess.run(code, capture_output=True, text=True, timeout=100)
    if ran.returncode:
        raise RuntimeError(ran.stderr.strip() or str(ran.returncode))
    return ran.stdout


def keep_trying(where):
    """Tries in the background for as long as it lives, and takes no notice of SIGTERM."""
    address, file = where
    code = (
        "import signal, socket, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"host, port = {address!r}.rsplit(':', 1)\n"
        f"with open({file!r}, 'ab', buffering=0) as out:\n"
        "  while True:\n"
        "    try:\n"
        "      s = socket.create_connection((host, int(port)), timeout=20)\n"
        "      s.sendall(b'hello'); s.recv(1)\n"
        "      out.write(b'y')\n"
        "    except OSError: out.write(b'n')\n"
        "    time.sleep(0.005)\n"
    )
    subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    # Nor does it end by itself.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    atexit.register(time.sleep, 600)
    return "started"


WAYS = {
    "fetch": fetch,
    "fetch_as_told": fetch_as_told,
    "flood": flood,
    "flood_names": flood_names,
    "keep_trying": keep_trying,
    "name": socket.gethostbyname,
    "own": own,
    "run": run,
    "sleep": time.sleep,
    "speak": speak,
    "environment": lambda _: dict(os.environ),
}


def answer(message):
    if message["method"] == "initialize":
        return {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "ways", "version": "1"},
        }
    if message["method"] != "tools/call":
        return {}
    [(way, argument)] = message["params"]["arguments"].items()
    try:
        said = {"said": WAYS[way](argument)}
    except Exception as error:  # Whatever it is, it is told.
        said = {"failed": f"{type(error).__name__}: {error}"}
    return {"content": [{"type": "text", "text": json.dumps(said)}]}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        result = answer(message)
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
