#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Each file of the project says in its first lines what its licence is and who holds it.
cd "${srcdir:-.}" || exit 99
not=
# One awk reads all: thousands of processes cost a minute where they start slowly
{
	find lib bin nbdkit tests fuzz bench initramfs -name node_modules -prune -o \
		\( -name '*.[ch]' -o -name '*.am' -o -name '*.sh' -o -name '*.bats' -o -name '*.awk' -o -name '*.py' \) -print
	printf '%s\n' Makefile.am configure.ac quickstart autogen.sh .ci/run .ci/dist .ci/portable debian/rules debian/try-installed \
		packaging/* tests/on_terminal tests/press_tab completion/* man/*.[1578] man/recipes.awk
} | sort | LC_ALL=C awk '
	{
		licence = holder = 0
		for (i = 0; i < 8 && (getline line <$0) > 0; i++) {
			licence += line ~ /SPDX-License-Identifier: GPL-2\.0-or-later/
			holder += line ~ /Copyright \(C\) [0-9]* The thin-pool-tools authors/
		}
		close($0)
		if (!licence || !holder) {
			print "# " $0
			bad = 1
		}
	}
	END { exit bad || NR < 500 }' || not='not '
echo "${not}ok 1 - each file names its licence and its holder"
echo 1..1
