#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""nbd_story.py PLUGIN SEED SESSIONS OPS: a long random story of NBD clients, held to a model in memory.

In the current folder a pool is made with devices on an external origin and without.  Each session serves one
of them: reads (compared byte by byte), writes, zeros, trims and flushes at any offset.  A session ends in order,
or by SIGKILL after a flush.  Between sessions snapshots are taken and devices deleted; then each device
must be, by thin_materialize, what the model holds, and the pool sound.
"""
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time

READ, WRITE, DISCONNECT, FLUSH, TRIM, ZERO = 0, 1, 2, 3, 4, 6
FUA, NO_HOLE = 1, 2


class Client:
    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(path)
        assert self.take(16) == b"NBDMAGICIHAVEOPT"
        self.take(2)
        self.s.sendall(struct.pack(">I8sIIIH", 3, b"IHAVEOPT", 7, 6, 0, 0))
        while True:
            _, _, kind, n = struct.unpack(">QIII", self.take(20))
            info = self.take(n)
            if kind == 3 and info[:2] == b"\0\0":
                self.size = struct.unpack(">Q", info[2:10])[0]
            if kind != 3:
                assert kind == 1, "the server refuses the export: %x" % kind
                return

    def take(self, n):
        got = bytearray()
        while len(got) < n:
            part = self.s.recv(n - len(got))
            assert part, "the server has gone"
            got += part
        return bytes(got)

    def ask(self, kind, at=0, n=0, data=b"", flags=0):
        self.s.sendall(struct.pack(">IHHQQI", 0x25609513, flags, kind, 7, at, n) + data)
        magic, error, _ = struct.unpack(">IIQ", self.take(16))
        assert magic == 0x67446698
        assert not error, "request %d of %d bytes at %d fails: error %d" % (kind, n, at, error)
        return self.take(n) if kind == READ else b""

    def close(self):
        self.s.sendall(struct.pack(">IHHQQI", 0x25609513, 0, DISCONNECT, 0, 0, 0))
        self.s.close()


class Story:
    def __init__(self, plugin, seed):
        self.plugin, self.rng = plugin, random.Random(seed)
        r = self.rng
        self.block = r.choice([65536, 65536, 131072, 196608])
        self.feature = r.choice(["", " 1 no_discard_passdown"])
        # some runs of pages are holes
        origin = bytearray(r.randbytes(r.randrange(1, 6000) * 512))
        with open("base", "wb") as f:
            at = 0
            while at < len(origin):
                n = min(r.randrange(1, 65) * 4096, len(origin) - at)
                if r.random() < 0.4:
                    origin[at:at + n] = bytes(n)
                    f.seek(n, 1)
                else:
                    f.write(origin[at:at + n])
                at += n
            f.truncate(len(origin))
        self.origin = bytes(origin)
        for name, size in (("meta", 4 << 20), ("data", 96 << 20)):
            with open(name, "wb") as f:
                f.truncate(size)
        self.devices = {}  # id: [bytes, has an origin]
        self.next = 0
        for on_origin in (False, True):
            n = r.randrange(1000, 7000) * 512
            now = self.origin[:n].ljust(n, b"\0") if on_origin else bytes(n)
            self.add(bytearray(now), on_origin, "create_thin %d" % self.next)

    def add(self, now, on_origin, message):
        dev = self.next
        self.next += self.rng.randrange(1, 1000)
        if not self.devices:
            self.tell()
        self.run("thin_message", "-q", "table", message)
        self.devices[dev] = [now, on_origin]
        self.tell()

    def tell(self):
        with open("table", "w") as f:
            f.write("pool: 0 %d thin-pool meta data %d 0%s\n" % ((96 << 20) // self.block * self.block // 512,
                                                                  self.block // 512, self.feature))
            for dev, (now, on_origin) in self.devices.items():
                f.write("d%d: 0 %d thin pool %d%s\n" % (dev, len(now) // 512, dev, " base" if on_origin else ""))

    def run(self, *argv):
        p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert p.returncode == 0, "%s ends with %d: %s" % (" ".join(argv), p.returncode, p.stdout.decode("utf8", "replace"))
        return p.stdout

    def pick(self):
        return self.rng.choice(sorted(self.devices))

    def range(self, size):
        """Anywhere, often at the edge of a block, and up to a few blocks long."""
        r = self.rng
        at = r.randrange(size)
        if r.random() < 0.4:
            at = min(size - 1, at // self.block * self.block + r.choice([0, 0, 1, 511, 512, self.block - 1]))
        n = r.choice([1, 512, 4096, self.block, 2 * self.block, r.randrange(1, 3 * self.block)])
        return at, min(n, size - at)

    def one(self, client, now, on_origin):
        r = self.rng
        at, n = self.range(len(now))
        kind = r.choice([READ, READ, WRITE, WRITE, WRITE, ZERO, TRIM, FLUSH])
        if kind == READ:
            got = client.ask(READ, at, n)
            assert got == now[at : at + n], "read of %d bytes at %d: byte %d differs" % (
                n, at, next(i for i in range(n) if got[i] != now[at + i]))
        elif kind == WRITE:
            data = r.randbytes(n)
            client.ask(WRITE, at, n, data, r.choice([0, 0, FUA]))
            now[at : at + n] = data
        elif kind == ZERO:
            client.ask(ZERO, at, n, flags=r.choice([0, FUA, NO_HOLE]))
            now[at : at + n] = bytes(n)
        elif kind == TRIM:
            client.ask(TRIM, at, n)
            begin, end = -(-at // self.block) * self.block, (at + n) // self.block * self.block
            if begin < end:  # whole blocks go, and show the origin again
                now[begin:end] = self.origin[begin:end].ljust(end - begin, b"\0") if on_origin else bytes(end - begin)
        else:
            client.ask(FLUSH)

    def session(self, ops):
        dev = self.pick()
        now, on_origin = self.devices[dev]
        for old in ("sock", "pid"):
            if os.path.exists(old):
                os.unlink(old)
        server = subprocess.Popen(["nbdkit", "-f", "-U", "sock", "-P", "pid", self.plugin, "pool=table", "device=d%d" % dev],
                                  stderr=open("server.log", "wb"))
        while not os.path.exists("pid"):
            assert server.poll() is None, "the server does not start: " + open("server.log").read()
            time.sleep(0.01)
        client = Client("sock")
        assert client.size == len(now)
        for _ in range(ops):
            self.one(client, now, on_origin)
        if self.rng.random() < 0.4:
            client.ask(FLUSH)
            server.kill()
            server.wait()
        else:
            client.close()
            server.send_signal(signal.SIGTERM)
            assert server.wait() == 0, "the server fails: " + open("server.log").read()

    def between(self):
        if len(self.devices) < 6:
            of = self.pick()
            now, on_origin = self.devices[of]
            self.add(bytearray(now), on_origin, "create_snap %d %d" % (self.next, of))
        if len(self.devices) > 3 and self.rng.random() < 0.4:
            gone = self.pick()
            self.run("thin_message", "-q", "table", "delete %d" % gone)
            del self.devices[gone]
            self.tell()

    def check(self):
        self.run("thin_check", "-q", "meta")
        for dev, (now, _) in self.devices.items():
            self.run("thin_materialize", "-q", "table", "d%d" % dev, "flat")
            with open("flat", "rb") as f:
                got = f.read()
            os.unlink("flat")
            assert got == bytes(now), "device %d: byte %d differs from the model" % (
                dev, next(i for i in range(len(now)) if i >= len(got) or got[i] != now[i]))


def main():
    plugin, seed, sessions, ops = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    story = Story(plugin, seed)
    for number in range(sessions):
        try:
            story.session(ops)
            story.check()
            story.between()
        except AssertionError as e:
            sys.exit("seed %s, session %d: %s" % (seed, number, e))
    story.check()
    print("seed %s: %d sessions of %d requests, %d devices at the end" % (seed, sessions, ops, len(story.devices)))


main()
