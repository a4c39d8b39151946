#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# What every command says of a wrong input: missing, unreadable, too small, of another kind.

bats_require_minimum_version 1.5.0
load things
load needs
load contract.bash

@test "a missing input exits 74 and is named" {
	for c in $METADATA_COMMANDS thin_restore thin_metadata_unpack; do
		with_input "$c" no-such-file
		expect 74 "$c missing input"
		[[ "$stderr" == *no-such-file* ]]
	done
}

@test "control characters of a name are shown as question marks, each message has one line, and no command line has them" {
	local name=$'no\033[31m\r\nsuch\177' c
	for c in $METADATA_COMMANDS thin_restore thin_metadata_unpack; do
		with_input "$c" "$name"
		expect 74 "$c missing input"
		[[ "$stderr" == *'no?[31m??such?'* ]] || { echo "$c"; return 1; }
		[ "$(tr -d ' -~\n' <<<"$stderr" | wc -c)" = 0 ] || { echo "$c shows control characters"; return 1; }
	done
	cp "$DIR/meta" "$name"
	"$abs_top_builddir/tests/damage/damage" "$name" leak
	run -0 --separate-stderr thin_check "$name"
	[[ "$stderr" == *"'thin_check --auto-repair POOL'"* ]]
	run --separate-stderr thin_dump $'--\033'
	expect 64 "thin_dump with an option of a control character"
	[[ "$stderr" == *"'--?'"* ]]
}

@test "a directory as input exits 74" {
	mkdir dir
	for c in $METADATA_COMMANDS thin_restore thin_metadata_unpack; do
		with_input "$c" dir
		expect 74 "$c directory"
	done
}

@test "a fifo where metadata is wanted is refused and not waited for" {
	mkfifo ff
	for c in $METADATA_COMMANDS thin_metadata_unpack; do
		with_input "$c" ff
		expect 74 "$c fifo"
	done
}

@test "an unreadable input exits 74" {
	cp "$DIR/meta" secret
	chmod 0 secret
	chmod 755 . 2>/dev/null
	if [ "$(id -u)" = 0 ]; then
		command -v setpriv >/dev/null || skip "root reads everything and setpriv is not there"
		cp secret /tmp/secret.$$
		cp "$(command -v thin_check)" /tmp/thin_check.$$
		chmod 0 /tmp/secret.$$
		chmod 755 /tmp/thin_check.$$
		run --separate-stderr setpriv --reuid=65534 --regid=65534 --clear-groups /tmp/thin_check.$$ /tmp/secret.$$
		rm -f /tmp/secret.$$ /tmp/thin_check.$$
	else
		run --separate-stderr thin_check secret
	fi
	expect 74 "thin_check unreadable"
	[[ "$stderr" == *"Permission denied"* ]]
}

@test "an empty input and one of 4095 bytes are too small: exit 1" {
	: >empty
	head -c 4095 "$DIR/meta" >short
	for c in $METADATA_COMMANDS; do
		for f in empty short; do
			with_input "$c" $f
			expect 1 "$c $f"
			[[ "$stderr" == *"too small"* ]] || { echo "$c $f: $stderr"; return 1; }
		done
	done
}

@test "XML where metadata is wanted exits 1 and is recognised" {
	cp "$DIR/pool.xml" plain.xml
	{ cat "$DIR/pool.xml"; yes '<!-- long enough to be taken for metadata -->' | head -200; } >xml
	for c in thin_check thin_delta thin_ls thin_metadata_pack thin_repair thin_rmap thin_message thin_trim; do
		for f in xml plain.xml; do
			with_input "$c" $f
			expect 1 "$c $f"
			[[ "$stderr" == *XML* ]] || { echo "$c $f: $stderr"; return 1; }
		done
	done
}

