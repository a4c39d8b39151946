# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""shapes.py SEED: a random story of LVM commands, as lines for tests/vm/shapes.

Three physical volumes, two thin pools of many segments, thin volumes, snapshots, external origins; all of it
extended, moved, reduced, renamed, merged and removed.  LVM may refuse a command: the story goes on.
"""
import random
import sys

SECTORS = 2048  # of a MiB
rnd = random.Random(int(sys.argv[1]))
names = iter(rnd.sample(range(10, 99), 60))
pools, thins, plain = [], {}, []  # thins: name to its MiB
disks = ["/dev/vda", "/dev/vdb", "/dev/vdc"]
tag = 0


def say(*words):
    print(" ".join(str(w) for w in words))


def name(letter):
    return rnd.choice(["%s%d", "%s-%d", "%s_%d.x", "%s+%d"]) % (letter, next(names))


def where():
    return " ".join(rnd.sample(disks, rnd.randint(1, 3))) if rnd.random() < 0.5 else ""


def stripes(of):
    n = rnd.randint(2, of)
    return rnd.choice(["", "", "-i %d -I %dk" % (n, rnd.choice([4, 64, 128]))])


def write(volume, mib):
    global tag
    for _ in range(rnd.randint(1, 3)):
        tag += 1
        at = rnd.randrange(mib * SECTORS - 16)
        count = min(rnd.choice([8, 100, 300, 1500]), mib * SECTORS - at)
        say("write", volume, at, count, "s%s.%d" % (sys.argv[1], tag))


def new_pool():
    p = name("pool")
    say("lvcreate -y --type thin-pool -n", p, "-L %dm" % rnd.randint(6, 20), "--poolmetadatasize %dm" % rnd.choice([2, 3, 4]),
        "-c %dk" % (64 * rnd.choice([1, 1, 2, 3, 5, 8])), stripes(3), rnd.choice(["", "-Zn"]),
        rnd.choice(["", "--discards nopassdown", "--discards ignore", "--errorwhenfull y"]), "vg", where())
    pools.append(p)


def new_thin():
    t, mib = name("thin"), rnd.randint(1, 24)
    say("lvcreate -y -V %dm" % mib, "-T vg/" + rnd.choice(pools), "-n", t)
    thins[t] = mib
    write(t, mib)


def snapshot():
    of, s = rnd.choice(list(thins)), name("snap")
    say("lvcreate -y -s -n", s, rnd.choice(["-kn", "-ky", "-kn -pr"]), "vg/" + of)
    thins[s] = thins[of]
    for t in rnd.sample([of, s], rnd.randint(0, 2)):
        write(t, thins[t])


def external():
    o, mib = name("base"), rnd.randint(2, 10)
    say("lvcreate -y -Wn -Zn -L %dm" % mib, stripes(2), "-n", o, "vg", where())
    write(o, mib)
    if rnd.random() < 0.5:
        real = name("real")
        say("lvconvert -y --type thin --thinpool vg/" + rnd.choice(pools), "--originname", real, "vg/" + o)
        thins[o] = mib
    else:
        e = name("over")
        say("lvchange -an vg/" + o)
        say("lvchange -pr vg/" + o)
        say("lvcreate -y -s -kn -n", e, "--thinpool", rnd.choice(pools), "vg/" + o)
        thins[e] = mib
        o = e
    write(o, mib)


def chain():
    """A thin volume becomes the external origin of one in another pool."""
    of, e = rnd.choice(list(thins)), name("far")
    say("lvchange -an vg/" + of)
    say("lvchange -pr vg/" + of)
    say("lvcreate -y -s -kn -n", e, "--thinpool", rnd.choice(pools), "vg/" + of)
    thins[e] = thins[of]
    write(e, thins[of])


def change():
    t = rnd.choice(list(thins))
    kind = rnd.randrange(9)
    if kind == 0:
        say("lvextend -y -L +%dm" % rnd.randint(1, 8), "vg/" + rnd.choice(pools), where())
    elif kind == 1:
        say("lvextend -y --poolmetadatasize +1m vg/" + rnd.choice(pools))
    elif kind == 2:
        more = rnd.randint(1, 8)
        say("lvextend -y -L +%dm" % more, "vg/" + t)
        thins[t] += more
        write(t, thins[t])
    elif kind == 3 and thins[t] > 2:
        thins[t] //= 2
        say("lvreduce -y -f -L %dm" % thins[t], "vg/" + t)
    elif kind == 4:
        say("pvmove", "-n", rnd.choice([rnd.choice(pools) + "_tdata", rnd.choice(pools) + "_tmeta"]),
            " ".join(rnd.sample(disks, 2)))
    elif kind == 5:
        new = name("new")
        say("lvrename vg", t, new)
        thins[new] = thins.pop(t)
    elif kind == 6 and len(thins) > 2:
        say("lvremove -y -f vg/" + t)
        del thins[t]
    elif kind == 7:
        say("lvchange --addtag", rnd.choice(["a", "x=1", "/odd"]), "vg/" + t)
    else:
        say("lvcreate -y -Wn -Zn -l %d" % rnd.randint(1, 5), "-n", name("gap"), "vg", where())


say("vgcreate -s", rnd.choice(["128k", "256k", "512k", "1m"]), rnd.choice(["", "--dataalignment 192k", "--metadatasize 300k"]),
    "vg", " ".join(disks))
for make in (new_pool, new_thin, new_pool, new_thin, external):
    make()
for _ in range(rnd.randint(12, 22)):
    rnd.choice([new_thin, snapshot, snapshot, external, chain, change, change, change])()
if rnd.random() < 0.3:
    say("vgrename vg group.2")
