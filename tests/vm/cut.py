#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""cut.py LOG META-LEN SEED COUNT: what a power cut may leave, out of a log of dm-log-writes.

The log is of a device whose first META-LEN bytes are a pool's metadata, the rest its data.  Writes meta.N and
data.N for COUNT moments by chance: all writes before the last flush are there, of those after it
some, and some of these only in part.  Prints a line for each.
"""
import random
import struct
import sys

SECTOR = 512
MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


class Entry:
    def __init__(self, log, at):
        self.sector, self.nr, self.flags, _ = struct.unpack_from("<4Q", log, at)
        self.data = None
        self.end = at + SECTOR
        if not self.flags & (DISCARD | MARK) and self.nr:
            self.data = log[self.end : self.end + self.nr * SECTOR]
            self.end += self.nr * SECTOR

    def put(self, image, begin=0, end=None):
        """Its sectors from begin to end."""
        end = self.nr if end is None else end
        what = self.data[begin * SECTOR : end * SECTOR] if self.data else bytes((end - begin) * SECTOR)
        if self.data or self.flags & DISCARD:
            at = (self.sector + begin) * SECTOR
            image[at : at + len(what)] = what


def entries(path):
    with open(path, "rb") as f:
        log = f.read()
    magic, version, count = struct.unpack_from("<3Q", log, 0)
    if magic != MAGIC or version != 1:
        sys.exit("%s is no log of dm-log-writes" % path)
    at = SECTOR
    for _ in range(count):
        e = Entry(log, at)
        yield e
        at = e.end


def save(path, data):
    step = 65536
    with open(path, "wb") as f:
        f.truncate(len(data))
        for at in range(0, len(data), step):
            part = data[at : at + step]
            if part.count(0) != len(part):
                f.seek(at)
                f.write(part)


def main():
    path, meta_len, seed, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    rng = random.Random(seed)
    log = list(entries(path))
    image = bytearray(max(e.sector + e.nr for e in log) * SECTOR)
    # where a superblock is whole for the first time
    begin = 1 + next(i for i, e in enumerate(log) if e.data and e.sector == 0 and any(e.data[:4]))
    begin = 1 + next(i for i in range(begin, len(log)) if log[i].flags & FLUSH)
    cuts = sorted(rng.sample(range(begin, len(log) + 1), count))
    print("# %d writes and flushes are logged, the pool is there after %d" % (len(log), begin))
    done = 0
    for number, cut in enumerate(cuts):
        last = max(i for i in range(cut) if log[i].flags & FLUSH)
        for e in log[done : last]:
            e.put(image)
        done = last
        now = bytearray(image)
        keep = rng.choice([0, 0.5, 0.9, 1])
        kept = torn = 0
        for i, e in enumerate(log[last : cut]):
            if (i == 0 and e.flags & FUA) or rng.random() < keep:
                kept += 1
                e.put(now)
            elif e.data and e.nr > 1 and rng.random() < keep / 2:
                torn += 1
                e.put(now, *sorted(rng.sample(range(e.nr + 1), 2)))
        save("meta.%d" % number, now[:meta_len])
        save("data.%d" % number, now[meta_len:].ljust(131072 * SECTOR, b"\0"))
        print("# cut %d after %d: of the %d writes since the last flush %d are there and %d in part"
              % (number, cut, cut - last, kept, torn))


main()
