#!/usr/bin/env python3
"""Runs the program under a steady load and watches what it takes: memory, descriptors, files.

    tools/soak.py --bellwether PROGRAM --minutes 120 --series 200000 --alerts 20000

SERIES are written every 15 seconds, and one in a thousand of them is another each time, of twenty; ALERTS a minute fire and
recover, each with a label of its own; log lines come beside. The table of alerts has room for those of four minutes, so that
all tables are full after some. Every half minute a line says what the process takes. At the end: how fast memory grew in the second
half, whether every accepted alert was told once, and how long a start takes after a kill. It exits with 1 when memory grew
by more than 1 % of what it was within an hour (as far as the time allows to say), descriptors grew, or an alert is missing.
"""

import argparse
import http.client
import json
import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from remote_write import field, label, varint

TOKEN = "soak-" + "x" * 32
EVERY = 15
PER_REQUEST = 5_000
ALERTS_PER_REQUEST = 50
LIVES = 20
GENERATIONS = 20
SAMPLE = 30
CONFIG = """\
state: {folder}/state
wires:
  auth: {{credentials: [{{tenant: acme, bearer_file: {folder}/token}}]}}
  http: {{listen: 127.0.0.1:{port}}}
  remote_write: {{}}
  alertmanager: {{}}
  loki: {{}}
journal: {{dir: {folder}/state/journal, segment_bytes: 16777216, retain_bytes: 200000000}}
sinks:
  - ndjson: {{path: {folder}/incidents.ndjson}}
engine:
  limits: {{series_max: {series_max}, alerts_max: {alerts_max}, incidents_max: 50000}}
  correlate: {{threshold: 0.999}}
  ledger: {{group_wait: 1s, resolve_after: 5s, update_every: 10s, close_after: 60s}}
"""


def snappy(data):
    """A block of literals: what is measured is the program, not this."""
    out = bytearray(varint(len(data)))
    for at in range(0, len(data), 65_536):
        piece = data[at:at + 65_536]
        out += b"\xf4" + struct.pack("<H", len(piece) - 1) + piece
    return bytes(out)


def series(number, generation, now):
    host = number % 5_000
    # One in a thousand is new each time.
    age = generation % GENERATIONS if number % 1_000 == 0 else 0
    labels = (("__name__", "load"), ("disk", f"d{number // 5_000}-{age}"), ("instance", f"host{host}"))
    body = b"".join(label(name, value) for name, value in labels)
    sample = b"\x09" + struct.pack("<d", random.uniform(20, 60)) + b"\x10" + varint(now)
    return field(1, body + field(2, sample))


class Load:
    def __init__(self, port, given):
        self.port, self.given = port, given
        self.stop = threading.Event()
        self.answers, self.acknowledged, self.latencies = {}, set(), []
        self.lock = threading.Lock()

    def post(self, connection, what, path, body, headers):
        began = time.monotonic()
        try:
            connection.request("POST", path, body, {"Authorization": f"Bearer {TOKEN}", **headers})
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            status = type(error).__name__
        with self.lock:
            self.answers[(what, status)] = self.answers.get((what, status), 0) + 1
            if what == "alerts":
                self.latencies.append(time.monotonic() - began)
        return status in (200, 204)

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def metrics(self):
        connection, generation = self.connection(), 0
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        while not self.stop.is_set():
            began, generation = time.monotonic(), generation + 1
            for first in range(0, self.given.series, PER_REQUEST):
                now = int(time.time() * 1_000)
                numbers = range(first, min(first + PER_REQUEST, self.given.series))
                body = snappy(b"".join(series(number, generation, now) for number in numbers))
                self.post(connection, "metrics", "/api/v1/write", body, headers)
                share = EVERY * (first + PER_REQUEST) / self.given.series
                if self.stop.wait(max(0, share - (time.monotonic() - began))):
                    return

    def alerts(self):
        connection, number, firing = self.connection(), 0, []
        pause = ALERTS_PER_REQUEST * 60 / self.given.alerts
        while not self.stop.is_set():
            began, now = time.monotonic(), time.time()
            new = []
            for _ in range(ALERTS_PER_REQUEST // 2):
                number += 1
                labels = {"alertname": f"C{number % 40}", "service": f"svc{number % 2_000}", "severity": "critical",
                          "n": str(number)}
                new.append({"labels": labels, "annotations": {"summary": "it fires"}})
            over = [dict(alert, endsAt=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)))
                    for at, alerts in firing if at < now - LIVES for alert in alerts]
            firing = [(at, alerts) for at, alerts in firing if at >= now - LIVES]
            body = json.dumps(new + over)
            if self.post(connection, "alerts", "/api/v2/alerts", body, {"Content-Type": "application/json"}):
                self.acknowledged.update(alert["labels"]["n"] for alert in new)
                firing.append((now, new))
            self.stop.wait(max(0, pause - (time.monotonic() - began)))

    def logs(self):
        connection = self.connection()
        while not self.stop.wait(1):
            now = time.time_ns()
            lines = [[str(now + n), f"request {random.randrange(10**6)} of user u{random.randrange(1_000)} took "
                                    f"{random.randrange(300)} ms"] for n in range(100)]
            stream = {"service": f"svc{random.randrange(50)}", "level": "info"}
            body = json.dumps({"streams": [{"stream": stream, "values": lines}]})
            self.post(connection, "logs", "/loki/api/v1/push", body, {"Content-Type": "application/json"})


