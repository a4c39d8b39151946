#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""hostile.py WORK [COMMAND...]: inputs made to cost time and memory, and what each command needs for them.

The promise of SECURITY.md: an input of 1 MiB costs no command more than 10 seconds of processor time, and no input
costs more than 64 MiB + 16 times its size of memory; but for what a command must print.  One TAP line a
command and input; --table prints what each needed.
"""
import itertools
import os
import resource
import struct
import subprocess
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
from images import all_images  # noqa: E402
from thinpool import BLOCK, SALT_BITMAP, SALT_NODE, SALT_SUPER, crc, u64  # noqa: E402

NR = 256  # blocks: 1 MiB
SECONDS, MEMORY = 10, 64 << 20
INNER, LEAF = 1, 2


class Image:
    def __init__(self, base):
        self.b = bytearray(base)

    def seal(self, n, salt):
        struct.pack_into("<Q", self.b, n * BLOCK + 8, n)
        struct.pack_into("<I", self.b, n * BLOCK, crc(self.b[n * BLOCK : (n + 1) * BLOCK]) ^ salt)

    def node(self, n, kind, keys, values, size=8):
        room = 3 * ((BLOCK - 32) // (8 + size) // 3)
        head = struct.pack("<IIQIIII", 0, kind, n, len(keys), room, size, 0)
        keys = struct.pack("<%dQ" % len(keys), *keys).ljust(8 * room, b"\0")
        body = b"".join(v if isinstance(v, bytes) else struct.pack("<Q", v) for v in values)
        self.b[n * BLOCK : (n + 1) * BLOCK] = (head + keys + body).ljust(BLOCK, b"\0")
        self.seal(n, SALT_NODE)

    def sb(self, **fields):
        at = {"time": (44, "I"), "held": (56, "Q"), "data_blocks": (64, "Q"), "data_used": (72, "Q"),
              "data_index": (80, "Q"), "data_counts": (88, "Q"), "metadata_blocks": (192, "Q"), "metadata_index": (208, "Q"),
              "metadata_counts": (216, "Q"), "mappings": (320, "Q"), "details": (328, "Q")}
        for name, value in fields.items():
            struct.pack_into("<" + at[name][1], self.b, at[name][0], value)
        self.seal(0, SALT_SUPER)

    def held(self, n, of):
        """A held snapshot that is a copy of the superblock with other roots."""
        self.b[n * BLOCK : (n + 1) * BLOCK] = self.b[:BLOCK]
        struct.pack_into("<QQ", self.b, n * BLOCK + 320, *of)
        self.seal(n, SALT_SUPER)
        self.sb(held=n)


FIRST = 40  # what the base pool does not use


def details(i, n, ids):
    for at in range(0, len(ids), 126):
        part = ids[at : at + 126]
        i.node(n, LEAF, part, [struct.pack("<QQII", 252, 0, 0, 0)] * len(part), 24)
        n += 1
    return n


def mapping(block):
    return struct.pack("<Q", block << 24)


def fan_in(i):
    """A ladder: each node has 252 pointers to the next, so that there are 252^40 ways down."""
    for n in range(FIRST, FIRST + 40):
        i.node(n, INNER, range(252), [n + 1] * 252)
    i.node(FIRST + 40, LEAF, range(252), [mapping(k) for k in range(252)])
    i.node(FIRST + 41, LEAF, range(252), [FIRST] * 252)
    i.sb(mappings=FIRST + 41)


def fan_in_top(i):
    for n in range(FIRST, FIRST + 40):
        i.node(n, INNER, range(252), [n + 1] * 252)
    i.node(FIRST + 40, LEAF, range(252), [FIRST] * 252)
    i.sb(mappings=FIRST, details=FIRST)


def cycles(i):
    """Each node points at all others and itself."""
    nodes = list(range(FIRST, NR))
    for n in nodes:
        i.node(n, INNER, range(252), [nodes[(n + k) % len(nodes)] for k in range(252)])
    i.sb(mappings=FIRST, details=FIRST + 1, data_index=FIRST + 2, data_counts=FIRST + 3, metadata_counts=FIRST + 4)


def chain(i):
    """As deep as the device is long."""
    for n in range(FIRST, NR - 1):
        i.node(n, INNER, [0], [n + 1])
    i.node(NR - 1, LEAF, [0], [FIRST])
    i.sb(mappings=FIRST, details=FIRST)


def devices(i, each, nr=100):
    """25200 devices, whose trees are one and the same, or start at any of a few nodes."""
    top = range(FIRST, FIRST + nr)
    keys = range(252 * nr)
    for k, n in enumerate(top):
        i.node(n, LEAF, keys[252 * k : 252 * (k + 1)], [each(d) for d in range(252 * k, 252 * (k + 1))])
    i.node(FIRST + nr, INNER, [252 * k for k in range(nr)], list(top))
    i.sb(mappings=FIRST + nr)
    return FIRST + nr + 1


def shared_tree(i):
    root = FIRST + 101
    n = devices(i, lambda d: root)
    i.node(n, INNER, [252 * k for k in range(40)], [n + 1 + k for k in range(40)])
    for k in range(40):
        i.node(n + 1 + k, LEAF, range(252 * k, 252 * (k + 1)), [mapping(b) for b in range(252 * k, 252 * (k + 1))])


def shared_leaves(i):
    """Roots that differ, over leaves that are the same."""
    roots = 60
    n = devices(i, lambda d: FIRST + 101 + d % roots)
    for r in range(roots):
        i.node(n + r, INNER, [252 * k for k in range(30)], [n + roots + k for k in range(30)])
    for k in range(30):
        i.node(n + roots + k, LEAF, range(252 * k, 252 * (k + 1)), [mapping(b) for b in range(252 * k, 252 * (k + 1))])


def one_block(i):
    """Every mapping of every device is to the same data block."""
    root = FIRST + 101
    n = devices(i, lambda d: root)
    i.node(n, LEAF, range(252), [mapping(1)] * 252)


def held_ladder(i):
    fan_in(i)
    i.held(FIRST + 50, (FIRST + 41, FIRST))


def huge_data(i):
    i.sb(data_blocks=1 << 40, data_used=1 << 40)


def huge_device(i):
    """Mappings at the ends of what keys and blocks can be."""
    i.node(FIRST, LEAF, [(1 << 64) - 1 - 2 * (251 - k) for k in range(252)],
           [mapping((1 << 40) - 1 - 3 * k) for k in range(252)])
    i.node(FIRST + 1, LEAF, [k << 16 for k in range(252)], [FIRST] * 252)
    i.sb(mappings=FIRST + 1, data_blocks=1 << 40)


def scattered(i, span=1 << 40):
    """As many mappings as fit, each far from all others."""
    leaves = list(range(FIRST, FIRST + 200))
    step = span // (252 * 252)
    for k, n in enumerate(leaves):
        i.node(n, LEAF, [(252 * k + j) << 30 for j in range(252)],
               [mapping((252 * j + k) * step) for j in range(252)])
    i.node(FIRST + 200, INNER, [(252 * k) << 30 for k in range(200)], leaves)
    i.node(FIRST + 201, LEAF, [0, 1], [FIRST + 200, FIRST + 200])
    i.sb(mappings=FIRST + 201, data_blocks=span)


def scattered_less(i):
    scattered(i, 1 << 28)


def overflow(i):
    """Counts of 2^32 - 1 for as many blocks as fit, in a data device without end."""
    leaves = range(FIRST, FIRST + 150)
    for k, n in enumerate(leaves):
        i.node(n, LEAF, [(336 * k + j) << 20 for j in range(336)], [b"\xff" * 4] * 336, 4)
    i.node(FIRST + 150, INNER, [(336 * k) << 20 for k in range(150)], list(leaves))
    i.sb(data_counts=FIRST + 150, metadata_counts=FIRST + 150, data_blocks=1 << 40)


def index(i):
    """Index entries for a data device without end, all of which name one bitmap."""
    leaves = range(FIRST, FIRST + 150)
    bitmap = u64(i.b, 192 + 16)
    for k, n in enumerate(leaves):
        i.node(n, LEAF, range(168 * k, 168 * (k + 1)), [struct.pack("<QII", bitmap, 0, 0)] * 168, 16)
    i.node(FIRST + 150, INNER, [168 * k for k in range(150)], list(leaves))
    i.sb(data_index=FIRST + 150, data_blocks=150 * 168 * 16320)


def rescue(i):
    """No root is left, and every block could be a part of everything: 216 leaves of one tree's keys."""
    for n in range(FIRST, NR):
        i.node(n, LEAF, range(252), [mapping(252 * n + k) for k in range(252)])
    i.b[:BLOCK] = bytes(BLOCK)
    i.seal(0, SALT_SUPER)


