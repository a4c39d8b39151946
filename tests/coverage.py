#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""coverage.py [--list [PATTERN...]]: which lines and branches of lib have run, by room.

In a build folder that was configured with --enable-coverage, after any tests: the counts add up until `make
coverage-zero`.  A branch here is one outcome of one condition: `if (a && b)` has four.

--list prints what has never run in the files whose name matches one of the patterns (none: in all), but for what
tests/coverage.known explains.  --bare leaves the explanations aside.
--lines N, --branches N: it ends with 1 below these percentages, which the explained count against.
It also ends with 1 where an entry of tests/coverage.known explains nothing: all that it is about has run, or is gone.
"""
import argparse
import concurrent.futures
import fnmatch
import json
import os
import re
import subprocess
import sys

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))


def counts_of(note):
    """{file: {line: [count, {branch: count}]}} of one object file"""
    gcov = os.environ.get("GCOV", "gcov")
    out = subprocess.run([gcov, "--json-format", "--stdout", "-b", note], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, check=True).stdout
    files = {}
    for text in out.splitlines():
        for f in json.loads(text)["files"]:
            at = re.search(r"(?:^|/)(lib/.*)", f["file"])
            if not at or not os.path.exists(os.path.join(TOP, at.group(1))):
                continue
            name = at.group(1)
            lines = files.setdefault(name, {})
            for line in f["lines"]:
                merge(lines, line["line_number"], line["count"], [b["count"] for b in line["branches"]],
                      line.get("function_name"))
    return files


def merge(lines, n, count, branches, function):
    """A line of a header, or of a function that stands in several objects, counts once"""
    have = lines.setdefault(n, [0, [], function])
    have[0] += count
    if len(have[1]) == len(branches):
        have[1] = [a + b for a, b in zip(have[1], branches)]
    elif len(branches) > len(have[1]):
        have[1] = branches


def collect(build):
    notes = [os.path.join(d, f) for d, _, names in os.walk(os.path.join(build, "lib")) for f in names if f.endswith(".gcno")]
    if not notes:
        sys.exit("coverage.py: %s was not configured with --enable-coverage" % build)
    files = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for part in pool.map(counts_of, sorted(notes)):
            for name, lines in part.items():
                for n, (count, branches, function) in lines.items():
                    merge(files.setdefault(name, {}), n, count, branches, function)
    return files


class Known:
    """FILE-PATTERN | PATTERN OF THE LINE'S TEXT OR FUNCTION() | REASON"""

    def __init__(self, path):
        self.rows, self.where = [], []
        with open(path) as f:
            for n, line in enumerate(f, 1):
                if line.strip() and not line.startswith("#"):
                    row = [x.strip() for x in line.split(" | ")]
                    if len(row) != 3:
                        sys.exit("%s:%d: it takes FILE | TEXT | REASON" % (path, n))
                    self.rows.append(row)
                    self.where.append("%s:%d" % (path, n))
        self.used = set()

    def needless(self):
        return ["%s: '%s' in %s explains nothing" % (self.where[i], row[1], row[0])
                for i, row in enumerate(self.rows) if i not in self.used]

    def explains(self, name, text, function):
        for i, (f, t, _) in enumerate(self.rows):
            if fnmatch.fnmatchcase(name, f) and (t == "%s()" % function or fnmatch.fnmatchcase(text, t)):
                self.used.add(i)
                return True
        return False


def room_of(name):
    part = name.split("/")
    return "/".join(part[:-1])


def percent(a, b):
    return "%6.1f %%" % (100.0 * a / b) if b else "       -"


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--list", nargs="*", metavar="PATTERN")
    ap.add_argument("--files", action="store_true", help="a row for each file")
    ap.add_argument("--bare", action="store_true")
    ap.add_argument("--lines", type=float, default=0)
    ap.add_argument("--branches", type=float, default=0)
    ap.add_argument("--known", default=os.path.join(TOP, "tests/coverage.known"))
    args = ap.parse_args()
    files = collect(".")
    known = Known(args.known)
    rooms, missing = {}, []
    for name in sorted(files):
        with open(os.path.join(TOP, name)) as f:
            source = f.read().split("\n")
        row = rooms.setdefault(name if args.files else room_of(name), [0] * 6)
        for n, (count, branches, function) in sorted(files[name].items()):
            lost = sum(not b for b in branches)
            row[0] += count > 0
            row[1] += 1
            row[2] += len(branches) - lost
            row[3] += len(branches)
            if count and not lost:
                continue
            text = source[n - 1].strip()
            if not args.bare and known.explains(name, text, function):
                row[4] += not count
                row[5] += lost
            else:
                missing.append((name, n, count, lost, len(branches), text))
    print("%-28s %9s %8s %9s %8s   explained" % ("room", "lines", "run", "branches", "taken"))
    rooms["all of lib"] = [sum(r[i] for r in rooms.values()) for i in range(6)]
    for room, r in rooms.items():
        print("%-28s %9d %s %9d %s %9d, %d" % (room, r[1], percent(r[0], r[1]), r[3], percent(r[2], r[3]), r[4], r[5]))
    patterns = [] if args.list is None else args.list or [""]
    for name, n, count, lost, of, text in missing:
        if any(fnmatch.fnmatch(name, p) or name.startswith(p) for p in patterns):
            print("%s:%d: %s: %s" % (name, n, "%d of %d ways" % (lost, of) if count else "never", text))
    needless = [] if args.bare else known.needless()
    for text in needless:
        print(text)
    r = rooms["all of lib"]
    return bool(needless) or r[0] * 100 < args.lines * r[1] or r[2] * 100 < args.branches * r[3]


if __name__ == "__main__":
    sys.exit(main())
