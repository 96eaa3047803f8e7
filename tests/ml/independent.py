"""Figures of `bellwether eval --out out`, had again by other programs from the points it left.

scikit-learn judges calls, PyPI's `vus` the volumes of machines (where it is installed), and NAB's
rules stand here a second time, written from the benchmark's paper (Lavin and Ahmad, 2015) alone.
"""

import json
import math
from pathlib import Path

import polars as pl
from sklearn.metrics import f1_score, matthews_corrcoef, precision_score, recall_score

checked = []


def metrics(task):
    run = json.loads(Path("out", task, "run.json").read_text())
    return {entry["key"]: entry["value"] for entry in run["data"]["metrics"]}


def same(name, ours, theirs):
    assert math.isclose(ours, theirs, rel_tol=0, abs_tol=1e-9), f"{name}: {ours} here, {theirs} elsewhere"
    checked.append(name)


def sessions():
    calls = pl.read_parquet("out/logs/hdfs_100k.parquet")
    truth, called = calls["y_true"].to_list(), calls["y_pred"].to_list()
    judges = {"f1": f1_score, "mcc": matthews_corrcoef, "precision": precision_score, "recall": recall_score}
    for name, judge in judges.items():
        same(f"hdfs_{name}", metrics("logs")[f"hdfs_{name}"], judge(truth, called))


def exhaustion():
    # Decisions after the resource is full are not judged.
    left = pl.col("hours_left")
    calls = pl.read_parquet("out/exhaustion/decisions.parquet").filter(left.is_null() | left.is_nan() | (left > 0))
    truth, called = calls["y_true"].to_list(), calls["y_pred"].to_list()
    same("exhaustion_f1", metrics("exhaustion")["exhaustion_f1"], f1_score(truth, called))


def volumes():
    try:
        from vus.utils.metrics import metricor
    except ImportError:
        print("SKIPPED: no package `vus`; pip installs it")
        return
    points = pl.read_parquet("out/smd/points.parquet")
    results = pl.read_parquet("out/smd/results.parquet").filter(pl.col("method") == "bellwether")
    for unit, ours in results.select("unit", "vus_pr").iter_rows():
        rows = points.filter(pl.col("series") == unit)
        truth, scores = rows["y_true"].cast(pl.Float64).to_numpy(), rows["y_score"].to_numpy()
        same(f"vus_pr {unit}", ours, metricor().RangeAUC_volume_opt(truth, scores, 100, thre=len(scores))[-1])


def nab_sigmoid(y):
    return -1.0 if y > 3.0 else 2.0 / (1.0 + math.exp(5.0 * y)) - 1.0


def nab_stream(truth, scores, threshold):
    """Points above silence of one stream, and its windows."""
    length = len(truth)
    start = int(0.15 * min(length, 5000))
    edges = [i for i in range(length) if truth[i] and (i == 0 or not truth[i - 1])]
    windows = [(a, next((i for i in range(a, length) if not truth[i]), length) - 1) for a in edges]
    total, hit, last = 0.0, {}, None
    for i in range(start, length):
        inside = next((w for w in windows if w[0] <= i <= w[1]), None)
        last = max((w for w in windows if w[1] < i), default=None)
        if scores[i] < threshold:
            continue
        if inside:
            place = -(inside[1] - i + 1) / (inside[1] - inside[0] + 1)
            hit[inside] = max(hit.get(inside, -9.0), nab_sigmoid(place) / nab_sigmoid(-1.0))
        elif last:
            total += 0.11 * nab_sigmoid((i - last[1]) / (last[1] - last[0]))
        else:
            total -= 0.11
    counted = [w for w in windows if w[1] >= start]
    # A window that is found is not missed: the cost of silence comes back with its reward.
    return total + sum(hit.values()) + sum(1 for w in counted if w in hit), len(counted)


def nab():
    points = pl.read_parquet("out/nab/points.parquet")
    table = pl.read_csv("out/nab/table.csv").filter(pl.col("method") == "bellwether")
    threshold, earned, windows = table["threshold"][0], 0.0, 0
    for rows in points.partition_by("series"):
        above, count = nab_stream(rows["y_true"].to_list(), rows["y_score"].to_list(), threshold - 1e-9)
        earned, windows = earned + above, windows + count
    same("nab_standard", metrics("nab")["nab_standard"], 50.0 * earned / windows)


for check in [sessions, exhaustion, volumes, nab]:
    check()
print("checked", *checked, sep="\n")