def rescue_inner(i):
    """The same with inner nodes over them in every order."""
    half = (FIRST + NR) // 2
    for n in range(FIRST, half):
        i.node(n, INNER, [252 * k for k in range(half - FIRST)], [half + (n + k) % (NR - half) for k in range(half - FIRST)])
    for n in range(half, NR):
        i.node(n, LEAF, range(252 * (n - half), 252 * (n - half + 1)), [mapping(k) for k in range(252)])
    i.sb(mappings=NR + 5, details=NR + 5)


def bitmaps(i):
    """The metadata's index is lost, and every block could be a bitmap of a device of 16 GiB that was cut off here."""
    for n in range(FIRST, NR):
        i.b[n * BLOCK : (n + 1) * BLOCK] = bytes(BLOCK)
        i.seal(n, SALT_BITMAP)
    i.sb(metadata_blocks=255 * 16320, metadata_index=NR + 1, mappings=FIRST, details=FIRST)


POOLS = [fan_in, fan_in_top, cycles, chain, shared_tree, shared_leaves, one_block, held_ladder, huge_data, huge_device,
         scattered, scattered_less,
         overflow, index, rescue, rescue_inner, bitmaps]
READERS = [
    ["thin_check", "POOL"],
    ["thin_check", "--format", "json", "POOL"],
    ["thin_ls", "POOL"],
    ["thin_ls", "-o", "DEV,EXCLUSIVE_BLOCKS,SHARED_BLOCKS", "POOL"],
    ["thin_ls", "--format", "tree", "POOL"],
    ["thin_info", "POOL"],
    ["thin_rmap", "--region", "0..10", "POOL"],
    ["thin_delta", "--thin1", "0", "--thin2", "1", "POOL"],
    ["thin_dump", "--skip-mappings", "POOL"],
    ["thin_dump", "--dev-id", "0", "POOL"],
    ["thin_repair", "-i", "POOL", "-o", "OUT", "--size", "4M"],
    ["thin_repair", "-i", "POOL", "--list-roots"],
    ["thin_metadata_pack", "-f", "-i", "POOL", "-o", "OUT"],
    ["thin_materialize", "--size", "1M", "--data-dev", "DATA", "--map", "POOL", "0"],
    ["thin_trim", "--metadata-dev", "POOL", "--data-dev", "DATA"],
    ["thin_check", "--auto-repair", "COPY"],
    ["thin_message", "COPY", "create_snap 70000 0"],
    ["thin_message", "COPY", "delete 0"],
    ["thin_shrink", "--binary", "-n", "-i", "POOL", "-o", "OUT", "--nr-blocks", "1000"],
    ["thin_check", "-m", "POOL"],
    ["thin_check", "--skip-mappings", "POOL"],
    ["thin_check", "--clear-needs-check-flag", "COPY"],
    ["thin_ls", "-m", "--format", "json", "POOL"],
    ["thin_ls", "--sort", "-EXCLUSIVE", "-o", "DEV,HIGHEST_BLOCK,EXCLUSIVE", "POOL"],
    ["thin_info", "--format", "json", "POOL"],
    ["thin_rmap", "--format", "json", "--region", "0..1", "--region", "5..9", "POOL"],
    ["thin_delta", "--skip-same", "--verbose", "--thin1", "0", "--thin2", "65536", "POOL"],
    ["thin_delta", "--root1", "40", "--root2", "41", "--format", "json", "POOL"],
    ["thin_dump", "--repair", "--skip-mappings", "POOL"],
    ["thin_dump", "--no-shared", "--dev-id", "0", "--format", "json", "POOL"],
    ["thin_dump", "-m", "--format", "human_readable", "--skip-mappings", "POOL"],
    ["thin_repair", "--dry-run", "--explain", "-i", "POOL"],
    ["thin_repair", "--dry-run", "--format", "json", "-i", "POOL"],
    ["thin_repair", "--dry-run", "--take", "0=40", "--mapping-root", "41", "-i", "POOL"],
    ["thin_materialize", "--size", "1M", "--data-dev", "DATA", "--repair", "--accept-loss", "-n", "POOL", "0", "OUT"],
    ["thin_materialize", "--size", "1M", "--data-dev", "DATA", "-O", "qcow2", "POOL", "0", "OUT"],
    ["thin_materialize", "--size", "1M", "--data-dev", "DATA", "--since", "1", "--since-size", "1M", "-O", "rbd-diff", "POOL", "0", "OUT"],
    ["thin_materialize", "--size", "1M", "--data-dev", "DATA", "--digest", "POOL", "0"],
    ["thin_apply", "--data-dev", "DATA", "-O", "raw", "-n", "-i", "BASE", "COPY", "0"],
    ["thin_message", "COPY", "reserve_metadata_snap"],
    ["thin_message", "COPY", "release_metadata_snap"],
    ["thin_message", "COPY", "create_thin 70000"],
    ["thin_message", "COPY", "set_transaction_id 2 3"],
]

