#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""simulated.py SEED POOLS: pools of a simulator (simulator.py), damaged (damages.py) and rescued.

thin_check and a second opinion (tests/oracle) must find nothing wrong with a pool, and thin_dump and thin_repair must tell
its mappings and details.  Then it is damaged in each way, and what thin_repair makes of that is compared with it.  A line
"POOL:KIND" tells of a lie (exit status 0, but other mappings) or of another fault; --only POOL:KIND does that again.

The last lines are the sums.  sound: where thin_check finds nothing wrong with the image, or with an older superblock in the
pool, nobody can know.  doubts: exit status 1, although all is back.  Mappings: in leaves that the damage left intact; those
of them that are back nowhere; and wrong ones.
"""
import argparse
import copy
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from damages import KINDS, Case
from simulator import BLOCK, SALT_SUPER, NoSpace, Pool, salt_of
from thinpool import Pool as SecondOpinion

HANG = 300  # seconds; a trial takes less than one
LONGER = 80 << 20  # bytes of a device that was extended before the kernel has seen it: room for a second bitmap


class User:
    """Whoever makes snapshots, writes and discards."""

    def __init__(self, pool, rng, most):
        self.pool, self.rng, self.most = pool, rng, most
        self.weights = [0.12, rng.choice([0.05, 0.1, 0.25]), rng.choice([0.02, 0.05, 0.15]), rng.choice([0.05, 0.1, 0.2]), 0.5]
        self.spans, self.favourite, self.before = {}, None, rng.choice([-1, 0, 0, rng.randrange(1 << 23)])
        self.counts_transactions = rng.random() < 0.6

    def act(self):
        pool, rng, devices = self.pool, self.rng, sorted(self.pool.details)
        what, = rng.choices(["create", "snapshot", "delete", "discard", "write"], self.weights)
        if not devices or what in ("create", "snapshot") and len(devices) < self.most:
            new = rng.choice([max(devices, default=self.before) + 1] * 4 + [min(set(range(self.most + 1)) - set(devices))])
            if devices and what == "snapshot":
                pool.snapshot(new, rng.choice(devices))
            else:
                pool.create(new)
        elif what == "delete" and len(devices) > 1:
            pool.delete(rng.choice(devices))
        else:
            self.change_blocks(pool.discard if what == "discard" else pool.write, devices)
            return
        pool.transaction += self.counts_transactions

    def change_blocks(self, change, devices):
        """In a row, or here and there."""
        rng = self.rng
        if self.favourite not in devices or rng.random() < 0.2:
            self.favourite = rng.choice(devices)
        span = self.spans.setdefault(self.favourite, rng.choice([100, 400, 1500, 5000, 20000]))
        first, scattered = rng.randrange(span), rng.random() < 0.4
        for i in range(rng.choice([1, 4, 30, 100, 300])):
            change(self.favourite, rng.randrange(span) if scattered else first + i)

    def story(self, commits, operations):
        """Ends early where there is no space."""
        pool, rng = self.pool, self.rng
        try:
            for _ in range(commits):
                for _ in range(rng.randint(1, operations)):
                    self.act()
                if rng.random() < 0.03:
                    (pool.unhold if pool.held else pool.hold)()
                pool.commit()
                if rng.random() < 0.1:  # opened anew
                    pool.metadata.next = pool.data.next = 0
            if rng.random() < 0.15:  # the last commit is not completed
                self.act()
                share = rng.choice([0.3, 0.7, 1])
                pool.half_commit(lambda _: rng.random() < share)
        except NoSpace:
            pass
        return pool


def make_pool(rng):
    blocks, data_blocks, commits, operations, most = (rng.choice(of) for of in rng.choices(
        [([128, 256, 512, 1024], [3000, 16320, 40000], [5, 15, 40], [2, 5, 10], [12]),
         ([512, 1024, 2048], [16320, 60000], [10, 30, 60], [3, 8], [6, 20, 60]),
         ([64, 96, 128], [1000, 4000], [10, 40, 80], [1, 3], [3, 8])], [60, 25, 15])[0])
    image = bytearray(blocks * BLOCK)
    if rng.random() < 0.25:  # over an older pool
        User(Pool(image, data_blocks, rng), rng, most).story(commits, operations)
        commits = rng.choice([1, 3, commits])
    return User(Pool(image, data_blocks, rng), rng, most).story(commits, operations)


def run(*words):
    try:
        p = subprocess.run(words, capture_output=True, timeout=HANG, text=True, errors="replace")
        return p.returncode, p.stdout, p.stderr
    except subprocess.TimeoutExpired:
        return "hangs", "", ""


def dump(path):
    """What thin_dump tells: of each device its mappings and details."""
    mappings, details = {}, {}
    for line in run("thin_dump", "--no-shared", path)[1].splitlines():
        n = [int(x) for x in re.findall(r'="(\d+)"', line)]
        if "<device" in line:
            own = mappings[n[0]] = {}
            details[n[0]] = tuple(n[1:])
        elif "<single_mapping" in line:
            own[n[0]] = n[1] << 24 | n[2]
        elif "<range_mapping" in line:
            own.update((n[0] + i, n[1] + i << 24 | n[3]) for i in range(n[2]))
    return mappings, details


def has_superblock(image):
    return len(image) >= BLOCK and salt_of(image[:BLOCK]) == SALT_SUPER


class Trials:
    def __init__(self, seed, folder):
        self.seed = seed
        self.sound, self.damaged, self.result, self.mixed = (folder / n for n in ("sound", "damaged", "result", "mixed"))
        self.counts = {kind: Counter() for kind in ["undamaged", *KINDS, "two_hosts"]}

    def begin(self, number):
        self.number, rng = number, random.Random("%d.%d" % (self.seed, number))
        self.pool = make_pool(rng)
        self.image, self.mappings = bytes(self.pool.image), self.pool.mappings()
        self.other = User(Pool(bytearray(len(self.image)), 3000, rng), rng, 12).story(rng.choice([3, 10]), 5)
        self.sound.write_bytes(self.image)

    def found(self, kind, what, words):
        print("%d:%s %s: %s" % (self.number, kind, what, words), flush=True)
        self.counts[kind]["lies" if what == "LIE" else "faults"] += 1

    def repair(self, path, *options):
        """The status, and the mappings and details that are back."""
        self.result.write_bytes(bytes(len(self.image)))
        status, out, err = run("thin_repair", "-i", path, "-o", self.result, "--format", "json", *options)
        if not has_superblock(self.result.read_bytes()):  # nothing was found
            return status or "0 without a result", ({}, {})
        try:
            json.loads(out)
        except ValueError:
            return "a report that is no JSON: " + err, None
        return status if run("thin_check", "-q", self.result)[0] == 0 else "a result that is not sound", dump(self.result)

    def undamaged(self):
        self.counts["undamaged"]["pools"] += 1
        truth = self.mappings, self.pool.tree(self.pool.roots[1])
        status, out, _ = run("thin_check", "--format", "json", self.sound)
        if status or json.loads(out)["findings"]:
            self.found("undamaged", "thin_check finds something wrong", out)
        if SecondOpinion(self.image).findings:
            self.found("undamaged", "the second opinion finds something wrong", "")
        if dump(self.sound) != truth:
            self.found("undamaged", "thin_dump tells something else", "")
        if self.repair(self.sound) != (0, truth):
            self.found("undamaged", "thin_repair is not content, or changes something", "")

    def damage(self, kind):
        rng = random.Random("%d.%d.%s" % (self.seed, self.number, kind))
        if kind == "two_hosts":
            words, now = self.use_at_once(rng)
        else:
            case = Case(rng, self.pool, self.image, bytes(self.other.image))
            words, now = getattr(case, kind)(), bytes(case.now)
        if words and now != self.image:
            self.try_out(kind, words, now, rng)

    def use_at_once(self, rng):
        """Two hosts write to the pool, and neither knows what the other does.  The pool is that of the last one."""
        users, now, words = [User(copy.deepcopy(self.pool), rng, 12) for _ in range(2)], bytearray(self.image), []
        try:
            for user in users * rng.choice([1, 2, 4, 8]):
                for _ in range(rng.randint(1, 3)):
                    user.act()
                user.pool.commit()
                for b in [*user.pool.written, 0]:
                    now[b * BLOCK:(b + 1) * BLOCK] = user.pool.image[b * BLOCK:(b + 1) * BLOCK]
                words.append("%d blocks" % len(user.pool.written))
        except NoSpace:
            return None, self.image
        self.pool, self.image, self.mappings = user.pool, bytes(user.pool.image), user.pool.mappings()
        return "they write %s in turn" % ", ".join(words), bytes(now)

    def try_out(self, kind, words, now, rng):
        options = []
        if not has_superblock(now):  # LVM knows these
            options = ["--data-block-size", str(self.pool.data_block_size), "--nr-data-blocks", str(self.pool.data.nr)]
            options += rng.choice([[], ["--transaction-id", str(struct.unpack_from("<Q", self.image, 48)[0])]])
        size = len(now)
        self.damaged.write_bytes(now)
        if kind != "cut_off" and random.Random("%d.%d.%s, longer" % (self.seed, self.number, kind)).random() < 0.25:
            size = LONGER
            os.truncate(self.damaged, size)
        status, back = self.repair(self.damaged, *options)
        self.counts[kind]["trials"] += 1
        if self.damaged.read_bytes() != now.ljust(size, b"\0"):
            self.found(kind, "the input is not the same any more", words)
        if status in (0, 1):
            self.judge(self.counts[kind], kind, words, now, status, back[0])
        else:
            self.found(kind, "thin_repair ends with %s" % status, words)

    def judge(self, count, kind, words, now, status, back):
        same = back == self.mappings
        if status == 0 and not same:
            if self.nobody_can_know(now) or back == self.other.mappings():
                count["sound"] += 1
                return
            self.found(kind, "LIE", words)
        count["status 1"] += status
        count["doubts"] += status and same
        everywhere = set().union(*(own.items() for own in back.values()))
        for b, leaf in self.pool.leaves_of_devices().items():
            if now[b * BLOCK:(b + 1) * BLOCK] == self.image[b * BLOCK:(b + 1) * BLOCK]:
                count["intact"] += len(leaf.keys)
                count["missed"] += len(set(leaf.entries) - everywhere)
        count["wrong"] += sum(len(own.items() - self.mappings.get(dev, {}).items()) for dev, own in back.items())

    def nobody_can_know(self, now):
        """Is the image sound, or the pool behind another superblock?"""
        if now[:BLOCK] == self.image[:BLOCK]:
            return run("thin_check", "-q", self.damaged)[0] == 0
        self.mixed.write_bytes(now[:BLOCK] + self.image[BLOCK:])
        return 0 in (run("thin_check", "-q", path)[0] for path in (self.damaged, self.mixed))

    def table(self, most):
        """The sums by kind, and whether they are within the bounds."""
        self.counts["all"] = total = sum(self.counts.values(), Counter())
        columns = "pools", "trials", "faults", "lies", "sound", "status 1", "doubts", "intact", "missed", "wrong"
        print("# seed %d" % self.seed)
        for kind, count in self.counts.items():
            if count:
                print("# %-18s" % kind, *("%s %d" % (c, count[c]) for c in columns if count[c]))
        return (total["faults"] == 0 and total["lies"] <= most.lies and total["doubts"] * 100 <= total["trials"] * most.doubts
                and total["missed"] * 100 <= total["intact"] * most.missed)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("seed", type=int)
    p.add_argument("pools", type=int)
    p.add_argument("--lies", type=int, default=0, help="so many are accepted")
    p.add_argument("--doubts", type=int, default=100, help="in percent of the trials")
    p.add_argument("--missed", type=int, default=100, help="in percent of the mappings in intact leaves")
    p.add_argument("--only", metavar="POOL:KIND", help="one trial")
    p.add_argument("--undamaged", action="store_true", help="no damages")
    p.add_argument("--keep", metavar="FOLDER", help="the last images stay there")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trials = Trials(a.seed, Path(a.keep or folder))
        pool, _, kind = (a.only or "").partition(":")
        for number in [int(pool)] if pool else range(a.pools):
            trials.begin(number)
            trials.undamaged()
            for k in [] if a.undamaged else [kind] if kind else [*KINDS, "two_hosts"]:  # which goes on with the pool
                trials.damage(k)
        return 0 if trials.table(a) else 1


if __name__ == "__main__":
    sys.exit(main())
