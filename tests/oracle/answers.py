# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""What the commands tell of a pool, held to what thinpool.py reads: None, or a sentence about the difference."""
import os
import re
import subprocess

from thinpool import Pool


def run(*argv):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def parse_dump(text):
    """What a dump says: {device: ((mapped, transaction, created, snapped), [(block, data, time)])}"""
    defs, devices, into = {}, {}, None
    for tag, rest in re.findall(r"<(\w+)\s*([^>]*)>", text):
        a = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        if tag == "def":
            into = defs[a["name"]] = []
        elif tag == "device":
            into = []
            devices[int(a["dev_id"])] = (tuple(int(a[k]) for k in (
                "mapped_blocks", "transaction", "creation_time", "snap_time")), into)
        elif tag == "ref":
            into += defs[a["name"]]
        elif tag == "single_mapping":
            into.append((int(a["origin_block"]), int(a["data_block"]), int(a["time"])))
        elif tag == "range_mapping":
            o, d, n, t = (int(a[k]) for k in ("origin_begin", "data_begin", "length", "time"))
            into += [(o + i, d + i, t) for i in range(n)]
    return devices


def check_dump(path, pool):
    rc, out, err = run("thin_dump", path)
    if rc:
        return "thin_dump fails on a sound pool: " + err.strip()
    want = {dev: (d, e) for dev, (e, d) in pool.devices.items()}
    return None if parse_dump(out) == want else "thin_dump tells other devices or mappings"


def check_ls(path, pool):
    fields = "DEV,MAPPED_BLOCKS,EXCLUSIVE_BLOCKS,SHARED_BLOCKS,TRANSACTION,CREATE_TIME,SNAP_TIME"
    rc, out, err = run("thin_ls", "--no-headers", "-o", fields, path)
    if rc:
        return "thin_ls fails on a sound pool: " + err.strip()
    who = pool.owners()
    want = []
    for dev, (entries, d) in sorted(pool.devices.items()):
        own = sum(1 for _, b, _ in entries if all(o[0] == dev for o in who[b]))
        want.append([dev, len(entries), own, len(entries) - own, d[1], d[2], d[3]])
    got = [[int(x) for x in line.split()] for line in out.splitlines()]
    return None if got == want else "thin_ls counts otherwise"


def check_rmap(path, pool):
    rc, out, err = run("thin_rmap", "--region", "0..-1", path)
    if rc:
        return "thin_rmap fails on a sound pool: " + err.strip()
    got = set()
    for a, b, dev, v in re.findall(r"data (\d+)\.\.(\d+) -> thin\((\d+)\) (\d+)\.\.", out):
        got |= {(int(a) + i, int(dev), int(v) + i) for i in range(int(b) - int(a))}
    want = {(d, dev, v) for dev, (e, _) in pool.devices.items() for v, d, _ in e}
    return None if got == want else "thin_rmap tells other owners"


def check_delta(path, pool, rng):
    if len(pool.devices) < 2:
        return None
    a, b = rng.sample(sorted(pool.devices), 2)
    rc, out, err = run("thin_delta", "--thin1", str(a), "--thin2", str(b), path)
    if rc:
        return "thin_delta fails on a sound pool: " + err.strip()
    left, right = ({v: d for v, d, _ in pool.devices[x][0]} for x in (a, b))
    want = {v: "same" if left.get(v) == right.get(v) else "left_only" if v not in right
            else "right_only" if v not in left else "different" for v in set(left) | set(right)}
    got = {}
    for kind, begin, n in re.findall(r'<(same|different|left_only|right_only) begin="(\d+)" length="(\d+)"', out):
        got.update({int(begin) + i: kind for i in range(int(n))})
    return None if got == want else "thin_delta of %d and %d differs" % (a, b)


