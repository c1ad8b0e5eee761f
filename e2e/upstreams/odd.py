"""A small MCP server on standard streams, well behaved or not, for the end-to-end tests.

    odd.py [MODE]

Without a mode it behaves. It knows revisions up to 2025-11-25 and the tool `do`, which does what its arguments say:
`sleep` (seconds), `progress` (that many notifications, 20 ms apart), `environment`, `directory`, `pid`, `leave_behind`
(a process in a session of its own that ignores TERM), `exit` (at once, with this code), `bytes` (that much text),
`ask` (a sampling request, waited for `patience` seconds), `log` (a notification), `cancelled` (how many calls have been), and
says back `text`.

Modes: `exits` (code 3 and a word), `silent` (never answers), `garbage` (no JSON, for ever), `banner` (a line that is no
message, then behaves), `flood` (notifications without end), `endless` (one line without end), `deaf` (closes its
standard input), `mute` (closes its standard output), `stubborn` (ignores TERM and the end of its input), `talkative`
(thousands of lines on standard error), `fragile` (ends at a message it does not know), `ignores` (does not answer such a one).
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

MODE = sys.argv[1] if sys.argv[1:] else ""
RUN = os.urandom(8).hex()
out = threading.Lock()
answers = {}
cancelled = []
came = threading.Condition()


def say(message):
    line = json.dumps({"jsonrpc": "2.0", **message})
    with out:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def do(id, wanted, token):
    if "exit" in wanted:
        os._exit(wanted["exit"])
    for count in range(wanted.get("progress", 0)):
        if token is not None:
            params = {"progressToken": token, "progress": count, "message": wanted.get("text", "")}
            say({"method": "notifications/progress", "params": params})
        time.sleep(0.02)
    if "log" in wanted:
        say({"method": "notifications/message", "params": {"level": "info", "data": wanted["log"]}})
    time.sleep(wanted.get("sleep", 0))
    said = {"text": wanted.get("text")}
    if wanted.get("environment"):
        said["environment"] = dict(os.environ)
    if wanted.get("directory"):
        said["directory"] = os.getcwd()
    if wanted.get("pid"):
        said["pid"] = os.getpid()
        # Of this process alone, where its number may be that of another in another namespace.
        said["run"] = RUN
    if wanted.get("leave_behind"):
        sleeper = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        left = subprocess.Popen(
            [sys.executable, "-c", sleeper], start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        said["left"] = left.pid
    if wanted.get("cancelled"):
        said["cancelled"] = len(cancelled)
    if "bytes" in wanted:
        said["bytes"] = "x" * wanted["bytes"]
    if "ask" in wanted:
        question = {"role": "user", "content": {"type": "text", "text": wanted["ask"]}}
        asked = f"ask-{id}"
        say({"id": asked, "method": "sampling/createMessage", "params": {"messages": [question], "maxTokens": 9}})
        with came:
            came.wait_for(lambda: asked in answers, wanted.get("patience", 10))
        said["answer"] = answers.get(asked)
    text = json.dumps(said)
    say({"id": id, "result": {"content": [{"type": "text", "text": text}], "isError": False}})


def take(message):
    method, id = message.get("method"), message.get("id")
    params = message.get("params") or {}
    if method is None:
        with came:
            answers[id] = message.get("result", message.get("error"))
            came.notify_all()
    elif id is None:
        if method == "notifications/cancelled":
            cancelled.append(params["requestId"])
    elif method == "initialize":
        result = {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}, "logging": {}},
            "serverInfo": {"name": "odd", "version": "7"},
        }
        say({"id": id, "result": result})
    elif method == "tools/list":
        say({"id": id, "result": {"tools": [{"name": "do", "inputSchema": {"type": "object"}}]}})
    elif method == "tools/call":
        token = params.get("_meta", {}).get("progressToken")
        threading.Thread(target=do, args=(id, params.get("arguments") or {}, token), daemon=True).start()
    elif MODE == "ignores":
        pass
    elif MODE == "fragile":
        sys.exit(f"what is {method}?")
    else:
        say({"id": id, "error": {"code": -32601, "message": "method not found"}})


def main():
    if MODE == "exits":
        sys.exit("no licence key found")
    if MODE == "silent":
        time.sleep(600)
    if MODE == "banner":
        print("Welcome to odd!", flush=True)
    while MODE == "garbage":
        print("this is no message", flush=True)
    while MODE == "endless":
        sys.stdout.write("x" * 65536)
    if MODE == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if MODE == "talkative":
        for count in range(5000):
            print(f"line {count}", file=sys.stderr)
    for line in iter(sys.stdin.readline, ""):
        message = json.loads(line)
        take(message)
        opened = message.get("method") == "notifications/initialized"
        if opened and MODE == "deaf":
            os.close(0)
            time.sleep(600)
        if opened and MODE == "mute":
            os.close(1)
            time.sleep(600)
        while opened and MODE == "flood":
            say({"method": "notifications/message", "params": {"level": "info", "data": "x" * 1000}})
    if MODE == "stubborn":
        time.sleep(600)


main()
