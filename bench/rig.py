"""The rig: files and keys, the upstream stub, the peers as processes, and what the kernel says of them."""

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUEST = HERE / "src" / "body400.json"
BIG_ANSWER = 10 * 1024 * 1024
PROXY_CORE, LOAD_CORE = "0", "1"
NEEDED_HEADERS = ("content-security-policy", "x-frame-options", "x-content-type-options")
FINGERPRINTS = (b"stub/1.0", b"x-powered-by")
# What is added to Palisade's configuration, which ends with `[audit]`: the last two show what records cost.
BUILT_ALIKE = {
    "palisade": "",
    "palisade-before": "",
    "palisade-outcomes": 'write_ahead = "none"\n',
    "palisade-silent": 'write_ahead = "none"\n[[audit.rule]]\ntool = "*"\nlevel = "none"\n',
}


class Fault(Exception):
    """The rig cannot measure: says what is missing and what to do."""


class Rig:
    """A scratch directory with built helpers and test files, and the running stub."""

    def __init__(self, port, palisade, before, priority):
        self.dir = Path(tempfile.mkdtemp(prefix="palisade-bench-"))
        self.dir.chmod(0o755)  # nginx started by root spools bodies as another user
        self.up, self.priority = port, priority
        self.binaries = {"palisade": palisade, "palisade-before": before}
        self.request, self.answer, self.big = REQUEST, self.dir / "answer.json", self.dir / "big.json"
        self.stub = None

    def __enter__(self):
        try:
            self._set_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        if self.stub and self.stub.poll() is None:
            self.stub.terminate()
            self.stub.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)

    def stop_stub(self):
        """Ends the stub and returns its own counts."""
        self.stub.terminate()
        return json.loads(self.stub.communicate(timeout=10)[0])

    def spawn(self, command, core, wrap=(), **options):
        command = ["taskset", "-c", core, *wrap, *map(str, command)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
        if self.priority:
            with contextlib.suppress(OSError):
                Path(f"/proc/{process.pid}/autogroup").write_text(str(self.priority))
        return process

    def load(self, command, timeout=700):
        """Runs a load generator on its core and returns what it printed."""
        process = self.spawn(command, LOAD_CORE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            return process.communicate(timeout=timeout)[0]
        except BaseException:
            process.kill()
            process.wait()
            raise

    def _set_up(self):
        for tool in ("gcc", "openssl", "taskset", "wrk", "h2load"):
            if not shutil.which(tool):
                raise Fault(f"`{tool}` is not installed; bench/README.md names the packages")
        if len(os.sched_getaffinity(0)) < 2:
            raise Fault("two cores are needed: one for the front, one for load and upstream")
        self._write_files()
        self._build()
        check_free(self.up)
        command = [self.dir / "stub", self.up, self.request, self.big, self.answer]
        self.stub = self.spawn(command, LOAD_CORE, stdout=subprocess.PIPE, text=True)
        if self.stub.stdout.readline() != "ready\n":
            raise Fault(f"the upstream stub did not start on port {self.up}; choose another with --port")

    def _write_files(self):
        small = self.request.read_text()
        # Not a prefix of each other, so that the stub knows which one arrives.
        self.big.write_text(small.replace('"id":1', '"id":2').replace("please include", "x" * 1_900_000))
        text = ("The quick brown fox jumps over the lazy dog. " * 12)[:509]
        self.answer.write_text('{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"' + text + '"}],"isError":false}}')
        lua = [
            'wrk.method = "POST"',
            'wrk.headers["Content-Type"] = "application/json"',
            'wrk.headers["Accept"] = "application/json, text/event-stream"',
            'wrk.headers["MCP-Protocol-Version"] = "2025-06-18"',
            "done = function(s, l)",
            '  io.write(string.format(\'{"done":%d,"us":%d,"p50":%d,"p99":%d,"status":%d,"socket":%d,"bytes":%d}\\n\', s.requests, s.duration,',
            "    l:percentile(50), l:percentile(99), s.errors.status, s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout, s.bytes))",
            "end",
        ]
        body = 'local f = io.open("{}", "rb") wrk.body = f:read("*a") f:close()'
        size = f'wrk.headers["x-bench"] = "size={BIG_ANSWER}"'
        for name, more in (("small", [body.format(self.request)]), ("down", [body.format(self.request), size]), ("up", [body.format(self.big)])):
            (self.dir / f"{name}.lua").write_text("\n".join(lua + more) + "\n")

    def _build(self):
        for name, libraries in (("stub", []), ("client", ["-lssl", "-lcrypto"])):
            run(["gcc", "-O2", "-Wall", "-o", self.dir / name, HERE / "src" / f"{name}.c", *libraries])
        cert, key = self.dir / "cert.pem", self.dir / "key.pem"
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
             "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert])
        (self.dir / "both.pem").write_bytes(cert.read_bytes() + key.read_bytes())


class Peer:
    """One front to be measured: its configuration, its process tree, its log."""

    TEMPLATES = {"nginx": "nginx.conf", "nginx-log": "nginx.conf", "haproxy": "haproxy.cfg", "caddy": "Caddyfile",
                 **dict.fromkeys(BUILT_ALIKE, "palisade.toml")}

    def __init__(self, rig, name, port):
        if name not in self.TEMPLATES:
            raise Fault(f"unknown peer `{name}`; known: {', '.join(self.TEMPLATES)}")
        self.rig, self.name, self.port = rig, name, port
        self.process, self.answered, self.tls = None, 0, None
        self.dir = rig.dir / name
        self.dir.mkdir()
        self.log = {"nginx-log": self.dir / "access.ndjson"}.get(name) or (self.dir / "audit.ndjson" if name in BUILT_ALIKE else None)
        log = f"{self.log} calls buffer=64k flush=1s" if name == "nginx-log" else "off"
        template = self.TEMPLATES[name]
        conf = self.dir / template
        conf.write_text((HERE / "peers" / f"{template}.tmpl").read_text().format(
            port=port, up=rig.up, dir=self.dir, log=log, cert=rig.dir / "cert.pem", key=rig.dir / "key.pem", both=rig.dir / "both.pem")
            + BUILT_ALIKE.get(name, ""))
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.dir), "LANG": "C", "GOMAXPROCS": "1"}
        if name in BUILT_ALIKE:
            self.binary = rig.binaries["palisade-before" if name == "palisade-before" else "palisade"]
            self.command = [self.binary, "serve", f"http://127.0.0.1:{rig.up}/mcp", "--config", conf]
        else:
            self.binary = shutil.which(name.removesuffix("-log"))
            self.command = {"nginx.conf": [self.binary, "-p", self.dir, "-c", conf], "haproxy.cfg": [self.binary, "-db", "-f", conf],
                            "Caddyfile": [self.binary, "run", "--config", conf, "--adapter", "caddyfile"]}[template]
        if not self.binary or not os.access(self.binary, os.X_OK):
            raise Fault(f"no program for peer `{name}`; install or build it (`cargo build --release`), or leave it out with --peers")

    def version(self):
        flag = {"nginx.conf": "-v", "haproxy.cfg": "-v", "Caddyfile": "version", "palisade.toml": "--version"}[self.TEMPLATES[self.name]]
        out = subprocess.run([self.binary, flag], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.env).stdout
        return out.strip().splitlines()[0].split(" - ")[0].removeprefix("nginx version: ").replace(" version", "") if out.strip() else "unknown"

    def start(self, wrap=(), extra=(), timeout=30):
        """Starts the peer; returns the seconds from exec to the first 200 over TLS."""
        check_free(self.port)
        if self.log:
            self.log.unlink(missing_ok=True)
        self.answered = 0
        began = time.perf_counter()
        with open(self.dir / "output", "w") as output:
            self.process = self.rig.spawn([*self.command, *extra], PROXY_CORE, wrap, stdout=output, stderr=output, env=self.env, cwd=self.dir)
        while True:
            if self.process.poll() is not None:
                raise Fault(f"{self.name} ended at start:\n{self.last_words()}")
            with contextlib.suppress(OSError):
                if self.call()[0] == 200:
                    return time.perf_counter() - began
            if time.perf_counter() - began > timeout:
                raise Fault(f"{self.name} gave no 200 within {timeout} s:\n{self.last_words()}")
            time.sleep(0.001)

    def stop(self):
        """Ends the peer; returns what is wrong with its log."""
        if not self.process:
            return []
        if self.log:
            time.sleep(1.3)  # nginx flushes once a second
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None
        return self.check_log()

    def kill(self):
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def check_log(self):
        """A line for every answer; for Palisade also the tool read and the secret redacted."""
        if not self.log or self.name == "palisade-silent":
            return []
        lines, sample = 0, b""
        if self.log.exists():
            with open(self.log, "rb") as log:
                sample = log.read(1 << 20)
                log.seek(0)
                lines = sum(part.count(b"\n") for part in iter(lambda: log.read(1 << 20), b""))
            self.log.unlink()
        faults = [] if lines >= self.answered else [f"logged {lines} lines for {self.answered} answers"]
        if self.name in BUILT_ALIKE and sample:
            if b"search_documents" not in sample:
                faults.append("the audit log does not name the tool: the message was not read")
            if b"ghp_abcdefghij" in sample:
                faults.append("the audit log holds a secret: redaction is off")
        return faults

    def last_words(self):
        text = (self.dir / "output").read_text()[-1500:]
        if (self.dir / "error.log").exists():
            text += (self.dir / "error.log").read_text()[-500:]
        return text.replace(str(self.rig.dir), "…") or "(it said nothing)"

    def call(self, headers=(), body=None, host=None):
        """One request on a new connection: status, lower-cased head, body."""
        body = self.rig.request.read_bytes() if body is None else body
        context = ssl._create_unverified_context()
        context.set_alpn_protocols(["http/1.1"])
        with socket.create_connection(("127.0.0.1", self.port), 2) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as tls:
                tls.settimeout(30)
                self.tls = f"{tls.version()} {tls.cipher()[0]}"
                lines = ["POST /mcp HTTP/1.1", f"Host: {host or f'localhost:{self.port}'}", "Content-Type: application/json",
                         "Accept: application/json, text/event-stream", "MCP-Protocol-Version: 2025-06-18",
                         f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
                tls.sendall("\r\n".join(lines).encode() + body)
                data = bytearray()
                with contextlib.suppress(ssl.SSLEOFError, ConnectionResetError):
                    while part := tls.recv(1 << 18):
                        data += part
        head, _, rest = bytes(data).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 "):
            raise OSError("no HTTP answer")
        head = head.lower()
        if b"transfer-encoding: chunked" in head:
            rest = dechunk(rest)
        if head[9:12] == b"200":
            self.answered += 1
        return int(head[9:12]), head, rest

    def check_duties(self):
        """What the peer must do for its figures to count; returns what it does not."""
        faults = []
        status, head, body = self.call()
        if status != 200 or body != self.rig.answer.read_bytes():
            faults.append(f"answer differs from the upstream's (status {status})")
        faults += [f"header `{h}` is missing" for h in NEEDED_HEADERS if f"\r\n{h}:".encode() not in head]
        faults += [f"the upstream's `{f.decode()}` is not stripped" for f in FINGERPRINTS if f in head]
        status, _, body = self.call(headers=[f"x-bench: size={BIG_ANSWER}"])
        if status != 200 or len(body) != BIG_ANSWER or body.count(b"x") < BIG_ANSWER - 200:
            faults.append("a 10 MiB answer does not arrive whole")
        status, _, body = self.call(body=self.rig.big.read_bytes())
        if status != 200 or body != self.rig.answer.read_bytes():
            faults.append(f"a 1.9 MB request is not answered (status {status})")
        refusals = [("a foreign Host", 403, {"host": "evil.example"})]
        if self.name in BUILT_ALIKE:
            refusals += [("a foreign Origin", 403, {"headers": ["Origin: https://evil.example"]}), ("half a message", 400, {"body": b'{"jsonrpc":"2.0","id":1,"method":'})]
        for what, wanted, how in refusals:
            status = self.call(**how)[0]
            if status != wanted:
                faults.append(f"{what} gets {status}, not {wanted}")
        return faults

    def tree(self):
        """The peer's process ids, itself first."""
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError):
                    parent = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1]
                    children.setdefault(int(parent), []).append(int(entry))
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += children.get(pid, [])
        return found

    def cpu(self):
        """Seconds of CPU that the peer's live threads have had."""
        total = 0
        for pid in self.tree():
            with contextlib.suppress(OSError):
                for task in os.listdir(f"/proc/{pid}/task"):
                    total += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
        return total / 1e9

    def pss(self):
        """Proportional set size of the process tree in KiB."""
        total = 0
        for pid in self.tree():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        return total


def run(command):
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Fault(f"`{command[0]}` failed:\n{done.stdout[-1500:]}")


def check_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise Fault(f"port {port} is in use; choose another range with --port") from None


def dechunk(data):
    body, at = bytearray(), 0
    while True:
        end = data.index(b"\r\n", at)
        size = int(data[at:end].split(b";")[0], 16)
        if not size:
            return bytes(body)
        body += data[end + 2:end + 2 + size]
        at = end + 2 + size + 2
