# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""Increments and images in other forms, for bench/run.

The pool: device 1 of 10 GiB, a fifth of it mapped; 2, a snapshot of it, of which 1 % was written since; 3, as many
bytes as 1 has, without gaps.  The data are this machine's programs, so that compression has something to do.
"""
import os
import shutil
import subprocess

BLOCK = 65536
VIRTUAL = 163840  # blocks of 10 GiB
RUN = 64          # blocks that are mapped together


def fill(path, length):
    """Files from /usr, as many bytes as that."""
    with open(path + ".new", "wb") as f:
        while f.tell() < length:
            before = f.tell()
            for folder, dirs, files in os.walk("/usr"):
                dirs.sort()
                for name in sorted(files):
                    source = os.path.join(folder, name)
                    if f.tell() >= length or os.path.islink(source):
                        continue
                    try:
                        with open(source, "rb") as s:
                            shutil.copyfileobj(s, f)
                    except OSError:
                        pass
            if f.tell() == before:
                f.write(os.urandom(length - before))
        f.truncate(length)
    os.rename(path + ".new", path)


def device(number, ranges, mapped, time):
    yield '<device dev_id="%d" mapped_blocks="%d" transaction="0" creation_time="0" snap_time="%d">' % (
        number, mapped, time)
    for begin, data, length, when in ranges:
        yield '<range_mapping origin_begin="%d" data_begin="%d" length="%d" time="%d"/>' % (begin, data, length, when)
    yield "</device>"


def make_pool(bench):
    """The table; made on first use."""
    table, meta, data = bench.path("inc.table"), bench.path("inc.meta"), bench.path("inc.data")
    if os.path.exists(table):
        return table
    mapped = int(VIRTUAL / 5 * bench.args.scale) // RUN * RUN
    changed = mapped // 100
    fill(data, (2 * mapped + changed) * BLOCK)
    base, now, virtual = [], [], VIRTUAL * max(bench.args.scale, 0.01)
    for i in range(mapped // RUN):
        base.append((i * 5 * RUN, i * RUN, RUN, 0))
        begin, start = i * 5 * RUN, i * RUN
        share = changed * (i + 1) // (mapped // RUN) - changed * i // (mapped // RUN)
        if share:
            now.append((begin, mapped + changed * i // (mapped // RUN), share, 1))
        now.append((begin + share, start + share, RUN - share, 0))
    dense = [(0, mapped + changed, mapped, 1)]
    with open(bench.path("inc.xml"), "w") as f:
        f.write('<superblock uuid="" time="1" transaction="0" version="2" data_block_size="128" nr_data_blocks="%d">\n'
                % (2 * mapped + changed))
        for number, ranges, time in ((1, base, 1), (2, now, 1), (3, dense, 1)):
            f.write("\n".join(device(number, ranges, mapped, time)) + "\n")
        f.write("</superblock>\n")
    bench.fresh(meta, 64 << 20)()
    subprocess.run([bench.ours("thin_restore"), "-q", "-i", bench.path("inc.xml"), "-o", meta], check=True)
    with open(table, "w") as f:
        f.write("pool: 0 %d thin-pool inc.meta inc.data 128 0\n" % ((2 * mapped + changed) * 128))
        for number, blocks in ((1, int(virtual)), (2, int(virtual)), (3, mapped)):
            f.write("d%d: 0 %d thin pool %d\n" % (number, blocks * 128, number))
    return table


def gone(*paths):
    def remove():
        for path in paths:
            if os.path.exists(path):
                os.unlink(path)
    return remove


def since(bench):
    """1 % changed: against the whole copy (wanted: at most 0.03 of it)."""
    table, image, whole = make_pool(bench), bench.path("image"), bench.path("whole")
    command = [bench.ours("thin_materialize"), "-q", "--reflink=never"]
    subprocess.run(command + [table, "d1", image], check=True)

    def back():
        subprocess.run([bench.ours("thin_materialize"), "-q", "--since", "d2", table, "d1", image], check=True)
    bench.warm(bench.path("inc.data"))
    bench.compare("inc-since", [
        {"who": "ours", "cmd": [bench.ours("thin_materialize"), "-q", "--since", "d1", table, "d2", image],
         "before": back},
        {"who": "whole copy", "cmd": command + [table, "d2", whole], "before": gone(whole)},
    ])
    gone(image, whole)()


def nbdkit(bench):
    """nbdkit, up to its options; the folder that it makes for -U - would stay in /tmp."""
    return ["sh", "-c", 'rm -f "$0" && exec nbdkit -U "$0" "$@"', bench.path("nbd.socket")]


def qcow2(bench):
    """Against raw, and qemu-img through the plugin; compressed, against qemu-img."""
    table, out, raw = make_pool(bench), bench.path("out.qcow2"), bench.path("raw")
    ours, theirs = bench.path("out.qcow2"), bench.path("theirs.qcow2")
    command = [bench.ours("thin_materialize"), "-q", "--reflink=never"]
    plugin = os.path.join(bench.args.build, "nbdkit", "nbdkit-thin-plugin.so")
    through = nbdkit(bench) + [plugin, "pool=" + table, "device=d3", "--run",
               'qemu-img convert -f raw -O qcow2 "$uri" ' + theirs]
    if not (os.path.exists(plugin) and shutil.which("nbdkit") and shutil.which("qemu-img")):
        through = [None]
    bench.warm(bench.path("inc.data"))
    bench.compare("inc-qcow2", [
        {"who": "ours", "cmd": command + ["-O", "qcow2", table, "d3", out], "before": gone(out)},
        {"who": "raw", "cmd": command + [table, "d3", raw], "before": gone(raw)},
        {"who": "qemu-img, nbd", "cmd": through, "before": gone(theirs)},
    ])
    if not shutil.which("qemu-img"):
        return
    if not os.path.exists(raw):
        subprocess.run(command + [table, "d3", raw], check=True)
    zstd = command + ["-czstd", "-O", "qcow2", table, "d3", bench.path("zstd.qcow2")]
    linked = "libzstd" in subprocess.run([zstd[0], "--version", "-v"], capture_output=True, text=True).stdout
    bench.compare("inc-qcow2-c", [
        {"who": "ours", "cmd": command + ["-c", "-O", "qcow2", table, "d3", ours], "before": gone(ours)},
        {"who": "ours, zstd", "cmd": zstd if linked else [None], "before": gone(zstd[-1])},
        {"who": "qemu-img -c", "cmd": ["qemu-img", "convert", "-c", "-m", "16", "-f", "raw", "-O", "qcow2", raw,
                                       theirs], "before": gone(theirs)},
    ])
    for who, path in (("ours", ours), ("ours, zstd", zstd[-1]), ("qemu-img", theirs)):
        if os.path.exists(path):
            print("%-16s %s: %.1f MiB" % ("", who, os.path.getsize(path) / 1048576))
    gone(ours, zstd[-1], theirs, raw)()


def rbd(bench):
    """Into a pipe, against raw bytes into a pipe."""
    table = make_pool(bench)
    bench.warm(bench.path("inc.data"))
    command = bench.ours("thin_materialize") + " -q %s " + table + " d3 - | cat >/dev/null"
    bench.compare("inc-rbd", [
        {"who": "ours", "cmd": ["sh", "-c", command % "-O rbd-diff"]},
        {"who": "raw", "cmd": ["sh", "-c", command % ""]},
    ])


TESTS = {"inc-since": since, "inc-qcow2": qcow2, "inc-rbd": rbd}
