#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""mixtures.py PRELOAD.so WORK [--seed N] [--rows N] [--seconds N] [--only TEXT]

Mixtures of a command, a feature of the pool, the place where it lies, and a failure: rows chosen so that each pair of
values of two columns occurs.  Each row is judged:

- a command that is not disturbed gives what the model of the pool says (world.py), read by tests/oracle/thinpool.py;
- a disturbed one ends with 0, 1 or 74, or by the signal it was sent, and says why;
- no reader changes its input; a writer leaves the old pool, the new one, or what thin_check refuses.
"""
import argparse
import hashlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import world
from commands import COMMANDS, Apply, Row, Wrong, need, second

FAILURES = ("none", "full_disk", "read_error", "killed", "interrupted")


FEWER = {"thin_delta": 2, "thin_materialize": 1, "thin_materialize -O qcow2": 1, "thin_materialize --since": 2,
         "thin_message delete": 1, "thin_apply": 1}


def possible(command, feature, place):
    """Why a mixture cannot be, or None."""
    if feature == "no_devices" and FEWER.get(command):
        return "no device to name"
    if feature == "many_devices" and place == "disk_with_lvm":
        return "a volume group of 10^5 volumes"
    return None


def pairwise(rng, columns, wanted):
    """Rows in which each pair of values occurs, but for impossible ones; greedy."""
    names = list(columns)
    pairs = {}  # in order, so that a seed always gives the same rows
    for a, b in itertools.combinations(names, 2):
        for x, y in itertools.product(columns[a], columns[b]):
            some = {"command": "", "feature": "", "place": "", a: x, b: y}
            if not possible(some["command"], some["feature"], some["place"]):
                pairs[((a, x), (b, y))] = True
    rows = []
    while pairs and (not wanted or len(rows) < wanted):
        best, score = None, -1
        seed = rng.choice(list(itertools.islice(pairs, 50)))
        for _ in range(40):
            row = {n: rng.choice(columns[n]) for n in names}
            row.update(dict(seed))
            if possible(row["command"], row["feature"], row["place"]):
                continue
            s = sum(1 for c in itertools.combinations([(n, row[n]) for n in names], 2) if c in pairs)
            if s > score:
                best, score = row, s
        if best is None:
            continue
        for c in itertools.combinations([(n, best[n]) for n in names], 2):
            pairs.pop(c, None)
        rows.append(best)
    return rows, len(pairs)


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def classes(command):
    """The calls that a failure may hit, for preload.c."""
    return {"full_disk": [("write", 28), ("size", 28)], "read_error": [("read", 5)],
            "killed": [("write", -1), ("write", -2), ("flush", -1), ("name", -1), ("read", -1)],
            "interrupted": [("write", -3), ("flush", -3), ("read", -3), ("read", 0), ("write", 0)]}


def judge(row, command, failure, preload):
    """Runs one mixture; raises Wrong."""
    p, place = row.p, row.place
    argv = command.argv(row)
    refused = command.no(row)
    kept = {name: (place.read(name) if name in ("meta", "data") else None) for name in ("meta", "data")}
    files = {f: digest(f) for f in place.paths.values()}
    env = dict(os.environ)
    hit = row.path("hit")
    if failure != "none":
        cls, error = row.rng.choice(classes(command)[failure])
        row.fault = "%s:%d:%d" % (cls, min(row.rng.randint(1, 12) for _ in range(2)), error)
        env.update(FAULT=row.fault, FAULT_HIT=hit, LD_PRELOAD=preload)
    row.argv = argv
    try:
        # a shell's job in the background ignores SIGINT, and so would the command
        r = subprocess.run(argv, env=env, cwd=row.work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=300,
                           preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    except subprocess.TimeoutExpired:
        raise Wrong("it hangs")
    disturbed = failure != "none" and os.path.exists(hit)
    status, said = r.returncode, r.stderr.decode(errors="replace")
    row.told = "status %d: %s" % (status, said.strip()[:400])
    allowed = [0, 1, 74]
    if disturbed:
        allowed += {"killed": [-9], "interrupted": [-2, 130]}.get(failure, [])
    need(status in allowed, "status %d is not allowed" % status)
    if not (command.writes or command.data):
        need(files == {f: digest(f) for f in files}, "a reader changed its input")
    if status in (0, 1, 74) and status and "-q" not in argv and not said.strip():
        raise Wrong("it does not say why")
    if status == 0 and refused:
        raise Wrong("it should refuse: %s" % refused)
    if not disturbed and not refused:
        need(status == 0, "it fails and nothing was wrong")
    if status == 0:
        command.judge(row, r.stdout)
    if not command.data or command.writes is False:
        need(place.read("meta") == kept["meta"] or command.writes, "the metadata changed")
    if refused and not command.writes:
        need(place.read("data") == kept["data"], "the data changed, and the command refused")
    if command.writes and status:
        after = place.read("meta")
        if after != kept["meta"]:
            # where the blocks end in the middle of the input is not known before
            need(disturbed or refused == "no room", "it refused, and changed the metadata")
            left(row, command, after)
    if command.data and status:
        # The old pool reads as before, in whatever metadata is left.
        unharmed(row, command)
    return disturbed


def left(row, command, meta):
    """A pool that was changed in part: the old one, the new one, or refused."""
    path = row.path("left")
    with open(path, "wb") as f:
        f.write(meta)
    if subprocess.run(["thin_check", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
        return
    devices = second(meta)
    if devices == row.p.devices or isinstance(command, Apply):
        return
    try:
        command.judge(row, b"")
    except Wrong as w:
        raise Wrong("neither the old pool nor the new one: %s" % w)


def unharmed(row, command):
    """After a failure each device but the one that is written reads as before (thin_shrink moves: the old blocks stay)."""
    data = row.place.read("data")
    for dev, m in row.p.devices.items():
        if m and not (isinstance(command, Apply) and dev == row.dev):
            need(row.p.content(dev, data) == row.p.content(dev), "device %d has other bytes now" % dev)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("preload")
    ap.add_argument("work")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--rows", type=int, default=0, help="at most so many; 0: all")
    ap.add_argument("--seconds", type=int, default=100000, help="no new row after that time")
    ap.add_argument("--row", type=int, help="only this one")
    ap.add_argument("--many", type=int, default=100000)
    ap.add_argument("--only", default="")
    ap.add_argument("--keep", action="store_true")
    a = ap.parse_args()
    columns = {"command": list(COMMANDS), "feature": list(world.FEATURES), "place": list(world.PLACES), "failure": list(FAILURES)}
    if not world.loops_work():
        columns["place"] = [x for x in columns["place"] if "loop" not in x]
        print("# no loop devices here: these places are not tried")
    rows, uncovered = pairwise(random.Random(a.seed), columns, a.rows)
    bad = disturbed = 0
    began = time.monotonic()
    for n, r in enumerate(rows):
        if time.monotonic() - began > a.seconds:
            print("# %d s are over: the last %d rows are not tried" % (a.seconds, len(rows) - n))
            break
        if a.row is not None and n != a.row or a.only not in " ".join(r.values()):
            continue
        rng = random.Random(a.seed * 1000003 + n)
        work = os.path.join(a.work, "row%d" % n)
        os.mkdir(work)
        place, row = None, None
        try:
            p = world.make(r["feature"], rng, work, a.many)
            place = world.PLACES[r["place"]](p, work)
            row = Row(p, place, work, rng)
            disturbed += judge(row, COMMANDS[r["command"]](), r["failure"], a.preload)
        except (Wrong, RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError) as w:
            bad += 1
            print("# row %d: %s: %s%s" % (n, ", ".join(r.values()), type(w).__name__ + " " if not isinstance(w, Wrong) else "", w))
            print("#   %s" % " ".join(getattr(row, "argv", [])).replace(work + "/", ""))
            print("#   %s %s" % (getattr(row, "fault", ""), getattr(row, "told", "").replace("\n", " ")))
            sys.stdout.flush()
        finally:
            if place:
                place.close()
            if not a.keep:
                shutil.rmtree(work)
    print("# seed %d: %d rows, %d of them disturbed; %d pairs are not covered" % (a.seed, len(rows), disturbed, uncovered))
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
