#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# The grammar and the samples of xml/: what a reader makes of them is in tests/unit/t_xml_read.c.

load needs

setup() {
	need xmllint
	xml=$abs_top_srcdir/xml
}

validates() {
	xmllint --noout --relaxng "$xml/thin-metadata.rng" "$1"
}

@test "xml: the grammar accepts every good sample in tools' spelling" {
	n=0
	for f in "$xml"/good/*.xml; do
		case $f in */lenient-*) continue ;; esac
		run validates "$f"
		[ "$status" -eq 0 ] || { echo "$output"; false; }
		n=$((n + 1))
	done
	[ "$n" -ge 9 ]
}

@test "xml: the lenient samples are well-formed" {
	for f in "$xml"/good/lenient-*.xml; do
		xmllint --noout "$f"
	done
}

@test "xml: the grammar refuses what is wrong by its form" {
	for f in other-xml unknown-element mapping-outside-device mapping-in-mapping device-in-device \
		def-in-def def-in-device ref-in-def ref-in-superblock def-no-name missing-attribute \
		missing-snap-time number-empty number-negative number-hex number-65-bits \
		device-id-25-bits pool-time block-size-zero block-size-huge cache-metadata; do
		[ -f "$xml/bad/$f.xml" ]
		run validates "$xml/bad/$f.xml"
		[ "$status" -ne 0 ] || { echo "$f is accepted"; false; }
	done
}

@test "xml: what thin_dump writes of every good sample is valid, and restores to the same" {
	cd "$BATS_TEST_TMPDIR"
	for f in "$xml"/good/*.xml; do
		case $f in */numbers.xml) continue ;; esac # 2^40 data blocks
		rm -f meta
		truncate -s 2M meta
		thin_restore -q -i "$f" -o meta
		thin_dump meta >one.xml
		validates one.xml
		thin_restore -i one.xml -o meta
		thin_dump meta >two.xml
		cmp one.xml two.xml
	done
}
