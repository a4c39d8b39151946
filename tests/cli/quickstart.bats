#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR"
	export BUILD=$abs_top_builddir QUICKSTART_SAMPLE=$PWD/s
}

quickstart() {
	"$abs_top_srcdir/quickstart" --sample
}

@test "quickstart: a folder that it has not made is left as it is, and the way out is said" {
	mkdir s
	echo mine >s/data.img
	run quickstart
	[ "$status" -eq 1 ]
	[[ "$output" == *"has not made it"*"QUICKSTART_SAMPLE="* ]]
	[ "$(ls -A s)" = data.img ] && [ "$(cat s/data.img)" = mine ]
	rm -r s
	echo mine >s
	run quickstart
	[ "$status" -eq 1 ] && [ "$(cat s)" = mine ]
}

@test "quickstart: a second run makes its files anew and keeps everything else" {
	mkdir s
	quickstart
	echo mine >s/notes
	mkdir s/folder
	echo changed >s/pool
	rm s/base.img
	quickstart
	[ "$(cat s/notes)" = mine ] && [ -d s/folder ]
	grep -q thin-pool s/pool
	cmp s/expected.img s/out.img
}
