"""What is measured. Each test is a function of rig, peer and seconds that returns its figures and its faults."""

import json
import math
import re
import signal
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from rig import BIG_ANSWER, LOAD_CORE, Fault

KEPT, STREAMS_OPENED_PER_SECOND, SSE_WINDOW = 64, 500, 6


@dataclass
class Metric:
    key: str
    label: str
    form: str = "{:.1f}"
    ratio: bool = True


@dataclass
class Test:
    title: str
    run: Callable
    metrics: list
    fresh: bool = False  # wants a process of its own, started by the harness or by the test itself
    once: bool = False   # deterministic: the first round is enough


def start(rig, peer, opts):
    times, faults = [], []
    for again in range(3):
        times.append(peer.start() * 1e3)
        if again == 2:
            time.sleep(0.5)
            idle = peer.pss() / 1024
        faults += peer.stop()
    return {"ms": statistics.median(times), "idle_mb": idle}, faults


def wrk(rig, peer, opts, script, connections, least_bytes):
    before = peer.cpu()
    out = rig.load(["wrk", "-t1", f"-c{connections}", f"-d{opts.secs}s", "--timeout", "20s", "-s", rig.dir / f"{script}.lua", f"https://localhost:{peer.port}/mcp"])
    cpu = peer.cpu() - before
    r = last_json(out)
    n = r["done"]
    peer.answered += n
    faults = [f"{r[k]} {k} errors" for k in ("status", "socket") if r[k]]
    if not n or r["bytes"] < n * least_bytes:
        faults.append(f"{r['bytes']} bytes for {n} answers")
    n, seconds = max(n, 1), r["us"] / 1e6
    return {"us": cpu / n * 1e6, "rps": n / seconds, "p50": r["p50"] / 1e3, "p99": r["p99"] / 1e3, "n": n}, faults


def cpu(rig, peer, opts):
    return wrk(rig, peer, opts, "small", KEPT, rig.answer.stat().st_size)


def down(rig, peer, opts):
    return transfers(*wrk(rig, peer, opts, "down", 4, BIG_ANSWER), BIG_ANSWER)


def up(rig, peer, opts):
    return transfers(*wrk(rig, peer, opts, "up", 4, rig.answer.stat().st_size), rig.big.stat().st_size)


def transfers(figures, faults, size):
    return {"ms": figures["us"] / 1e3, "mbps": figures["rps"] * size / 1e6, "n": figures["n"]}, faults


def h2(rig, peer, opts):
    headers = [x for h in ("content-type: application/json", "accept: application/json, text/event-stream", "mcp-protocol-version: 2025-06-18") for x in ("-H", h)]
    before = peer.cpu()
    out = rig.load(["h2load", "-t1", "-c8", "-m8", f"-D{opts.secs}", "-d", rig.request, *headers, f"https://localhost:{peer.port}/mcp"])
    used = peer.cpu() - before
    total = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", out)
    data = re.search(r"\((\d+)\) data", out)
    if not total or not data:
        return {}, [f"h2load said: {out[-200:]}"]
    n, *wrong = map(int, total.groups())
    faults = [f"{sum(wrong)} failed requests"] if any(wrong) else []
    if "Application protocol: h2" not in out:
        faults.append("not HTTP/2")
    status = re.search(r"status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx", out)
    if not status or int(status[1]) < n:  # heads of answers still in flight count too
        faults.append("answers that are not 200")
    if not n or int(data[1]) < n * rig.answer.stat().st_size:
        faults.append(f"{data[1]} bytes for {n} answers")
    peer.answered += n
    return {"us": used / max(n, 1) * 1e6, "rps": n / opts.secs, "n": n}, faults


def client(rig, *args):
    return last_json(rig.load([rig.dir / "client", *args]))


def client_faults(r):
    kinds = ("broken", "wrong_status", "wrong_body", "lost", "disordered", "foreign", "held", "ended_early")
    return [f"{r[k]} {k}" for k in kinds if r[k]]


