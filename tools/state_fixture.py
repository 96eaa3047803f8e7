#!/usr/bin/env python3
"""Records the state folder that the program of some commit leaves behind when it is killed, as a fixture of the tests.

    tools/state_fixture.py COMMIT              builds the program of COMMIT and records tests/upgrade/<commit>.tar.gz
    tools/state_fixture.py COMMIT --program P  the same with P, which was built of it

What it reads is the same each time: alerts of a few services at fixed times, some of which recover. It is killed when
they are told and a checkpoint is behind them, so that open incidents, a journal that goes on after the checkpoint, an
incident log, a cursor and what a receiver has are in the folder. Nothing in it depends on this machine.
"""

import argparse
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN = 1_772_438_400  # 2026-03-02T08:00:00Z
SERVICES = 12
PATIENCE = 60

CONFIG = """\
state: state
tick: 0s
threads: 2
checkpoint: {every: 200ms, entries: 5}
sources:
  - stdin: {tenant: acme, name: rows, rows: {signal: alert}}
sinks:
  - ndjson: {name: file, path: incidents.ndjson}
engine:
  lateness: 1s
  correlate: {threshold: 0.999}
  ledger: {group_wait: 30s, stale_after: 1000000h}
"""


def row(at, service, status):
    return {
        "signal": "alert", "time": at, "source": "probe", "name": "Down", "entity": f"service:s{service}",
        "severity": "critical", "status": status,
    }


def rows():
    """Every service goes down, the even ones come back; then others go down, which the last checkpoint has not seen."""
    for service in range(SERVICES):
        yield row(BEGIN + 100 * service, service, "firing")
    for service in range(0, SERVICES, 2):
        yield row(BEGIN + 3_600 + 100 * service, service, "resolved")
    for service in range(SERVICES, SERVICES + 4):
        yield row(BEGIN + 9_000 + 100 * service, service, "firing")
    # Time goes on: what was to be told is.
    yield row(BEGIN + 12_000, 99, "firing")


def until(what, holds):
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            sys.exit(f"not within {PATIENCE} s: {what}")
        time.sleep(0.05)


def told(folder):
    try:
        lines = (folder / "incidents.ndjson").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return len({json.loads(line)["key"].rsplit("/", 1)[0] for line in lines})


def record(program, folder):
    (folder / "bellwether.yaml").write_text(CONFIG)
    with open(folder / "stderr", "wb") as stderr:
        child = subprocess.Popen([program, "run", "--json", "-c", "bellwether.yaml"], cwd=folder, stdin=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL, stderr=stderr)
    try:
        for one in rows():
            child.stdin.write(json.dumps(one).encode() + b"\n")
            child.stdin.flush()
            time.sleep(0.03)
        until("all but the last are told", lambda: told(folder) >= SERVICES + 4)
        until("a checkpoint is written", lambda: any((folder / "state").rglob("*.checkpoint")))
        time.sleep(1)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


def build(commit, into):
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    tarfile.open(fileobj=io.BytesIO(archive)).extractall(into)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", into / "target"))
    environment = dict(os.environ, CARGO_TARGET_DIR=str(target))
    subprocess.run(["cargo", "build", "--locked", "--features", "kafka", "--bin", "bellwether"], cwd=into,
                   env=environment, check=True)
    return target / "debug" / "bellwether"


def plain(info):
    """Neither whose it was nor when it was made."""
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("commit")
    arguments.add_argument("--program")
    given = arguments.parse_args()
    short = subprocess.run(["git", "rev-parse", "--short=7", given.commit], cwd=ROOT, capture_output=True, text=True,
                           check=True).stdout.strip()
    out = ROOT / "tests" / "upgrade" / f"{short}.tar.xz"
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        program = given.program or build(short, scratch / "source")
        folder = scratch / "folder"
        folder.mkdir()
        record(program, folder)
        out.parent.mkdir(exist_ok=True)
        with tarfile.open(out, "w:xz") as archive:
            for name in ("incidents.ndjson", "state"):
                archive.add(folder / name, name, filter=plain)
    print(f"{out.relative_to(ROOT)}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
