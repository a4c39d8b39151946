#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""mutate.py SEED COUNT POOL...: changed pools, judged by the commands and by a second opinion.

Each trial takes a pool, changes one to three things in it (most with the checksum put right) and asks
thin_check and thinpool.py whether it is sound.  Of a sound one thin_dump, thin_ls, thin_rmap and
thin_delta must tell what thinpool.py reads; what thin_repair makes of one that is not must be sound,
with every mapping of every device whose tree is whole.  The last two lines are the score, and that of theirs (theirs.py);
each disagreement is a line "trial N ..."; with --keep DIR its image stays there.
"""
import argparse
import os
import random
import struct
import sys
import tempfile

from answers import check_listings, check_repair, run
from theirs import Theirs
from thinpool import BLOCK, SALT_BITMAP, SALT_INDEX, SALT_NODE, SALT_SUPER, Pool, crc, u32, u64

SALT = {"superblock": SALT_SUPER, "held": SALT_SUPER, "index": SALT_INDEX, "bitmap": SALT_BITMAP}


class Mutant:
    def __init__(self, image, pool, rng):
        self.b, self.pool, self.rng = bytearray(image), pool, rng
        self.by_use = {}
        for n, use in pool.use.items():
            self.by_use.setdefault(use, []).append(n)

    def u32(self, at):
        return u32(self.b, at)

    def put(self, n, at, fmt, value):
        bits = 8 * struct.calcsize("<" + fmt)
        struct.pack_into("<" + fmt, self.b, n * BLOCK + at, value % (1 << bits))

    def seal(self, n, use):
        struct.pack_into("<I", self.b, n * BLOCK, crc(self.b[n * BLOCK : (n + 1) * BLOCK])
                         ^ SALT.get(use, SALT_NODE))

    def near(self, value):
        """Another value: near the old one, at a limit, or anything."""
        r = self.rng
        return r.choice([value + 1, value - 1, value + r.randrange(2, 300), 0, 1, 3, (1 << 32) - 1,
                         value ^ (1 << r.randrange(40)), r.randrange(1 << 24)])

    def pick(self, *uses):
        have = [(n, u) for u in uses for n in self.by_use.get(u, ())]
        return self.rng.choice(have) if have else (None, None)

    def change(self):
        """One change, and what it was in words."""
        how = self.rng.choice([self.flip, self.header, self.keys, self.value, self.value, self.swap,
                               self.superblock, self.superblock, self.details, self.counts, self.counts,
                               self.overflow, self.transplant, self.drop_entry, self.index, self.zero,
                               self.exchange, self.second_way, self.roots])
        done = how()
        if not done:
            return None
        n, use, words = done
        if self.rng.random() < 0.93:
            self.seal(n, use)
        else:
            words += ", checksum left wrong"
        return "block %d (%s): %s" % (n, use, words)

    def flip(self):
        n, use = self.pick(*self.by_use)
        bit = self.rng.randrange(32, BLOCK * 8)
        self.b[n * BLOCK + bit // 8] ^= 1 << bit % 8
        return n, use, "bit %d flipped" % bit

    TREES = ("top", "details", "device", "device", "device", "data-index", "overflow-data",
             "overflow-metadata")

    def node(self):
        n, use = self.pick(*self.TREES)
        if n is None:
            return None
        at = n * BLOCK
        nr, room, size = self.u32(at + 16), self.u32(at + 20), self.u32(at + 24)
        # an earlier change may have made these larger than the block
        nr = min(nr, max(0, BLOCK - 32 - 8 * room) // size) if size else 0
        return n, use, at, nr, room, size

    def header(self):
        n, use, at, *_ = self.node()
        field, fmt = self.rng.choice([(4, "I"), (8, "Q"), (16, "I"), (20, "I"), (24, "I"), (28, "I")])
        old = self.u32(at + field)
        new = self.near(old)
        self.put(n, field, fmt, new)
        return n, use, "header field at %d from %d to %d" % (field, old, new)

    def keys(self):
        n, use, at, nr, *_ = self.node()
        if not nr:
            return None
        i = self.rng.randrange(nr)
        old = u64(self.b, at + 32 + 8 * i)
        new = self.near(old)
        self.put(n, 32 + 8 * i, "Q", new)
        return n, use, "key %d from %d to %d" % (i, old, new)

    def value(self):
        n, use, at, nr, room, size = self.node()
        if not nr or size not in (4, 8, 16, 24):
            return None
        i = self.rng.randrange(nr)
        place = 32 + 8 * room + size * i
        if size == 4:
            old = self.u32(at + place)
            new = self.near(old)
            self.put(n, place, "I", new)
            return n, use, "value %d from %d to %d" % (i, old, new)
        old = u64(self.b, at + place)
        if use == "device" and self.u32(at + 4) == 2:
            data, time = old >> 24, old & 0xFFFFFF
            if self.rng.random() < 0.5:
                data = self.near(data) & ((1 << 40) - 1)
            else:
                time = self.near(time) & 0xFFFFFF
            new = data << 24 | time
        else:
            new = self.rng.choice([self.near(old), self.rng.choice(list(self.pool.use))])
        self.put(n, place, "Q", new)
        return n, use, "value %d from %d to %d" % (i, old, new)

    def swap(self):
        n, use, at, nr, room, size = self.node()
        if nr < 2 or size not in (4, 8, 16, 24):
            return None
        i, j = self.rng.sample(range(nr), 2)
        start, width = self.rng.choice([(32, 8), (32 + 8 * room, size)])
        a, c = at + start + width * i, at + start + width * j
        self.b[a : a + width], self.b[c : c + width] = self.b[c : c + width], self.b[a : a + width]
        return n, use, "entries %d and %d swapped" % (i, j)

    def drop_entry(self):
        """The last entry of a node goes."""
        n, use, _, nr, *_ = self.node()
        if not nr:
            return None
        self.put(n, 16, "I", nr - 1)
        return n, use, "last of %d entries dropped" % nr

    def superblock(self):
        n, use = self.pick("superblock", "superblock", "held")
        if n is None:
            return None
        field, fmt = self.rng.choice(
            [(4, "I"), (8, "Q"), (32, "Q"), (40, "I"), (44, "I"), (48, "Q"), (56, "Q"), (64, "Q"),
             (72, "Q"), (80, "Q"), (88, "Q"), (192, "Q"), (200, "Q"), (208, "Q"), (216, "Q"), (320, "Q"),
             (328, "Q"), (336, "I"), (340, "I"), (344, "Q"), (352, "I"), (356, "I"), (360, "I")])
        old = u64(self.b, n * BLOCK + field) if fmt == "Q" else self.u32(n * BLOCK + field)
        new = self.rng.choice([self.near(old), self.near(old), self.rng.choice(list(self.pool.use))])
        self.put(n, field, fmt, new)
        return n, use, "field at %d from %d to %d" % (field, old, new)

    def details(self):
        n, use = self.pick("details")
        if n is None:
            return None
        at = n * BLOCK
        nr = self.u32(at + 16)
        if self.u32(at + 4) != 2 or not nr:
            return None
        i, (off, fmt) = self.rng.randrange(nr), self.rng.choice([(0, "Q"), (8, "Q"), (16, "I"), (20, "I")])
        place = 32 + 8 * 126 + 24 * i + off
        old = self.u32(at + place)
        new = self.near(old)
        self.put(n, place, fmt, new)
        return n, use, "details %d, field at %d, from %d to %d" % (i, off, old, new)

    def counts(self):
        n, use = self.pick("bitmap")
        if n is None:
            return None
        # Near what is in use more often than anywhere.
        j = self.rng.randrange(self.rng.choice([64, 1000, 16320]))
        new = self.rng.randrange(4)
        at, shift = 16 + j // 4, 2 * (j % 4)
        byte = self.b[n * BLOCK + at]
        self.b[n * BLOCK + at] = byte & ~(3 << shift) | new << shift
        return n, use, "pair %d set to bits %d" % (j, new)

    def overflow(self):
        """An entry more in an overflow leaf."""
        n, use = self.pick("overflow-data", "overflow-metadata")
        at = n * BLOCK
        nr = self.u32(at + 16)
        if self.u32(at + 4) != 2 or nr >= 336:
            return None
        keys = list(struct.unpack_from("<%dQ" % nr, self.b, at + 32))
        values = list(struct.unpack_from("<%dI" % nr, self.b, at + 2720))
        key = self.rng.randrange(400)
        if key in keys:
            return None
        i = sum(1 for k in keys if k < key)
        keys.insert(i, key)
        values.insert(i, self.rng.choice([0, 1, 2, 3, 4, 100]))
        struct.pack_into("<%dQ" % (nr + 1), self.b, at + 32, *keys)
        struct.pack_into("<%dI" % (nr + 1), self.b, at + 2720, *values)
        self.put(n, 16, "I", nr + 1)
        return n, use, "an entry for block %d more, count %d" % (key, values[i])

    def index(self):
        n, use = self.pick("index", "data-index")
        if n is None or (use == "data-index" and self.u32(n * BLOCK + 4) != 2):
            return None
        off, fmt = self.rng.choice([(0, "Q"), (8, "I"), (12, "I")])
        at = (16 if use == "index" else 1376) + off
        old = self.u32(n * BLOCK + at)
        new = self.rng.choice([self.near(old), self.rng.choice(list(self.pool.use))])
        self.put(n, at, fmt, new)
        return n, use, "first index entry, field at %d, from %d to %d" % (off, old, new)

    def transplant(self):
        a, use = self.pick(*[u for u in self.by_use if u != "superblock"])
        b, was = self.pick(*[u for u in self.by_use if u != "superblock"])
        if a == b:
            return None
        self.b[b * BLOCK : (b + 1) * BLOCK] = self.b[a * BLOCK : (a + 1) * BLOCK]
        if self.rng.random() < 0.8:
            self.put(b, 8, "Q", b)
        return b, use, "holds block %d (was %s)" % (a, was)


    def zero(self):
        """A block is all zeros, or its first or second half is."""
        n, use = self.pick(*self.by_use)
        begin, end = self.rng.choice([(0, BLOCK), (0, BLOCK // 2), (BLOCK // 2, BLOCK)])
        self.b[n * BLOCK + begin : n * BLOCK + end] = bytes(end - begin)
        return n, use, "bytes %d to %d are zeros" % (begin, end)

    def exchange(self):
        """Two blocks have each other's content; each says that it is where it is."""
        trees = [u for u in self.by_use if u in self.TREES]
        a, use = self.pick(*trees)
        c, was = self.pick(*trees)
        if a is None or a == c:
            return None
        at, to = slice(a * BLOCK, (a + 1) * BLOCK), slice(c * BLOCK, (c + 1) * BLOCK)
        self.b[at], self.b[to] = self.b[to], self.b[at]
        self.put(a, 8, "Q", a)
        self.put(c, 8, "Q", c)
        self.seal(c, was)
        return a, use, "content exchanged with block %d (%s)" % (c, was)

    def second_way(self):
        """An entry's value is another entry's: two ways lead to one child, mapping or bitmap."""
        n, use, at, nr, room, size = self.node()
        if n is None or nr < 2 or size not in (8, 16, 24):
            return None
        i, j = self.rng.sample(range(nr), 2)
        to, of = at + 32 + 8 * room + size * i, at + 32 + 8 * room + size * j
        if self.b[to : to + size] == self.b[of : of + size]:
            return None
        self.b[to : to + size] = self.b[of : of + size]
        return n, use, "entry %d has the value of entry %d" % (i, j)

    def roots(self):
        """A root names a block of another tree, or two roots have changed places."""
        places = [80, 88, 208, 216, 320, 328]
        i, j = self.rng.sample(places, 2)
        a, c = u64(self.b, i), u64(self.b, j)
        if self.rng.random() < 0.5:
            self.put(0, j, "Q", a)
        else:
            c = self.rng.choice(list(self.pool.use))
        self.put(0, i, "Q", c)
        return 0, "superblock", "root at %d is %d (was %d)" % (i, c, a)


