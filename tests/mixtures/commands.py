# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""The commands of the mixtures: how each is called, and what is right when it ends with 0."""
import json
import os
import re

import world
from thinpool import Pool as Second


class Wrong(Exception):
    pass


def need(what, words):
    if not what:
        raise Wrong(words)


def second(meta):
    """What the second opinion reads: id -> {block: data block}, of a sound pool."""
    pool = Second(meta)
    need(pool.sound, "the second opinion finds the pool damaged: %s" % pool.findings[:4])
    return {dev: {v: d for v, d, _ in entries} for dev, (entries, _) in pool.devices.items()}


class Row:
    """One command at one pool in one place."""

    def __init__(self, p, place, work, rng):
        self.p, self.place, self.work, self.rng = p, place, work, rng
        self.dev = max(sorted(p.devices), key=lambda d: len(p.devices[d]), default=None)
        others = sorted((d for d in p.devices if d != self.dev), key=lambda d: -len(p.devices[d]))
        self.other = others[0] if others else None
        self.out = self.path("out")

    def path(self, name):
        return os.path.join(self.work, name)

    def get(self, name="out"):
        with open(self.path(name), "rb") as f:
            return f.read()

    def data_dev(self):
        return ["--data-dev", self.place.data] if self.place.bare else []

    def size(self, dev):
        return ["--size", "%ds" % self.p.sizes[dev]] if self.place.bare else []

    def check_new(self, meta, devices):
        got = second(meta)
        need(got == devices, "other devices or mappings than there should be: %s" % difference(got, devices))


def difference(got, want):
    for dev in sorted(set(got) | set(want)):
        if got.get(dev) != want.get(dev):
            return "device %s has %s, not %s" % (dev, got.get(dev), want.get(dev))
    return "none"


class Command:
    """@argv(row); @judge(row, stdout) of a run that ended with 0; @out: it writes the file out; @writes: it changes the
    pool in place, to new(row) when that is given; @no(row): why it should refuse, or None."""
    out = writes = data = salvages = False

    def no(self, row):
        changes = self.writes or self.data
        return "read_only" if changes and "read_only" in row.p.words and row.place.words else None


class Check(Command):
    def argv(self, row):
        return ["thin_check", row.place.pool]

    def judge(self, row, out):
        second(row.place.read("meta"))


class CheckClear(Command):
    writes = True

    def argv(self, row):
        return ["thin_check", "--clear-needs-check-flag", row.place.pool]

    def judge(self, row, out):
        meta = row.place.read("meta")
        need(Second(meta).sb.flags & 1 == 0, "the flag is still set")
        row.check_new(meta, row.p.devices)


class CheckHeld(Command):
    def argv(self, row):
        return ["thin_check", "-m", row.place.pool]

    def no(self, row):
        return None if row.p.held is not None else "snapshot"

    def judge(self, row, out):
        pass


class Dump(Command):
    repair = ()

    def argv(self, row):
        return ["thin_dump", *self.repair, row.place.pool]

    def judge(self, row, out):
        got, defs, dev = {}, {}, None
        for tag, attributes in re.findall(rb"<(\w+) ([^>]*)>", out):
            a = {k.decode(): v.decode() for k, v in re.findall(rb'(\w+)="([^"]*)"', attributes)}
            if tag == b"superblock":
                need(int(a["nr_data_blocks"]) == row.p.nr and int(a["data_block_size"]) == row.p.bs, "other sizes")
                need(int(a["time"]) == row.p.time, "another time")
            elif tag == b"device":
                dev = got.setdefault(int(a["dev_id"]), {})
            elif tag == b"def":
                dev = defs.setdefault(a["name"], {})
            elif tag == b"ref":
                dev.update(defs[a["name"]])
            elif tag == b"single_mapping":
                dev[int(a["origin_block"])] = int(a["data_block"])
            elif tag == b"range_mapping":
                for i in range(int(a["length"])):
                    dev[int(a["origin_begin"]) + i] = int(a["data_begin"]) + i
        need(got == row.p.devices, "the dump differs: %s" % difference(got, row.p.devices))


class DumpRepair(Dump):
    repair = ("--repair",)
    salvages = True


class DumpHeld(Dump):
    repair = ("-m",)

    def no(self, row):
        return None if row.p.held is not None else "snapshot"

    def judge(self, row, out):
        got = {int(x) for x in re.findall(rb'dev_id="(\d+)"', out)}
        need(got == set(row.p.held), "other devices than were held")


class Ls(Command):
    def argv(self, row):
        return ["thin_ls", "--no-headers", "-o", "DEV,MAPPED_BLOCKS,EXCLUSIVE_BLOCKS", row.place.pool]

    def judge(self, row, out):
        users = {}
        for m in row.p.devices.values():
            for d in m.values():
                users[d] = users.get(d, 0) + 1
        want = {dev: (len(m), sum(users[d] == 1 for d in m.values())) for dev, m in row.p.devices.items()}
        got = {int(a): (int(b), int(c)) for a, b, c in (x.split() for x in out.splitlines())}
        need(got == want, "the list differs: %s" % difference(got, want))