# 10^6 devices of one tree (tests/crowd): 47 MiB, whose list and dump are long because they were asked for.
CROWD = [
    ["thin_check", "CROWD"],
    ["thin_ls", "-o", "DEV,EXCLUSIVE_BLOCKS", "CROWD"],
    ["thin_info", "CROWD"],
    ["thin_ls", "-o", "DEV,NAME", "TABLE"],
    ["thin_info", "TABLE"],
    ["thin_rmap", "--region", "0..1", "CROWD"],
    ["thin_delta", "--thin1", "1", "--thin2", "1000000", "CROWD"],
    ["thin_dump", "--dev-id", "5", "CROWD"],
    ["thin_repair", "-q", "--dry-run", "-i", "CROWD"],
    ["thin_metadata_pack", "-f", "-i", "CROWD", "-o", "OUT"],
    ["thin_materialize", "--size", "1M", "--data-dev", "DATA", "--map", "CROWD", "1"],
    ["thin_shrink", "--binary", "-n", "-i", "CROWD", "-o", "OUT", "--nr-blocks", "10000"],
    ["thin_trim", "--metadata-dev", "CROWD", "--data-dev", "DATA"],
]


def texts(work):
    """Other inputs: (name, bytes, command)"""
    top = '<superblock uuid="" time="0" transaction="0" data_block_size="128" nr_data_blocks="%d">\n'
    dev = '<device dev_id="%d" mapped_blocks="0" transaction="0" creation_time="0" snap_time="0">'
    restore = ["thin_restore", "-i", "IN", "-o", "OUT", "--size", "4M"]
    yield "XML with a run without end", (top % (1 << 40) + dev % 0 + '<range_mapping origin_begin="0" data_begin="0" '
          'length="1000000000000" time="0"/></device></superblock>').encode(), restore
    yield "XML with deep elements", (b"<a>" * 300000), restore
    yield "XML with a long attribute", (b'<superblock uuid="' + b"x" * (1 << 20) + b'"/>'), restore
    yield "XML with definitions that refer to each other", (top % 1000 + "".join(
        '<def name="%d">' % n + ('<ref name="%d"/>' % (n - 1)) * 50 + "</def>" for n in range(300)) + "</superblock>").encode(), restore
    yield "XML with references to a large definition", (top % 100000 + '<def name="a"><range_mapping origin_begin="0" data_begin="0" '
          'length="90000" time="0"/></def>' + "".join(dev % n + '<ref name="a"/></device>' for n in range(8000))
          + "</superblock>").encode(), restore
    bomb = b"<!DOCTYPE a [<!ENTITY a0 'aaaaaaaaaa'>" + b"".join(
        b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12)) + b"]><superblock uuid='&a11;'/>"
    yield "XML with entities", bomb, restore
    for word, made in (("zlib", zlib.compress(bytes(1 << 28), 9)), ("nothing", bytes(1 << 20))):
        yield "a pack that is " + word, made, ["thin_metadata_unpack", "-f", "-i", "IN", "-o", "OUT"]
    yield "LVM's text with deep sections", b"a {\n" * 250000, ["thin_repair", "-i", "BASE", "-o", "OUT", "--size", "4M", "--vg-backup", "IN"]
    yield "a table of many lines", b"pool: 0 8192 thin-pool BASE DATA 128 0\n" + b"".join(
        b"t%d: 0 8192 thin pool %d\n" % (n, n) for n in range(30000)), ["thin_ls", "IN"]
    yield "a table of stacks", b"".join(b"s%d: 0 8192 linear s%d 0\n" % (n, n + 1) for n in range(30000)) \
        + b"pool: 0 8192 thin-pool s0 DATA 128 0\n", ["thin_check", "IN"]


