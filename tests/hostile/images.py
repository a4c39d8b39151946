# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""Images, streams and disks that are made to cost time and memory: (name, bytes, command), as hostile.py runs them."""
import os
import random
import struct
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lvm"))
import vg  # noqa: E402

MIB = 1 << 20
APPLY = ["thin_apply", "-n", "-i", "IN", "TARGET"]
APPLY_TO_DEVICE = ["thin_apply", "-n", "--data-dev", "DATA", "-i", "IN", "COPY", "0"]


def qcow2(bits, size, l1_size, l1_at, body, feature=0, backing=(0, 0)):
    """@body: bytes from the second cluster on"""
    head = struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, backing[0], backing[1], bits, size, 0, l1_size, l1_at, 1 << bits, 1,
                       0, 0, feature, 0, 0, 4, 104)
    return head.ljust(1 << bits, b"\0") + body


def tables(bits, l1, l2s, data=b""):
    """The second cluster is the refcounts' (of no use), then the L1 table, the L2 tables and data."""
    cluster = 1 << bits
    l1_room = -(-8 * l1 // cluster) * cluster
    first = 2 * cluster + l1_room
    per = cluster // 8
    names = [first + cluster * (i % l2s) for i in range(l1)]
    out = bytes(cluster) + struct.pack(">%dQ" % l1, *[(1 << 63) | n for n in names]).ljust(l1_room, b"\0")
    return out, per, first + cluster * l2s


def qcow2_fan_in(bits, l2s, entry):
    """As large an L1 table as fits, over a few L2 tables, whose entries are all @entry(cluster after them)."""
    cluster = 1 << bits
    l1 = (MIB - (4 + l2s) * cluster) // 8
    body, per, after = tables(bits, l1, l2s)
    body += struct.pack(">%dQ" % per, *[entry(after)] * per) * l2s + b"\x55" * cluster
    return qcow2(bits, min(l1 * per * cluster, (1 << 63) - cluster), l1, 2 * cluster, body)


def qcow2_bomb():
    """Each of 131072 clusters is one and the same deflate stream."""
    raw = zlib.compressobj(9, zlib.DEFLATED, -12)
    packed = raw.compress(bytes(512)) + raw.flush()
    bits, l1 = 9, 1800
    body, per, after = tables(bits, l1, l1)
    body += struct.pack(">%dQ" % per, *[(1 << 62) | after] * per) * l1 + packed.ljust(512, b"\0")
    return qcow2(bits, l1 * per * 512, l1, 1024, body)


def images():
    for name, bits, l2s, entry in (
        ("a qcow2 image without end of one empty table", 16, 1, lambda at: 0),
        ("a qcow2 image without end of two empty tables", 16, 2, lambda at: 0),
        ("a qcow2 image without end of zeros", 16, 1, lambda at: 1),
        ("a qcow2 image whose tables are as small as they can be", 9, 1000, lambda at: 1),
        ("a qcow2 image whose entries name places behind its end", 16, 1, lambda at: (1 << 63) | (1 << 50)),
        ("a qcow2 image whose clusters are its own tables", 9, 1, lambda at: (1 << 63) | 1024),
    ):
        yield name, qcow2_fan_in(bits, l2s, entry)
    yield "a qcow2 image of packed clusters", qcow2_bomb()
    yield "a qcow2 image with an L1 table larger than memory", qcow2(16, 1 << 62, (1 << 32) - 1, 131072, bytes(MIB))
    yield "a qcow2 image with clusters larger than memory", qcow2(21, 1 << 40, 1, 1 << 21, bytes(8))
    yield "a qcow2 image with a backing file without end", qcow2(9, 1 << 20, 32, 512, bytes(MIB), backing=(512, 1 << 31))
    # Header extensions of no length, one after the other
    loops = struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, 16, MIB, 0, 1, 131072, 65536, 1, 0, 0, 0, 0, 0, 4, 104)
    yield "a qcow2 image with header extensions alone", (loops + struct.pack(">II", 0x12345678, 0) * 130000).ljust(MIB, b"\0")