def conn(rig, peer, opts):
    before = peer.cpu()
    r = client(rig, "conn", peer.port, 1, 32, opts.secs, rig.request, rig.answer)
    used = peer.cpu() - before
    peer.answered += r["done"]
    faults = client_faults(r)
    if r["resumed"]:
        faults.append(f"{r['resumed']} handshakes were resumed")
    if not r["done"] or r["full"] < r["done"]:
        faults.append(f"{r['full']} full handshakes for {r['done']} calls")
    return {"us": used / max(r["done"], 1) * 1e6, "cps": r["done"] / r["seconds"], "n": r["done"]}, faults


def latency(rig, peer, opts):
    calls = 3000 * opts.secs
    direct = client(rig, "keep", rig.up, 0, 1, calls, rig.request, rig.answer)
    through = client(rig, "keep", peer.port, 1, 1, calls, rig.request, rig.answer)
    peer.answered += through["done"]
    faults = client_faults(direct) + client_faults(through)
    if through["done"] != calls or direct["done"] != calls:
        faults.append(f"{through['done']} and {direct['done']} of {calls} calls answered")
    return {"p50": through["p50"] - direct["p50"], "p99": through["p99"] - direct["p99"], "direct": direct["p50"]}, faults


def sse(rig, peer, opts):
    opening = opts.streams / STREAMS_OPENED_PER_SECOND
    events = math.ceil(opening + 2 + SSE_WINDOW + 2)
    peer.start()
    try:
        time.sleep(0.5)
        before = peer.pss()
        process = rig.spawn([rig.dir / "client", "sse", peer.port, 1, opts.streams, events], LOAD_CORE, stdout=subprocess.PIPE, text=True)
        try:
            first = process.stdout.readline()
            figures, window_end = {}, 0
            if '"ready"' in first:
                time.sleep(0.5)
                busy, began = peer.cpu(), time.monotonic()
                time.sleep(SSE_WINDOW - 1)
                pss = peer.pss()
                time.sleep(1)
                window_end = time.monotonic_ns()
                figures = {"cpu_us": (peer.cpu() - busy) / (time.monotonic() - began) / opts.streams * 1e6, "pss_kb": (pss - before) / opts.streams}
            rest = process.communicate(timeout=events + 60)[0]
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        r = last_json(first + rest)
    except BaseException:
        peer.kill()
        raise
    faults = client_faults(r)
    if not figures:
        faults.append(f"not all of {opts.streams} streams got their first event")
    elif r["first_end_ns"] < window_end:
        faults.append("streams ended inside the measured window: the machine is too busy")
    if r["done"] != opts.streams * events:
        faults.append(f"{r['done']} events arrived, {opts.streams * events} were sent")
    peer.answered += opts.streams
    faults += peer.stop()
    return figures | {"p50": r["p50"], "p99": r["p99"], "max": r["max"], "events": r["done"], "faulty": r["bad"]}, faults


