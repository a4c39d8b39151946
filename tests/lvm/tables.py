#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""tables.py PV.TABLES TABLE: is each linear, striped, thin and thin-pool line of TABLE what the
kernel had?  PV.TABLES is a fixture's; numbers there stand for images and for other lines.
A partition's begin is in TABLE alone: it must be the same in all lines of an image.  Prints how many
lines were compared and what differs; lines of LVs that the kernel did not have are passed over."""
import os
import re
import sys

number, kernel, shift = {}, {}, {}
for line in open(sys.argv[1]):
    m = re.match(r"# (\d+:\d+) (\S+)", line)
    if m:
        number[m[1]] = m[2]
    elif not line.startswith("#") and ": " in line:
        name, rest = line.split(": ", 1)
        kernel.setdefault(name, []).append(rest.split())


def plain(dm):
    """The LV and the layer of a device-mapper name, in which dashes of names are doubled."""
    parts = [p.replace("\0", "-") for p in dm.replace("--", "\0").split("-")]
    return (parts + ["", ""])[1], (parts + ["", ""])[2]


want = {}
for dm, lines in kernel.items():
    lv, layer = plain(dm)
    for w in lines:
        # VG-POOL and VG-ORIGIN are lines over the layer that has the content
        if w[2] == "linear" and not layer and plain(number.get(w[3], "x-x"))[1] in ("tpool", "real"):
            continue
        want.setdefault(lv, []).append(w)

bad = compared = 0
for line in open(sys.argv[2]):
    if line.startswith("#"):
        continue
    name, rest = line.rstrip("\n").split(": ", 1)
    got, lv = rest.split(), name.split("/")[-1]
    if got[2] == "error" or lv not in want:
        continue
    same = [w for w in want[lv] if w[:2] == got[:2]]
    ok = False
    for w in same:
        ok = w[2] == got[2]
        for i, (a, b) in enumerate(zip(w[3:], got[3:]), 3):
            if a in number and number[a].endswith(".img"):
                ok = ok and number[a] == os.path.basename(b)
            elif a in number:
                ok = ok and plain(number[a])[0] == b.split("/")[-1]
            elif got[i - 1].startswith("/"):
                begin = int(b) - int(a)
                ok = ok and shift.setdefault(got[i - 1], begin) == begin
            elif got[2] != "thin-pool" or i != 6:  # the low water mark is dmeventd's
                ok = ok and a == b
        if ok:
            break
    compared += 1
    if not ok:
        bad += 1
        print("differs: %s\n     not: %s" % (line.rstrip(), same))
print("%d lines compared" % compared)
sys.exit(bad > 0 or not compared)
