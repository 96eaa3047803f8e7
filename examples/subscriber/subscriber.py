"""A subscriber of the incident stream that keeps its rules (docs/conformance.md), in as little as that takes.

    bellwether conform send --file - | python3 subscriber.py > answer.jsonl
    bellwether conform judge answer.jsonl

With `--listen PORT` it takes webhooks on this machine instead, and answers what it holds to `GET /held`.
"""

import http.server
import json
import sys

# By tenant and incident: the record, and the revisions that were acted on.
held = {}


def take(tenant, record):
    """One revision, however often and in whatever order it comes. The verb plays no part."""
    known = held.setdefault((tenant, record["id"]), {"revision": 0, "acted": []})
    if record["revision"] <= known["revision"]:
        return
    # The record is whole: it takes the place of what was there, and what is not known in it is left alone.
    known.update(revision=record["revision"], record=record)
    known["acted"].append(record["revision"])


def resolve_by(record):
    """Version 2 has a field where version 1 had a label."""
    promised = record.get("sla", {}).get("resolve", {}).get("by")
    return promised or record.get("labels", {}).get("sla.resolve_by")


KEPT = ["title", "summary", "description", "priority", "severity", "dedup_key", "merged_into", "parent_id",
        "acknowledged_at", "resolved_at"]


def answer():
    """A line of JSON an incident."""
    for (tenant, incident), known in held.items():
        record = known["record"]
        line = {"tenant": tenant, "incident": incident, "revision": known["revision"], "status": record["status"],
                "acted": known["acted"], "resolve_by": resolve_by(record)}
        line.update({name: record.get(name) for name in KEPT})
        yield json.dumps(line).encode() + b"\n"


class Webhooks(http.server.BaseHTTPRequestHandler):
    """Events as the bridge `webhook` posts them; a real one checks their signature first."""

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        take(event["tenant"], event["data"])
        self.send_response(204)
        self.end_headers()

    def do_GET(self):
        body = b"".join(answer())
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if sys.argv[1:2] == ["--listen"]:
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), Webhooks).serve_forever()
else:
    # Bytes, not text: only `\n` ends a line.
    for line in sys.stdin.buffer:
        event = json.loads(line)
        # Names of tenants may hold a slash; ids and revisions do not.
        tenant, _incident, _revision = event["key"].rsplit("/", 2)
        take(tenant, event["record"])
    sys.stdout.buffer.writelines(answer())
