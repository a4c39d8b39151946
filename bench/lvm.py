#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""A pool on a disk with LVM against the same pool in files of its own, and a large sparse disk.

	bench/lvm.py [FOLDER [ROUNDS]]

thin_* must be in the PATH.  The pool has a thin device of 1 GiB; metadata and data lie in the disk as they lie in the
two files.  Runs alternate, so that other work on the machine hits both alike; medians of ROUNDS (5).
"""
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lvm"))
import vg  # noqa: E402  the label and the metadata area

EXTENT = 8192  # sectors: 4 MiB
STEP = EXTENT * 512
BLOCK = 65536
NAME = "web1"


class Disk(vg.PV):
    """A PV whose content is written straight into a sparse file."""

    def __init__(self, extents):
        super().__init__(random.Random(1), 0, 0, EXTENT, 1)
        self.extents = extents
        self.pe_start = 2048
        self.end = self.pe_start * 512 + extents * STEP

    def write(self, path, lvs, parts):
        members = ('pv0 {\nid = "%s"\ndevice = "/dev/vda"\nstatus = ["ALLOCATABLE"]\ndev_size = %d\npe_start = %d\n'
                   "pe_count = %d\n}\n" % (vg.dashed(self.id), self.end // 512, self.pe_start, self.extents))
        self.areas[0].add('vg {\nid = "%s"\nseqno = 1\nformat = "lvm2"\nstatus = ["RESIZEABLE", "READ", "WRITE"]\n'
                          "extent_size = %d\nphysical_volumes {\n%s}\nlogical_volumes {\n%s}\n}\n"
                          'contents = "Text Format Volume Group"\nversion = 1\n' % (vg.dashed(self.id[::-1]), EXTENT, members, lvs))
        with open(path, "wb") as f:
            f.truncate(self.end)
            f.seek(self.label * 512)
            f.write(self.label_sector())
            f.seek(self.areas[0].at)
            f.write(self.areas[0].bytes())
            for extent, source in parts:
                f.seek(self.pe_start * 512 + extent * STEP)
                with open(source, "rb") as s:
                    while piece := s.read(1 << 20):
                        f.write(piece)


def lv(name, number, lines, flags='"READ", "WRITE"'):
    return '%s {\nid = "%s"\nstatus = [%s]\nflags = []\nsegment_count = 1\nsegment1 {\nstart_extent = 0\n%s\n}\n}\n' % (
        name, vg.dashed("%032d" % number), flags, "\n".join(lines))


def linear(name, number, extents, begin):
    return lv(name, number, ["extent_count = %d" % extents, 'type = "striped"', "stripe_count = 1",
                             'stripes = ["pv0", %d]' % begin])


def make(folder, disk, extents, data_extents, runs):
    """A pool with one device; disk.img, tmeta, tdata, table.  @runs: (virtual, data, length), in blocks."""
    tmeta, tdata = os.path.join(folder, "tmeta"), os.path.join(folder, "tdata")
    with open(tmeta, "wb") as f:
        f.truncate(2 * STEP)
    nr = data_extents * STEP // BLOCK
    mapped = sum(n for _, _, n in runs)
    xml = '<superblock uuid="" time="0" transaction="1" version="2" data_block_size="128" nr_data_blocks="%d">\n' % nr
    xml += '<device dev_id="1" mapped_blocks="%d" transaction="0" creation_time="0" snap_time="0">\n' % mapped
    xml += "".join('<range_mapping origin_begin="%d" data_begin="%d" length="%d" time="0"/>\n' % r for r in runs)
    xml += "</device>\n</superblock>\n"
    subprocess.run(["thin_restore", "-q", "-i", "/dev/stdin", "-o", tmeta], input=xml.encode(), check=True)
    volumes = linear("pool_tmeta", 1, 2, 0) + linear("pool_tdata", 2, data_extents, 2)
    volumes += lv("pool", 3, ["extent_count = %d" % data_extents, 'type = "thin-pool"', 'metadata = "pool_tmeta"',
                              'pool = "pool_tdata"', "transaction_id = 1", "chunk_size = 128", 'discards = "passdown"',
                              "zero_new_blocks = 1"])
    volumes += lv(NAME, 4, ["extent_count = 256", 'type = "thin"', 'thin_pool = "pool"', "transaction_id = 0",
                            "device_id = 1"], '"READ", "WRITE", "VISIBLE"')
    parts = [(0, tmeta)] + ([(2, tdata)] if os.path.exists(tdata) else [])
    Disk(extents).write(os.path.join(folder, disk), volumes, parts)
    with open(os.path.join(folder, "table"), "w") as f:
        f.write("pool: 0 %d thin-pool tmeta tdata 128 0\n%s: 0 %d thin pool 1\n" % (data_extents * EXTENT, NAME, 256 * EXTENT))


def once(argv):
    """Wall and CPU seconds."""
    begin = time.perf_counter()
    p = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode:
        sys.exit("%s: exit status %d" % (" ".join(argv), p.returncode))
    return time.perf_counter() - begin, used.ru_utime + used.ru_stime


def pair(title, ours, other, rounds):
    a, b = [], []
    once(ours), once(other)
    for i in range(rounds):
        for argv, to in ((ours, a), (other, b)) if i % 2 else ((other, b), (ours, a)):
            to.append(once(argv))
    for i, what in enumerate(("wall", "CPU")):
        x, y = (statistics.median(t[i] for t in times) for times in (a, b))
        print("%-46s %-4s disk %.4f s, files %.4f s, ratio %.3f" % (title, what, x, y, y / x), flush=True)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    rng = random.Random(2)
    with open("tdata", "wb") as f:
        for _ in range(320):
            f.write(rng.randbytes(STEP))
    for title, step in (("runs of 4 MiB", 64), ("each block somewhere else", 1)):
        begins = list(range(0, 16384, step))
        rng.shuffle(begins)
        make(".", "disk.img", 400, 320, [(i * step, b, step) for i, b in enumerate(begins)])
        for where in ("-", "out.img"):
            to = ["-f", where] if where != "-" else [where]
            pair("1 GiB, %s, to %s" % (title, "stdout" if where == "-" else "a file"),
                 ["thin_materialize", "-q", "disk.img", NAME, *to], ["thin_materialize", "-q", "table", NAME, *to], rounds)
    for name in ("tdata", "disk.img", "out.img"):
        os.unlink(name)
    make(".", "large.img", (1 << 40) // STEP, (1 << 40) // STEP - 2, [(0, 0, 16384)])
    times = [once(["thin_ls", "large.img"])[0] for _ in range(max(rounds, 5))]
    print("thin_ls of a disk of 1 TiB %.1f ms, at most %.1f ms" % (1000 * statistics.median(times), 1000 * max(times)))


if __name__ == "__main__":
    main()
