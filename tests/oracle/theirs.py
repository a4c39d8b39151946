# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""The verdicts of thin-provisioning-tools 0.9.0 and 1.1.0, where one is installed, beside those of mutate.py.

They see less than thin_check: theirs.known has a reason for each finding that they pass over.  A pool that they call good
and we do not has such findings alone; one that they refuse is refused by us, or the list has their words.
PDATA_TOOLS: the path of another pdata_tools than the installed one.
"""
import fnmatch
import os
import re
import subprocess

VERSIONS = ("0.9.0", "1.1.0")


def installed():
    """The program and its version, or None."""
    for path in (os.environ.get("PDATA_TOOLS", ""), "/usr/sbin/pdata_tools", "/sbin/pdata_tools", "/usr/bin/pdata_tools"):
        try:
            p = subprocess.run([path, "thin_check", "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        except OSError:
            continue
        version = p.stdout.decode().strip()
        if version in VERSIONS:
            return path, version
    return None, None


class Theirs:
    def __init__(self):
        self.path, self.version = installed()
        self.seen, self.passed, self.refused = 0, 0, 0
        self.known = {"passes": [], "refuses": []}
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "theirs.known"), encoding="ascii") as f:
            for line in f:
                if line.strip() and not line.startswith("#"):
                    verdict, version, pattern, _ = re.split(r"  +", line.strip(), maxsplit=3)
                    if version in ("*", self.version):
                        self.known[verdict].append(pattern)

    def explained(self, verdict, word):
        return any(fnmatch.fnmatch(word, k) for k in self.known[verdict])

    def judge(self, path, pool):
        """None, or what is not explained.  @pool: what thinpool.py makes of it."""
        if not self.path:
            return None
        self.seen += 1
        try:
            p = subprocess.run([self.path, "thin_check", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
                               check=False)
        except subprocess.TimeoutExpired:
            return "%s does not end" % self.version if not self.explained("refuses", "hangs") else None
        if (p.returncode == 0) == pool.sound:
            return None
        if p.returncode == 0:
            self.passed += 1
            kinds = {f[1] + ("/" + f[2]["map"] if "map" in f[2] else "") for f in pool.findings if f[0] != "warning"}
            new = sorted(k for k in kinds if not self.explained("passes", k))
            return "%s passes it, with %s" % (self.version, ", ".join(new)) if new else None
        self.refused += 1
        words = "signal %d" % -p.returncode if p.returncode < 0 else " ".join(p.stdout.decode(errors="replace").split())
        return None if self.explained("refuses", words) else "%s refuses it: %s" % (self.version, words[-300:])

    def score(self):
        if not self.path:
            return "neither %s is installed: no verdicts are compared with theirs" % " nor ".join(VERSIONS)
        return "%s: %d pools, of which it passes %d that we refuse and refuses %d that we pass, all for the reasons in theirs.known" % (
            self.version, self.seen, self.passed, self.refused)