class Measure:
    def __init__(self, work):
        self.work, self.number, self.bad = work, 1, 0
        self.table = "--table" in sys.argv

    def one(self, name, argv, files, size):
        argv = [files.get(a, a) for a in argv]
        if os.path.exists(os.path.join(self.work, "socket")):  # of an nbdkit that ended early
            os.unlink(os.path.join(self.work, "socket"))
        out = open(os.path.join(self.work, "words"), "wb")
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=self.work, preexec_fn=limit)
        _, status, use = os.wait4(p.pid, 0)
        p.returncode = status
        seconds, memory = use.ru_utime + use.ru_stime, use.ru_maxrss << 10
        wrong = []
        if os.WIFSIGNALED(status):
            wrong.append("signal %d" % os.WTERMSIG(status))
        elif os.WEXITSTATUS(status) not in (0, 1, 64, 74):
            wrong.append("status %d" % os.WEXITSTATUS(status))
        if seconds > SECONDS:
            wrong.append("%.1f s" % seconds)
        if memory > MEMORY + 16 * size:
            wrong.append("%d MiB" % (memory >> 20))
        self.number += 1
        self.bad += bool(wrong)
        what = " ".join(os.path.basename(a) if "/" in a else a for a in argv)
        print("%sok %d - %s: %s" % ("not " if wrong else "", self.number, name, what))
        if wrong:
            print("#   " + ", ".join(wrong))
        if self.table:
            print("#   %.2f s, %d MiB, %d bytes printed" % (seconds, memory >> 20, out.tell() or os.fstat(out.fileno()).st_size))
        sys.stdout.flush()


