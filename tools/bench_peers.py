#!/usr/bin/env python3
"""CPU seconds of Bellwether and of the programs it stands beside, for the same bytes.

Each server is started afresh, warmed, sent the same requests, and charged with the CPU time that
the kernel accounts to its process (/proc/PID/stat), until it is idle again. Runs are interleaved
and repeated; the table shows medians. Compare within one table: CPU time drifts from machine to
machine.

    make bench-peers                     everything it needs, then this
    tools/bench_peers.py --bellwether PATH [--rounds 10] [--repeats 3] [--alerts 256x8 64x1]

Samples: 100,000 series of a node exporter's shape (8 labels, about 230 bytes), one sample each a
round, 15 s apart, in messages of 2,000 series (Prometheus' default), over one connection. Two
rounds warm.

Alerts: 8,192 of 6 labels and one annotation (about 350 bytes of JSON), each its own group, as
Prometheus' notifier writes and repeats them, with a later end each time. `256x8` is 256 alerts a
post (the notifier's default) over 8 connections at once, each with its own share of the alerts, as
from 8 Prometheus servers. A connection posts when it has its answer.
"""

import argparse
import concurrent.futures
import http.server
import json
import os
import pathlib
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

import cramjam

from remote_write import field, label, varint

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
TICKS = os.sysconf("SC_CLK_TCK")
SERIES = 100_000
PER_MESSAGE = 2_000
WARM_ROUNDS = 2
ALERTS = 8_192
WARM_ALERT_ROUNDS = 2
IDLE_SECS = 1.5
TOKEN = "a-bench-token"


def series_labels(index):
    return b"".join(
        label(name, value)
        for name, value in [
            ("__name__", f"node_filesystem_avail_bytes_{index % 400}"),
            ("cluster", "plant-7"),
            ("device", f"/dev/nvme{index % 7}n1p{index % 3}"),
            ("environment", "production"),
            ("fstype", "ext4"),
            ("instance", f"node-{index // 400:05}.example.com:9100"),
            ("job", "node"),
            ("mountpoint", f"/var/lib/data/{index % 11}"),
        ]
    )


class Samples:
    """Messages of remote write 1: bodies by connection."""

    unit = "million samples"
    path = "/api/v1/write"
    headers = {
        "content-type": "application/x-protobuf",
        "content-encoding": "snappy",
        "x-prometheus-remote-write-version": "0.1.0",
    }

    def __init__(self, rounds):
        self.labels = [series_labels(index) for index in range(SERIES)]
        begin = int(time.time()) - 15 * (rounds + WARM_ROUNDS)
        self.rounds = [self.round(number, begin + 15 * number) for number in range(rounds + WARM_ROUNDS)]
        self.warm = [[body for bodies in self.rounds[:WARM_ROUNDS] for body in bodies]]
        self.measured = [[body for bodies in self.rounds[WARM_ROUNDS:] for body in bodies]]
        self.events = rounds * SERIES
        self.title = "samples over remote write 1"

    def round(self, number, at):
        bodies = []
        stamp = b"\x10" + varint(at * 1000)
        for first in range(0, SERIES, PER_MESSAGE):
            message = bytearray()
            for index in range(first, first + PER_MESSAGE):
                value = b"\x09" + struct.pack("<d", 1e9 + (index * 7919 + number * 104_729) % 100_003)
                message += field(1, self.labels[index] + field(2, value + stamp))
            bodies.append(bytes(cramjam.snappy.compress_raw(bytes(message))))
        return bodies


class Alerts:
    """Posts to /api/v2/alerts, the same alerts in every round: bodies by connection."""

    unit = "million alerts"
    path = "/api/v2/alerts"
    headers = {"content-type": "application/json", "user-agent": "Prometheus/2.42.0"}

    def __init__(self, rounds, shape):
        per_post, connections = shape
        self.title = f"alerts over API v2, {per_post} a post, {connections} connections"
        share = ALERTS // connections
        now = time.time()
        self.starts = self.stamp(now)

        def bodies(connection, rounds):
            posts = []
            for number in rounds:
                # Far enough that nothing ends by itself while the bench runs.
                ends = self.stamp(now + 3600 + 15 * number)
                for first in range(connection * share, (connection + 1) * share, per_post):
                    last = min(first + per_post, (connection + 1) * share)
                    alerts = [self.alert(index, ends) for index in range(first, last)]
                    posts.append(json.dumps(alerts, separators=(",", ":")).encode())
            return posts

        self.warm = [bodies(one, range(WARM_ALERT_ROUNDS)) for one in range(connections)]
        measured = range(WARM_ALERT_ROUNDS, WARM_ALERT_ROUNDS + rounds)
        self.measured = [bodies(one, measured) for one in range(connections)]
        self.events = rounds * share * connections

    @staticmethod
    def stamp(at):
        return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at))

    def alert(self, index, ends):
        labels = {
            "alertname": f"NodeFilesystemFull{index % 10}",
            "cluster": "plant-7",
            "instance": f"node-{index // 10:05}.example.com:9100",
            "job": "node",
            "mountpoint": "/var/lib/data",
            "severity": ["warning", "critical"][index % 2],
        }
        # In the order in which the notifier writes them.
        return {
            "annotations": {"summary": f"the disk of node {index // 10} is almost full"},
            "endsAt": ends,
            "startsAt": self.starts,
            "generatorURL": "http://prometheus.example.com/graph",
            "labels": labels,
        }


