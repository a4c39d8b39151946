#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Runs the EXAMPLES of each command's manual page as readme.sh runs the commands of README.md; --write: see there.
top=${abs_top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
# thin_migrate works on active devices alone: make check-vm runs it (tests/vm/live)
DOC=$(cd "$top" && ls man/thin_*.8 | grep -v thin_migrate | tr '\n' ' ') exec sh "$top/tests/readme.sh" "$@"
