#!/usr/bin/env python3
"""Runs npm's @modelcontextprotocol/server-everything, shut away in a network namespace of its own.

    everything.py PORT [sse]    listens on 127.0.0.1; PORT 0 takes a free one; sse: HTTP+SSE as of 2024-11-05

That server binds all interfaces, so it gets a namespace that has none but a loopback. This process opens its listener
first, moves into the new namespace afterwards, and copies bytes between the two, unread and unchanged. Works as root
and, through a user namespace, as anyone. Prints {"port": N, "url": "http://127.0.0.1:N/mcp"} when the server answers
(sse: the URL ends after the port; the stream is /sse); ends on SIGTERM. The server dies with this process, however that ends, and the namespace with the two of them.
"""

import asyncio
import ctypes
import fcntl
import glob
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

E2E = Path(__file__).resolve().parent.parent
SERVER = E2E / "node_modules/@modelcontextprotocol/server-everything/dist/index.js"
INNER = ("127.0.0.1", 3001)
START_S = 60

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_PDEATHSIG = 1
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    if not sys.argv[1:] or not sys.argv[1].isdigit() or sys.argv[2:] not in ([], ["sse"]):
        sys.exit("usage: everything.py PORT [sse] (PORT 0 takes a free one)")
    mode, path = ("sse", "") if sys.argv[2:] else ("streamableHttp", "/mcp")
    if not SERVER.exists():
        sys.exit("server-everything is not installed: run e2e/setup.sh")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(sys.argv[1])))
    listener.listen(1024)
    enter_namespace()
    server = start_server(mode)
    try:
        await_server(server)
        port = listener.getsockname()[1]
        print(json.dumps({"port": port, "url": f"http://127.0.0.1:{port}{path}"}), flush=True)
        asyncio.run(relay(listener))
    finally:
        server.kill()
        server.wait()


def enter_namespace() -> None:
    """Sockets opened before stay outside; whatever this process opens or starts from here on is inside."""
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNET) != 0:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            sys.exit(f"no network namespace to be had ({os.strerror(ctypes.get_errno())}): run as root or allow user namespaces")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def start_server(mode: str) -> subprocess.Popen:
    found = glob.glob(str(E2E / "node_modules/node-linux-*/bin/node"))
    parent = os.getpid()

    def die_with_parent() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(
        [found[0] if found else "node", str(SERVER), mode],
        env={**os.environ, "PORT": str(INNER[1])},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )


def await_server(server: subprocess.Popen) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(INNER) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"server-everything did not start within {START_S} s, exit status {server.poll()}")


async def relay(listener: socket.socket) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await asyncio.start_server(join, sock=listener)
    await stop.wait()


async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        inner_reader, inner_writer = await asyncio.open_connection(*INNER)
    except OSError:
        writer.transport.abort()
        return
    try:
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))
    except OSError:
        writer.transport.abort()
        inner_writer.transport.abort()
    finally:
        writer.close()
        inner_writer.close()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


if __name__ == "__main__":
    main()