def trial(seed, number, paths, work, keep, theirs):
    rng = random.Random("%d/%d" % (seed, number))
    source = rng.choice(paths)
    image, pool = load(source)
    m = Mutant(image, pool, rng)
    words = [w for w in (m.change() for _ in range(rng.choice([1, 1, 1, 2, 3]))) if w]
    if rng.random() < 0.01:
        del m.b[rng.randrange(1, len(m.b) // BLOCK) * BLOCK :]
        words.append("cut")
    path = os.path.join(work, "pool")
    with open(path, "wb") as f:
        f.write(m.b)
    new = Pool(bytes(m.b))
    rc, _, err = run("thin_check", path)
    if not words:
        return new.sound, None  # nothing in this pool that the chosen change could be made to
    wrong = None
    if rc not in (0, 1):
        wrong = "thin_check ends with %d" % rc
    elif (rc == 0) != new.sound:
        mine = [f for f in new.findings if f[0] != "warning"]
        wrong = "thin_check ends with %d, the second opinion is %s; thin_check said: %s" % (
            rc, mine[:3] or "sound", err.strip()[:400])
    elif new.sound:
        wrong = check_listings(path, new, rng)
    else:
        wrong = check_repair(path, new, pool)
    with open(path, "rb") as f:
        if f.read() != m.b:
            wrong = "a reader changed its input"
    wrong = wrong or theirs.judge(path, new)
    if wrong:
        print("trial %d, %s: %s: %s" % (number, os.path.basename(source), "; ".join(words), wrong))
        if keep:
            with open(os.path.join(keep, "%d.img" % number), "wb") as f:
                f.write(m.b)
    for name in os.listdir(work):
        os.unlink(os.path.join(work, name))
    return new.sound, wrong


LOADED = {}


def load(path):
    if path not in LOADED:
        with open(path, "rb") as f:
            image = f.read()
        pool = Pool(image)
        if not pool.sound:
            sys.exit("%s is not a sound pool to begin with: %s" % (path, pool.findings[:3]))
        LOADED[path] = image, pool
    return LOADED[path]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("seed", type=int)
    ap.add_argument("count", type=int)
    ap.add_argument("pools", nargs="+")
    ap.add_argument("--keep")
    ap.add_argument("--only", type=int)
    ap.add_argument("--losses", type=int, default=0, help="so many trials may end with a LOSS")
    args = ap.parse_args()
    sound = wrong = losses = 0
    theirs = Theirs()
    with tempfile.TemporaryDirectory() as work:
        for number in range(args.count) if args.only is None else [args.only]:
            s, w = trial(args.seed, number, args.pools, work, args.keep, theirs)
            sound += s
            wrong += bool(w)
            losses += bool(w and w.startswith("LOSS"))
    print("seed %d: %d changed pools, %d of them sound, %d disagreements, %d of them losses"
          % (args.seed, args.count, sound, wrong, losses))
    print(theirs.score())
    return 1 if wrong > losses or losses > args.losses else 0


if __name__ == "__main__":
    sys.exit(main())
