"""From rounds to tables and gates. Ratios pair the figures of one round; the median of the rounds is shown."""

import statistics
from dataclasses import dataclass

from measures import TESTS

BASES = ("nginx-log", "nginx")


@dataclass
class Gate:
    stage: str
    test: str
    metric: str
    limit: float
    base: str = ""  # ratio to this peer; empty: the figure itself
    unit: str = ""


GATES = [
    Gate("spine", "cpu", "us", 1.00, "nginx-log"),
    Gate("spine", "sys", "count", 5),
    Gate("spine", "conn", "us", 0.75, "nginx-log"),
    Gate("spine", "sse", "pss_kb", 60),
    Gate("spine", "sse", "faulty", 0),
    Gate("wire", "cpu", "us", 0.90, "nginx"),
    Gate("wire", "cpu", "us", 0.78, "nginx-log"),
    Gate("wire", "instr", "count", 45_000),
    Gate("wire", "sys", "count", 4.6),
    Gate("wire", "sse", "pss_kb", 40),
    Gate("wire", "h2", "us", 1.05, "nginx"),
]


class Results:
    """rows: one dict a measurement, {round, test, peer, load, figures}."""

    def __init__(self, rows):
        self.rows = rows

    def values(self, test, peer, key):
        return {r["round"]: r["figures"][key] for r in self.rows if (r["test"], r["peer"]) == (test, peer) and key in r["figures"]}

    def median(self, test, peer, key):
        values = self.values(test, peer, key).values()
        return statistics.median(values) if values else None

    def ratios(self, test, peer, key, base):
        own, other = self.values(test, peer, key), self.values(test, base, key)
        return [own[r] / other[r] for r in own if other.get(r)]

    def gate(self, gate, peer):
        """The figure that the gate judges, or None where it was not measured."""
        if gate.base:
            ratios = self.ratios(gate.test, peer, gate.metric, gate.base)
            return statistics.median(ratios) if ratios else None
        return self.median(gate.test, peer, gate.metric)


def tables(results, peers):
    out = []
    for name, test in TESTS.items():
        present = [p for p in peers if any((r["test"], r["peer"]) == (name, p) and r["figures"] for r in results.rows)]
        if not present:
            continue
        out += ["", f"{name}: {test.title}", f"  {'':28}" + "".join(f"{p:>20}" for p in present)]
        for m in test.metrics:
            medians = [results.median(name, p, m.key) for p in present]
            out.append(f"  {m.label:28}" + "".join(f"{'-' if v is None else m.form.format(v):>20}" for v in medians))
            for base in BASES if m.ratio else ():
                if base in present:
                    out.append(f"    x {base:24}" + "".join(f"{spread(results.ratios(name, p, m.key, base)):>20}" for p in present))
        if name == "sys":
            for p in present:
                names = next(r["figures"]["names"] for r in results.rows if (r["test"], r["peer"]) == (name, p))
                out.append(f"    {p}: " + ", ".join(f"{k} {v:.2f}" for k, v in names.items()))
    return out


def spread(ratios):
    if not ratios:
        return "-"
    middle = f"{statistics.median(ratios):.2f}"
    return middle if len(ratios) == 1 else f"{middle} ({min(ratios):.2f}-{max(ratios):.2f})"


def gates(results, peer):
    """The verdicts as data: stage, what, limit, figure, verdict."""
    out = []
    for g in GATES:
        figure = results.gate(g, peer)
        metric = next((m.label for m in TESTS[g.test].metrics if m.key == g.metric), "events lost, out of order, held back or foreign")
        verdict = "NOT MEASURED" if figure is None else "PASS" if figure <= g.limit else "FAIL"
        out.append({"stage": g.stage, "what": f"{g.test}: {metric}" + (f", x {g.base}" if g.base else ""), "limit": g.limit, "figure": figure, "verdict": verdict})
    return out


def gate_lines(verdicts, peer):
    def number(x):
        return "-" if x is None else f"{x:.0f}" if x >= 1000 else f"{x:.2f}"
    return ["", f"gates, judged for {peer}"] + [f"  {v['verdict']:13}{v['stage']:7}{v['what']:58} {number(v['figure']):>8}  (at most {number(v['limit'])})" for v in verdicts]


def raw_lines(rows):
    def value(v):
        return "{" + " ".join(f"{k}:{n}" for k, n in v.items()) + "}" if isinstance(v, dict) else f"{v:.6g}"
    out = ["", "raw figures, in the order they were taken"]
    for r in rows:
        out.append(f"  round {r['round']}  load {r['load']:5.2f}  {r['test']:8}{r['peer']:17}" + "  ".join(f"{k}={value(v)}" for k, v in r["figures"].items()))
    return out
