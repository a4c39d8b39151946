# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""Pools of every feature, in every kind of place, with what is true of them.

make(feature, rng) gives a Pool: metadata and data as bytes, and the model that they were made of.  A place lays them
out as a POOL argument and reads them back.  What is true comes from the model and from tests/oracle/thinpool.py.
"""
import os
import struct
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(here, "..", "oracle"), os.path.join(here, "..", "lvm")]
import thinpool  # noqa: E402
import vg  # noqa: E402

SECTOR = 512
MAX_ID = (1 << 24) - 1


class Pool:
    """@devices: id -> {block: data block}; @sizes: id -> sectors."""

    def __init__(self):
        self.bs, self.nr, self.time, self.transaction = 128, 40, 1, 3
        self.devices, self.sizes = {}, {}
        self.words = []  # feature words of the pool's line
        self.meta = self.data = b""
        self.needs_check = False
        self.held = None

    @property
    def step(self):
        return self.bs * SECTOR

    def block(self, d):
        return self.data[d * self.step:(d + 1) * self.step]

    def content(self, dev, data=None):
        """The bytes of device @dev, read from @data (default: the pool's own)."""
        data = self.data if data is None else data
        out = bytearray(self.sizes[dev] * SECTOR)
        for v, d in self.devices[dev].items():
            at = v * self.step
            if at < len(out):
                end = min(len(out), at + self.step)
                out[at:end] = data[d * self.step:d * self.step + end - at]
        return bytes(out)


def xml_of(p):
    out = ['<superblock uuid="" time="%d" transaction="%d" version="2" data_block_size="%d" nr_data_blocks="%d">'
           % (p.time, p.transaction, p.bs, p.nr)]
    shared = {}
    for dev in sorted(p.devices):
        maps = p.devices[dev]
        # What two devices share is older than both.
        out.append('<device dev_id="%d" mapped_blocks="%d" transaction="1" creation_time="0" snap_time="%d">'
                   % (dev, len(maps), p.time))
        key = id(maps)
        if maps and key in shared:
            out.append('<ref name="%s"/>' % shared[key])
        else:
            for v in sorted(maps):
                out.append('<single_mapping origin_block="%d" data_block="%d" time="0"/>' % (v, maps[v]))
        out.append("</device>")
    return "\n".join(out + ["</superblock>", ""])


def run(argv, **more):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **more)
    if p.returncode:
        raise RuntimeError("%s: %s %s" % (" ".join(argv), p.returncode, p.stderr.decode()))
    return p.stdout


def set_word(meta, at, value):
    """A number of the superblock, with its checksum."""
    b = bytearray(meta[:4096])
    struct.pack_into("<I", b, at, value)
    struct.pack_into("<I", b, 0, thinpool.crc(bytes(b)) ^ thinpool.SALT_SUPER)
    return bytes(b) + meta[4096:]


