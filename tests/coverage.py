#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""coverage.py [--list [PATTERN...]]: which lines and branches of lib have run, by room.

In a build folder that was configured with --enable-coverage, after any tests: the counts add up until `make
coverage-zero`.  A branch here is one outcome of one condition: `if (a && b)` has four.

--list prints what has never run in the files whose name matches one of the patterns (none: in all), but for what
tests/coverage.known explains.  --bare leaves the explanations aside.
--open: it ends with 1 where more is open without a reason than tests/coverage.open lists, which --write-open makes.
--lines N, --branches N: it ends with 1 below these percentages, which the explained count against.
It also ends with 1 where an entry of tests/coverage.known explains nothing: all that it is about has run, or is gone;
but for those whose reason begins with "by chance: ".
"""
import argparse
import collections
import concurrent.futures
import fnmatch
import json
import os
import re
import subprocess
import sys

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
OPEN = os.path.join(TOP, "tests/coverage.open")
CHANCE = "by chance: "  # a reason that begins so is for what some runs take and some do not


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


def indent_of(line):
    return len(line.expandtabs(8)) - len(line.expandtabs(8).lstrip())


def bare(part):
    """One condition of a line, without the words and parentheses around it"""
    part = re.sub(r"^(\}? ?else )?(\} )?(if|while|switch|return|for) ?(?=\()|^return ", "", part.strip())
    part = part.split(" : ")[0].rstrip("{; ")
    part = re.sub(r"^[\w>.*\[\] -]+ = ", "", part)
    while part.count("(") > part.count(")") and re.match(r"[(!]*\(", part):
        part = part.replace("(", "", 1)
    while part.count(")") > part.count("(") and part.endswith(")"):
        part = part[:-1]
    while re.match(r"\((?:[^()]|\([^()]*\))*\)$", part):
        part = part[1:-1]
    return part.strip()


def conditions(text, nr):
    """The texts of the nr conditions of a line, in their order; [] where the line does not show them"""
    text = re.sub(r"/\*.*?(\*/|$)", "", text).strip()
    if text.startswith("for (") and text.count(";") > 0:
        text = "if (" + text.split(";")[1]
    parts = re.split(r"(&&|\|\||\?:?)", text)
    found = [bare(part) for part, after in zip(parts[::2], parts[1::2])]
    if len(parts) == 1 or not parts[-2].startswith("?"):
        found.append(bare(parts[-1]))
    found = [x for x in found if x]
    return found if len(found) == nr else []


class Known:
    """FILE-PATTERN | PATTERN OF THE LINE'S TEXT, {PATTERN OF ONE CONDITION}, FUNCTION() | REASON"""

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
                for i, row in enumerate(self.rows) if i not in self.used and not row[2].startswith(CHANCE)]

    def match(self, name, texts):
        for i, (f, t, _) in enumerate(self.rows):
            if fnmatch.fnmatchcase(name, f) and any(t == x or fnmatch.fnmatchcase(x, t) for x in texts):
                self.used.add(i)
                return True
        return False

    def left(self, name, text, line):
        """How many outcomes of this line have not been taken, for no known reason; 1 where it never ran and has none"""
        count, branches, function = line
        if self.match(name, [text, "%s()" % function]):
            return 0
        if not count:
            return max(1, len(branches))
        parts = conditions(text, len(branches) / 2)  # an odd number is a switch's
        lost = 0
        for i in range(0, len(branches), 2):
            here = sum(not b for b in branches[i:i + 2])
            if here and not (parts and self.match(name, ["{%s}" % parts[i // 2]])):
                lost += here
        return lost


def look(name, lines, source, known, row, missing):
    """Counts a file's lines into a row, and lists what is missing.  What a reason is given for explains the lines below
    it, too: those of an if or a loop that never ran"""
    below = None
    for n, line in sorted(lines.items()):
        count, branches, _ = line
        lost = sum(not b for b in branches)
        row[0] += count > 0
        row[1] += 1
        row[2] += len(branches) - lost
        row[3] += len(branches)
        if below is not None and (count or indent_of(source[n - 1]) <= below):
            below = None
        if count and not lost:
            continue
        text = source[n - 1].strip()
        left = 0 if below is not None and not count else lost + (not count) if known is None else known.left(name, text, line)
        if not left and below is None and not re.match(r"if \(!r\b|for |while |\} while ", text):
            below = indent_of(source[n - 1])
        row[4] += not count and not left
        row[5] += lost - min(left, lost)
        row[6] += min(left, lost)
        if left:
            missing.append((name, n, count, left, len(branches), text))


def room_of(name):
    part = name.split("/")
    return "/".join(part[:-1])


def percent(a, b):
    return "%6.1f %%" % (100.0 * a / b) if b else "       -"


def parse_args():
    ap = argparse.ArgumentParser()
    ap.add_argument("--list", nargs="*", metavar="PATTERN")
    ap.add_argument("--files", action="store_true", help="a row for each file")
    ap.add_argument("--bare", action="store_true")
    ap.add_argument("--open", action="store_true")
    ap.add_argument("--write-open", action="store_true")
    ap.add_argument("--lines", type=float, default=0)
    ap.add_argument("--branches", type=float, default=0)
    ap.add_argument("--known", default=os.path.join(TOP, "tests/coverage.known"))
    return ap.parse_args()


def open_ways(missing):
    """How many ways are open without a reason in lines of this text.  No file and no number of a line, so that code may move"""
    ways = collections.Counter()
    for _, _, _, left, _, text in missing:
        ways[text] += left
    return ways


def grown(missing):
    """What is open and does not stand in OPEN, as lines of text"""
    with open(OPEN) as f:
        listed = collections.Counter({t: int(n) for n, t in (line.rstrip("\n").split(" ", 1) for line in f)})
    ways = open_ways(missing)
    more, fewer = ways - listed, listed - ways
    print("open without a reason: %d ways; in tests/coverage.open: %d; of these taken or gone: %d"
          % tuple(sum(x.values()) for x in (ways, listed, fewer)))
    return ["%s:%d: open, and not in tests/coverage.open: %s" % (name, n, text)
            for name, n, _, _, _, text in missing if text in more]


def write_open(missing):
    with open(OPEN, "w") as f:
        f.writelines("%d %s\n" % (n, text) for text, n in sorted(open_ways(missing).items()))


def print_rooms(rooms):
    print("%-28s %9s %8s %9s %8s %9s   explained" % ("room", "lines", "run", "branches", "taken", "open"))
    for room, r in rooms.items():
        print("%-28s %9d %s %9d %s %9d   %d, %d" % (room, r[1], percent(r[0], r[1]), r[3], percent(r[2], r[3]), r[6], r[4], r[5]))


def main():
    args = parse_args()
    files = collect(".")
    known = None if args.bare else Known(args.known)
    rooms, missing = {}, []
    for name in sorted(files):
        with open(os.path.join(TOP, name)) as f:
            source = f.read().split("\n")
        look(name, files[name], source, known, rooms.setdefault(name if args.files else room_of(name), [0] * 7), missing)
    r = rooms["all of lib"] = [sum(r[i] for r in rooms.values()) for i in range(7)]
    print_rooms(rooms)
    patterns = [] if args.list is None else args.list or [""]
    for name, n, count, left, of, text in missing:
        if any(fnmatch.fnmatch(name, p) or name.startswith(p) for p in patterns):
            print("%s:%d: %s: %s" % (name, n, "%d of %d ways" % (left, of) if count else "never", text))
    if args.write_open:
        write_open(missing)
    wrong = known.needless() if known else []
    wrong += grown(missing) if args.open else []
    for text in wrong:
        print(text)
    return bool(wrong) or r[0] * 100 < args.lines * r[1] or r[2] * 100 < args.branches * r[3]


if __name__ == "__main__":
    sys.exit(main())
