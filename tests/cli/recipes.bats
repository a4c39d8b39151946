#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# The scripts of doc/recipes.md, with stand-ins for LVM that do to an inactive pool what LVM does to a live one.

bats_require_minimum_version 1.5.0
load needs
load increment.bash

# script NAME: that block of the recipes
script() {
	sed -n "/^\`\`\`sh $1\$/,/^\`\`\`\$/p" "$abs_top_srcdir/doc/recipes.md" | sed '1d;$d' >"$1"
	[ -s "$1" ]
}

# stand_in NAME: a command made of standard input
stand_in() {
	mkdir -p stand-ins
	{ echo '#!/bin/sh'; cat; } >"stand-ins/$1"
	chmod +x "stand-ins/$1"
}

stand_ins() {
	stand_in lvs <<'SH'
echo "$*" | grep -q -- '--noheadings -o lv_name -S pool_lv=pool && lv_name!~^night_ vg' || exit 5
sed -n 's/^\(web[0-9]*\): .*/  \1/p' pool
SH
	stand_in lvcreate <<'SH'
for last; do :; done
while [ "$1" != -n ]; do shift; done
from=${last#vg/} id=$(($(sed -n 's/.* thin pool \([0-9]*\).*/\1/p' pool | sort -n | tail -n 1) + 1))
thin_message pool "create_snap $id $(sed -n "s/^$from: .* thin pool \([0-9]*\).*/\1/p" pool)"
sed -n "s/^$from: \(0 [0-9]* thin pool\) [0-9]*/$2: \1 $id/p" pool >line && cat line >>pool
SH
	stand_in lvremove <<'SH'
for last; do :; done
thin_message pool "delete $(sed -n "s/^${last#vg/}: .* thin pool \([0-9]*\).*/\1/p" pool)"
sed -i "/^${last#vg/}:/d" pool
SH
	stand_in pvs <<<'echo disk'
	stand_in thin_lvm <<<'sed "s,\(meta\|data\|base\).img,$PWD/&,g" pool'
	stand_in dmsetup <<<'[ "$1 $2 $3" = "message vg-pool-tpool 0" ] && thin_message pool "$4"'
	# nights that are shorter than a second
	stand_in date <<<'n=$(cat nights 2>/dev/null || echo 0); echo $((n + 1)) >nights; echo 2026010100000$n'
}

@test "the nightly backup of a volume group keeps an image of each volume and night" {
	need qemu-img
	new_seed 41
	local night lv
	new_pool
	LINES=("web0: 0 $SECTORS thin pool 0 $ORIGIN" "web1: 0 $((SECTORS / 2)) thin pool 1 $ORIGIN")
	write_table "${LINES[@]}"
	thin_message pool 'create_thin 1'
	script nightly
	[ "$(grep -c . nightly)" -le 11 ]
	stand_ins
	mkdir backups
	for night in 0 1 2 3; do
		for lv in web0 web1; do
			churn pool $lv "$RANDOM" $((1 + $(pick 12)))
			thin_materialize pool $lv $lv.$night
		done
		PATH=$PWD/stand-ins:$PATH sh nightly vg pool backups
		thin_check -q meta.img
	done
	for lv in web0 web1; do
		for night in 0 1 2 3; do
			qemu-img compare -q -f raw -F qcow2 $lv.$night backups/night_${lv}_2026010100000$night.qcow2
			: >restored
			thin_apply -f -i backups/night_${lv}_2026010100000$night.qcow2 restored
			cmp restored $lv.$night
		done
	done
	# of the snapshots only last night's are left, and none of the metadata
	[ "$(thin_ls --no-headers -o DEV meta.img | wc -l)" -eq 4 ]
	run --separate-stderr thin_dump -m meta.img
	[ "$status" -ne 0 ]
}
