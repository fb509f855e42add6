"""Reads the histograms of a run directory with an implementation of HdrHistogram that isn't ours
(hdrhistogram on PyPI), and compares them with the run's figures and percentile tables."""

import json
import math
import sys
from pathlib import Path

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

PERCENTILES = {"p50_ns": 0.5, "p90_ns": 0.9, "p99_ns": 0.99, "p999_ns": 0.999}


def same(what, ours, theirs):
    if ours != theirs:
        sys.exit(f"{what}: ours is {ours}, an independent reader says {theirs}")


class Distribution:
    """What was recorded under one tag of a log, all intervals together."""

    def __init__(self):
        self.merged = HdrHistogram(1, 10_000_000_000, 3)
        self.intervals = 0

    def add(self, histogram):
        self.merged.add(histogram)
        self.intervals += 1

    def steps(self):
        """Each recorded value's highest equivalent, with how many values are up to it."""
        total = 0
        for step in self.merged.get_recorded_iterator():
            total += step.count_at_value_iterated_to
            yield self.merged.get_highest_equivalent_value(step.value_iterated_to), total

    def bucket(self, value):
        return self.merged.get_highest_equivalent_value(value)


def by_tag(path):
    reader = HistogramLogReader(str(path), HdrHistogram(1, 10_000_000_000, 3))
    tags = {}
    while histogram := reader.get_next_interval_histogram():
        tags.setdefault(histogram.get_tag(), Distribution()).add(histogram)
    reader.close()
    # Every line that is no comment is an interval, and none was passed over.
    lines = [line for line in path.read_text().splitlines() if line.startswith("Tag=")]
    same(f"{path}: intervals", len(lines), sum(tag.intervals for tag in tags.values()))
    return tags


def at(steps, quantile):
    """The value of the first rank that makes up the quantile."""
    rank = max(1, math.ceil(quantile * steps[-1][1] - 1e-9))
    return next(value for value, total in steps if total >= rank)


def table(path):
    """The rows of a percentile table: value, quantile, count."""
    for line in path.read_text().splitlines()[2:]:
        if not line.startswith("#"):
            value, quantile, count = line.split()[:3]
            yield round(float(value)), float(quantile), int(count)


def check_table(path, steps):
    totals = dict(steps)
    rows = list(table(path))
    if not rows or (rows[0][1], rows[-1][1]) != (0.0, 1.0):
        sys.exit(f"{path}: it lacks its first or last row")
    for value, quantile, count in rows:
        what = f"{path} at {quantile}"
        same(f"{what}: values up to {value}", count, totals.get(value))
        # Printed with 12 decimals: one rank more or less where that falls between two.
        around = {at(steps, max(0.0, min(1.0, quantile + by))) for by in (-1e-11, 0, 1e-11)}
        if value not in around:
            sys.exit(f"{what}: ours is {value}, an independent reader says {sorted(around)}")
    return len(rows)


def check_side(directory, stem, side, latency, rounds):
    tags = by_tag(directory / f"{stem}-{side}.hlog")
    same(f"{stem}: tags", [side], sorted(tags))
    one = tags[side]
    same(f"{stem}: intervals", rounds, one.intervals)
    steps = list(one.steps())
    what = f"{stem}-{side}"
    same(f"{what}: count", latency["count"], one.merged.get_total_count())
    same(f"{what}: steps", latency["count"], steps[-1][1])
    same(f"{what}: max", one.bucket(latency["max_ns"]), one.merged.get_max_value())
    mean = one.merged.get_mean_value()
    if abs(mean / latency["mean_ns"] - 1) > 1e-3:
        sys.exit(f"{what}: mean {latency['mean_ns']}, an independent reader says {mean}")
    for name, quantile in PERCENTILES.items():
        if latency[name] is not None:
            same(f"{what}: {name}", one.bucket(latency[name]), at(steps, quantile))
    return check_table(directory / f"{stem}-{side}.hgrm", steps)


def main(directory):
    run = json.loads((directory / "run.json").read_text())
    files, rows_of_tables = set(), 0
    for group in run["summary"]:
        for row in group["rows"]:
            broken = "-broken" if row["broken"] else ""
            again = "" if row["variant"] == "plain" else f"-{row['variant']}"
            stem = f"{group['storm']}-{group['threads']}-{row['scheme']}{broken}{again}"
            sides = {"faults": row["latency"]}
            if row["remover"]:
                sides["remover"] = row["remover"]["latency"]
            for side, latency in sides.items():
                if latency:
                    rounds = row["rounds"]
                    rows_of_tables += check_side(directory, stem, side, latency, rounds)
                    files.add(f"{stem}-{side}.hlog")
    same("logs", sorted(path.name for path in directory.glob("*.hlog")), sorted(files))
    if not files:
        sys.exit(f"{directory}: there are no logs")
    print(f"{len(files)} logs and {rows_of_tables} rows of their tables agree")


main(Path(sys.argv[1]))
