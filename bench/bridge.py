#!/usr/bin/env python3
"""What the bridge to a command adds to a call: the command's own pipes against plain HTTP on loopback through `palisade`.

    cargo build --release
    python3 bench/bridge.py [--calls 1000] [--rounds 5] [--palisade BINARY] [--limit MICROSECONDS] [--raw FILE]

A round is so many calls of a small command (src/echo.c) by its pipes and then as many by HTTP, one call at a time, so that
both see the same minutes. Palisade runs as it does by default, with the rate lifted: every guard, every message read, an audit
record for each call. Prints the medians of each round and of all calls, and what HTTP adds; `--raw` gets every single
figure. Exit 1: the median added is above the limit (150 µs). Needs gcc.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFIG = """
listen = "127.0.0.1:0"
[rate]
peer = "100000000/min"
limit = "100000000/min"
[audit]
sink = {{ file = "{dir}/audit.ndjson" }}
[[server]]
name = "echo"
command = ["{dir}/echo"]
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--palisade", type=Path, default=HERE.parent / "target/release/palisade")
    parser.add_argument("--limit", type=float, default=150.0)
    parser.add_argument("--raw", type=Path)
    options = parser.parse_args()
    if not options.palisade.is_file():
        sys.exit(f"{options.palisade} is not there: cargo build --release")
    with tempfile.TemporaryDirectory(prefix="palisade-bench-") as directory:
        directory = Path(directory)
        for name in ("echo", "bridge"):
            subprocess.run(["cc", "-O2", "-o", directory / name, HERE / "src" / f"{name}.c"], check=True)
        config = directory / "palisade.toml"
        config.write_text(CONFIG.format(dir=directory))
        log = (directory / "log").open("w+")
        command = [options.palisade, "serve", "--config", config]
        gateway = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, env={"PATH": os.environ["PATH"]})
        try:
            measure(options, directory, port(gateway, log.name))
        finally:
            gateway.terminate()
            gateway.wait(20)


def port(gateway, log):
    for _ in range(1000):
        text = Path(log).read_text()
        found = re.search(r"^listen\s+http://127\.0\.0\.1:(\d+)", text, re.M)
        # `audit` is the last line of the start.
        if found and re.search(r"^\s*audit .*\n", text, re.M):
            return found[1]
        try:
            gateway.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        sys.exit(f"palisade did not start:\n{text}")
    sys.exit("palisade does not listen")


def measure(options, directory, number):
    calls = {"pipe": [], "http": []}
    print(f"{os.cpu_count()} cores, {options.calls} calls a round, microseconds")
    print(f"{'round':>5} {'pipe p50':>9} {'http p50':>9} {'added':>7} {'pipe p99':>9} {'http p99':>9}")
    for round_ in range(1, options.rounds + 1):
        found = {}
        for kind, to in (("pipe", directory / "echo"), ("http", number)):
            ran = subprocess.run([directory / "bridge", kind, str(options.calls), to], check=True, capture_output=True, text=True)
            found[kind] = [int(line) / 1000 for line in ran.stdout.split()]
            calls[kind] += found[kind]
        show(round_, found)
    show("all", calls)
    added = statistics.median(calls["http"]) - statistics.median(calls["pipe"])
    if options.raw:
        options.raw.write_text("".join(f"{kind} {took:.3f}\n" for kind, all_ in calls.items() for took in all_))
    verdict = "within" if added < options.limit else "above"
    print(f"median added: {added:.1f} µs, {verdict} the limit of {options.limit:.0f} µs")
    sys.exit(0 if added < options.limit else 1)


def show(title, found):
    half = {kind: statistics.median(all_) for kind, all_ in found.items()}
    most = {kind: statistics.quantiles(all_, n=100)[98] for kind, all_ in found.items()}
    print(
        f"{title:>5} {half['pipe']:9.1f} {half['http']:9.1f} {half['http'] - half['pipe']:7.1f}"
        f" {most['pipe']:9.1f} {most['http']:9.1f}"
    )


if __name__ == "__main__":
    main()
