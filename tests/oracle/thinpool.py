# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""A second opinion on thin pool metadata: a slow, complete reader and checker.

Written from doc/format.md alone; it shares nothing with lib.  The numbers in brackets are the
sections of that document.
"""
import struct
from collections import Counter, defaultdict

BLOCK = 4096
SALT_SUPER, SALT_NODE, SALT_BITMAP, SALT_INDEX = 160774, 121107, 240779, 160478
MAGIC = 27022010
PER_BITMAP = 16320
MAX_METADATA = 255 * PER_BITMAP
NEEDS_CHECK = 1

FATAL, NON_FATAL, WARN = "fatal", "non-fatal", "warning"

# value size of a leaf, by tree [5]
LEAF_SIZE = {"top": 8, "device": 8, "details": 24, "data-index": 16, "overflow": 4}


def _table():
    t = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ 0x82F63B78 if n & 1 else n >> 1
        t.append(n)
    return t


_CRC, _SEEN = _table(), {}
# Of two bytes at once, the first one lower.
_PAIR = [_CRC[_CRC[first] & 255 ^ second] ^ _CRC[first] >> 8 for second in range(256) for first in range(256)]


def _through(columns, c):
    out = 0
    for column in columns:
        if c & 1:
            out ^= column
        c >>= 1
    return out


# What 2^n bytes of zeros make of each bit of a checksum: a block of an empty device is zeros but for its header.
_ZEROS = [[_CRC[1 << i & 255] ^ (1 << i >> 8) for i in range(32)]]
for _ in range(11):
    _ZEROS.append([_through(_ZEROS[-1], c) for c in _ZEROS[-1]])


def crc(block):
    """Of bytes 4 to 4095, seed all ones, not inverted at the end [1]."""
    body = bytes(block[4:BLOCK])
    c = _SEEN.get(body)
    if c is None:
        c = 0xFFFFFFFF
        start = body.rstrip(b"\0")
        start += bytes(len(start) % 2)
        for pair in struct.unpack("<%dH" % (len(start) // 2), start):
            c = _PAIR[(c ^ pair) & 0xFFFF] ^ (c >> 16)
        for n, columns in enumerate(_ZEROS):
            if (len(body) - len(start)) >> n & 1:
                c = _through(columns, c)
        if len(_SEEN) > 50000:
            _SEEN.clear()
        _SEEN[body] = c
    return c


def u32(b, at):
    return struct.unpack_from("<I", b, at)[0]


def u64(b, at):
    return struct.unpack_from("<Q", b, at)[0]


def max_entries(value_size):
    return 3 * ((BLOCK - 32) // (8 + value_size) // 3)


class Node:
    """What one block of a tree says, and what is below it."""

    def __init__(self):
        self.entries = []  # of the leaves below: (key, value)
        self.height = None  # 0: a leaf; None: unknown, something is damaged
        self.min = self.max = None  # keys in this node or below
        self.nr = self.max_nr = 0


class Superblock:
    def __init__(self, b):
        self.flags = u32(b, 4)
        self.version, self.time = u32(b, 40), u32(b, 44)
        self.transaction_id, self.held_root = u64(b, 48), u64(b, 56)
        self.data_map = struct.unpack_from("<4Q", b, 64)
        self.metadata_map = struct.unpack_from("<4Q", b, 192)
        self.mapping_root, self.details_root = u64(b, 320), u64(b, 328)
        self.data_block_size, self.metadata_block_size = u32(b, 336), u32(b, 340)
        self.compat_ro, self.incompat = u32(b, 356), u32(b, 360)


class Pool:
    def __init__(self, image):
        self.image = image
        self.nr_blocks = len(image) // BLOCK
        self.findings = []
        self.refs = Counter()  # of metadata blocks: edges that point at them
        self.data_refs = Counter()  # of data blocks: entries of distinct leaves
        self.unshared = set()  # data blocks that were mapped since the last snapshot
        self.use = {}  # block -> what it is used as
        self.nodes = {}
        self.devices = {}  # id -> (entries, details)
        self.check()

    def found(self, severity, kind, **where):
        self.findings.append((severity, kind, where))

    def kinds(self, *severities):
        return {k for s, k, _ in self.findings if s in severities}

    @property
    def sound(self):
        """Does thin_check end with 0?  Leaked data blocks alone are a warning."""
        return not self.kinds(FATAL, NON_FATAL)

    def block(self, n):
        return self.image[n * BLOCK : (n + 1) * BLOCK]

    def fault(self, b, n, salt):
        if u64(b, 8) != n:
            return "place"
        return None if crc(b) ^ salt == u32(b, 0) else "csum"

    # --- trees [5]

    def tree(self, root, kind):
        """Walks a tree; its entries, or None where a part of it cannot be read."""
        node = self.edge(root, kind, None, None, (), root=True)
        return node.entries if node and node.height is not None else None

    def edge(self, n, kind, low, high, path, root=False):
        """Follows one pointer to block @n, whose keys must lie in [low, high)."""
        if n == 0 or n >= self.limit:
            self.found(FATAL, "outside", block=n, tree=kind)
            return None
        self.refs[n] += 1
        if n in path:
            self.found(FATAL, "loop", block=n, tree=kind)
            return None
        sharable = kind in ("top", "device", "details")
        used = self.use.get(n)
        if used is not None and (used != kind or not sharable):
            self.found(FATAL, "in-use", block=n, tree=kind, used=used)
            return None
        self.use[n] = kind
        if n not in self.nodes:
            self.nodes[n] = self.read_node(n, kind, path)
        node = self.nodes[n]
        if node is None:
            return None
        if node.min is not None and (
            (low is not None and node.min < low) or (high is not None and node.max >= high)
        ):
            self.found(FATAL, "key-range", block=n, tree=kind)
            return None
        if not root and node.nr < node.max_nr // 3:
            self.found(NON_FATAL, "underfull", block=n, tree=kind)
        return node

    def read_node(self, n, kind, path):
        b = self.block(n)
        wrong = self.fault(b, n, SALT_NODE)
        flags, nr, room, size = u32(b, 4), u32(b, 16), u32(b, 20), u32(b, 24)
        leaf = flags & 3 == 2  # the other bits say nothing to the kernel
        want = LEAF_SIZE[kind] if leaf else 8
        if not wrong:
            if flags & 3 not in (1, 2):
                wrong = "flags"
            elif size != want:
                wrong = "value-size"
            elif room != max_entries(want):
                wrong = "max-entries"
            elif nr > room or (nr == 0 and not leaf):
                wrong = "nr-entries"
        if wrong:
            self.found(FATAL, wrong, block=n, tree=kind)
            return None
        keys = struct.unpack_from("<%dQ" % nr, b, 32)
        if any(a >= c for a, c in zip(keys, keys[1:])):
            self.found(FATAL, "key-order", block=n, tree=kind)
            return None
        node = Node()
        node.nr, node.max_nr = nr, room
        if nr:
            node.min, node.max = keys[0], keys[-1]
        at = 32 + 8 * room
        values = [b[at + i * size : at + (i + 1) * size] for i in range(nr)]
        if leaf:
            node.height = 0
            node.entries = list(zip(keys, values))
            if kind == "device":
                for v in values:
                    self.data_refs[u64(v, 0) >> 24] += 1
                    if u64(v, 0) & 0xffffff >= self.sb.time:
                        self.unshared.add(u64(v, 0) >> 24)
            if kind == "top":  # one reference an entry, however many roots reach this leaf
                for v in values:
                    self.edge(u64(v, 0), "device", None, None, (), root=True)
            return node
        heights = set()
        for i, v in enumerate(values):
            high = keys[i + 1] if i + 1 < nr else None
            child = self.edge(u64(v, 0), kind, keys[i], high, path + (n,))
            heights.add(child.height if child else None)
            if not child:
                continue
            node.entries += child.entries
            if child.max is not None:
                node.max = max(node.max, child.max)
        if len(heights) == 1 and None not in heights:
            node.height = heights.pop() + 1
        elif None not in heights:
            self.found(FATAL, "depth", block=n, tree=kind)
        return node

    # --- superblock and devices [2, 6, 8]

    def check(self):
        b = self.block(0)
        if len(b) < BLOCK:
            return self.found(FATAL, "superblock")
        self.sb = sb = Superblock(b)
        if self.fault(b, 0, SALT_SUPER) or u64(b, 32) != MAGIC:
            return self.found(FATAL, "superblock")
        if sb.incompat or sb.compat_ro:
            self.found(FATAL, "features")
        if sb.data_block_size % 128 or not 128 <= sb.data_block_size <= 2097152:
            self.found(FATAL, "data-block-size")
        self.limit = sb.metadata_map[0]
        if not 0 < self.limit <= MAX_METADATA or sb.data_map[0] > 1 << 40:
            return self.found(FATAL, "map-size")
        if self.limit > self.nr_blocks:
            return self.found(FATAL, "device-too-small")
        self.refs[0] += 1
        self.use[0] = "superblock"
        self.devices = self.check_devices(sb, held=False)
        if sb.held_root:
            self.check_held()
        self.check_sharing()
        data = self.read_map("data", sb.data_map)
        metadata = self.read_map("metadata", sb.metadata_map)
        self.compare("data", sb.data_map, data, self.data_refs)
        self.compare("metadata", sb.metadata_map, metadata, self.refs)
        return None

    def check_devices(self, sb, held):
        top = self.tree(sb.mapping_root, "top")
        details = self.tree(sb.details_root, "details")
        time = self.sb.time
        out = {}
        det = dict(details or ())
        for key, value in top or ():
            if key >= 1 << 24:
                self.found(FATAL, "device-id", id=key)
            node = self.nodes.get(u64(value, 0)) if self.use.get(u64(value, 0)) == "device" else None
            entries = node.entries if node and node.height is not None else None
            if details is not None and key not in det:
                self.found(FATAL, "no-details", id=key)
            if entries is None:
                continue
            entries = [(v, u64(m, 0) >> 24, u64(m, 0) & 0xFFFFFF) for v, m in entries]
            if any(d >= self.sb.data_map[0] for _, d, _ in entries):
                self.found(FATAL, "data-outside", id=key, held=held)
            if any(t > time for _, _, t in entries):
                self.found(FATAL, "mapping-time", id=key, held=held)
            d = struct.unpack("<QQII", det[key]) if key in det else None
            if d and d[0] != len(entries):
                self.found(FATAL, "mapped-blocks", id=key, held=held)
            out[key] = (entries, d)
        mapped = {key for key, _ in top or ()}
        for key, value in details or ():
            if top is not None and key not in mapped:
                self.found(FATAL, "no-mappings", id=key)
            if max(struct.unpack("<QQII", value)[2:]) > time:
                self.found(FATAL, "device-time", id=key, held=held)
        return out

    def check_held(self):
        n = self.sb.held_root
        if n >= self.limit or n in self.use:
            return self.found(FATAL, "held")
        self.refs[n] += 1
        self.use[n] = "held"
        b = self.block(n)
        if self.fault(b, n, SALT_SUPER) or u64(b, 32) != MAGIC:
            return self.found(FATAL, "held")
        self.held_devices = self.check_devices(Superblock(b), held=True)
        return None

    def owners(self):
        """data block -> [(device, block of the device, time)], of the live devices"""
        who = defaultdict(list)
        for dev, (entries, _) in self.devices.items():
            for v, d, t in entries:
                who[d].append((dev, v, t))
        return who

    def check_sharing(self):
        for d, who in self.owners().items():
            if len(who) < 2:
                continue
            for dev, v, t in who:
                details = self.devices[dev][1]
                if details and t >= details[3]:
                    self.found(FATAL, "shared-time", id=dev, block=v)

    # --- space maps [4]

    def read_map(self, name, root):
        """The stored counts of a space map: block -> count, None where it cannot be read."""
        nr, _, index_root, overflow_root = root
        n_bitmaps = -(-nr // PER_BITMAP)
        index = {}
        if name == "metadata":
            index = self.metadata_index(index_root, n_bitmaps)
        else:
            for key, v in self.tree(index_root, "data-index") or ():
                index[key] = struct.unpack("<QII", v)
        overflow = {k: u32(v, 0) for k, v in self.tree(overflow_root, "overflow") or ()}
        self.use = {k: ("overflow-" + name if v == "overflow" else v) for k, v in self.use.items()}
        counts, all_read = {}, index is not None
        known = sorted(i for i in index or () if i < n_bitmaps)
        if len(known) < n_bitmaps:
            self.found(FATAL, "index-missing", map=name)
            all_read = False
        for i in known:
            entry = index[i]
            bits = self.bitmap(name, i, entry)
            if bits is None:
                all_read = False
                continue
            self.hints(name, i, entry, bits, nr)
            for j, pair in enumerate(bits):
                at = i * PER_BITMAP + j
                if at < nr and pair:
                    counts[at] = pair
        for at in overflow:
            if at >= nr or (counts.get(at) != 3 and all_read):
                self.found(FATAL, "overflow-stale", map=name, block=at)
        for at, c in counts.items():
            if c == 3:
                if at in overflow:
                    counts[at] = overflow[at]
                else:
                    self.found(FATAL, "overflow-missing", map=name, block=at)
        return counts

    def metadata_index(self, n, n_bitmaps):
        if n == 0 or n >= self.limit:
            self.found(FATAL, "outside", block=n)
            return None
        self.refs[n] += 1
        if n in self.use:
            self.found(FATAL, "in-use", block=n)
            return None
        self.use[n] = "index"
        b = self.block(n)
        if self.fault(b, n, SALT_INDEX):
            self.found(FATAL, "index-block", block=n)
            return None
        return {i: struct.unpack_from("<QII", b, 16 + 16 * i) for i in range(n_bitmaps)}

    def bitmap(self, name, i, entry):
        n = entry[0]
        if n == 0 or n >= self.limit:
            return self.found(FATAL, "bitmap", map=name, bitmap=i)
        self.refs[n] += 1
        if n in self.use:
            return self.found(FATAL, "in-use", block=n, bitmap=i)
        self.use[n] = "bitmap"
        b = self.block(n)
        if self.fault(b, n, SALT_BITMAP):
            return self.found(FATAL, "bitmap", map=name, bitmap=i)
        # The lower bit of a pair has weight 2, the higher one weight 1 [4.4].
        swap = (0, 2, 1, 3)
        return [swap[(b[16 + j // 4] >> (2 * (j % 4))) & 3] for j in range(PER_BITMAP)]

    def hints(self, name, i, entry, bits, nr):
        _, nr_free, before = entry
        here = min(PER_BITMAP, nr - i * PER_BITMAP)
        free = sum(1 for p in bits[:here] if not p)
        if any(bits[here:]):
            self.found(WARN, "bits-past-end", map=name)
        if free and nr_free == 0:
            self.found(WARN, "nr-free", map=name)
        if free and before > bits.index(0):
            self.found(WARN, "none-free-before", map=name)

    def compare(self, name, root, stored, computed):
        nr = root[0]
        for at in set(stored) | set(computed):
            if at >= nr:
                continue  # told as "outside" where the pointer stands
            s, c = stored.get(at, 0), computed.get(at, 0)
            if s < c:
                self.found(FATAL, "count-low", map=name, block=at, stored=s, computed=c)
            elif s == c + 1 and c and name == "data" and self.sb.time and at not in self.unshared:
                self.found(WARN, "leak-data", block=at)  # a discard was under way
            elif s > c and c:
                self.found(FATAL, "count-high", map=name, block=at, stored=s, computed=c)
            elif s > c:
                self.found(WARN if name == "data" else NON_FATAL, "leak-" + name, block=at)
        if sum(1 for c in stored.values() if c) != root[1]:
            self.found(WARN, "nr-allocated", map=name)
