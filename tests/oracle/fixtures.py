#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""fixtures.py POOL...: what the commands say of these pools, unchanged, against the second opinion."""
import random
import sys

from mutate import check_listings, run
from thinpool import Pool

wrong = 0
for path in sys.argv[1:]:
    with open(path, "rb") as f:
        pool = Pool(f.read())
    rc, _, err = run("thin_check", path)
    if (rc == 0) != pool.sound:
        said = "thin_check ends with %d (%s), the second opinion is %s" % (rc, err, pool.findings[:3])
    elif pool.sound:
        said = check_listings(path, pool, random.Random(1))
    else:
        said = None
    if said:
        print("%s: %s" % (path, said))
        wrong += 1
print("%d pools, %d disagreements" % (len(sys.argv) - 1, wrong))
sys.exit(1 if wrong else 0)