def check_map(path, pool, rng):
    """Where thin_materialize would read each byte of a device."""
    small = [d for d in sorted(pool.devices) if not pool.devices[d][0] or pool.devices[d][0][-1][0] < 1 << 30]
    bs = pool.sb.data_block_size * 512
    if not small or pool.sb.data_map[0] * bs >= 1 << 43:
        return None  # explained: a sparse file of that size cannot be made
    dev = rng.choice(small)
    entries = pool.devices[dev][0]
    size = (entries[-1][0] + 1) * bs if entries else bs
    data = path + ".data"
    with open(data, "wb") as f:
        f.truncate(pool.sb.data_map[0] * bs)
    rc, out, err = run("thin_materialize", "--size", "%dB" % size, "--data-dev", data, "--map", path, str(dev))
    os.unlink(data)
    if rc:
        return "thin_materialize --map of %d fails on a sound pool: %s" % (dev, err.strip())
    got, at = set(), 0
    for line in out.splitlines():
        word = line.split()
        begin, n = int(word[0]), int(word[1])
        if begin != at:
            return "thin_materialize --map of %d leaves a gap at %d" % (dev, at)
        at += n
        if word[2] == "data":
            got |= {((begin + i) // bs, (int(word[3]) + i) // bs) for i in range(0, n, bs)}
    if at != size:
        return "thin_materialize --map of %d ends at %d of %d" % (dev, at, size)
    return None if got == {(v, d) for v, d, _ in entries} else "thin_materialize --map of %d names other blocks" % dev


def check_shrink(path, pool, rng):
    """The metadata of a pool made smaller: sound, the same devices, shares and times, no block beyond the end."""
    used = len(pool.owners())
    if not used or pool.sb.held_root:
        return None  # explained: thin_shrink refuses a pool with a metadata snapshot, whose blocks it would overwrite
    if pool.sb.time >= 1 << 24:
        return None  # explained: no new tree can have such a time; thin_repair renumbers them
    end = rng.randrange(used, pool.sb.data_map[0] + 1) if pool.sb.data_map[0] < 1 << 20 else used + 1000
    out = path + ".small"
    rc, _, err = run("thin_shrink", "-q", "--binary", "-i", path, "-o", out, "--size", "auto", "--no-copy", "--nr-blocks", str(end))
    if rc:
        return "thin_shrink to %d blocks fails on a sound pool with %d in use: %s" % (end, used, err.strip())
    with open(out, "rb") as f:
        new = Pool(f.read())
    os.unlink(out)
    if not new.sound:
        return "thin_shrink makes a pool that is not sound: %s" % (new.findings[:3],)
    if new.sb.data_map[0] != end:
        return "thin_shrink to %d blocks makes a pool of %d" % (end, new.sb.data_map[0])
    moved = {}
    for dev, (entries, details) in pool.devices.items():
        now, its = new.devices.get(dev, ((), None))
        if its != details or [(v, t) for v, _, t in now] != [(v, t) for v, _, t in entries]:
            return "thin_shrink changes device %d" % dev
        for (_, d, _), (_, to, _) in zip(entries, now):
            if moved.setdefault(d, to) != to or (d < end and to != d) or to >= end:
                return "thin_shrink moves block %d to %d" % (d, to)
    return None if len(set(moved.values())) == len(moved) else "thin_shrink puts two blocks into one place"


def check_listings(path, pool, rng):
    """Of a sound pool: what all commands tell of it, or None when that is what it holds."""
    return (check_dump(path, pool) or check_ls(path, pool) or check_rmap(path, pool)
            or check_delta(path, pool, rng) or check_map(path, pool, rng) or check_shrink(path, pool, rng))


def check_repair(path, pool, before):
    """What is repaired is sound, and no device whose tree is as it was has lost a mapping."""
    out = path + ".out"
    rc, _, err = run("thin_repair", "-i", path, "-o", out, "--size", "auto")
    if rc not in (0, 1):
        return "thin_repair ends with %d: %s" % (rc, err.strip())
    if not os.path.exists(out):
        return None
    with open(out, "rb") as f:
        new = Pool(f.read())
    if not new.sound and os.path.getsize(out):
        return "thin_repair made a pool that is not sound: %s" % (new.findings[:3],)
    if pool.sb.data_map[0] < before.sb.data_map[0]:
        return None  # explained: mappings beyond the stated end of the data device are dropped, and told
    for dev, (entries, _) in pool.devices.items():
        if dev not in before.devices or before.devices[dev][0] != entries:
            continue
        have = {(v, d) for v, d, _ in new.devices.get(dev, ((), None))[0]}
        lost = sum(1 for v, d, _ in entries if (v, d) not in have)
        if lost:
            return "LOSS: thin_repair lost %d mappings of device %d, whose tree is whole" % (lost, dev)
    return None