class Connection:
    """One kept-alive HTTP/1.1 connection. Leaner than http.client: senders share the cores with what
    is measured."""

    def __init__(self, server, load):
        self.server = server
        headers = dict(load.headers, host="127.0.0.1", authorization=f"Bearer {TOKEN}")
        lines = [f"POST {load.path} HTTP/1.1"] + [f"{name}: {value}" for name, value in headers.items()]
        self.head = "\r\n".join(lines).encode() + b"\r\ncontent-length: "
        self.socket = socket.create_connection(("127.0.0.1", server.port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, body):
        while True:
            self.socket.sendall(self.head + str(len(body)).encode() + b"\r\n\r\n" + body)
            status, text = self.answer()
            if status != 503:
                break
            time.sleep(0.2)
        if status >= 300:
            sys.exit(f"{self.server.name} answers {status}: {text[:500]!r}")

    def answer(self):
        read = b""
        while b"\r\n\r\n" not in read:
            piece = self.socket.recv(65_536)
            if not piece:
                sys.exit(f"{self.server.name} hung up after {read[:500]!r}")
            read += piece
        head, text = read.split(b"\r\n\r\n", 1)
        lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        left = int(lengths[0]) - len(text) if lengths else 0
        while left > 0:
            piece = self.socket.recv(min(left, 65_536))
            text, left = text + piece, left - len(piece)
        return int(head.split(b" ", 2)[1]), text


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def stat_cpu(path):
    text = pathlib.Path(path).read_text()
    fields = text[text.rindex(")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu(pid):
    """CPU seconds so far: of the process, and of the threads that are the engine."""
    engine = 0.0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            name = (task / "comm").read_text().strip()
            if name.startswith("fold") or name.startswith("engine-"):
                engine += stat_cpu(task / "stat")
        except OSError:
            pass
    return stat_cpu(f"/proc/{pid}/stat"), engine


def peak_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


class Server:
    """A program under test."""

    def __init__(self, name, command, port, folder):
        self.name, self.port = name, port
        environment = dict(os.environ, NO_COLOR="1")
        log = open(folder / f"{name.split()[0]}.log", "wb")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    log.flush()
                    sys.exit(f"{name} does not listen:\n{pathlib.Path(log.name).read_text()[-2000:]}")
                time.sleep(0.05)

    def send(self, load, by_connection):
        """Sends each connection's bodies, one after the other, all connections at once."""

        def send_one(bodies):
            connection = Connection(self, load)
            for body in bodies:
                connection.post(body)
            connection.socket.close()

        with concurrent.futures.ThreadPoolExecutor(len(by_connection)) as senders:
            list(senders.map(send_one, by_connection))

    def settle(self):
        """Waits until the process does next to nothing."""
        before = cpu(self.process.pid)[0]
        for _ in range(40):
            time.sleep(IDLE_SECS)
            now = cpu(self.process.pid)[0]
            if now - before < 0.03 * IDLE_SECS:
                return
            before = now

    def measure(self, load):
        self.send(load, load.warm)
        self.settle()
        before = cpu(self.process.pid)
        began = time.monotonic()
        self.send(load, load.measured)
        wall = time.monotonic() - began
        self.settle()
        after = cpu(self.process.pid)
        millions = load.events / 1e6
        return {
            "total": (after[0] - before[0]) / millions,
            "engine": (after[1] - before[1]) / millions,
            "peak_mib": peak_mib(self.process.pid),
            "per_second": load.events / wall,
        }

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def bellwether(program, folder):
    port = free_port()
    (folder / "token").write_text(TOKEN)
    (folder / "bellwether.yaml").write_text(
        f"state: {folder}/state\n"
        f"sinks:\n  - ndjson: {{path: {folder}/incidents.ndjson}}\n"
        "wires:\n"
        "  auth: {credentials: [{tenant: bench, bearer_file: token}]}\n"
        f"  http: {{listen: '127.0.0.1:{port}'}}\n"
        "  remote_write: {}\n  alertmanager: {}\n"
    )
    return Server("Bellwether", [program, "run", "--quiet", "-c", folder / "bellwether.yaml"], port, folder)


def victoria_metrics(folder):
    port = free_port()
    program = TOOLS / "peers/usr/bin/victoria-metrics"
    command = [program, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder}/data", "-retentionPeriod=1"]
    return Server("VictoriaMetrics 1.79", command, port, folder)


def prometheus(folder):
    port = free_port()
    (folder / "prometheus.yml").write_text("{}\n")
    command = [
        TOOLS / "peers/usr/bin/prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
    ]
    return Server("Prometheus 2.42", command, port, folder)


class Sink(http.server.BaseHTTPRequestHandler):
    """Takes Alertmanager's webhooks."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def alertmanager(folder):
    sink = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    sink.handle_error = lambda *_: None  # Alertmanager hangs up when it is stopped.
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    (folder / "alertmanager.yml").write_text(
        "route: {receiver: sink, group_by: ['...'], group_wait: 1s, group_interval: 5m, repeat_interval: 4h}\n"
        f"receivers: [{{name: sink, webhook_configs: [{{url: 'http://127.0.0.1:{sink.server_port}/'}}]}}]\n"
    )
    port = free_port()
    # Debian's program reads its template from /usr/share, where an unpacked one is not.
    script = (
        'mount -t tmpfs share /usr/share && mkdir /usr/share/prometheus && '
        'ln -s "$1" /usr/share/prometheus/alertmanager && shift && exec "$@"'
    )
    command = [
        "unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh",
        (TOOLS / "peers/usr/share/prometheus/alertmanager").resolve(),
        (TOOLS / "peers/usr/bin/prometheus-alertmanager").resolve(),
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=error",
    ]  # fmt: skip
    return Server("Alertmanager 0.25", command, port, folder)


def run(load, starters, repeats, folder):
    results = {}
    for repeat in range(repeats):
        for number, start in enumerate(starters):
            place = folder / f"{repeat}-{number}"
            place.mkdir()
            server = start(place)
            try:
                found = server.measure(load)
            finally:
                server.stop()
            results.setdefault(server.name, []).append(found)
            shutil.rmtree(place, ignore_errors=True)
            print(f"  {repeat + 1}/{repeats} {server.name}: {found['total']:.3f} CPU s per {load.unit}", file=sys.stderr)
    return results


def table(load, results):
    median = lambda name, key: statistics.median(one[key] for one in results[name])
    ours = median("Bellwether", "total") - median("Bellwether", "engine")
    print(f"\n{load.title}\n\n| CPU s per {load.unit} | median | least–most | times ours | peak MiB | a second |")
    print("|---|---|---|---|---|---|")

    def row(name, values, times, key):
        spread = f"{min(values):.2f}–{max(values):.2f}"
        peak, rate = median(key, "peak_mib"), median(key, "per_second")
        print(f"| {name} | {statistics.median(values):.3f} | {spread} | {times} | {peak:.0f} | {rate:,.0f} |")

    own = results["Bellwether"]
    row("Bellwether: wire and journal", [one["total"] - one["engine"] for one in own], "", "Bellwether")
    row("Bellwether with its engine", [one["total"] for one in own], "", "Bellwether")
    for name in results:
        if name != "Bellwether":
            values = [one["total"] for one in results[name]]
            whole = statistics.median(values) / median("Bellwether", "total")
            times = f"{statistics.median(values) / ours:.1f}; {whole:.1f} with the engine"
            row(name, values, times, name)


def shape(text):
    """`256x8`: alerts a post, connections."""
    per_post, connections = (int(part) for part in text.split("x"))
    if not (0 < per_post and 0 < connections <= ALERTS):
        raise ValueError(text)
    return per_post, connections


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--bellwether", required=True, type=pathlib.Path, help="the program, built for speed")
    parser.add_argument("--rounds", type=int, default=10, help="rounds of 100,000 samples measured")
    parser.add_argument("--alert-rounds", type=int, default=25, help=f"rounds of {ALERTS:,} alerts measured")
    parser.add_argument(
        "--alerts",
        nargs="+",
        type=shape,
        default=[(256, 8), (64, 8), (64, 1)],
        metavar="PERxCONNECTIONS",
        help="alerts a post and connections, each a table; default 256x8 64x8 64x1",
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["samples", "alerts"])
    arguments = parser.parse_args()
    program = arguments.bellwether.resolve()
    with tempfile.TemporaryDirectory(prefix="bellwether-bench-") as folder:
        folder = pathlib.Path(folder)
        ours = lambda place: bellwether(program, place)
        if arguments.only != "alerts":
            (folder / "samples").mkdir()
            load = Samples(arguments.rounds)
            starters = [ours, victoria_metrics, prometheus]
            table(load, run(load, starters, arguments.repeats, folder / "samples"))
        if arguments.only != "samples":
            for number, one in enumerate(arguments.alerts):
                place = folder / f"alerts-{number}"
                place.mkdir()
                load = Alerts(arguments.alert_rounds, one)
                table(load, run(load, [ours, alertmanager], arguments.repeats, place))


if __name__ == "__main__":
    main()