def sys(rig, peer, opts):
    calls, out = 20_000, peer.dir / "strace"
    peer.start()
    try:
        faults = client_faults(client(rig, "keep", peer.port, 1, 8, 400, rig.request, rig.answer))
        pids = peer.tree()
        strace = subprocess.Popen(["strace", "-f", "-c", "-o", out, *[x for p in pids for x in ("-p", str(p))]], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            wait_traced(pids, strace)
            r = client(rig, "keep", peer.port, 1, 8, calls, rig.request, rig.answer)
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate(timeout=20)
    except BaseException:
        peer.kill()
        raise
    peer.answered += r["done"] + 400
    rows = [line.split() for line in out.read_text().splitlines() if re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+\d+", line)]
    names = {row[-1]: int(row[3]) / calls for row in rows if row[-1] != "total"}
    faults += client_faults(r) + peer.stop()
    if r["done"] != calls or not names:
        faults.append(f"{r['done']} of {calls} calls answered")
    top = dict(sorted(names.items(), key=lambda x: -x[1]))
    return {"count": sum(names.values()), "names": {k: round(v, 3) for k, v in top.items() if v >= 0.005}}, faults


def wait_traced(pids, strace):
    tasks = [t for p in pids for t in Path(f"/proc/{p}/task").iterdir()]
    for _ in range(200):
        if all("TracerPid:\t0\n" not in (t / "status").read_text() for t in tasks):
            return
        if strace.poll() is not None:
            raise Fault(f"strace cannot attach (root or ptrace permission is needed): {strace.stderr.read()[-300:]}")
        time.sleep(0.02)
    raise Fault("strace did not attach within 4 s")


def instr(rig, peer, opts):
    if peer.name == "caddy":
        return {}, []  # a Go runtime under valgrind measures the runtime
    few, many, totals, faults = 200, 1200, [], []
    for calls in (few, many):
        for old in peer.dir.glob("callgrind.*"):
            old.unlink()
        wrap = ["valgrind", "--tool=callgrind", "--trace-children=yes", f"--callgrind-out-file={peer.dir}/callgrind.%p"]
        extra = ["-g", "master_process off;"] if peer.name.startswith("nginx") else []
        try:
            peer.start(wrap, extra, timeout=180)
            r = client(rig, "keep", peer.port, 1, 4, calls, rig.request, rig.answer)
        except BaseException:
            peer.kill()
            raise
        peer.answered += r["done"]
        faults += client_faults(r) + peer.stop()
        found = [re.search(r"^(?:totals|summary): (\d+)", f.read_text(), re.M) for f in peer.dir.glob("callgrind.*")]
        totals.append(sum(int(m[1]) for m in found if m))
    if not all(totals) or totals[1] <= totals[0]:
        faults.append("callgrind wrote no totals")
    return {"count": (totals[1] - totals[0]) / (many - few)}, faults


def last_json(out):
    lines = [x for x in out.splitlines() if x.startswith("{")]
    if not lines:
        raise Fault(f"a load generator printed no result: {out[-300:]}")
    return json.loads(lines[-1])


TESTS = {
    "start": Test("start-up and idle memory", start, [Metric("ms", "exec to first 200 over TLS, ms"), Metric("idle_mb", "idle PSS, MB")], fresh=True),
    "sse": Test("SSE, an event a second and stream", sse, [
        Metric("pss_kb", "PSS per stream, KB"), Metric("p50", "event delay p50, us", "{:.0f}"), Metric("p99", "event delay p99, us", "{:.0f}"),
        Metric("max", "event delay max, us", "{:.0f}", False), Metric("cpu_us", "CPU us/event"), Metric("events", "events, all in order", "{:.0f}", False)], fresh=True),
    "sys": Test("system calls (strace), 8 connections", sys, [Metric("count", "calls/request", "{:.2f}")], fresh=True, once=True),
    "instr": Test("user-space instructions (callgrind), 4 connections", instr, [Metric("count", "instructions/request", "{:.0f}")], fresh=True, once=True),
    "cpu": Test(f"HTTP/1.1 keep-alive over TLS, {KEPT} connections", cpu, [
        Metric("us", "CPU us/request", "{:.2f}"), Metric("rps", "requests/s", "{:.0f}"), Metric("p50", "p50, ms", "{:.2f}", False), Metric("p99", "p99, ms", "{:.2f}", False)]),
    "h2": Test("HTTP/2 over TLS, 8 connections of 8 streams", h2, [Metric("us", "CPU us/request", "{:.2f}"), Metric("rps", "requests/s", "{:.0f}")]),
    "conn": Test("new TLS 1.3 connections, full handshake and one call", conn, [Metric("us", "CPU us/connection"), Metric("cps", "connections/s", "{:.0f}")]),
    "latency": Test("added latency, one connection, against the upstream over plain HTTP", latency, [Metric("p50", "added p50, us"), Metric("p99", "added p99, us", ratio=False)]),
    "down": Test("10 MiB answers, 4 connections", down, [Metric("ms", "CPU ms/transfer", "{:.2f}"), Metric("mbps", "MB/s", "{:.0f}")]),
    "up": Test("1.9 MB requests, 4 connections", up, [Metric("ms", "CPU ms/transfer", "{:.2f}"), Metric("mbps", "MB/s", "{:.0f}")]),
}