def some_devices(p, rng, ids, blocks=12):
    """Devices that own blocks by chance; the second one shares some of the first's."""
    free = list(range(p.nr))
    rng.shuffle(free)
    first = None
    for dev in ids:
        maps = {v: free.pop() for v in sorted(rng.sample(range(blocks), min(len(free), rng.randint(1, max(1, blocks // 2)))))}
        if first is None:
            first = maps
        elif rng.random() < 0.7:
            maps = {**maps, **{v: d for v, d in first.items() if rng.random() < 0.6}}
        p.devices[dev] = maps


FEATURES = ("plain needs_check held held_changed read_only skip_block_zeroing ignore_discard grown block_192k block_1m "
            "ids_at_limits no_devices many_devices shared_roots empty_devices clock_at_end nearly_full").split()


def make(feature, rng, work, many):
    p = Pool()
    if feature == "block_192k":
        p.bs, p.nr = 384, 20
    elif feature == "block_1m":
        p.bs, p.nr = 2048, 6
    blocks = 12 if p.nr > 12 else 5
    ids = sorted(rng.sample(range(1, 5000), 3))
    if feature == "ids_at_limits":
        ids = [0, rng.randint(1, MAX_ID - 1), MAX_ID]
    if feature == "no_devices":
        ids = []
    if feature == "many_devices":
        p.devices = {dev: {} for dev in rng.sample(range(MAX_ID), many)}
        some_devices(p, rng, sorted(p.devices)[:3])
    else:
        some_devices(p, rng, ids, blocks)
    if feature == "empty_devices":
        for dev in rng.sample(range(5001, 6000), 3):
            p.devices[dev] = {}
    if feature == "nearly_full":
        dev, used = ids[0], {d for m in p.devices.values() for d in m.values()}
        for v, d in enumerate(set(range(p.nr)) - used, 20):
            p.devices[dev][v] = d
    for dev, maps in p.devices.items():
        p.sizes[dev] = max([v + 1 for v in maps], default=2) * p.bs - rng.choice([0, 0, 8, 24])
    p.data = b"".join((b"%08d" % d) * (p.step // 8) for d in range(p.nr))
    if feature in ("read_only", "skip_block_zeroing", "ignore_discard"):
        p.words = [feature]
    path = os.path.join(work, "making")
    # with the blocks that a pool keeps in reserve
    size = max(64 << 20, len(p.devices) * 4700 >> 20 << 20) if len(p.devices) > 100 else 1 << 20
    with open(path, "wb") as f:
        f.truncate(size)
    run(["thin_restore", "-q", "-i", "/dev/stdin", "-o", path], input=xml_of(p).encode())
    if feature == "shared_roots":
        for n in range(2):
            run(["thin_message", "-q", path, "create_snap %d %d" % (6001 + n, ids[0])])
            p.devices[6001 + n], p.sizes[6001 + n] = dict(p.devices[ids[0]]), p.sizes[ids[0]]
        p.time += 2
    if feature.startswith("held"):
        run(["thin_message", "-q", path, "reserve_metadata_snap"])
        p.held = {d: dict(m) for d, m in p.devices.items()}
    if feature == "held_changed":
        run(["thin_message", "-q", path, "create_snap 7001 %d" % ids[0], "delete %d" % ids[1]])
        p.devices[7001], p.sizes[7001] = dict(p.devices[ids[0]]), p.sizes[ids[0]]
        del p.devices[ids[1]]
        p.time += 1
    with open(path, "rb") as f:
        p.meta = f.read()
    os.unlink(path)
    if feature == "needs_check":
        p.meta, p.needs_check = set_word(p.meta, 4, thinpool.NEEDS_CHECK), True
    if feature == "clock_at_end":
        p.time = (1 << 24) - 1
        p.meta = set_word(p.meta, 44, p.time)
    if feature == "grown":  # the devices are larger than the pool knows
        p.meta += bytes(256 << 12)
        p.data += b"\xaa" * (5 * p.step)
    return p


# --- places ---

class Place:
    """@pool: the POOL argument; @more: options that name the rest; @name(dev): a device's name there."""
    bare = False  # neither the data device nor sizes are known
    lvm = False
    words = True  # the pool's line has its feature words

    def __init__(self, p, work):
        self.p, self.work, self.more, self.loops = p, work, [], []

    def file(self, name, data=None):
        path = os.path.join(self.work, name)
        if data is not None:
            with open(path, "wb") as f:
                f.write(data)
        return path

    def name(self, dev):
        return str(dev)

    def table(self, meta, data, more=""):
        size = len(self.p.data) // SECTOR
        words = "%d %s " % (len(self.p.words), " ".join(self.p.words)) if self.p.words else "0"
        text = more + "pool: 0 %d thin-pool %s %s %d 0 %s\n" % (size, meta, data, self.p.bs, words.strip())
        # of 10^5 devices only those with mappings and a few more are active
        for dev in sorted(self.p.devices, key=lambda d: -len(self.p.devices[d]))[:20]:
            text += "t%d: 0 %d thin pool %d\n" % (dev, self.p.sizes[dev], dev)
        return self.file("table", text.encode())

    def read(self, which):
        with open(self.paths[which], "rb") as f:
            return f.read()

    def close(self):
        for loop in self.loops:
            subprocess.run(["losetup", "-d", loop], check=False)


class Files(Place):
    bare, words = True, False

    def __init__(self, p, work):
        super().__init__(p, work)
        self.paths = {"meta": self.file("meta", p.meta), "data": self.file("data", p.data)}
        self.pool, self.data = self.paths["meta"], self.paths["data"]


class Table(Files):
    bare, words = False, True

    def __init__(self, p, work):
        super().__init__(p, work)
        self.pool = self.table("meta", "data")


class Loops(Files):
    sector = 512

    def __init__(self, p, work):
        super().__init__(p, work)
        for which in ("meta", "data"):
            self.loops.append(run(["losetup", "-b", str(self.sector), "-f", "--show", self.paths[which]]).decode().strip())
        self.pool, self.data = self.loops


class Loops4096(Loops):
    sector = 4096


class LoopTable(Loops):
    bare, words = False, True

    def __init__(self, p, work):
        super().__init__(p, work)
        self.pool = self.table(*self.loops)


class Stack(Place):
    """Metadata and data in pieces, linear and striped, on two disks."""

    def __init__(self, p, work):
        super().__init__(p, work)
        m, d = len(p.meta), len(p.data)
        cut = m // 2 // 4096 * 4096
        half = d // 2 // 65536 * 65536
        self.at = {"meta": [(0, 8 * SECTOR + m - cut, cut), (0, 8 * SECTOR, m - cut)], "data": [(1, 1000 * SECTOR + d, half)]}
        end = 2000 * SECTOR + d + half
        self.at["data"].append((1, 63 * SECTOR, d - half))
        self.paths = {"disk0": self.file("disk0", bytes(8 * SECTOR + m)), "disk1": self.file("disk1", bytes(end))}
        self.put("meta", p.meta)
        self.put("data", p.data)
        lines = ""
        for which in ("meta", "data"):
            sector = 0
            for disk, at, n in self.at[which]:
                lines += "%s: %d %d linear disk%d %d\n" % (which, sector, n // SECTOR, disk, at // SECTOR)
                sector += n // SECTOR
        self.pool = self.table("/dev/mapper/meta", "/dev/mapper/data", lines)
        self.data = "data"

    def put(self, which, data):
        for disk, at, n in self.at[which]:
            with open(os.path.join(self.work, "disk%d" % disk), "r+b") as f:
                f.seek(at)
                f.write(data[:n])
            data = data[n:]

    def read(self, which):
        out = b""
        for disk, at, n in self.at[which]:
            with open(os.path.join(self.work, "disk%d" % disk), "rb") as f:
                f.seek(at)
                out += f.read(n)
        return out


class OneDisk(vg.Group):
    """A volume group of one disk, in which each volume is one run of extents."""

    def __init__(self, work, rng):
        super().__init__(work, rng.random())
        self.name, self.extent = "vg", 128
        self.pvs = [vg.PV(self.rng, 0, 460, 128, 1)]
        self.where, self.next = {}, 0

    def put(self, name, data, hidden='"READ", "WRITE"'):
        step = self.extent * SECTOR
        n = -(-len(data) // step)
        pv = self.pvs[0]
        pv.data[self.next * step:self.next * step + len(data)] = data
        self.where[name] = (pv.pe_start * SECTOR + self.next * step, len(data))
        self.section(name, [["start_extent = 0", "extent_count = %d" % n, 'type = "striped"', "stripe_count = 1",
                             'stripes = [ "pv0", %d ]' % self.next]], hidden)
        self.next += n
        return n


class Disk(Place):
    lvm, words = True, False

    def __init__(self, p, work):
        super().__init__(p, work)
        import random
        g = OneDisk(work, random.Random(len(p.meta) + p.nr))
        g.put("pool_tmeta", p.meta)
        n = g.put("pool_tdata", p.data)
        words = {"ignore_discard": "ignore"}
        g.section("pool", [["start_extent = 0", "extent_count = %d" % n, 'type = "thin-pool"', 'metadata = "pool_tmeta"',
                            'pool = "pool_tdata"', "transaction_id = %d" % p.transaction, "chunk_size = %d" % p.bs,
                            'discards = "%s"' % words.get("".join(p.words), "passdown"),
                            "zero_new_blocks = %d" % ("skip_block_zeroing" not in p.words)]])
        for dev in p.devices:
            # a volume has whole extents
            p.sizes[dev] = -(-p.sizes[dev] // 128) * 128
            g.section("t%d" % dev, [["start_extent = 0", "extent_count = %d" % (p.sizes[dev] // 128), 'type = "thin"',
                                     'thin_pool = "pool"', "transaction_id = 0", "device_id = %d" % dev]])
        g.commit()
        g.save("whole")
        self.where = g.where
        self.pool, self.data = self.file("pv0.img"), "pool_tdata"
        self.paths = {"pv": self.pool}

    def name(self, dev):
        return "t%d" % dev

    def read(self, which):
        if which == "pv":
            return super().read(which)
        at, n = self.where["pool_t" + which]
        with open(self.pool, "rb") as f:
            f.seek(at)
            return f.read(n)


PLACES = {"file": Files, "loop_512": Loops, "loop_4096": Loops4096, "table": Table, "table_of_loops": LoopTable,
          "stack": Stack, "disk_with_lvm": Disk}


def loops_work():
    if os.getuid() != 0:
        return False
    try:
        out = run(["losetup", "-f"]).decode().strip()
        return bool(out)
    except (OSError, RuntimeError):
        return False


if __name__ == "__main__":  # FOLDER: a disk with LVM, pv0.img
    import random
    Disk(make("plain", random.Random(1), sys.argv[1], 0), sys.argv[1])
