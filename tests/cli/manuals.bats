#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# The manual pages as mandoc, lexgrog and a reader take them.

bats_require_minimum_version 1.5.0
load needs

setup() {
	cd "$abs_top_srcdir" || return 1
}

@test "mandoc finds nothing to warn of in any page" {
	need mandoc
	mandoc -Tlint -W warning man/*.[1578]
}

@test "words behind the name of a page are not set without a blank" {
	run ! grep -nE '^\.(BR|RB|BI|IB|IR|RI) .*[.,:;)] [A-Za-z]{2,}$' man/*.[1578]
}

@test "lexgrog finds name and purpose of each page, so that man -k does" {
	need lexgrog
	lexgrog man/*.[1578]
}

@test "the date of each page is that of the release in NEWS.md" {
	date=$(sed -n 's/^## [0-9.]* (\(.*\))$/\1/p' NEWS.md | head -n 1)
	[ -n "$date" ]
	for p in man/*.[1578]; do
		grep -q "^\.TH .*\"$date\"" "$p" || { echo "$p is not of $date"; return 1; }
	done
}

@test "each command's page has the sections that a reader looks for" {
	for p in man/thin_*.8 man/nbdkit-thin-plugin.*; do
		options=OPTIONS
		[[ $p != *plugin* ]] || options=PARAMETERS
		for s in NAME SYNOPSIS DESCRIPTION $options 'EXIT STATUS' SIGNALS FILES EXAMPLES BUGS 'SEE ALSO'; do
			grep -qx "\.SH $s" "$p" || { echo "$p has no $s"; return 1; }
		done
		grep -q 'thin\\-pool\\-tools (7)' "$p"
	done
	for c in check repair materialize shrink; do
		grep -qx '\.SH LVM' "man/thin_$c.8" || { echo "thin_$c has no LVM"; return 1; }
	done
}

@test "thin-pool-tools(7) names every command" {
	for c in man/thin_*.8; do
		c=${c#man/}
		grep -q "${c%.8}" man/thin-pool-tools.7 || { echo "$c"; return 1; }
	done
}

@test "thin-pool-recipes(7) is what doc/recipes.md makes" {
	date=$(sed -n 's/^\.TH .* 7 "\([0-9-]*\)".*/\1/p' man/thin-pool-recipes.7)
	awk -v date="$date" -f man/recipes.awk doc/recipes.md | diff - man/thin-pool-recipes.7
}

@test "the picture of a terminal is what its text makes" {
	awk -f doc/pictures/terminal.awk doc/pictures/terminal.md | diff - doc/pictures/terminal.svg
}
