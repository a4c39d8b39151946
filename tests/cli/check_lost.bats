#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_check: what it says of parts that are lost.

bats_require_minimum_version 1.5.0
load needs

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	damage=$abs_top_builddir/tests/damage/damage
}

@test "thin_check: what a lost leaf of the devices or of their details costs is told by the devices' numbers" {
	{
		echo '<superblock uuid="" time="0" transaction="1" version="2" data_block_size="128" nr_data_blocks="1000">'
		for i in $(seq 0 2 1198); do
			echo "<device dev_id=\"$i\" mapped_blocks=\"1\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\"><single_mapping origin_block=\"0\" data_block=\"$((i / 2))\" time=\"0\"/></device>"
		done
		echo '</superblock>'
	} >many.xml
	thin_restore -q -i many.xml -o many --size 8M
	cp many pool
	"$damage" pool node-csum --tree top-level --leaf 1
	run --separate-stderr thin_check pool
	[ "$status" -eq 1 ]
	[[ "$stderr" =~ "of the top-level mapping tree has a bad checksum: devices "[0-9]+-[0-9]+" cannot be found; " ]]
	cp many pool
	"$damage" pool node-csum --tree details --leaf 1
	run --separate-stderr thin_check pool
	[ "$status" -eq 1 ]
	[[ "$stderr" =~ "of the device details tree has a bad checksum: the details of devices "[0-9]+-[0-9]+" are lost; " ]]
}