class Rmap(Command):
    def argv(self, row):
        return ["thin_rmap", "--region", "0..-1", row.place.pool]

    def judge(self, row, out):
        got = set()
        for a, b, dev, v, w in re.findall(rb"data (\d+)\.\.(\d+) -> thin\((\d+)\) (\d+)\.\.(\d+)", out):
            need(int(b) - int(a) == int(w) - int(v), "ranges of two lengths")
            got |= {(int(a) + i, int(dev), int(v) + i) for i in range(int(b) - int(a))}
        want = {(d, dev, v) for dev, m in row.p.devices.items() for v, d in m.items()}
        need(got == want, "the map differs: %s" % sorted(got ^ want)[:5])


class Delta(Command):
    def argv(self, row):
        return ["thin_delta", "--thin1", row.place.name(row.dev), "--thin2", row.place.name(row.other), row.place.pool]

    def judge(self, row, out):
        got = {}
        for kind, begin, length in re.findall(rb'<(\w+) begin="(\d+)"(?: data_begin="\d+")? length="(\d+)"/>', out):
            for i in range(int(length)):
                got[int(begin) + i] = kind.decode()
        a, b = row.p.devices[row.dev], row.p.devices[row.other]
        want = {v: "left_only" if v not in b else "right_only" if v not in a else "same" if a[v] == b[v] else "different"
                for v in set(a) | set(b)}
        need(got == want, "the differences differ: %s" % difference(got, want))


class Info(Command):
    def argv(self, row):
        return ["thin_info", "--format", "json", row.place.pool]

    def judge(self, row, out):
        text = json.dumps(json.loads(out))
        used = len({d for m in row.p.devices.values() for d in m.values()} if row.p.held is None else
                   {d for h in (row.p.devices, row.p.held) for m in h.values() for d in m.values()})
        need(re.search(r'"(used|allocated|used_blocks|data_used)": %d\b' % used, text) or ": %d," % used in text,
             "%d used data blocks are not told: %s" % (used, text[:600]))


class Pack(Command):
    out = True

    def argv(self, row):
        return ["thin_metadata_pack", "-i", row.place.pool, "-o", row.out]

    def judge(self, row, out):
        world.run(["thin_metadata_unpack", "-f", "-i", row.out, "-o", row.path("out2")])
        need(row.get("out2") == row.place.read("meta"), "it does not unpack to the same bytes")


class Repair(Command):
    out = salvages = True

    def argv(self, row):
        return ["thin_repair", "-i", row.place.pool, "-o", row.out, "--size", "auto"]

    def judge(self, row, out):
        row.check_new(row.get(), row.p.devices)


class Restore(Command):
    out = True

    def argv(self, row):
        world.run(["thin_dump", "-o", row.path("in.xml"), row.place.pool])
        with open(row.out, "wb") as f:
            f.truncate(len(row.p.meta))
        return ["thin_restore", "-i", row.path("in.xml"), "-o", row.out]

    def judge(self, row, out):
        row.check_new(row.get(), row.p.devices)


class Materialize(Command):
    out = True

    def argv(self, row):
        return ["thin_materialize", "-f", *row.data_dev(), *row.size(row.dev), row.place.pool, row.place.name(row.dev), row.out]

    def judge(self, row, out):
        need(row.get() == row.p.content(row.dev), "the image differs")


class MaterializeQcow2(Materialize):
    def argv(self, row):
        return super().argv(row)[:-1] + ["-O", "qcow2", row.out]

    def judge(self, row, out):
        open(row.path("out.raw"), "wb").close()
        world.run(["thin_apply", "-i", row.out, row.path("out.raw")])
        need(row.get("out.raw") == row.p.content(row.dev), "the image differs")


class MaterializeSince(Materialize):
    """What device dev has more than other, over other's image."""

    def argv(self, row):
        since = ["--since", row.place.name(row.other)]
        if row.place.bare:
            since += ["--since-size", "%ds" % row.p.sizes[row.other]]
        return super().argv(row)[:-1] + [*since, "-O", "rbd-diff", row.out]

    def judge(self, row, out):
        with open(row.path("out.raw"), "wb") as f:
            f.write(row.p.content(row.other))
        world.run(["thin_apply", "-i", row.out, row.path("out.raw")])
        need(row.get("out.raw") == row.p.content(row.dev), "the image differs")