def streams():
    magic = b"rbd diff v1\n"
    size = b"s" + struct.pack("<Q", 1 << 20)
    yield "an rbd diff of records without length", magic + size + b"".join(
        b"z" + struct.pack("<QQ", k, 0) for k in range(60000)) + b"e"
    yield "an rbd diff of bytes one by one", magic + size + b"".join(
        b"w" + struct.pack("<QQ", 2 * k, 1) + b"x" for k in range(57000)) + b"e"
    yield "an rbd diff of zeros without end", magic + b"s" + struct.pack("<Q", (1 << 63) - 1) + b"".join(
        b"z" + struct.pack("<QQ", k << 40, 1 << 39) for k in range(60000)) + b"e"
    yield "an rbd diff of many sizes", magic + (b"s" + struct.pack("<Q", 1 << 62)) * 110000 + b"e"
    yield "an rbd diff with a name without end", magic + b"f" + struct.pack("<I", (1 << 32) - 1) + b"n" * MIB
    yield "an rbd diff with data without end", magic + size + b"w" + struct.pack("<QQ", 0, 1 << 62) + b"n" * MIB


class Disk:
    """A disk of 1 MiB with LVM, whose text is @text."""

    def __init__(self, area=960 << 10):
        rng = random.Random(1)
        self.pv = vg.PV(rng, 0, 1, 8, 0)
        self.pv.areas = [vg.Area(4096, area)]
        self.pv.pe_start = (4096 + area) // 512
        self.pv.end = MIB
        self.pv.data = bytearray(4096)
        self.area = self.pv.areas[0]

    def image(self, text=None):
        if text is not None:
            self.area.add(text)
        return bytes(self.pv.image()[:MIB])

    def group(self, volumes, seqno=1):
        pv = ('pv0 {\nid = "%s"\ndevice = "/dev/x"\nstatus = ["ALLOCATABLE"]\nflags = []\ndev_size = 2048\npe_start = %d\n'
              'pe_count = 1\n}\n' % (vg.dashed(self.pv.id), self.pv.pe_start))
        return ('vg {\nid = "%s"\nseqno = %d\nformat = "lvm2"\nstatus = ["RESIZEABLE", "READ", "WRITE"]\nflags = []\n'
                'extent_size = 8\nmax_lv = 0\nmax_pv = 0\nmetadata_copies = 0\nphysical_volumes {\n%s}\nlogical_volumes {\n%s}\n}\n'
                % (vg.dashed("A" * 32), seqno, pv, volumes)) + \
            'contents = "Text Format Volume Group"\nversion = 1\ndescription = ""\ncreation_host = "h"\ncreation_time = 1\n'


def volume(name, segments, word="LV"):
    """@segments: texts"""
    out = '%s {\nid = "%s"\nstatus = ["READ", "WRITE", "VISIBLE"]\nflags = []\nsegment_count = %d\n' % (
        name, vg.dashed((word + name).ljust(32, "0")[:32]), len(segments))
    for i, s in enumerate(segments):
        out += "segment%d {\nstart_extent = %d\nextent_count = 1\n%s\n}\n" % (i + 1, i, s)
    return out + "}\n"


def shared_text(nr=60):
    """Each of the partitions has a label, and eight areas whose text is one and the same, but for its length."""
    d, rng = Disk(), random.Random(1)
    text = ("vg {\nseqno = 1\nx = [" + "1," * 300000 + "1]\n}\n" + 'contents = "Text Format Volume Group"\n').encode()
    end = 512 * 1990
    at = end - len(text) - 1200 & ~511
    disk = bytearray(MIB)
    vg.gpt(rng, disk, 512, [(n + 1, 40 + 9 * n, 2000 - 40 - 9 * n) for n in range(nr)])
    disk[at : at + len(text)] = text
    disk[at + len(text) : end] = b"\n" * (end - at - len(text))
    for n in range(nr):
        begin = 512 * (40 + 9 * n)
        d.pv.id = "".join(rng.choice(vg.ID_CHARS) for _ in range(32))
        d.pv.label, d.pv.areas = 0, []
        for k in range(8):
            a = vg.Area(512 * (k + 1), 512 * (k + 1))
            a.size = end - begin - a.at
            size = len(text) + 8 * n + k + 1
            a.slots[0] = (at - begin - a.at, size, vg.crc(bytes(disk[at : at + size])), 0)
            disk[begin + a.at : begin + a.at + 512] = a.bytes()[:512]
            d.pv.areas.append(a)
        disk[begin : begin + 512] = d.pv.label_sector()
    return bytes(disk)