def limit():
    resource.setrlimit(resource.RLIMIT_CPU, (3 * SECONDS, 3 * SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))


def main():
    work = sys.argv[1]
    only = [a for a in sys.argv[2:] if not a.startswith("--")]
    path = lambda name: os.path.join(work, name)  # noqa: E731
    with open(path("BASE"), "rb") as f:
        base = f.read()
    m = Measure(work)
    with open(path("TARGET"), "wb") as f:
        f.truncate(1 << 20)
    files = {n: path(n) for n in ("POOL", "COPY", "DATA", "OUT", "IN", "BASE", "TARGET", "CROWD", "TABLE")}
    if os.environ.get("PLUGIN"):
        READERS.append(["nbdkit", "-U", path("socket"), os.environ["PLUGIN"], "pool=" + files["COPY"], "data-dev=" + files["DATA"], "device=0",
                        "size=1M", "--run", 'nbdinfo --size "$uri"'])
    for make in POOLS:
        i = Image(base)
        make(i)
        for argv in READERS:
            if only and argv[0] not in only and make.__name__ not in only:
                continue
            for name in ("POOL", "COPY"):
                with open(path(name), "wb") as f:
                    f.write(i.b)
            if os.path.exists(path("OUT")):
                os.unlink(path("OUT"))
            m.one(make.__name__.replace("_", " "), argv, files, len(i.b))
    for name, data, argv in itertools.chain(texts(work), all_images()):
        if only and argv[0] not in only:
            continue
        with open(path("IN"), "wb") as f:
            f.write(data)
        with open(path("COPY"), "wb") as f:
            f.write(base)
        if os.path.exists(path("OUT")):
            os.unlink(path("OUT"))
        m.one(name, argv, files, len(data))
    with open(path("TABLE"), "w", encoding="ascii") as f:
        f.write("pool: 0 8192 thin-pool CROWD DATA 128 0\n")
        f.writelines("t%d: 0 8192 thin pool %d\n" % (n, n) for n in range(100000))
    for argv in CROWD:
        if not only or argv[0] in only or "crowd" in only:
            m.one("a crowd of devices", argv, files, os.path.getsize(path("CROWD")))
    print("1..%d" % m.number)
    return 0


if __name__ == "__main__":
    sys.exit(main())
