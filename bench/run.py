#!/usr/bin/env python3
"""Measures the gateway against nginx and others on loopback. See bench/README.md."""

import argparse
import datetime
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import report
from measures import TESTS
from rig import HERE, Fault, Peer, Rig


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--peers", default="nginx,nginx-log,palisade", help="comma list of nginx, nginx-log, haproxy, caddy, palisade, palisade-before, palisade-outcomes, palisade-silent")
    p.add_argument("--tests", default=",".join(TESTS), help="comma list; default: all")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--secs", type=int, default=3, help="length of one load measurement")
    p.add_argument("--streams", type=int, default=1000, help="SSE streams held at once")
    p.add_argument("--palisade", type=Path, default=HERE.parent / "target/release/palisade", help="the binary")
    p.add_argument("--before", type=Path, help="another build to compare with: peer `palisade-before`")
    p.add_argument("--judge", default="palisade", help="the peer that the gates judge")
    p.add_argument("--require", choices=["spine", "wire"], help="exit 1 unless every gate of this stage passes")
    p.add_argument("--port", type=int, default=21000, help="first of the ports used")
    p.add_argument("--priority", type=int, default=0, help="autogroup nice of all that is measured; below 0 needs root")
    p.add_argument("--out", type=Path, help="write everything as JSON")
    p.add_argument("--text", type=Path, help="write the printed report")
    a = p.parse_args()
    a.peers, a.tests = a.peers.split(","), a.tests.split(",")
    if unknown := [t for t in a.tests if t not in TESTS]:
        p.error(f"unknown test {unknown[0]}; known: {', '.join(TESTS)}")
    if a.rounds < 1 or a.secs < 1 or a.streams < 1:
        p.error("--rounds, --secs and --streams are at least 1")
    for test, tool in (("sys", "strace"), ("instr", "valgrind")):
        if test in a.tests and not shutil.which(tool):
            p.error(f"test `{test}` needs `{tool}`: install it or leave the test out with --tests")
    a.palisade, a.before = a.palisade.absolute(), a.before and a.before.absolute()
    return a


def main():
    opts = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        rows, faults, meta = measure(opts)
    except Fault as fault:
        print(f"bench: {fault}", file=sys.stderr)
        return 2
    if faults:
        print("bench: refusing to report, the measurement is not sound:", *sorted(set(faults)), sep="\n  ", file=sys.stderr)
        return 2
    results = report.Results(rows)
    verdicts = report.gates(results, opts.judge)
    text = "\n".join([f"{k}: {v}" for k, v in meta.items()] + report.tables(results, opts.peers)
                     + report.gate_lines(verdicts, opts.judge) + report.raw_lines(rows)) + "\n"
    print(text, end="")
    if opts.text:
        opts.text.parent.mkdir(parents=True, exist_ok=True)
        opts.text.write_text(text)
    if opts.out:
        opts.out.parent.mkdir(parents=True, exist_ok=True)
        opts.out.write_text(json.dumps({"meta": meta, "gates": verdicts, "rows": rows}, indent=1) + "\n")
    return 1 if any(v["verdict"] != "PASS" for v in verdicts if v["stage"] == opts.require) else 0


def measure(opts):
    rows, faults, peers = [], [], []

    def note(name, test, found):
        for fault in found:
            print(f"  FAULT {test} {name}: {fault}", file=sys.stderr, flush=True)
            faults.append(f"{test}, {name}: {fault}")

    def take(round_, test, peer):
        load = os.getloadavg()[0]
        figures, found = TESTS[test].run(rig, peer, opts)
        note(peer.name, test, found)
        rows.append({"round": round_, "test": test, "peer": peer.name, "load": round(load, 2), "figures": figures})
        print(report.raw_lines(rows[-1:])[-1], file=sys.stderr, flush=True)

    with Rig(opts.port, opts.palisade, opts.before, opts.priority) as rig:
        try:
            peers += [Peer(rig, name, opts.port + 1 + i) for i, name in enumerate(opts.peers)]
            for peer in peers:
                peer.start()
                note(peer.name, "duties", peer.check_duties())
                note(peer.name, "duties", peer.stop())
            if faults:
                return rows, faults, {}
            meta = describe(opts, peers)
            for round_ in range(1, opts.rounds + 1):
                order = peers if round_ % 2 else peers[::-1]
                tests = [t for t in TESTS if t in opts.tests and (round_ == 1 or not TESTS[t].once)]
                for test in (t for t in tests if TESTS[t].fresh):
                    for peer in order:
                        take(round_, test, peer)
                loads = [t for t in tests if not TESTS[t].fresh]
                if loads:
                    for peer in order:
                        peer.start()
                for test in loads:
                    for peer in order:
                        take(round_, test, peer)
                for peer in order:
                    note(peer.name, "log", peer.stop())
        finally:
            for peer in peers:
                peer.kill()
        counts = rig.stop_stub()
        note("upstream", "requests", [f"{counts[k]} {k}" for k in ("altered", "unsent") if counts[k]])
    meta["load at end"] = " ".join(f"{x:.2f}" for x in os.getloadavg())
    return rows, faults, meta


def describe(opts, peers):
    def out(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True, cwd=HERE).stdout.strip()
        except OSError:
            return ""
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "unknown")
    changed = " with changes" if out("git", "status", "--porcelain", "--", "..", ":!../docs") else ""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": (out("git", "rev-parse", "--short=12", "HEAD") or "unknown") + changed,
        "machine": f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}",
        "load at start": " ".join(f"{x:.2f}" for x in os.getloadavg()),
        "setup": f"{opts.rounds} interleaved rounds of {opts.secs} s, order reversed every other round; front on core 0 with one worker, load and upstream on core 1; "
                 f"request {(HERE / 'src/body400.json').stat().st_size} bytes; {opts.streams} SSE streams; priority {opts.priority}",
        "versions": "; ".join(dict.fromkeys(p.version() for p in peers)) + f"; client {out('openssl', 'version').split(' (')[0]}",
        "TLS": "; ".join(f"{p.name} {p.tls}" for p in peers),
    }


if __name__ == "__main__":
    sys.exit(main())
