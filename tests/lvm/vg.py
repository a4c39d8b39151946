#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""Makes PV images of a random volume group, without root and without LVM.

	vg.py FOLDER SEED [CONTAINER]

FOLDER gets pv0.img, pv1.img, ..., vg.txt (as vgcfgbackup would write it), and oracle:

	thin NAME DEV BYTES SHA256 PVS    PVS: the images that it needs, with commas
	lv NAME BYTES SHA256 PVS
	old SEQNO NAME                    a text that is still in a ring, and an LV that only it has

CONTAINER: whole, mbr, logical, gpt, gpt4k; else the seed chooses one for each PV.
thin_restore must be in the PATH.  What is made follows from the seed alone.
"""
import hashlib
import os
import random
import struct
import subprocess
import sys
import zlib

SECTOR = 512
CRC_BEGIN = 0xF597A6CF
MAGIC = b"\x20\x4c\x56\x4d\x32\x20\x78\x5b\x35\x41\x25\x72\x30\x4e\x2a\x3e"
ID_CHARS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def crc(data):
    return zlib.crc32(data, CRC_BEGIN ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def dashed(uuid):
    at = [0, 6, 10, 14, 18, 22, 26, 32]
    return "-".join(uuid[a:b] for a, b in zip(at, at[1:]))


class Area:
    """A ring of texts: add() appends one as LVM does."""

    def __init__(self, at, size):
        self.at, self.size = at, size
        self.ring = bytearray(size)
        self.end = SECTOR
        self.slots = [(0, 0, 0, 0), (0, 0, 0, 0)]

    def add(self, text, slot=0):
        data = text.encode() + b"\0"
        assert len(data) <= self.size - SECTOR, "the area is too small for its text"
        begin = (self.end + SECTOR - 1) // SECTOR * SECTOR
        if begin >= self.size:
            begin = SECTOR
        first = min(len(data), self.size - begin)
        self.ring[begin : begin + first] = data[:first]
        self.ring[SECTOR : SECTOR + len(data) - first] = data[first:]
        self.end = begin + len(data) if first == len(data) else SECTOR + len(data) - first
        self.slots[slot] = (begin, len(data), crc(data), 0)
        return begin

    def ignore(self):
        self.slots[0] = self.slots[0][:3] + (1,)

    def bytes(self):
        body = MAGIC + struct.pack("<IQQ", 1, self.at, self.size)
        for s in self.slots:
            body += struct.pack("<QQII", *s)
        body = body.ljust(SECTOR - 4, b"\0")
        self.ring[:SECTOR] = struct.pack("<I", crc(body)) + body
        return bytes(self.ring)


class PV:
    def __init__(self, rng, nr, extents, extent, areas):
        self.rng, self.nr, self.extents, self.extent = rng, nr, extents, extent
        self.id = "".join(rng.choice(ID_CHARS) for _ in range(32))
        self.label = rng.randrange(4)
        at, self.areas = 4096, []
        if areas >= 1:
            self.areas.append(Area(at, rng.choice([16, 20, 33, 64]) * 1024))
            at += self.areas[0].size
        self.pe_start = (at + rng.choice([0, 512, 4096, 65536]) + 511) // SECTOR
        self.end = self.pe_start * SECTOR + extents * extent * SECTOR
        if areas >= 2:
            at = (self.end + 4095) // 4096 * 4096
            self.areas.append(Area(at, rng.choice([16, 24, 40]) * 1024))
            self.end = at + self.areas[1].size
        self.data = bytearray(extents * extent * SECTOR)
        self.free = list(range(extents))

    def label_sector(self):
        body = struct.pack("<I8s", 32, b"LVM2 001") + self.id.encode() + struct.pack("<Q", self.end)
        body += struct.pack("<QQQQ", self.pe_start * SECTOR, 0, 0, 0)
        for a in self.areas:
            body += struct.pack("<QQ", a.at, a.size)
        body += struct.pack("<QQ", 0, 0) + struct.pack("<IIQQ", 2, 1, 0, 0)
        body = body.ljust(SECTOR - 20, b"\0")
        return struct.pack("<8sQI", b"LABELONE", self.label, crc(body)) + body

    def image(self):
        out = bytearray(self.end)
        out[self.label * SECTOR : (self.label + 1) * SECTOR] = self.label_sector()
        for a in self.areas:
            out[a.at : a.at + a.size] = a.bytes()
        out[self.pe_start * SECTOR : self.pe_start * SECTOR + len(self.data)] = self.data
        return out


def mbr(entries):
    s = bytearray(SECTOR)
    for i, (kind, first, count) in enumerate(entries):
        struct.pack_into("<B3sB3sII", s, 446 + 16 * i, 0, b"\0\0\0", kind, b"\0\0\0", first, count)
    s[510:512] = b"\x55\xaa"
    return bytes(s)


def gpt(rng, disk, block, parts):
    """@parts: (number, first block, blocks).  Headers at both ends of @disk."""
    nr = len(disk) // block
    table = bytearray(128 * 128)
    for n, first, count in parts:
        struct.pack_into("<16s16sQQ", table, 128 * (n - 1), rng.randbytes(16), rng.randbytes(16), first, first + count - 1)
    blocks = len(table) // block
    for me, other, at in ((1, nr - 1, 2), (nr - 1, 1, nr - 1 - blocks)):
        head = bytearray(struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, me, other, 2 + blocks,
                                     nr - 2 - blocks, b"disk".ljust(16), at, 128, 128, zlib.crc32(table)))
        struct.pack_into("<I", head, 16, zlib.crc32(head))
        disk[me * block : me * block + len(head)] = head
        disk[at * block : at * block + len(table)] = table
    disk[:SECTOR] = mbr([(0xEE, 1, min(nr - 1, 0xFFFFFFFF))])


def put_into_disk(rng, pv, kind):
    """The PV alone, or in a partition that begins at an odd place."""
    if kind == "whole":
        return pv
    block = 4096 if kind == "gpt4k" else SECTOR
    count = (len(pv) + block - 1) // block
    start = rng.choice([63, 901, 2048]) if block == SECTOR else rng.choice([6, 77])
    start += 64  # behind a GPT and its entries
    disk = bytearray((start + count + 64) * block)
    disk[start * block : start * block + len(pv)] = pv
    if kind == "mbr":
        disk[:SECTOR] = mbr([(0x83, 1, 20), (0x83, 21, 20), (rng.choice([0x8E, 0x83, 0]), start, count)])
    elif kind == "logical":
        # the first logical partition is another one, ours is the second
        ext, second = 10, 40
        disk[:SECTOR] = mbr([(0x83, 1, 5), (rng.choice([5, 0x0F, 0x85]), ext, start + count - ext)])
        disk[ext * SECTOR : ext * SECTOR + SECTOR] = mbr([(0x83, 2, 10), (5, second - ext, start + count - second)])
        disk[second * SECTOR : second * SECTOR + SECTOR] = mbr([(0x8E, start - second, count)])
    else:
        gpt(rng, disk, block, [(1, start - 8, 4), (rng.randrange(2, 60), start, count)])
    return disk


class Group:
    def __init__(self, folder, seed):
        self.rng, self.folder, self.seed = random.Random(seed), folder, seed
        self.name = self.rng.choice(["vg", "a-b", "old.vg_1+x", "0"])
        self.id = "".join(self.rng.choice(ID_CHARS) for _ in range(32))
        self.extent = self.rng.choice([128, 256, 384])
        self.seqno = self.rng.randrange(1, 40)
        n = self.rng.randrange(1, 5)
        areas = [self.rng.randrange(3) for _ in range(n)]
        areas[self.rng.randrange(n)] |= 1
        self.pvs = [PV(self.rng, i, self.rng.randrange(260 // n, 400 // n), self.extent, areas[i]) for i in range(n)]
        self.lvs = []  # (name, section text)
        self.oracle = []

    def content(self, length):
        """Repeating words, different in each sector."""
        words = [self.rng.randbytes(32) for _ in range(8)]
        out = bytearray()
        for i in range(length // SECTOR):
            out += (struct.pack("<Q", i) + words[i % 8]).ljust(64, b"=") * 8
        return bytes(out)

    def place(self, name, data, status='"READ", "WRITE", "VISIBLE"'):
        """Writes an LV of that content into free extents, in random segments."""
        step = self.extent * SECTOR
        total, at, segs, used = len(data) // step, 0, [], set()
        while at < total:
            pvs = [p for p in self.pvs if p.free]
            n = self.rng.randrange(2, len(pvs) + 1) if len(pvs) > 1 and self.rng.random() < 0.4 and total - at >= len(pvs) else 1
            chosen = self.rng.sample(pvs, n)
            if n > 1:
                self.rng.shuffle(chosen)
                per, stripe = 1, self.rng.choice([8, 16, self.extent // 2, self.extent])
            else:
                per, stripe = self.rng.randrange(1, total - at + 1), 0
            runs = []
            for p in chosen:
                begin = self.rng.choice(p.free)
                run = 1
                while run < per and begin + run in p.free:
                    run += 1
                runs.append((p, begin, run))
            per = min(r for _, _, r in runs)
            self.write(data[at * step : (at + per * n) * step], runs, per, stripe * SECTOR)
            for p, begin, _ in runs:
                p.free = [e for e in p.free if not begin <= e < begin + per]
                used.add(p.nr)
            lines = ["start_extent = %d" % at, "extent_count = %d" % (per * n), 'type = "striped"', "stripe_count = %d" % n]
            if n > 1:
                lines.append("stripe_size = %d" % stripe)
            lines.append("stripes = [ %s ]" % ", ".join('"pv%d", %d' % (p.nr, b) for p, b, _ in runs))
            segs.append(lines)
            at += per * n
        self.section(name, segs, status)
        return used

    def write(self, data, runs, per, stripe):
        step = self.extent * SECTOR
        for i, (p, begin, _) in enumerate(runs):
            if len(runs) == 1:
                part = data
            else:
                part = b"".join(data[c : c + stripe] for c in range(i * stripe, len(data), stripe * len(runs)))
            p.data[begin * step : (begin + per) * step] = part

    def section(self, name, segs, status='"READ", "WRITE", "VISIBLE"'):
        lv = "\t\t%s {\n" % name
        lv += '\t\t\tid = "%s"\n\t\t\tstatus = [%s]\n\t\t\tflags = []\n' % (
            dashed("".join(self.rng.choice(ID_CHARS) for _ in range(32))), status)
        lv += "\t\t\tsegment_count = %d\n" % len(segs)
        for i, lines in enumerate(segs):
            lv += "\t\t\tsegment%d {\n%s\n\t\t\t}\n" % (i + 1, "\n".join("\t\t\t\t" + x for x in lines))
        self.lvs.append((name, lv + "\t\t}\n"))

    def text(self, backup=False):
        members = "".join(
            '\t\tpv%d {\n\t\t\tid = "%s"\n\t\t\tdevice = "/dev/vd%s"\n\t\t\tstatus = ["ALLOCATABLE"]\n\t\t\tdev_size = %d\n'
            "\t\t\tpe_start = %d\n\t\t\tpe_count = %d\n\t\t}\n"
            % (p.nr, dashed(p.id), "abcdef"[p.nr], p.end // SECTOR, p.pe_start, p.extents) for p in self.pvs)
        lvs = list(self.lvs)
        self.rng.shuffle(lvs)
        body = ('%s {\n\tid = "%s"\n\tseqno = %d\n\tformat = "lvm2"\n\tstatus = ["RESIZEABLE", "READ", "WRITE"]\n'
                "\textent_size = %d\n\n\tphysical_volumes {\n%s\t}\n\n\tlogical_volumes {\n%s\t}\n}\n"
                % (self.name, dashed(self.id), self.seqno, self.extent, members, "".join(x for _, x in lvs)))
        tail = ('contents = "Text Format Volume Group"\nversion = 1\ndescription = "made # by {seed} %s"\n'
                'creation_host = "test"\ncreation_time = %d\n' % (self.seed, 1700000000 + self.seqno))
        return tail + "\n" + body if backup else body + tail

    def commit(self, where=None):
        """A new text into all areas, or into those of @where."""
        self.seqno += 1
        text = self.text()
        for p in self.pvs:
            for a in p.areas:
                if where is None or a in where:
                    a.add(text)
        return text

    def pool(self, name, origin):
        """A pool of a few devices; @origin: (name, bytes, PVs) of an LV, or None."""
        rng = self.rng
        block = rng.choice([128, 256, 384]) * SECTOR
        per = self.extent * SECTOR
        nr = rng.randrange(6, 24)
        size = (nr * block + per - 1) // per * per
        data = self.content(size)
        nr = size // block
        devices, free = [], list(range(nr))
        rng.shuffle(free)
        xml = '<superblock uuid="" time="1" transaction="%d" version="2" data_block_size="%d" nr_data_blocks="%d">\n' % (
            rng.randrange(3, 9), block // SECTOR, nr)
        ids = sorted(rng.sample(range(0, 40), rng.randrange(1, 5)))
        for dev in ids:
            maps = {v: free.pop() for v in rng.sample(range(12), min(len(free), rng.randrange(5)))}
            xml += '<device dev_id="%d" mapped_blocks="%d" transaction="1" creation_time="0" snap_time="1">\n' % (dev, len(maps))
            for v in sorted(maps):
                xml += '<single_mapping origin_block="%d" data_block="%d" time="1"/>\n' % (v, maps[v])
            xml += "</device>\n"
            devices.append((dev, maps))
        transaction = int(xml.split('transaction="')[1].split('"')[0])
        meta_len = (1 << 20) // per * per
        path = os.path.join(self.folder, "meta.tmp")
        with open(path, "wb") as f:
            f.truncate(meta_len)
        subprocess.run(["thin_restore", "-q", "-i", "/dev/stdin", "-o", path], input=(xml + "</superblock>\n").encode(), check=True)
        with open(path, "rb") as f:
            meta = f.read()
        os.unlink(path)
        hidden = '"READ", "WRITE"'
        needs = self.place(name + "_tmeta", meta, hidden) | self.place(name + "_tdata", data, hidden)
        self.section(name, [["start_extent = 0", "extent_count = %d" % (size // per), 'type = "thin-pool"',
                             'metadata = "%s_tmeta"' % name, 'pool = "%s_tdata"' % name, "transaction_id = %d" % transaction,
                             "chunk_size = %d" % (block // SECTOR), 'discards = "%s"' % rng.choice(["passdown", "nopassdown", "ignore"]),
                             "zero_new_blocks = %d" % rng.randrange(2)]])
        for dev, maps in devices:
            lines = ["start_extent = 0", "extent_count = %d" % rng.randrange(1, 20), 'type = "thin"', 'thin_pool = "%s"' % name,
                     "transaction_id = 0", "device_id = %d" % dev]
            base, base_needs = b"", set()
            if origin and rng.random() < 0.5:
                lines.append('external_origin = "%s"' % origin[0])
                base, base_needs = origin[1], origin[2]
            size = int(lines[1].split()[-1]) * per
            out = bytearray(base[:size].ljust(size, b"\0"))
            for v, d in maps.items():
                end = min((v + 1) * block, size)
                if v * block < size:
                    out[v * block : end] = data[d * block : d * block + end - v * block]
            lv = "%s.t%d" % (name, dev)
            self.section(lv, [lines])
            self.oracle.append("thin %s %d %d %s %s" % (lv, dev, size, hashlib.sha256(out).hexdigest(), self.images(needs | base_needs)))

    def images(self, used):
        return ",".join("pv%d.img" % i for i in sorted(used))

    def plain(self, name):
        data = self.content(self.rng.randrange(1, 9) * self.extent * SECTOR)
        used = self.place(name, data, '"READ", "VISIBLE"')
        self.oracle.append("lv %s %d %s %s" % (name, len(data), hashlib.sha256(data).hexdigest(), self.images(used)))
        return name, data, used

    def save(self, container):
        for p in self.pvs:
            kind = container or self.rng.choice(["whole", "whole", "mbr", "logical", "gpt", "gpt4k"])
            with open(os.path.join(self.folder, "pv%d.img" % p.nr), "wb") as f:
                f.write(put_into_disk(self.rng, p.image(), kind))
        with open(os.path.join(self.folder, "vg.txt"), "w") as f:
            f.write(self.text(backup=True))
        with open(os.path.join(self.folder, "oracle"), "w") as f:
            f.write("".join(x + "\n" for x in self.oracle))


def main():
    folder, seed = sys.argv[1], sys.argv[2]
    g = Group(folder, seed)
    origin = g.plain("base-lv")
    g.commit()
    # an LV that is removed later, so that only an older text has it
    data = g.content(g.extent * SECTOR)
    g.place("removed", data)
    g.commit()
    old = g.seqno
    g.lvs = [x for x in g.lvs if x[0] != "removed"]
    g.pool("pool", origin)
    g.commit()
    if g.rng.random() < 0.5:
        g.pool("second", origin)
    # enough texts that the rings go round; the last is the one that counts
    for _ in range(g.rng.randrange(4)):
        g.commit()
    g.commit()
    g.oracle.append("old %d removed %s" % (old, hashlib.sha256(data).hexdigest()))
    g.save(sys.argv[3] if len(sys.argv) > 3 else None)


if __name__ == "__main__":
    main()