class Message(Command):
    writes = True

    def force(self, row):
        return ["-f"] if row.place.lvm else []

    def argv(self, row):
        return ["thin_message", *self.force(row), row.place.pool, *self.messages(row)]

    def no(self, row):
        if row.p.needs_check:
            return "needs_check"
        snaps = any(m.startswith("create_snap") for m in self.messages(row))
        return "the clock's end" if snaps and row.p.time == (1 << 24) - 1 else super().no(row)

    def messages(self, row):
        return ["create_thin 9000"] + (["create_snap 9001 %d" % row.dev] if row.dev is not None else [])

    def judge(self, row, out):
        want = {**row.p.devices, 9000: {}}
        if row.dev is not None:
            want[9001] = row.p.devices[row.dev]
        row.check_new(row.place.read("meta"), want)


class MessageDelete(Message):
    def messages(self, row):
        return ["delete %d" % row.dev, "reserve_metadata_snap" if row.p.held is None else "release_metadata_snap"]

    def judge(self, row, out):
        row.check_new(row.place.read("meta"), {d: m for d, m in row.p.devices.items() if d != row.dev})


class Apply(Message):
    """A device is overwritten; the others keep their bytes."""
    data = True

    def messages(self, row):
        return []

    def argv(self, row):
        image = row.rng.randbytes(row.p.sizes[row.dev] * 512)
        with open(row.path("in.raw"), "wb") as f:
            f.write(image)
        row.image = image
        return ["thin_apply", *self.force(row), *row.data_dev(), "-i", row.path("in.raw"), "-O", "raw", row.place.pool,
                row.place.name(row.dev)]

    def no(self, row):
        """Is there room for the blocks that the device does not have for itself?"""
        p = row.p
        users = [d for h in (p.devices, p.held or {}) for m in h.values() for d in m.values()]
        mine = p.devices[row.dev]
        new = sum(1 for v in range(-(-p.sizes[row.dev] // p.bs)) if v not in mine or users.count(mine[v]) > 1 + (p.held is not None))
        nr = p.nr if row.place.bare else max(p.nr, len(p.data) // p.step)
        return super().no(row) or ("no room" if new > nr - len(set(users)) else None)

    def judge(self, row, out):
        meta, data = row.place.read("meta"), row.place.read("data")
        devices = second(meta)
        q = world.Pool()
        q.bs, q.devices, q.sizes = row.p.bs, devices, row.p.sizes
        need(q.content(row.dev, data) == row.image, "the device does not read as what was written")
        for dev in row.p.devices:
            if dev != row.dev and row.p.devices[dev]:
                need(q.content(dev, data) == row.p.content(dev), "device %d has other bytes now" % dev)


class Trim(Command):
    data = True

    def argv(self, row):
        return ["thin_trim", "--metadata-dev", row.place.pool, "--data-dev", row.place.data]

    def judge(self, row, out):
        data = row.place.read("data")
        for dev, m in row.p.devices.items():
            need(not m or row.p.content(dev, data) == row.p.content(dev), "device %d has other bytes now" % dev)


class Shrink(Command):
    out = data = True

    def argv(self, row):
        used = len({d for h in (row.p.devices, row.p.held or {}) for m in h.values() for d in m.values()})
        row.target = min(row.p.nr, max(1, used + (row.p.nr - used) // 3))
        with open(row.out, "wb") as f:
            f.truncate(len(row.p.meta))
        return ["thin_shrink", "--binary", "-i", row.place.pool, "-o", row.out, "--data", row.place.data, "--nr-blocks",
                str(row.target)]

    def no(self, row):
        return "a held snapshot" if row.p.held is not None else super().no(row)

    def judge(self, row, out):
        devices, data = second(row.get()), row.place.read("data")
        need(all(d < row.target for m in devices.values() for d in m.values()), "blocks behind the end")
        q = world.Pool()
        q.bs, q.devices, q.sizes = row.p.bs, devices, row.p.sizes
        need(set(devices) == set(row.p.devices), "other devices")
        for dev, m in row.p.devices.items():
            need(not m or q.content(dev, data) == row.p.content(dev), "device %d has other bytes now" % dev)


COMMANDS = {
    "thin_check": Check, "thin_check --clear-needs-check-flag": CheckClear, "thin_check -m": CheckHeld, "thin_dump": Dump,
    "thin_dump --repair": DumpRepair, "thin_dump -m": DumpHeld, "thin_ls": Ls, "thin_rmap": Rmap, "thin_delta": Delta,
    "thin_info": Info, "thin_metadata_pack": Pack, "thin_repair": Repair, "thin_restore": Restore,
    "thin_materialize": Materialize, "thin_materialize -O qcow2": MaterializeQcow2,
    "thin_materialize --since": MaterializeSince, "thin_message create": Message, "thin_message delete": MessageDelete,
    "thin_apply": Apply, "thin_trim": Trim, "thin_shrink --binary": Shrink,
}
