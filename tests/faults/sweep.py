#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""sweep.py PRELOAD.so WORK: each command, with each call to the system failing once.

The first, second, ... call of a class (memory, read, write, flush, size, name, open, lock; preload.c) fails until
the command runs through without reaching it; or the command is killed there, or its input is cut off.  The command

- ends with 0, 1 or 74 by itself (if it is not killed), and not with 1 for want of memory,
- says something on standard error when it does not end with 0,
- gives the whole, right output when it ends with 0,
- leaves of the old output the old, the new, or what thin_check refuses,
- and never changes an input.

One TAP line a command and class.

--valgrind: no call fails; each command runs under valgrind, and does without an error what it does by itself.
"""
import argparse
import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys

CLASSES = {
    "memory": [errno.ENOMEM],
    "read": [errno.EIO, 0, -4],
    "write": [errno.ENOSPC, 0, -1, -2],
    "flush": [errno.EIO, -1],
    "size": [errno.ENOSPC, errno.EOPNOTSUPP, -1],
    "name": [errno.EIO, -1],
    "open": [errno.EMFILE],
    "lock": [errno.EWOULDBLOCK, errno.ENOLCK],
    "thread": [errno.EAGAIN],
}
VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite", "--"]
SHRINKS = -4  # the input is cut off: it is put back afterwards


def digest(path):
    try:
        with open(path, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()
    except FileNotFoundError:
        return None


def mark(path):
    """What changes when a file is written to: of a large one its time and size, not its bytes."""
    st = os.stat(path)
    return digest(path) if st.st_size < 4 << 20 else (st.st_mtime_ns, st.st_size, st.st_ino)


def keep(source, target):
    """With its times and its holes: thin_apply tells a hole from zeros."""
    subprocess.run(["cp", "--preserve=timestamps", "--sparse=auto", source, target], check=True)


class Case:
    """A command and what it does when nothing fails.  @out: the file that it writes, @old: what that holds before;
    @in_place: the file that it changes, "@" on the command line; @pool_out: @out is a pool; @raw: @in_place is none;
    @salvages: a block that cannot be read is a loss, not a failure; @served: its output tells times, and what
    fails sets needs_check."""

    def __init__(self, s, argv, inputs, out=None, old=None, pool_out=False, in_place=None, salvages=False, raw=False,
                 served=False):
        self.s, self.out, self.old, self.in_place = s, out, old, in_place
        self.salvages, self.raw, self.served = salvages, raw, served
        self.is_pool = (pool_out or in_place) and not raw
        self.argv = [a.replace("@", "work") for a in argv]
        self.file = s.path("work" if in_place else out) if out or in_place else None
        self.before = {f: mark(s.path(f)) for f in inputs}

    def prepare(self):
        for f in os.listdir(self.s.dir):
            if f.startswith(("out", "hit", ".", "work")):
                os.unlink(self.s.path(f))
        if self.in_place:
            shutil.copyfile(self.s.path(self.in_place), self.file)
        elif self.old:
            shutil.copyfile(self.s.path(self.old), self.file)

    def learn(self):
        """Runs it without a fault.  Returns what is wrong then, or None."""
        self.prepare()
        rc, right, err = self.s.run(self.argv)
        if rc != 0:
            return "it fails without a fault: %r %s" % (rc, err)
        source = self.old or self.in_place
        self.right = None if self.served else right
        self.right_file = digest(self.file) if self.file else None
        self.right_dump = self.s.dump(self.file, self.served) if self.file and self.is_pool else None
        self.old_dump = self.s.dump(self.s.path(source), self.served) if source and self.is_pool else None
        self.names = set(os.listdir(self.s.dir))
        return None

    def judge(self, cls, rc, got, err, killed, cut):
        """What is wrong with its end and its output when a call failed, or None."""
        lossy = self.salvages and cls == "read"
        if rc == 124 and b"nbdkit: error: " in err:
            rc = 1  # the client waits for a server that did not start
        if rc not in (0, 1, 74) and not killed and not cut:
            return "status %s: %s" % (rc, err[-200:])
        if rc and not killed and not err.strip() and not (rc == 1 and got and got != self.right):
            return "status %d without a word" % rc
        if rc == 1 and cls == "memory" and self.argv[0] != "nbdkit":  # which ends with 1 whatever the plugin says
            return "status 1 for want of memory: %s" % err[-200:]
        if rc == 0 and not cut:
            if self.right is not None and got != self.right and not lossy:
                return "status 0, but another output"
            if self.file and digest(self.file) != self.right_file and (
                    self.right_dump is None or self.s.dump(self.file, self.served) != self.right_dump):
                return "status 0, but the file is not what it should be"
        if rc and self.right_dump is not None and os.path.exists(self.file) and not lossy:
            if self.s.dump(self.file, self.served) not in (None, self.old_dump, self.right_dump):
                return "leaves a pool that is neither the old nor the new one"
        return None

    def traces(self, killed):
        """Inputs that have changed, and files that stay: these are removed."""
        wrong = ["the input %s has changed" % f for f, d in self.before.items() if mark(self.s.path(f)) != d]
        stray = set(os.listdir(self.s.dir)) - self.names - {"hit"}
        if stray and not killed:
            wrong.append("leaves %s" % ", ".join(sorted(stray)))
        for f in stray:
            os.unlink(self.s.path(f))
        return wrong


class Sweep:
    def __init__(self, args):
        self.a = args
        self.number = 0
        self.bad = 0
        self.dir = args.work
        self.hit = os.path.join(self.dir, "hit")
        self.dumps = {}

    def path(self, name):
        return os.path.join(self.dir, name)

    def run(self, argv, fault=None):
        env = dict(os.environ)
        if fault:
            env.update(FAULT="%s:%d:%d" % fault, FAULT_HIT=self.hit)
            if self.a.preload:
                env["LD_PRELOAD"] = self.a.preload
            # of the plugin's server and of what thin_migrate runs no calls fail
            for word in ("nbdkit-thin-plugin", "thin_migrate"):
                if word in " ".join(argv):
                    env["FAULT_FROM"] = word
        try:
            p = subprocess.run(argv, env=env, cwd=self.dir, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        except subprocess.TimeoutExpired:
            return "hangs", b"", b"hangs"
        # Counts of requests are not compared: a block that is read again counts twice.
        out = re.sub(rb'"(requests|blocks_read)": *[0-9]+', b"", p.stdout)
        return p.returncode, out, p.stderr

    def dump(self, path, served=False):
        """What a pool holds, in words; None when it is refused."""
        if served:
            whole = self.dump(path)
            return whole and whole.replace(b' flags="1"', b"", 1)
        d = digest(path)
        if d not in self.dumps:
            rc, out, _ = self.run(["thin_dump", path])
            sound = self.run(["thin_check", "-q", path])[0] == 0
            self.dumps[d] = out if rc == 0 and sound else None
        return self.dumps[d]

    def put_back(self):
        """Whatever was read may have been cut off, also what is no input, such as a table."""
        for f in os.listdir(self.path("kept")):
            was, now = os.stat(self.path("kept/" + f)), os.stat(self.path(f))
            if (was.st_size, was.st_mtime_ns) != (now.st_size, now.st_mtime_ns):
                keep(self.path("kept/" + f), self.path(f))

    def sweep(self, name, argv, inputs, **more):
        case = Case(self, argv, inputs, **more)
        failed = case.learn()
        if failed:
            return self.tell(name, [failed])
        if self.a.valgrind:
            case.prepare()
            end = self.run(VALGRIND + case.argv)
            wrong = [case.judge("valgrind", *end, False, False)] + case.traces(False)
            if end[0]:
                wrong.append("status %s under valgrind: %s" % (end[0], end[2][-2000:]))
            return self.tell("%s under valgrind" % name, [w for w in wrong if w])
        for cls, errors in CLASSES.items():
            if cls not in self.a.classes:
                continue
            wrong, total = [], 0
            for error in errors:
                if error == SHRINKS and case.in_place and not inputs:
                    continue  # nobody cuts off a pool that is being written
                total += self.fail_each(case, cls, error, wrong)
            self.tell("%s: %d calls of the class %s fail one by one" % (name, total, cls), wrong)
        return None

    def fail_each(self, case, cls, error, wrong):
        """Each call of the class fails once.  Returns how many there are."""
        n = total = 0
        while n < self.a.limit:
            # killed or cut off only at the 1st, 2nd, 3rd, 5th, 8th, 12th ... call
            n = n + 1 if error >= 0 or self.a.all else max(n + 1, n * 3 // 2)
            case.prepare()
            rc, got, err = self.run(case.argv, (cls, n, error))
            if error == SHRINKS:
                self.put_back()
            if not os.path.exists(self.hit):
                if rc:
                    wrong.append("status %s before call %d: %s" % (rc, n, err[-200:]))
                break
            total += 1
            killed = error in (-1, -2) and rc in (-9, 137)  # 137: nbdkit runs the plugin in a process of its own
            cut = error == SHRINKS and (case.raw or rc == 64 or n == 1)  # before it was looked at: another input
            found = [case.judge(cls, rc, got, err, killed, cut)] + case.traces(killed)
            wrong += ["call %d, error %d: %s" % (n, error, w) for w in found if w]
        return total

    def tell(self, sentence, wrong):
        self.number += 1
        self.bad += bool(wrong)
        print("%sok %d - %s" % ("not " if wrong else "", self.number, sentence))
        for w in wrong[:8]:
            print("#   " + str(w).replace("\n", " "))
        sys.stdout.flush()


def commands(a, dev, other):
    """(name, command line, inputs, words for Case) of each command."""
    jobs = [
        ("thin_check", ["thin_check", "pool"], ["pool"], {}),
        ("thin_check --format json", ["thin_check", "--format", "json", "pool"], ["pool"], {}),
        ("thin_dump", ["thin_dump", "pool"], ["pool"], {}),
        ("thin_dump -o", ["thin_dump", "-o", "out", "pool"], ["pool"], {"out": "out"}),
        ("thin_ls", ["thin_ls", "-o", "DEV,EXCLUSIVE_BLOCKS", "pool"], ["pool"], {}),
        ("thin_ls --format tree", ["thin_ls", "--format", "tree", "pool"], ["pool"], {}),
        ("thin_info", ["thin_info", "pool"], ["pool"], {}),
        ("thin_rmap", ["thin_rmap", "--region", "0..500", "pool"], ["pool"], {}),
        ("thin_delta", ["thin_delta", "--thin1", dev, "--thin2", other, "pool"], ["pool"], {}),
        ("thin_repair", ["thin_repair", "-i", "pool", "-o", "out"], ["pool"],
         {"out": "out", "old": "other", "pool_out": True, "salvages": True}),
        ("thin_restore", ["thin_restore", "-i", "xml", "-o", "out"], ["xml"],
         {"out": "out", "old": "other", "pool_out": True}),
        ("thin_metadata_pack", ["thin_metadata_pack", "-i", "pool", "-o", "out"], ["pool"], {"out": "out"}),
        ("thin_metadata_unpack", ["thin_metadata_unpack", "-f", "-i", "pack", "-o", "out"], ["pack"],
         {"out": "out", "old": "other", "pool_out": True}),
        ("thin_materialize", ["thin_materialize", "table", dev, "out"], ["pool", "data", "table"],
         {"out": "out"}),
        ("thin_materialize to standard output", ["thin_materialize", "table", dev, "-"],
         ["pool", "data", "table"], {}),
        ("thin_message create_snap", ["thin_message", "@", "create_snap 999 " + dev], [],
         {"in_place": "pool"}),
        ("thin_message delete", ["thin_message", "@", "delete " + dev], [], {"in_place": "pool"}),
        ("thin_dump --repair", ["thin_dump", "--repair", "pool"], ["pool"], {"salvages": True}),
        ("thin_repair --dry-run --format json", ["thin_repair", "--dry-run", "--format", "json", "-i", "pool"], ["pool"],
         {"salvages": True}),
        ("thin_info --format json", ["thin_info", "--format", "json", "table"], ["pool", "data", "table"], {}),
        ("thin_lvm", ["thin_lvm", "pv"], ["pv"], {}),
        ("thin_lvm --check", ["thin_lvm", "--check", "pv"], ["pv"], {}),
        ("thin_ls of a disk", ["thin_ls", "pv"], ["pv"], {}),
        ("thin_materialize -O qcow2 -c", ["thin_materialize", "-O", "qcow2", "-c", "table", dev, "out"],
         ["pool", "data", "table"], {"out": "out"}),
        ("thin_materialize --since", ["thin_materialize", "--since", other, "-O", "rbd-diff", "table", dev, "out"],
         ["pool", "data", "table"], {"out": "out"}),
        ("thin_apply to a file", ["thin_apply", "-i", "diff", "@"], ["diff"], {"in_place": "image", "raw": True}),
        ("thin_apply of a qcow2 image", ["thin_apply", "-i", "qcow2", "@"], ["qcow2"], {"in_place": "image", "raw": True}),
        ("thin_apply to a device", ["thin_apply", "-O", "raw", "-i", "image", "table2", dev], ["image"],
         {"in_place": "pool", "raw": True}),  # its mappings are committed in between
        ("thin_trim", ["thin_trim", "--metadata-dev", "pool", "--data-dev", "@"], ["pool"], {"in_place": "data", "raw": True}),
        ("thin_shrink --no-copy", ["thin_shrink", "--binary", "--no-copy", "-i", "pool", "-o", "out", "--nr-blocks", a.blocks],
         ["pool"], {"out": "out", "old": "other", "pool_out": True}),
        ("thin_check --auto-repair", ["thin_check", "--auto-repair", "@"], [], {"in_place": "leaky"}),
    ]
    migrate = os.path.join(a.work, "../bin/thin_migrate")
    if os.path.exists(migrate):
        jobs.append(("thin_migrate", [migrate, "--source-dev", "vg/web", "--dest-file", "out"], ["held", "image"], {"out": "out"}))
    plugin = os.environ.get("PLUGIN")
    if plugin and a.all:  # slow where the machine is busy
        serve = ["nbdkit", "-U", "-", plugin, "device=" + dev]
        jobs += [
            ("the plugin, read", serve + ["-r", "pool=table", "--run", 'timeout 20 nbdcopy --connections=1 --requests=1 "$uri" out'], ["pool", "data", "table"],
             {"out": "out"}),
            ("the plugin, one write", serve + ["pool=table2", "--run", "timeout 20 qemu-io -f raw -c 'write -P 7 8k 4k' -c flush \"$uri\""],
             [], {"in_place": "pool", "served": True}),
        ]
    return jobs


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("preload", help="empty: the commands have it within them")
    ap.add_argument("work", help="a folder with pool, other (metadata), data, table, leaky, xml, pack, old")
    ap.add_argument("--limit", type=int, default=100000)
    ap.add_argument("--blocks", default="1000", help="to how many the pool is shrunk")
    ap.add_argument("--all", action="store_true", help="killed and cut off at each call")
    ap.add_argument("--classes", nargs="+", choices=list(CLASSES), default=list(CLASSES))
    ap.add_argument("--valgrind", action="store_true", help="no call fails")
    ap.add_argument("--only", help="commands whose name contains this")
    a = ap.parse_args()
    s = Sweep(a)
    os.mkdir(s.path("kept"))
    for f in os.listdir(a.work):
        if os.path.isfile(s.path(f)):
            keep(s.path(f), s.path("kept/" + f))
    for name, argv, inputs, more in commands(a, a_dev(s, 0), a_dev(s, 1)):
        if not a.only or a.only in name:
            s.sweep(name, argv, inputs, **more)
    print("1..%d" % s.number)
    return 0


def a_dev(s, i):
    out = subprocess.run(["thin_ls", "--no-headers", "-o", "DEV", s.path("pool")], stdout=subprocess.PIPE,
                         check=True).stdout.split()
    return out[min(i, len(out) - 1)].decode()


if __name__ == "__main__":
    sys.exit(main())
