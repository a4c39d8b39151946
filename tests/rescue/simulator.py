# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""A pool's metadata, written as the kernel writes them.

Written from doc/format.md alone; it shares nothing with lib.  The numbers in brackets are the sections of that
document.  A Pool takes messages, writes and discards; commit() puts the blocks that changed into its image, and
remembers what they held before.
"""
import os
import struct
import sys
from bisect import bisect_left, bisect_right
from functools import partial
from itertools import chain

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
from thinpool import (BLOCK, MAGIC, PER_BITMAP, SALT_BITMAP, SALT_INDEX, SALT_NODE, SALT_SUPER,  # noqa: E402
                      crc, max_entries)

LARGE = 3  # a bitmap says only that a count is this or more [4.4]
BITS = (0, 2, 1, 3)  # a count as two bits, the lower one of which weighs more [4.4]

# How a leaf packs a value, by tree [5]; an internal node has block numbers.
VALUE = {"top": "Q", "device": "Q", "details": "QQII", "data index": "QII", "data counts": "I", "metadata counts": "I"}
SIZE = {form: struct.calcsize("<" + form) for form in VALUE.values()}


class NoSpace(Exception):
    """Each block is in use, or was at the last commit."""


def seal(block, salt):
    return struct.pack("<I", crc(block) ^ salt) + bytes(block[4:])


def salt_of(block):
    """What kind of block the checksum says it is, or None."""
    salt = struct.unpack_from("<I", block)[0] ^ crc(block)
    return salt if salt in (SALT_SUPER, SALT_NODE, SALT_BITMAP, SALT_INDEX) else None


class Content:
    """What a block is, and the function that packs it for a place."""

    def __init__(self, role, pack):
        self.role, self.pack = role, pack


class Node:
    """A node of a tree; @tree: a name of VALUE; @unused: bytes that stand where no entry is."""

    def __init__(self, tree, unused, leaf=True, keys=(), values=()):
        self.tree, self.unused, self.leaf, self.keys, self.values = tree, unused, leaf, list(keys), list(values)

    def copy(self):
        return Node(self.tree, self.unused, self.leaf, self.keys, self.values)

    @property
    def form(self):
        return VALUE[self.tree] if self.leaf else "Q"

    @property
    def room(self):
        return max_entries(SIZE[self.form])

    @property
    def role(self):
        return "leaf" if self.leaf and self.tree == "device" else self.tree

    @property
    def children(self):
        return self.values if not self.leaf or self.tree == "top" else []

    @property
    def data_blocks(self):
        return [v >> 24 for v in self.values] if self.role == "leaf" else []

    @property
    def entries(self):
        return list(zip(self.keys, self.values))

    def place(self, key):
        """Which child has a key."""
        return max(0, bisect_right(self.keys, key) - 1)

    def pack(self, block):
        b, n = bytearray(self.unused), len(self.keys)
        struct.pack_into("<IIQ4I", b, 0, 0, 2 if self.leaf else 1, block, n, self.room, SIZE[self.form], 0)
        struct.pack_into("<%dQ" % n, b, 32, *self.keys)
        values = self.values if len(self.form) == 1 else chain(*self.values)
        struct.pack_into("<" + self.form * n, b, 32 + 8 * self.room, *values)
        return seal(b, SALT_NODE)


class SpaceMap:
    """The counts of one map, those of the last commit, and where its blocks are [4]."""

    def __init__(self, name, nr):
        self.name, self.nr = name, nr
        self.count, self.committed = [0] * nr, [0] * nr
        self.next = 0  # where the search for a free block begins
        self.bitmaps = [None] * -(-nr // PER_BITMAP)
        self.used = [0] * len(self.bitmaps)
        self.changed = set(range(len(self.bitmaps)))  # those whose entry in the index is not up to date
        self.index = self.large = None

    def find_free(self):
        """Free in the map as it is, and as it was committed [7.1]."""
        for b in chain(range(self.next, self.nr), range(self.next)):
            if not self.count[b] and not self.committed[b]:
                self.next = b + 1
                return b
        raise NoSpace

    def set(self, b, count):
        i = b // PER_BITMAP
        self.used[i] += (count > 0) - (self.count[b] > 0)
        self.count[b] = count
        self.changed.add(i)

    def part(self, i):
        return self.count[i * PER_BITMAP:(i + 1) * PER_BITMAP]

    def entry(self, i):
        """Of a bitmap in the index [4.1]."""
        part = self.part(i)
        return self.bitmaps[i], PER_BITMAP - self.used[i], part.index(0) if 0 in part else len(part)

    def bitmap(self, i):
        return Content(self.name + " bitmap", partial(self.pack_bitmap, i))

    def pack_bitmap(self, i, block):
        bits = bytes(BITS[c] if c < LARGE else BITS[LARGE] for c in self.part(i)).ljust(PER_BITMAP, b"\0")
        packed = bytes(a | b << 2 | c << 4 | d << 6 for a, b, c, d in zip(*(bits[at::4] for at in range(4))))
        return seal(struct.pack("<IIQ", 0, 0, block) + packed, SALT_BITMAP)


class Pool:
    """Both trees, both maps, and the operations of section 8."""

    def __init__(self, image, nr_data, rng, data_block_size=128):
        """Formats an image."""
        self.image, self.rng, self.data_block_size = image, rng, data_block_size
        self.unused = rng.choice([bytes, rng.randbytes, rng.randbytes])(BLOCK)
        self.metadata, self.data = SpaceMap("metadata", len(image) // BLOCK), SpaceMap("data", nr_data)
        self.blocks = {0: Content("superblock", None)}  # what each block is
        self.fresh = set()  # blocks that this transaction has taken
        self.queue = []  # changes of metadata counts that are not in the map yet
        self.older, self.superblocks = {}, []  # what each block held before; each superblock so far
        self.time = self.transaction = 0
        self.held = None  # the block of the metadata snapshot, and the roots of its trees
        self.details, self.changed = {}, set()  # of each device: mapped, transaction, created, snapshotted

        image[:BLOCK] = bytes(BLOCK)
        self.metadata.set(0, 1)
        self.draining = True  # what follows is in the new map from the beginning
        self.metadata.index = self.new(Content("metadata index", self.pack_index))
        self.data.index = self.new_node("data index")
        for space in self.metadata, self.data:
            space.bitmaps = [self.new(space.bitmap(i)) for i in range(len(space.bitmaps))]
            space.large = self.new_node(space.name + " counts")
        self.top, self.details_root = self.new_node("top"), self.new_node("details")
        self.queue, self.draining = [], False
        self.commit()

    # --- counts

    def new(self, content):
        b = self.metadata.find_free()
        self.fresh.add(b)
        self.blocks[b] = content
        self.count_block(b, 1)
        return b

    def new_node(self, tree, *of):
        return self.new(Node(tree, self.unused, *of))

    def count_block(self, b, change):
        """Changes to the metadata map need blocks of that map, so they wait for each other [7.3]."""
        old = self.metadata.count[b]
        self.metadata.set(b, old + change)
        self.queue.append((b, old, old + change))
        if not self.draining:
            self.draining = True
            while self.queue:
                self.note(self.metadata, *self.queue.pop(0))
            self.draining = False

    def count_data(self, b, change):
        old = self.data.count[b]
        self.data.set(b, old + change)
        self.note(self.data, b, old, old + change)

    def note(self, space, b, old, new):
        """A changed count needs a bitmap that may be written, and maybe the tree of large counts."""
        i = b // PER_BITMAP
        bitmap = space.bitmaps[i]
        if bitmap not in self.fresh:
            space.bitmaps[i] = self.new(self.blocks[bitmap])
            self.count_block(bitmap, -1)
        if new >= LARGE:
            space.large = self.insert(space.large, b, new)
        elif old >= LARGE:
            space.large = self.remove(space.large, b)

    def release(self, b):
        """One parent less; the last one takes all that is below with it."""
        if self.metadata.count[b] == 1:
            for child in self.blocks[b].children:
                self.release(child)
            for data in self.blocks[b].data_blocks:
                self.count_data(data, -1)
        self.count_block(b, -1)

    # --- trees

    def shadow(self, b):
        """The block in which a node may be changed [7.2]."""
        count = self.metadata.count[b]
        if b in self.fresh and count == 1:
            return b
        copy = self.blocks[b].copy()
        new = self.new(copy)
        if count > 1:
            for child in list(copy.children):
                self.count_block(child, 1)
            for data in copy.data_blocks:
                self.count_data(data, 1)
        self.count_block(b, -1)
        return new

    def shadow_child(self, node, i):
        b = node.values[i] = self.shadow(node.values[i])
        return self.blocks[b]

    def insert(self, root, key, value):
        """The root of the tree that has a value at a key."""
        root = self.shadow(root)
        node = self.blocks[root]
        if len(node.keys) == node.room:
            self.split_root(node)
        while not node.leaf:
            parent = node
            parent.keys[0] = min(key, parent.keys[0])
            i = parent.place(key)
            node = self.shadow_child(parent, i)
            if len(node.keys) == node.room:
                self.make_room(parent, i, node)
                node = self.shadow_child(parent, parent.place(key))
        i = bisect_left(node.keys, key)
        is_new = node.keys[i:i + 1] != [key]
        if not is_new and node.role == "leaf":
            self.count_data(node.values[i] >> 24, -1)
        node.keys[i:i + (not is_new)], node.values[i:i + (not is_new)] = [key], [value]
        return root

    def split_root(self, node):
        half = len(node.keys) // 2
        halves = [self.new_node(node.tree, node.leaf, node.keys[part], node.values[part])
                  for part in (slice(half), slice(half, None))]
        node.keys, node.values, node.leaf = [node.keys[0], node.keys[half]], halves, False

    def make_room(self, parent, i, full):
        """Of a full child entries go to a neighbour that has room, or it is split [5.1]."""
        alone = [j for j in (i - 1, i + 1) if 0 <= j < len(parent.values) and self.metadata.count[parent.values[j]] == 1]
        for j in alone:
            if full.room - len(self.blocks[parent.values[j]].keys) >= 8:
                self.shadow_child(parent, j)
                self.spread(parent, min(i, j), 2)
                return
        at, among = i + 1, 2
        if len(alone) == 2:
            self.shadow_child(parent, i - 1)
            at, among = i, 3
        parent.keys.insert(at, None)
        parent.values.insert(at, self.new_node(full.tree, full.leaf))
        self.spread(parent, at - 1, among)

    def spread(self, parent, first, nr, entries=None):
        """The entries of so many children, evenly among them."""
        nodes = [self.blocks[b] for b in parent.values[first:first + nr]]
        entries = entries or [e for node in nodes for e in node.entries]
        for i, node in enumerate(nodes):
            part = entries[len(entries) * i // nr:len(entries) * (i + 1) // nr]
            node.keys, node.values = [k for k, _ in part], [v for _, v in part]
            if i:
                parent.keys[first + i] = node.keys[0]

    def remove(self, root, key):
        """The root of the tree that has no such key any more."""
        root = self.shadow(root)
        node = self.blocks[root]
        while not node.leaf:
            self.balance(node, node.place(key))
            if len(node.values) > 1:
                node = self.blocks[node.values[node.place(key)]]
            else:
                self.pull_up(node)
        i = node.keys.index(key)
        if node.role == "leaf":
            self.count_data(node.values[i] >> 24, -1)
        elif node.tree == "top":
            self.release(node.values[i])
        del node.keys[i], node.values[i]
        return root

    def balance(self, parent, i):
        """A child and its neighbours are made equal, or one of them goes [5.1]."""
        first, end = max(0, i - 1), min(len(parent.values), i + 2)
        nodes = [self.shadow_child(parent, j) for j in range(first, end)]
        entries = [e for node in nodes for e in node.entries]
        third = nodes[0].room // 3
        if len(entries) < (2 * third + 2 if len(nodes) == 2 else 4 * third + 1):
            gone = parent.values.pop(first + 1)
            del parent.keys[first + 1]
            self.count_block(gone, -1)
            end -= 1
        self.spread(parent, first, end - first, entries)

    def pull_up(self, node):
        """A node becomes its only child, which is new."""
        b = node.values[0]
        child = self.blocks[b]
        node.leaf, node.keys, node.values = child.leaf, child.keys, child.values
        self.count_block(b, -1)

    def get(self, root, key):
        node = self.blocks[root]
        while not node.leaf:
            node = self.blocks[node.values[node.place(key)]]
        i = bisect_left(node.keys, key)
        return node.values[i] if node.keys[i:i + 1] == [key] else None

    # --- commits

    def superblock(self):
        b = bytearray(BLOCK)
        held = self.held[0] if self.held else 0
        struct.pack_into("<QII2Q", b, 32, MAGIC, 2, self.time, self.transaction, held)
        for at, space in ((64, self.data), (192, self.metadata)):
            struct.pack_into("<4Q", b, at, space.nr, sum(space.used), space.index, space.large)
        struct.pack_into("<QQIIQ", b, 320, self.top, self.details_root, self.data_block_size, 8, self.metadata.nr)
        return seal(b, SALT_SUPER)

    def pack_index(self, block):
        b = bytearray(BLOCK)
        struct.pack_into("<Q", b, 8, block)
        for i in range(len(self.metadata.bitmaps)):
            struct.pack_into("<QII", b, 16 + 16 * i, *self.metadata.entry(i))
        return seal(b, SALT_INDEX)

    def put(self, b, content):
        old = bytes(self.image[b * BLOCK:(b + 1) * BLOCK])
        if old != content:
            self.older[b] = old
            self.image[b * BLOCK:(b + 1) * BLOCK] = content

    def half_commit(self, arrives):
        """A commit that ends before the superblock; @arrives: whether a block is on the disk then [7.3]."""
        for dev in sorted(self.changed):
            self.details_root = self.insert(self.details_root, dev, tuple(self.details[dev]))
        for i in sorted(self.data.changed):
            self.data.index = self.insert(self.data.index, i, self.data.entry(i))
        self.changed.clear()
        self.data.changed.clear()
        index = self.metadata.index
        if index not in self.fresh:
            self.metadata.index = self.new(self.blocks[index])
            self.count_block(index, -1)
        for b in sorted(self.fresh):
            if arrives(b):
                self.put(b, self.blocks[b].pack(b))

    def commit(self):
        # what was taken and released again may have been written, too
        self.half_commit(lambda b: self.metadata.count[b] or self.rng.random() < 0.7)
        self.put(0, self.superblock())
        self.superblocks.append(bytes(self.image[:BLOCK]))
        self.written = sorted(b for b in self.fresh if self.metadata.count[b])
        self.roots = self.top, self.details_root
        self.fresh.clear()
        for space in (self.metadata, self.data):
            space.committed = space.count[:]

    # --- operations

    def new_device(self, dev, root, mapped):
        self.top = self.insert(self.top, dev, root)
        self.details[dev] = [mapped, self.transaction, self.time, self.time]
        self.changed.add(dev)

    def create(self, dev):
        self.new_device(dev, self.new_node("device"), 0)

    def snapshot(self, dev, origin):
        root = self.get(self.top, origin)
        self.count_block(root, 1)
        self.time += 1
        self.new_device(dev, root, self.details[origin][0])
        self.details[origin][3] = self.time
        self.changed.add(origin)

    def delete(self, dev):
        self.top = self.remove(self.top, dev)
        if self.get(self.details_root, dev):
            self.details_root = self.remove(self.details_root, dev)
        del self.details[dev]
        self.changed.discard(dev)

    def change_tree(self, dev, mapped, change, *args):
        """One operation over both levels: the path of the top level is shadowed, too."""
        self.top = self.shadow(self.top)
        node = self.blocks[self.top]
        while not node.leaf:
            node = self.shadow_child(node, node.place(dev))
        i = node.keys.index(dev)
        node.values[i] = change(node.values[i], *args)
        self.details[dev][0] += mapped
        if mapped:
            self.changed.add(dev)

    def write(self, dev, block):
        old = self.get(self.get(self.top, dev), block)
        if old is None or self.details[dev][3] > old & 0xFFFFFF:  # not mapped, or shared
            data = self.data.find_free()
            self.count_data(data, 1)
            self.change_tree(dev, old is None, self.insert, block, data << 24 | self.time)

    def discard(self, dev, block):
        if self.get(self.get(self.top, dev), block) is not None:
            self.change_tree(dev, -1, self.remove, block)

    def hold(self):
        """Reserves a metadata snapshot: a copy of the superblock without held root and space maps."""
        self.commit()
        copy = bytearray(self.superblock())
        copy[56:320] = bytes(264)
        b = self.new(Content("held root", lambda b: seal(copy[:8] + struct.pack("<Q", b) + copy[16:], SALT_SUPER)))
        self.held = b, self.top, self.details_root
        self.count_block(self.top, 1)
        self.count_block(self.details_root, 1)

    def unhold(self):
        b, *roots = self.held
        for root in roots:
            self.release(root)
        self.count_block(b, -1)
        self.held = None

    # --- the last commit: nothing that it wrote changes before the next one

    def roles(self):
        """What each block in use is."""
        return {b: self.blocks[b].role for b, count in enumerate(self.metadata.committed) if count}

    def leaves(self, root):
        """The leaves of a tree, and their blocks."""
        node = self.blocks[root]
        return {root: node} if node.leaf else {b: leaf for v in node.values for b, leaf in self.leaves(v).items()}

    def tree(self, root):
        return {key: value for leaf in self.leaves(root).values() for key, value in leaf.entries}

    def leaves_of_devices(self):
        return {b: leaf for root in self.tree(self.roots[0]).values() for b, leaf in self.leaves(root).items()}

    def mappings(self):
        """Of each device: virtual block -> data block << 24 | time."""
        return {dev: self.tree(root) for dev, root in self.tree(self.roots[0]).items()}