# $1 = name, $2 = offset, $3 = bytes as printf writes them: a file of 2 MiB with noise around
alien() {
	head -c 2M /dev/urandom >"$1"
	dd if=/dev/zero of="$1" bs=4096 count=20 conv=notrunc status=none
	# shellcheck disable=SC2059 # escapes are wanted
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

@test "a wrong device is named, and nobody is sent to thin_repair" {
	truncate -s 8M ext4
	mkfs.ext4 -q ext4
	thin_metadata_pack -f -i "$DIR/meta" -o pack
	head -c 200000 /dev/urandom | gzip >gzip
	cp "$(command -v thin_check)" elf
	alien cache 32 '\x03\xc4\x18'
	alien era 32 '\x7b\x07\xc1\x7e'
	alien pv 512 'LABELONE\1\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001'
	alien luks 0 'LUKS\xba\xbe\0\2'
	alien btrfs 65600 '_BHRfS_M'
	alien qcow2 0 'QFI\xfb\0\0\0\3'
	local c f want
	for c in $METADATA_COMMANDS; do
		for f in 'ext4:ext4 filesystem' pack:thin_metadata_unpack gzip:gzip elf:ELF 'cache:dm-cache' era:dm-era \
			'pv:LVM physical volume' luks:LUKS btrfs:btrfs qcow2:qcow2; do
			want=${f#*:} f=${f%%:*}
			cp "$f" before
			with_input "$c" "$f"
			expect 1 "$c $f"
			[[ "$stderr" == *"$f: "*"holds "*"$want"* ]] || { echo "$c $f: $stderr"; return 1; }
			[[ "$stderr" != *"thin_repair -i"* && "$stderr" != *lost* ]] || { echo "$c $f: $stderr"; return 1; }
			cmp "$f" before
		done
	done
}

@test "the data device given as metadata is recognised, whatever its guest wrote" {
	head -c 2M /dev/urandom >noise
	yes 'START LENGTH of something, say the guest' | head -c 2M >text
	for c in $METADATA_COMMANDS; do
		for f in noise text; do
			with_input "$c" $f
			expect 1 "$c $f"
			[[ "$stderr" == *"VG/POOL_tmeta"* ]] || { echo "$c $f: $stderr"; return 1; }
		done
	done
	printf 'p: 0 8192 thin-pool data text 128 0\n' >table
	with_input thin_check table
	expect 1 thin_check
}

@test "a pool whose block 0 became another thing's is still a damaged pool, and thin_repair brings it back" {
	truncate -s 8M small
	mkfs.ext4 -q small
	cp "$DIR/meta" bad
	dd if=small of=bad bs=4096 count=1 conv=notrunc status=none
	with_input thin_check bad
	expect 1 thin_check
	[[ "$stderr" == *"'thin_repair -i bad -o FILE' can"* ]]
	truncate -s 1M out
	run --separate-stderr thin_repair --data-block-size 128 --nr-data-blocks 64 --transaction-id 2 -i bad -o out
	diff <(thin_dump out | tail -n +2) <(thin_dump "$DIR/meta" | tail -n +2)
}

@test "XML in UTF-16 is XML to every command: taken where XML is taken, recognised elsewhere" {
	for e in UTF-16 UTF-16LE UTF-16BE; do
		{ echo "<?xml version=\"1.0\" encoding=\"${e:0:6}\"?>"; cat "$DIR/pool.xml"; } | iconv -t $e >wide
		for c in thin_check thin_delta thin_ls thin_metadata_pack thin_repair thin_rmap thin_message thin_trim; do
			with_input "$c" wide
			expect 1 "$c $e"
			[[ "$stderr" == *XML* ]] || { echo "$c $e: $stderr"; return 1; }
		done
		truncate -s 0 out
		truncate -s 1M out
		thin_restore -i wide -o out
		diff <(thin_dump out) <(thin_dump "$DIR/meta")
		thin_materialize --data-dev data --size 4M -f wide 1 image
		thin_info wide
		thin_shrink --no-copy -i wide -o narrow.xml --data data --nr-blocks 20
		grep -q 'nr_data_blocks="20"' narrow.xml
	done
}

@test "metadata where XML is wanted exits 1" {
	with_input thin_restore "$DIR/meta"
	expect 1 "thin_restore metadata"
	run --separate-stderr thin_shrink -i "$DIR/meta" -o new.xml --data data --nr-blocks 20
	expect 1 "thin_shrink metadata"
}

@test "a damaged superblock exits 1 and an all-zero device is called unformatted" {
	cp "$DIR/meta" bad
	printf 'x' | dd of=bad bs=1 seek=100 conv=notrunc status=none
	truncate -s 1M zero
	for c in thin_check thin_delta thin_dump thin_info thin_ls thin_materialize thin_rmap thin_trim thin_message; do
		with_input "$c" bad
		expect 1 "$c bad superblock"
		[ "$c" = thin_message ] && continue
		with_input "$c" zero
		expect 1 "$c zero"
		[[ "$stderr" == *zero* ]] || { echo "$c: $stderr"; return 1; }
	done
}
