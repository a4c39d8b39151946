#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Each file of the project says in its first lines what its licence is and who holds it.
cd "${srcdir:-.}" || exit 99
bad=0
for f in $(find lib bin nbdkit tests fuzz bench initramfs \( -name '*.[ch]' -o -name '*.am' -o -name '*.sh' -o -name '*.bats' -o -name '*.awk' -o -name '*.py' \) | grep -v node_modules | sort) \
	Makefile.am configure.ac quickstart autogen.sh .ci/run .ci/dist .ci/portable debian/rules debian/try-installed packaging/* tests/on_terminal tests/press_tab completion/* man/*.[1578] man/recipes.awk; do
	head -n 8 "$f" | grep -q 'SPDX-License-Identifier: GPL-2.0-or-later' && head -n 8 "$f" | grep -q 'Copyright (C) [0-9]* The thin-pool-tools authors' || {
		echo "# $f"
		bad=1
	}
done
if [ $bad = 0 ]; then echo "ok 1 - each file names its licence and its holder"; else echo "not ok 1 - each file names its licence and its holder"; fi
echo 1..1
