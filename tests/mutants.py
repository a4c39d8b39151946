#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""mutants.py SEED COUNT [ROOM...]: are there tests that notice when one operator of the code is wrong?

In a build folder, after `make check TESTS=`.  Each mutant is one change to one line of a room (lib/pool/check, build,
edit, lib/pdata/map, lib/volume/target, map, unless others are named).  It is linked into the room's unit tests, and where these
notice nothing into the commands for the room's command tests (--bats).  The survivors are listed: each is a test
that is missing, or code that does not matter (an early exit, a hint, a capacity).
"""
import argparse
import os
import random
import re
import subprocess
import sys
import tempfile

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
# room: unit tests, commands, command tests
ROOMS = {
    "lib/pdata/map": ("t_space_map t_space_whole t_build t_check t_powercut", "", ""),
    "lib/pool/check": ("t_check t_leaf_scan t_memory t_owners", "thin_check", "check"),
    "lib/pool/build": ("t_build t_xml_read", "thin_restore thin_dump", "restore"),
    "lib/pool/edit": ("t_message t_edit_damage t_edit_faults t_powercut t_target", "thin_message", "message"),
    "lib/volume/target": ("t_target t_target_model", "", ""),
    "lib/volume/map": ("t_map t_map_sources t_copy", "thin_materialize", "materialize"),
}
OPERATORS = [
    (r" < ", [" <= ", " >= "]), (r" > ", [" >= ", " <= "]), (r" <= ", [" < "]), (r" >= ", [" > "]),
    (r" == ", [" != "]), (r" != ", [" == "]), (r" && ", [" || "]), (r" \|\| ", [" && "]),
    (r" \+ ", [" - "]), (r" - ", [" + "]), (r" \+= ", [" -= ", " = "]), (r"\+\+;", ["--;", ";"]), (r" \|= ", [" &= "]),
    (r"if \((!?)", None), (r"return r;", ["return 0;"]), (r" true\b", [" false"]), (r" false\b", [" true"]),
    (r" 1;", [" 2;", " 0;"]), (r" 0;", [" 1;"]), (r" \* ", [" / "]), (r"MIN\(", ["MAX("]), (r"MAX\(", ["MIN("]),
    (r"\bcontinue;", ["break;"]), (r"\bbreak;", [";"]),
]
LIBS = "-lexpat -ldeflate -lblkid -lpthread".split()
FLAGS = "-std=gnu17 -O1 -fPIC -fvisibility=hidden -pthread -w -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DHAVE_CONFIG_H".split()


def places(lines):
    """(line, begin, end, new text) of every change that can be made"""
    comment = False
    for n, line in enumerate(lines):
        text = line.strip()
        if comment or text.startswith(("/*", "*", "#", "static_assert")) or not line.startswith("\t"):
            comment = (comment or "/*" in line) and "*/" not in line
            continue
        code = re.sub(r'/\*.*', "", line)
        code = re.sub(r'"[^"]*"', lambda m: '"' + "_" * (len(m.group()) - 2) + '"', code)
        for pattern, news in OPERATORS:
            for m in re.finditer(pattern, code):
                if news is None:
                    yield n, m.start(), m.end(), "if (" if m.group(1) else "if (!"
                    continue
                if pattern == r" \* " and re.search(r"\b(struct \w+|void|char|u?int\d+_t) \* $", code[: m.end()]):
                    continue
                for new in news:
                    yield n, m.start(), m.end(), new


def of_make(text):
    """The words of @text with the variables that the Makefile gives"""
    rule = "include Makefile\nwords-of-make:\n\t@echo '%s'\n" % text
    return subprocess.run(["make", "-s", "-f", "-", "words-of-make"], input=rule.encode(), stdout=subprocess.PIPE,
                          check=True).stdout.decode().split()


def sh(argv, timeout, env=None):
    try:
        p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, env=env)
    except subprocess.TimeoutExpired:
        return 124, b""
    return p.returncode, p.stdout


class Room:
    def __init__(self, name, args, work):
        self.name, self.args, self.work = name, args, work
        units, commands, bats = ROOMS[name]
        self.units, self.commands, self.bats = units.split(), commands.split(), bats.split()
        self.zlib = of_make("$(ZLIB_LIBS)")  # perhaps with libzstd
        # the objects of each unit test, and what makes its calls fail
        self.parts = {t: of_make("$(tests_unit_%s_OBJECTS) $(tests_unit_%s_LDFLAGS) -ldl" % (t, t)) for t in self.units}
        self.all = []
        for f in sorted(os.listdir(os.path.join(TOP, name))):
            if f.endswith(".c"):
                with open(os.path.join(TOP, name, f)) as h:
                    lines = h.readlines()
                self.all += [(f, lines) + p for p in places(lines)]

    def link(self, obj, parts, out):
        return sh(["cc", "-pthread", "-o", out, *parts, obj, "libthin.a", *LIBS, *self.zlib], 600)[0] == 0

    def killed_by(self, obj):
        """The first test that notices, or None."""
        for t in self.units:
            out = os.path.join(self.work, t)
            if not self.link(obj, self.parts[t], out):
                return "linker"
            rc, said = sh([out], self.args.timeout)
            if rc or b"\nnot ok" in said:
                return t
        if self.args.bats:
            env = dict(os.environ, PATH=self.work + ":" + os.path.abspath("bin") + ":" + os.environ["PATH"], srcdir=TOP,
                       abs_top_srcdir=TOP, abs_top_builddir=os.getcwd())
            for c in self.commands:
                cli = [f for f in ("libthincli.a", "libcli.a") if os.path.exists(f)]
                if not self.link(obj, ["bin/%s.o" % c, *cli], os.path.join(self.work, c)):
                    return "linker"
            for b in self.bats:
                rc, _ = sh(["sh", os.path.join(TOP, "tests/run-bats"), os.path.join(TOP, "tests/cli/%s.bats" % b)],
                           20 * self.args.timeout, env)
                if rc:
                    return b + ".bats"
        return None

    def trial(self, rng):
        f, lines, n, begin, end, new = rng.choice(self.all)
        path = os.path.join(self.work, f)
        with open(path, "w") as h:
            h.writelines(lines[:n] + [lines[n][:begin] + new + lines[n][end:]] + lines[n + 1 :])
        obj = os.path.join(self.work, "mutant.o")
        rc, _ = sh(["cc", *FLAGS, "-I" + os.path.join(TOP, "lib"), "-I" + os.path.join(TOP, self.name), "-I.", "-c", "-o", obj, path], 600)
        os.unlink(path)
        what = "%s/%s:%d: %s -> %s" % (self.name, f, n + 1, lines[n].strip(), (lines[n][:begin] + "{" + new.strip() + "}" + lines[n][end:]).strip())
        return what, "compiler" if rc else self.killed_by(obj)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("seed", type=int)
    ap.add_argument("count", type=int, help="mutants of each room")
    ap.add_argument("rooms", nargs="*")
    ap.add_argument("--bats", action="store_true", help="the command tests, too (slow)")
    ap.add_argument("--timeout", type=int, default=120)
    args = ap.parse_args()
    for name in args.rooms or ROOMS:
        rng = random.Random("%d %s" % (args.seed, name))
        with tempfile.TemporaryDirectory() as work:
            room = Room(name, args, work)
            tried = survived = 0
            for _ in range(args.count):
                what, by = room.trial(rng)
                if by in ("compiler", "linker"):
                    continue
                tried += 1
                survived += by is None
                print("%s %s" % ("SURVIVES" if by is None else "killed by %s:" % by, what), flush=True)
            print("# %s: %d of %d mutants noticed (seed %d)" % (name, tried - survived, tried, args.seed), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
