#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""stack.py SEED FILE NAME [FILE NAME]...

Lays the bytes of each FILE over new disks disk0, disk1, ... in the current folder, in pieces by chance
(linear, striped, zero, on other lines), and prints the lines of a table in which NAME is the FILE.
"""
import os
import random
import sys

SECTOR = 512
rng = random.Random(int(sys.argv[1]))
disks = [f"disk{i}" for i in range(rng.randint(1, 4))]
end = {d: rng.randint(0, 40) for d in disks}  # sectors in use
numbers = {}
zeros = "ZEROS" in os.environ  # what is zero may be a zero target, on which nobody can write
out = []


def allot(sectors):
    """A new area: (disk, sector)."""
    disk = rng.choice(disks)
    at = end[disk] + rng.choice([0, 0, 1, 8, 2048])
    end[disk] = at + sectors
    return disk, at


def put(disk, sector, data):
    fd = os.open(disk, os.O_RDWR | os.O_CREAT, 0o644)
    if data.count(0) != len(data):
        os.pwrite(fd, data, sector * SECTOR)
    if os.fstat(fd).st_size < sector * SECTOR + len(data):
        os.ftruncate(fd, sector * SECTOR + len(data))
    os.close(fd)


def word(name):
    """A line of the table as other lines may name it."""
    form = rng.randint(0, 2)
    if form == 2:
        if name not in numbers:
            numbers[name] = f"253:{len(numbers)}"
            how = rng.choice(["{0}:{1}", "{0} ({1})", "{0}\t253 {2}"])
            out.append(how.format(name, numbers[name], numbers[name][4:]))
        return numbers[name]
    return "/dev/mapper/" + name if form else name


def lines(name, data, level):
    """Lines that make @name read as @data."""
    total = len(data) // SECTOR
    at = 0
    made = []
    while at < total:
        n = min(total - at, rng.choice([1, 8, 100, 129, 1024, 5000, total]))
        kind = rng.choice(["linear", "linear", "striped", "line"] + ["zero"] * zeros)
        piece = data[at * SECTOR:(at + n) * SECTOR]
        if kind == "zero" and piece.count(0) == len(piece):
            made.append(f"{at} {n} zero")
        elif kind == "striped":
            legs = rng.randint(1, 5)
            stripe = rng.choice([1, 8, 16, 128])
            n -= n % (legs * stripe)
            if not n:
                continue
            area = [allot(n // legs) for _ in range(legs)]
            for c in range(n // stripe):
                disk, sector = area[c % legs]
                put(disk, sector + c // legs * stripe,
                    data[(at + c * stripe) * SECTOR:(at + (c + 1) * stripe) * SECTOR])
            made.append(f"{at} {n} striped {legs} {stripe} " + " ".join(f"{d} {s}" for d, s in area))
        elif kind == "line" and level < 3:
            below = f"{name}.{at}"
            before, after = rng.randint(0, 9), rng.randint(0, 9)
            lines(below, bytes(before * SECTOR) + piece + bytes(after * SECTOR), level + 1)
            made.append(f"{at} {n} linear {word(below)} {before}")
        else:
            disk, sector = allot(n)
            put(disk, sector, piece)
            made.append(f"{at} {n} linear {disk} {sector}")
        at += n
    out.extend(f"{name}: {line}" for line in made)


for path, name in zip(sys.argv[2::2], sys.argv[3::2]):
    with open(path, "rb") as f:
        lines(name, f.read(), 0)
print("\n".join(out))