def texts_in_texts():
    """The text that begins in a sector ends at the end of the area, as do all that begin behind it."""
    d = Disk()
    one = 'vg {\nid = "%s"\nseqno = %%d\nx = [%%s1]\n}\ncontents = "x"\n' % vg.dashed("A" * 32)
    text = ""
    for n in range(1, 1800):
        room = 512 - len(one % (n, ""))
        text += (one % (n, "1," * (room // 2))).ljust(512, "\n")
    return d.image(text)


def disks():
    linear = 'type = "striped"\nstripe_count = 1\nstripes = ["%s", 0]'
    yield "a disk with LVM and deep sections", Disk().image("a {\n" * 240000)
    yield "a disk with LVM and a long list", Disk().image("a = [" + "1," * 450000 + "1]")
    yield "a disk with LVM and a string without end", Disk().image('a = "' + "x" * 900000)
    d = Disk()
    yield "a disk with LVM and volumes that stand on each other", d.image(d.group("".join(
        volume("l%d" % n, [linear % ("l%d" % (n + 1))]) for n in range(4200))))
    d = Disk()
    yield "a disk with LVM and a volume that stands on itself", d.image(d.group(volume("a", [linear % "b"]) + volume("b", [linear % "a"])))
    d = Disk()
    yield "a disk with LVM and two times the way at each of 60 volumes", d.image(d.group("".join(
        volume("l%d" % n, [linear % ("l%d" % (n + 1))] * 2) for n in range(60)) + volume("l60", [linear % "pv0"])))
    d = Disk()
    yield "a disk with LVM and a volume of many segments", d.image(d.group(volume("l", [linear % "pv0"] * 9000)))
    d = Disk()
    stripes = ", ".join('"pv0", 0' for _ in range(50000))
    yield "a disk with LVM and a volume of many stripes", d.image(d.group(volume("l", [
        'type = "striped"\nstripe_count = 50000\nstripe_size = 8\nstripes = [%s]' % stripes])))
    d = Disk()
    pool = volume("tm", [linear % "pv0"]) + volume("td", [linear % "pv0"]) + volume("pool", [
        'type = "thin-pool"\nmetadata = "tm"\npool = "td"\ntransaction_id = 1\nchunk_size = 128'])
    yield "a disk with LVM and thousands of thin volumes", d.image(d.group(pool + "".join(volume("t%d" % n, [
        'type = "thin"\nthin_pool = "pool"\ntransaction_id = 0\ndevice_id = %d\norigin = "t%d"' % (n, n + 1)]) for n in range(3200))))
    d = Disk()
    for n in range(300):
        d.area.add(d.group(volume("l%d" % n, [linear % "pv0"]), n + 1))
    yield "a disk with LVM and hundreds of old texts", d.image()
    d = Disk()
    d.area.add(d.group(volume("l", [linear % "pv0"])))
    d.area.slots[0] = (512, (1 << 63), 0, 0)
    yield "a disk with LVM and a text longer than the disk", d.image()
    # One area after the other, all of them the same place
    d = Disk()
    d.pv.areas = [d.area] * 25
    d.area.add(d.group(volume("l", [linear % "pv0"])))
    yield "a disk with LVM and the same area many times", d.image()
    yield "a disk with LVM and partitions that share one text", shared_text()
    yield "a disk with LVM and a text in each sector of a text", texts_in_texts()
    # Partitions in partitions: each logical one names itself as the next
    disk = bytearray(MIB)
    disk[:512] = vg.mbr([(5, 1, 2047)])
    disk[512:1024] = vg.mbr([(0x8E, 1, 1), (5, 0, 2046)])
    yield "a disk whose logical partitions name themselves", bytes(disk)
    disk = bytearray(MIB)
    for n in range(2047):
        disk[512 * n : 512 * n + 512] = vg.mbr([(0x8E, 1, 1), (5, (n + 1) - 1 if n else 1, 2047 - n)])
    yield "a disk of logical partitions alone", bytes(disk)


def all_images():
    for name, data in images():
        yield name, data, APPLY
        yield name, data, APPLY_TO_DEVICE
        yield name + " below a device", data, ["thin_materialize", "--size", "1M", "--data-dev", "DATA", "--origin", "IN", "--map",
                                               "BASE", "0"]
    for name, data in streams():
        yield name, data, APPLY
        yield name, data, APPLY_TO_DEVICE
    for name, data in disks():
        for argv in (["thin_lvm", "--list", "IN"], ["thin_lvm", "IN"], ["thin_lvm", "--check", "IN"], ["thin_lvm", "--list-texts", "IN"],
                     ["thin_ls", "IN"], ["thin_check", "IN"]):
            yield name, data, argv
