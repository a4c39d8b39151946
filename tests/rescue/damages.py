# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""What happens to metadata: a function for each kind of damage.

Each changes what a Case holds, and returns what was done in words, or None where it is not possible.
"""
import struct

from simulator import BLOCK, salt_of, seal

SECTOR = 512


def sealed_at(b, content):
    """A content that another block had, with the number and checksum that are right here."""
    salt = salt_of(content)
    return seal(content[:8] + struct.pack("<Q", b) + content[16:], salt) if salt else content


class Case:
    """The image of a pool, while it is damaged.  @other: the image of another pool, of the same size."""

    def __init__(self, rng, pool, image, other):
        self.rng, self.pool, self.roles, self.other = rng, pool, pool.roles(), other
        self.now, self.nr = bytearray(image), len(image) // BLOCK
        self.used = [b for b in self.roles if b]
        self.maps = [b for b in self.used if self.roles[b].startswith(("data ", "metadata "))]
        self.few = [b for b in self.used if self.roles[b] in ("top", "details", "device")]

    def read(self, b):
        return bytes(self.now[b * BLOCK:(b + 1) * BLOCK])

    def write(self, b, content):
        self.now[b * BLOCK:b * BLOCK + len(content)] = content

    def lose(self, blocks):
        for b in blocks:
            self.write(b, self.rng.choice([bytes, self.rng.randbytes])(BLOCK))
        return "%s lost" % blocks

    def pick(self):
        """A block in use.  Most are leaves, so others are taken more often."""
        return self.rng.choice(self.rng.choices([self.few, self.maps, self.used], [4, 2, 4])[0])

    def picks(self, *numbers):
        return sorted({self.pick() for _ in range(self.rng.choice(numbers))})

    def anywhere(self, share):
        """Mostly a block in use."""
        return self.pick() if self.rng.random() < share else self.rng.randrange(1, self.nr)

    def rewritten(self):
        """Some blocks of which it is known what they held before, often of the last commit."""
        older = self.pool.older
        blocks = [b for b in self.used if b in older]
        last = [b for b in blocks if b in self.pool.written]
        if last and self.rng.random() < 0.5:
            blocks = last
        return [(b, older[b]) for b in self.rng.sample(blocks, min(len(blocks), self.rng.choice([1, 1, 2, 3, 4, 6])))]

    # --- the kinds

    def head(self):
        length = min(self.rng.choice([1, 4, 16, 16, 64, 64, 256, 256, 1024]) * BLOCK, len(self.now))
        what, content = self.rng.choice([("zeros", bytes(length)), ("ones", b"\xff" * length), ("random", self.rng.randbytes(length)),
                                         ("another pool's", self.other[:length])])
        self.write(0, content)
        if content[0] and self.rng.random() < 0.5:
            self.lose([0])
        return "the first %d bytes are %s" % (length, what)

    def superblock(self):
        return self.lose([0])

    def older_superblock(self):
        states = [s for s in self.pool.superblocks if s != self.read(0)]
        if states:
            back = self.rng.randint(1, min(len(states), self.rng.choice([1, 2, 5, 50])))
            self.write(0, states[-back])
            return "the superblock is that of %d commits before" % back

    def torn_writes(self):
        blocks = self.rewritten()
        for b, older in blocks:
            at, now = self.rng.randrange(SECTOR, BLOCK, SECTOR), self.read(b)
            self.write(b, older[:at] + now[at:] if self.rng.random() < 0.3 else now[:at] + older[at:])
        return blocks and "written in part: %s" % [b for b, _ in blocks]

    def lost_writes(self):
        blocks = self.rewritten()
        for b, older in blocks:
            self.write(b, older)
        return blocks and "not written: %s" % [b for b, _ in blocks]

    def erased(self):
        length = min(self.rng.choice([16, 16, 256]), self.nr // 2)
        first = self.anywhere(0.8) - self.rng.randrange(length)
        first -= first % length * self.rng.randrange(2)
        first = max(0, min(first, self.nr - length))
        self.write(first, bytes(length * BLOCK))
        return "blocks %d to %d are zeros" % (first, first + length - 1)

    def every_nth(self):
        step = self.rng.choice([2, 3, 5, 8, 16, 32])
        first = self.rng.randrange(step)
        self.lose(range(first, self.nr, step))
        return "each %dth block is lost, from %d" % (step, first)

    def cut_off(self):
        end = self.rng.randint(1, max(self.used)) * BLOCK - self.rng.choice([0, 0, SECTOR, BLOCK - 1])
        del self.now[end:]
        return "cut off at byte %d" % end

    def bits(self):
        blocks = self.picks(1, 2, 3, 5, 10, 30)
        for b in blocks:
            for _ in range(self.rng.choice([1, 1, 2, 3, 8])):
                self.now[b * BLOCK + self.rng.randrange(BLOCK)] ^= 1 << self.rng.randrange(8)
        return "bits changed in %s" % blocks

    def space_maps(self):
        which = self.rng.choice(["", "", "data ", "metadata "])
        return self.lose([b for b in self.maps if self.roles[b].startswith(which)])

    def foreign_blocks(self):
        first = self.anywhere(0.5)
        end = min(self.nr, first + self.rng.choice([1, 4, 16, 64]))
        self.write(first, self.other[first * BLOCK:end * BLOCK])
        return "blocks %d to %d are another pool's" % (first, end - 1)

    def misdirected(self, sealed=False):
        """Writes go to wrong places, some of whose own places then have what was there before."""
        words = []
        for _ in range(self.rng.choice([1, 1, 2, 3])):
            a, b = self.pick(), self.anywhere(0.8)
            content = self.read(a)
            if not sealed and a in self.pool.older and self.rng.random() < 0.5:
                self.write(a, self.pool.older[a])
                words.append("%d is older" % a)
            self.write(b, sealed_at(b, content) if sealed else content)
            words.append("%d is in %d" % (a, b))
        return ", ".join(words)

    def misdirected_sealed(self):
        return self.misdirected(True)

    def exchanged(self, sealed=False):
        a, b = self.pick(), self.pick()
        in_a, in_b = self.read(a), self.read(b)
        self.write(a, sealed_at(a, in_b) if sealed else in_b)
        self.write(b, sealed_at(b, in_a) if sealed else in_a)
        return "blocks %d and %d are exchanged" % (a, b)

    def exchanged_sealed(self):
        return self.exchanged(True)

    def holes(self):
        words = []
        for _ in range(self.rng.choice([1, 3, 8, 20, 50])):
            first = self.anywhere(0.7) * BLOCK + self.rng.randrange(0, BLOCK, SECTOR)
            end = min(first + self.rng.choice([1, 1, 2, 8, 16, 64]) * SECTOR, len(self.now))
            self.now[first:end] = bytes(end - first)
            words.append("%d to %d" % (first, end - 1))
        return "zeros at bytes " + ", ".join(words)

    def lost_blocks(self):
        return self.lose(self.picks(1, 2, 3, 4, 6, 10))

    def lost_roles(self):
        """One to four kinds of blocks: all of a kind, or one of them."""
        words, names = [], sorted(set(self.roles.values()))
        for name in self.rng.sample(names, self.rng.choice([1, 2, 2, 2, 3, 3, 4])):
            blocks = [b for b in self.roles if self.roles[b] == name]
            if name in ("leaf", "device") or self.rng.random() < 0.5:
                blocks = [self.rng.choice(blocks)]
            words.append(name + " " + self.lose(blocks))
        return ", ".join(words)

    def two(self):
        kinds = self.rng.sample(KINDS[:-2], 2)
        if self.rng.random() < 0.1:
            kinds[1] = "cut_off"
        words = [getattr(self, kind)() for kind in kinds]
        return all(words) and " and ".join(words)


KINDS = ["head", "superblock", "older_superblock", "torn_writes", "lost_writes", "erased", "every_nth", "bits", "space_maps",
         "foreign_blocks", "misdirected", "misdirected_sealed", "exchanged", "exchanged_sealed", "holes", "lost_blocks",
         "lost_roles", "cut_off", "two"]
