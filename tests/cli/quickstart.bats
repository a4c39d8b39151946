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

@test "quickstart: a relative BUILD is in the folder of the sources, and its commands are what runs" {
	cp "$abs_top_srcdir/quickstart" .
	ln -s "$abs_top_builddir" built
	mkdir other
	printf '#!/bin/sh\nexit 3\n' >other/thin_restore
	chmod +x other/thin_restore
	BUILD=built PATH=$PWD/other:$PATH ./quickstart --sample
	cmp s/expected.img s/out.img
}

# A copy in which stand-ins install packages: they write what they were asked for to the file "asked",
# and fail for the packages in the file "refused".
pretended() {
	mkdir -p bin top/tests/web build
	cp "$abs_top_srcdir/quickstart" top/
	touch build/Makefile top/configure refused
	chmod +x top/configure
	printf '#!/bin/sh\n[ "$1" = install ] || exit 0\necho "$@" >>%s/asked\nfor p; do ! grep -qx -e "$p" %s/refused || exit 100; done\n' "$PWD" "$PWD" >bin/apt-get
	printf '#!/bin/sh\necho npm "$@" >>%s/asked\n! grep -qx registry %s/refused || { echo no registry; exit 1; }\nmkdir -p node_modules/playwright-core\n' "$PWD" "$PWD" >bin/npm
	printf '#!/bin/sh\ncase $4 in python3-jsonschema) exit 1;; esac\necho install ok installed\n' >bin/dpkg-query
	printf '#!/bin/sh\nexec "$@"\n' >bin/sudo
	printf '#!/bin/sh\necho "$@" >>%s/made\necho "# PASS:  3"\n' "$PWD" >bin/make
	chmod +x bin/*
	BUILD=$PWD/build PATH=$PWD/bin:$PATH run top/quickstart "$@"
}

@test "quickstart --test installs what validates JSON, and drives the browser, and does without where it cannot" {
	pretended --test
	[ "$status" -eq 0 ]
	grep -q '^install.* python3-jsonschema' asked
	grep -q '^npm ci' asked
	[ -d top/tests/web/node_modules/playwright-core ] && [ ! -e top/tests/web/npm.log ]
	rm -r asked top/tests/web/node_modules
	printf 'python3-jsonschema\nregistry\n' >refused
	pretended --test
	[ "$status" -eq 0 ]
	[[ "$output" == *"the tests that want them are skipped"*"no registry"*"the test in a browser is skipped"*"3 passed"* ]]
	[ ! -e top/tests/web/node_modules ]
	rm asked
	pretended --build
	[ "$status" -eq 0 ] && [ ! -e asked ]
}

@test "quickstart --test runs every test, and hands make check the variables of CHECK" {
	pretended --test
	[ "$status" -eq 0 ]
	grep -qx -e "-C $PWD/build -j[0-9]* check" made
	rm made
	CHECK='SOURCE_TESTS= A=1' pretended --test
	[ "$status" -eq 0 ]
	grep -qx -e "-C $PWD/build -j[0-9]* check SOURCE_TESTS= A=1" made
}