def taken(process):
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return resident / 1024, len(os.listdir(f"/proc/{process}/fd"))


def size(folder, pattern):
    files = [file for file in folder.rglob(pattern) if file.is_file()]
    return len(files), sum(file.stat().st_size for file in files)


def ready(port, child):
    while child.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/-/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit(f"the program ended with {child.returncode}")


def told(file):
    found, wrong, last = set(), 0, {}
    with open(file) as lines:
        for line in lines:
            line = json.loads(line)
            incident, revision = line["key"].rsplit("/", 1)
            wrong += int(revision) != last.get(incident, 0) + 1
            last[incident] = int(revision)
            found.update(alert.get("labels", {}).get("n") for alert in line["record"].get("alerts", []))
    return found, wrong


def slope(rows):
    """MiB an hour, by least squares."""
    count = len(rows)
    middle_x, middle_y = sum(x for x, _ in rows) / count, sum(y for _, y in rows) / count
    spread = sum((x - middle_x) ** 2 for x, _ in rows)
    return 3_600 * sum((x - middle_x) * (y - middle_y) for x, y in rows) / spread if spread else 0, middle_y


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--bellwether", required=True)
    arguments.add_argument("--minutes", type=float, default=120)
    arguments.add_argument("--series", type=int, default=200_000)
    arguments.add_argument("--alerts", type=int, default=20_000)
    given = arguments.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "token").write_text(TOKEN)
        (folder / "token").chmod(0o600)
        config = folder / "bellwether.yaml"
        config.write_text(CONFIG.format(folder=folder, port=port, series_max=given.series * 2 + 50_000,
                                        alerts_max=given.alerts * 4))
        log = open(folder / "stderr", "wb")
        command = [given.bellwether, "run", "--json", "-c", str(config)]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        try:
            ready(port, child)
            good = watch(given, port, child, folder)
            child.kill()
            child.wait()
            began = time.monotonic()
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
            ready(port, child)
            print(f"a start after a kill takes {time.monotonic() - began:.1f} s")
        finally:
            child.kill()
            child.wait()
        panics = (folder / "stderr").read_text(errors="replace").count("panicked")
        print(f"{panics} panics")
    sys.exit(0 if good and not panics else 1)


def watch(given, port, child, folder):
    load = Load(port, given)
    threads = [threading.Thread(target=work, daemon=True) for work in (load.metrics, load.alerts, load.logs)]
    for thread in threads:
        thread.start()
    began, rows, descriptors = time.monotonic(), [], []
    print(f"{'min':>6} {'RSS MiB':>8} {'fds':>5} {'journal MiB':>12} {'checkpoints MiB':>16} {'files':>6} {'p99 ms':>7}")
    while time.monotonic() - began < given.minutes * 60 and child.poll() is None:
        time.sleep(SAMPLE)
        at = time.monotonic() - began
        resident, fds = taken(child.pid)
        rows.append((at, resident))
        descriptors.append(fds)
        files = size(folder / "state", "*")[0]
        journal, checkpoints = size(folder / "state", "*.journal")[1], size(folder / "state", "*.checkpoint")[1]
        with load.lock:
            waits, load.latencies = sorted(load.latencies), []
        p99 = 1_000 * waits[int(len(waits) * 0.99)] if waits else 0
        print(f"{at / 60:6.1f} {resident:8.0f} {fds:5} {journal / 2**20:12.0f} {checkpoints / 2**20:16.1f} {files:6} "
              f"{p99:7.0f}", flush=True)
    if child.poll() is not None:
        sys.exit(f"the program ended with {child.returncode}")
    load.stop.set()
    for thread in threads:
        thread.join(60)
    time.sleep(20)
    found, wrong = told(folder / "incidents.ndjson")
    missing = len(load.acknowledged - found)
    grown, level = slope(rows[len(rows) // 2:])
    half = len(descriptors) // 2
    more = max(descriptors[half:]) - max(descriptors[:half])
    print(f"memory: {grown:+.1f} MiB an hour at {level:.0f} MiB in the second half; descriptors {more:+}")
    print(f"{len(load.acknowledged)} alerts accepted, {missing} not told, {wrong} revisions out of order")
    print("answers:", ", ".join(f"{what} {status}: {count}" for (what, status), count in sorted(
        load.answers.items(), key=str)))
    # Of a short run the slope says little: noise of 2 % is let pass.
    allowed = max(level * 0.01, level * 0.02 * 3_600 / max(1, rows[-1][0] / 2))
    return grown <= allowed and more <= 2 and missing == 0 and wrong == 0


if __name__ == "__main__":
    main()
