#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""mutate.py SEED COUNT POOL...: changed pools, judged by the commands and by a second opinion.

Each trial takes a pool, changes one to three things in it (most with the checksum put right) and asks
thin_check and thinpool.py whether it is sound.  Of a sound one thin_dump, thin_ls, thin_rmap and
thin_delta must tell what thinpool.py reads; what thin_repair makes of one that is not must be sound,
with every mapping of every device whose tree is whole.  The last line is the score; each disagreement
is a line "trial N ..."; with --keep DIR its image stays there.
"""
import argparse
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

from thinpool import BLOCK, SALT_BITMAP, SALT_INDEX, SALT_NODE, SALT_SUPER, Pool, crc, u32, u64

SALT = {"superblock": SALT_SUPER, "held": SALT_SUPER, "index": SALT_INDEX, "bitmap": SALT_BITMAP}


def run(*argv):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


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
        return n, use, at, self.u32(at + 16), self.u32(at + 20), self.u32(at + 24)

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


def parse_dump(text):
    """What a dump says: {device: ((mapped, transaction, created, snapped), [(block, data, time)])}"""
    defs, devices, into = {}, {}, None
    for tag, rest in re.findall(r"<(\w+)\s*([^>]*)>", text):
        a = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        if tag == "def":
            into = defs[a["name"]] = []
        elif tag == "device":
            into = []
            devices[int(a["dev_id"])] = (tuple(int(a[k]) for k in (
                "mapped_blocks", "transaction", "creation_time", "snap_time")), into)
        elif tag == "ref":
            into += defs[a["name"]]
        elif tag == "single_mapping":
            into.append((int(a["origin_block"]), int(a["data_block"]), int(a["time"])))
        elif tag == "range_mapping":
            o, d, n, t = (int(a[k]) for k in ("origin_begin", "data_begin", "length", "time"))
            into += [(o + i, d + i, t) for i in range(n)]
    return devices


def check_dump(path, pool):
    rc, out, err = run("thin_dump", path)
    if rc:
        return "thin_dump fails on a sound pool: " + err.strip()
    want = {dev: (d, e) for dev, (e, d) in pool.devices.items()}
    return None if parse_dump(out) == want else "thin_dump tells other devices or mappings"


def check_ls(path, pool):
    fields = "DEV,MAPPED_BLOCKS,EXCLUSIVE_BLOCKS,SHARED_BLOCKS,TRANSACTION,CREATE_TIME,SNAP_TIME"
    rc, out, err = run("thin_ls", "--no-headers", "-o", fields, path)
    if rc:
        return "thin_ls fails on a sound pool: " + err.strip()
    who = pool.owners()
    want = []
    for dev, (entries, d) in sorted(pool.devices.items()):
        own = sum(1 for _, b, _ in entries if all(o[0] == dev for o in who[b]))
        want.append([dev, len(entries), own, len(entries) - own, d[1], d[2], d[3]])
    got = [[int(x) for x in line.split()] for line in out.splitlines()]
    return None if got == want else "thin_ls counts otherwise"


def check_rmap(path, pool):
    rc, out, err = run("thin_rmap", "--region", "0..-1", path)
    if rc:
        return "thin_rmap fails on a sound pool: " + err.strip()
    got = set()
    for a, b, dev, v in re.findall(r"data (\d+)\.\.(\d+) -> thin\((\d+)\) (\d+)\.\.", out):
        got |= {(int(a) + i, int(dev), int(v) + i) for i in range(int(b) - int(a))}
    want = {(d, dev, v) for dev, (e, _) in pool.devices.items() for v, d, _ in e}
    return None if got == want else "thin_rmap tells other owners"


def check_delta(path, pool, rng):
    if len(pool.devices) < 2:
        return None
    a, b = rng.sample(sorted(pool.devices), 2)
    rc, out, err = run("thin_delta", "--thin1", str(a), "--thin2", str(b), path)
    if rc:
        return "thin_delta fails on a sound pool: " + err.strip()
    left, right = ({v: d for v, d, _ in pool.devices[x][0]} for x in (a, b))
    want = {v: "same" if left.get(v) == right.get(v) else "left_only" if v not in right
            else "right_only" if v not in left else "different" for v in set(left) | set(right)}
    got = {}
    for kind, begin, n in re.findall(r'<(same|different|left_only|right_only) begin="(\d+)" length="(\d+)"', out):
        got.update({int(begin) + i: kind for i in range(int(n))})
    return None if got == want else "thin_delta of %d and %d differs" % (a, b)


def check_map(path, pool, rng):
    """Where thin_materialize would read each byte of a device."""
    small = [d for d in sorted(pool.devices) if not pool.devices[d][0] or pool.devices[d][0][-1][0] < 1 << 30]
    bs = pool.sb.data_block_size * 512
    if not small or pool.sb.data_map[0] * bs >= 1 << 43:
        return None  # explained: a sparse file of that size cannot be made
    dev = rng.choice(small)
    entries = pool.devices[dev][0]
    size = (entries[-1][0] + 1) * bs if entries else bs
    data = path + ".data"
    with open(data, "wb") as f:
        f.truncate(pool.sb.data_map[0] * bs)
    rc, out, err = run("thin_materialize", "--size", "%dB" % size, "--data-dev", data, "--map", path, str(dev))
    os.unlink(data)
    if rc:
        return "thin_materialize --map of %d fails on a sound pool: %s" % (dev, err.strip())
    got, at = set(), 0
    for line in out.splitlines():
        word = line.split()
        begin, n = int(word[0]), int(word[1])
        if begin != at:
            return "thin_materialize --map of %d leaves a gap at %d" % (dev, at)
        at += n
        if word[2] == "data":
            got |= {((begin + i) // bs, (int(word[3]) + i) // bs) for i in range(0, n, bs)}
    if at != size:
        return "thin_materialize --map of %d ends at %d of %d" % (dev, at, size)
    return None if got == {(v, d) for v, d, _ in entries} else "thin_materialize --map of %d names other blocks" % dev


def check_shrink(path, pool, rng):
    """The metadata of a pool made smaller: sound, the same devices, shares and times, no block beyond the end."""
    used = len(pool.owners())
    if not used or any(v > 1 for v in pool.data_refs.values()) and pool.sb.held_root:
        return None  # a held snapshot is not kept: thin_shrink says so, and how many mappings go with it
    end = rng.randrange(used, pool.sb.data_map[0] + 1) if pool.sb.data_map[0] < 1 << 20 else used + 1000
    out = path + ".small"
    rc, _, err = run("thin_shrink", "-q", "--binary", "-i", path, "-o", out, "--size", "auto", "--no-copy", "--nr-blocks", str(end))
    if rc:
        return "thin_shrink to %d blocks fails on a sound pool with %d in use: %s" % (end, used, err.strip())
    with open(out, "rb") as f:
        new = Pool(f.read())
    os.unlink(out)
    if not new.sound:
        return "thin_shrink makes a pool that is not sound: %s" % (new.findings[:3],)
    if new.sb.data_map[0] != end:
        return "thin_shrink to %d blocks makes a pool of %d" % (end, new.sb.data_map[0])
    moved = {}
    for dev, (entries, details) in pool.devices.items():
        now, its = new.devices.get(dev, ((), None))
        if its != details or [(v, t) for v, _, t in now] != [(v, t) for v, _, t in entries]:
            return "thin_shrink changes device %d" % dev
        for (_, d, _), (_, to, _) in zip(entries, now):
            if moved.setdefault(d, to) != to or (d < end and to != d) or to >= end:
                return "thin_shrink moves block %d to %d" % (d, to)
    return None if len(set(moved.values())) == len(moved) else "thin_shrink puts two blocks into one place"


def check_listings(path, pool, rng):
    """Of a sound pool: what all commands tell of it, or None when that is what it holds."""
    return (check_dump(path, pool) or check_ls(path, pool) or check_rmap(path, pool)
            or check_delta(path, pool, rng) or check_map(path, pool, rng) or check_shrink(path, pool, rng))


def check_repair(path, pool, before):
    """What is repaired is sound, and no device whose tree is as it was has lost a mapping."""
    out = path + ".out"
    rc, _, err = run("thin_repair", "-i", path, "-o", out, "--size", "auto")
    if rc not in (0, 1):
        return "thin_repair ends with %d: %s" % (rc, err.strip())
    if not os.path.exists(out):
        return None
    with open(out, "rb") as f:
        new = Pool(f.read())
    if not new.sound and os.path.getsize(out):
        return "thin_repair made a pool that is not sound: %s" % (new.findings[:3],)
    if pool.sb.data_map[0] < before.sb.data_map[0]:
        return None  # explained: mappings beyond the stated end of the data device are dropped, and told
    for dev, (entries, _) in pool.devices.items():
        if dev not in before.devices or before.devices[dev][0] != entries:
            continue
        have = {(v, d) for v, d, _ in new.devices.get(dev, ((), None))[0]}
        lost = sum(1 for v, d, _ in entries if (v, d) not in have)
        if lost:
            return "LOSS: thin_repair lost %d mappings of device %d, whose tree is whole" % (lost, dev)
    return None


def trial(seed, number, paths, work, keep):
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
    with tempfile.TemporaryDirectory() as work:
        for number in range(args.count) if args.only is None else [args.only]:
            s, w = trial(args.seed, number, args.pools, work, args.keep)
            sound += s
            wrong += bool(w)
            losses += bool(w and w.startswith("LOSS"))
    print("seed %d: %d changed pools, %d of them sound, %d disagreements, %d of them losses"
          % (args.seed, args.count, sound, wrong, losses))
    return 1 if wrong > losses or losses > args.losses else 0


if __name__ == "__main__":
    sys.exit(main())
