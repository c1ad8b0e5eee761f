"""A collector for OTLP/HTTP logs: reads them with OpenTelemetry's own messages and prints each record as a line of JSON.

The first line is its port. POST /control sets how it answers next: {"status": 503, "retry_after": 1}, {"reject": 1} (a partial
success), {"hang": true}, {"hang_on": TEXT} (at a batch that holds it; it says so), {} (as it should). With --token it wants that bearer token.
"""

import argparse
import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as service

behaviour = {}
changed = threading.Condition()
token = None


def value(any_value):
    kind = any_value.WhichOneof("value")
    return getattr(any_value, kind) if kind else None


def pairs(attributes):
    return {pair.key: value(pair.value) for pair in attributes}


def tell(line):
    with changed:
        print(json.dumps(line), flush=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/control":
            with changed:
                behaviour.clear()
                behaviour.update(json.loads(body))
                changed.notify_all()
            return self.answer(200, b"")
        with changed:
            while behaviour.get("hang") or "hang_on" in behaviour and behaviour["hang_on"].encode() in body:
                print(json.dumps({"hangs": True}), flush=True)
                changed.wait()
            now = dict(behaviour)
        if self.path != "/v1/logs" or self.headers["content-type"] != "application/x-protobuf":
            return self.answer(404, b"no such thing")
        if token and self.headers["authorization"] != f"Bearer {token}":
            return self.answer(401, b"no token")
        request = service.ExportLogsServiceRequest()
        request.ParseFromString(body)
        if "status" in now:
            tell({"refused": now["status"]})
            return self.answer(now["status"], b"not now", now.get("retry_after"))
        response = service.ExportLogsServiceResponse()
        if "reject" in now:
            response.partial_success.rejected_log_records = now["reject"]
            response.partial_success.error_message = "too old"
            tell({"rejected": now["reject"]})
            return self.answer(200, response.SerializeToString())
        for resource in request.resource_logs:
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    tell(
                        {
                            "resource": pairs(resource.resource.attributes),
                            "scope": scope.scope.name,
                            "time": record.time_unix_nano,
                            "observed": record.observed_time_unix_nano,
                            "severity": record.severity_number,
                            "severityText": record.severity_text,
                            "event": record.event_name,
                            "trace": record.trace_id.hex(),
                            "attributes": pairs(record.attributes),
                            "body": value(record.body),
                        }
                    )
        return self.answer(200, response.SerializeToString())

    def answer(self, status, body, retry_after=None):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    global token
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    arguments = parser.parse_args()
    token = arguments.token
    ThreadingHTTPServer.allow_reuse_address = True
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
    if arguments.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.certificate, arguments.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    tell({"port": server.server_address[1]})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # Until the test is over.
    sys.stdin.read()


main()
