#!/usr/bin/env python3
"""Shows that the harness's checks bite: small faulty proxies stand between client and stub, and each fault
must be found under its own name; the faultless proxy must pass. Takes half a minute: python3 bench/selftest.py"""

import asyncio
import socket
import ssl
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import measures
from rig import Fault, Rig

PORT, STREAMS, AT = 22000, 20, 3  # the event that is tampered with
SSE_MODES = {"pass": None, "drop": "lost", "swap": "disordered", "repeat": "disordered", "hold": "held", "cross": "foreign", "cut": "ended_early"}
POST_MODES = {"pass": None, "twist": "wrong_body", "refuse": "wrong_status", "shorten": "wrong_body"}


def main():
    failures = []
    with Rig(PORT, None, None, 0) as rig:
        modes = list(dict.fromkeys([*SSE_MODES, *POST_MODES]))
        ports = {mode: PORT + 1 + i for i, mode in enumerate(modes)}
        threading.Thread(target=lambda: asyncio.run(serve(rig, ports)), daemon=True).start()
        wait_open(ports[modes[-1]])
        opts = SimpleNamespace(streams=STREAMS, secs=1)
        jobs = [("sse", m, want, measures.sse) for m, want in SSE_MODES.items()]
        jobs += [(t, m, want, f) for m, want in POST_MODES.items() for t, f in (("latency", measures.latency), ("conn", measures.conn))]
        with ThreadPoolExecutor(len(jobs)) as pool:
            results = list(pool.map(lambda job: job[3](rig, FakePeer(ports[job[1]]), opts)[1], jobs))
        for (test, mode, want, _), faults in zip(jobs, results):
            ok = any(want in f for f in faults) if want else not faults
            print(f"{'ok' if ok else 'NOT OK':7}{test:8}{mode:8} -> {'; '.join(faults) or 'no fault'}")
            failures += [] if ok else [f"{test} {mode}"]
        r = measures.client(rig, "resume", ports["pass"], 1, 1, 1, rig.request, rig.answer)
        ok = r["resumed"] > 0
        print(f"{'ok' if ok else 'NOT OK':7}conn    resume   -> {r['resumed']} resumed handshakes seen")
        failures += [] if ok else ["resume"]
    return 1 if failures else 0


class FakePeer:
    """What the measuring functions ask of a peer, for a proxy that runs in this process."""

    name, answered = "proxy", 0

    def __init__(self, port):
        self.port = port

    def start(self):
        return 0.0

    def stop(self):
        return []

    def kill(self):
        pass

    def cpu(self):
        return 0.0

    def pss(self):
        return 0


async def serve(rig, ports):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(rig.dir / "cert.pem", rig.dir / "key.pem")
    for mode, port in ports.items():
        await asyncio.start_server(lambda r, w, mode=mode: proxy(r, w, mode, rig.up), "127.0.0.1", port, ssl=context)
    await asyncio.Event().wait()


async def proxy(reader, writer, mode, up):
    try:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", up)
    except OSError:
        return writer.close()
    sending = asyncio.create_task(copy(reader, up_writer))
    try:
        while True:
            head = await up_reader.readuntil(b"\r\n\r\n")
            if b"text/event-stream" in head:
                writer.write(head)
                await events(up_reader, writer, mode)
                continue
            body = await up_reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))
            if mode == "twist":
                body = body.replace(b"fox", b"fix", 1)
            elif mode == "refuse":
                head = head.replace(b"200 OK", b"502 Bad Gateway")
            elif mode == "shorten":
                head, body = head.replace(str(len(body)).encode(), str(len(body) - 2).encode()), body[:-2]
            writer.write(head + body)
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        sending.cancel()
        writer.close()
        up_writer.close()


async def events(reader, writer, mode):
    kept, number = b"", 0
    while True:
        size = await reader.readuntil(b"\r\n")
        chunk = size + await reader.readexactly(int(size, 16) + 2)
        if number == AT:
            if mode == "cut":
                raise OSError("cut")
            if mode in ("swap", "hold"):
                kept, chunk = chunk, b""
            elif mode == "drop":
                chunk = b""
            elif mode == "repeat":
                chunk += chunk
            elif mode == "cross":
                digits = chunk.split(b'"stream":')[1].split(b",")[0]
                chunk = chunk.replace(b'"stream":' + digits, b'"stream":' + str((int(digits) + 1) % 10).encode().rjust(len(digits), b"1"))
        elif kept:
            chunk, kept = (chunk + kept if mode == "swap" else kept + chunk), b""
        number += 1
        writer.write(chunk)
        if size == b"0\r\n":
            return


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except OSError:
        pass
    finally:
        writer.close()


def wait_open(port):
    for _ in range(250):
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
    raise Fault(f"the test proxies did not open port {port}")


if __name__ == "__main__":
    sys.exit(main())
