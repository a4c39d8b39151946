#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# "-" is standard input or standard output, through a pipe as from a file.

bats_require_minimum_version 1.5.0

load needs
load things

setup() {
	cd "$BATS_TEST_TMPDIR"
	cp --sparse=always "$BATS_FILE_TMPDIR"/* .
	mkdir tmp
	export TMPDIR=$PWD/tmp
}

# readers POOL: the commands that read a pool
readers() {
	printf "%s $1\n" thin_check thin_dump 'thin_dump --repair' 'thin_dump -f json' thin_ls 'thin_info --format json' \
		'thin_rmap --region 0..-1' 'thin_delta --thin1 1 --thin2 1' 'thin_repair --dry-run -i' \
		'thin_repair --list-roots -i' 'thin_metadata_pack -o - -i' 'thin_shrink --binary --dry-run --nr-blocks 90 -i'
	printf '%s\n' "thin_materialize --map $1 1"
}

# the messages differ only in the name of the input
same() {
	sed "s/'*\<meta\>'*/standard input/g" "$1" | cmp - <(sed "s/'standard input'/standard input/g" "$2")
}

@test "every reader takes metadata from standard input, a pipe or a file, as from its name" {
	while read -r named && read -r std <&3; do
		bash -c "$named" >want 2>want.err
		bash -c "$std" <meta >got 2>got.err && cmp want got && same want.err got.err ||
			{ echo "$std from a file: $(cat got.err)"; return 1; }
		cat meta | bash -c "$std" >got 2>got.err && cmp want got && same want.err got.err ||
			{ echo "$std from a pipe: $(cat got.err)"; return 1; }
	done < <(readers meta) 3< <(readers -)
	rmdir tmp # nothing is left there
}

@test "a pipe's pieces are kept as they are, also those that begin with zeros; no TMPDIR is /var/tmp" {
	# the flags behind block 0's checksum are zeros, its magic number is not
	{ head -c 4 meta; sleep 0.3; tail -c +5 meta; } | thin_dump - | cmp - <(thin_dump meta)
	cat meta | TMPDIR='' thin_dump - | cmp - <(thin_dump meta)
}

@test "XML, a table and what is no pool are told apart on standard input too" {
	cat table | thin_dump - | cmp - <(thin_dump meta)
	cat xml | thin_materialize --map - 1 >map
	thin_materialize --map xml 1 | cmp - map
	run --separate-stderr bash -c 'cat xml | thin_check -'
	[ "$status" -eq 1 ] && [[ "$stderr" == *"standard input: This looks like XML"* ]]
	run --separate-stderr bash -c 'cat pack | thin_dump -'
	[ "$status" -eq 1 ] && [[ "$stderr" == *"standard input: "* ]]
	run --separate-stderr bash -c ': | thin_dump -'
	[ "$status" -eq 1 ] && [[ "$stderr" == *"standard input: "*"too small"* ]]
	run --separate-stderr bash -c 'thin_dump - <&-'
	[ "$status" -eq 74 ] && [[ "$stderr" == *"standard input"* ]]
	# the part that is left to be read
	{ read -r line; thin_materialize --map - 1; } < <(echo a line; cat xml) | cmp - map
	{ echo a line; cat xml; } >later
	{ read -r line; thin_materialize --map - 1; } <later | cmp - map
}

@test "what would change standard input is refused with one sentence" {
	cp meta before
	for c in 'thin_check --auto-repair -' 'thin_check --clear-needs-check-flag -' \
		"thin_message - 'create_thin 5'"; do
		for how in "$c <meta" "cat meta | $c"; do
			run --separate-stderr bash -c "$how"
			[ "$status" -eq 64 ] &&
				[[ "$stderr" == *"standard input cannot be changed in place: name the device or file"* ]] ||
				{ echo "$how: $status $stderr"; return 1; }
		done
	done
	cmp before meta
}

@test "a disk that is full or a folder that is not there is told when standard input must be kept" {
	run --separate-stderr bash -c 'cat meta | TMPDIR=/nowhere thin_dump -'
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"cannot use a temporary file in '/nowhere' (TMPDIR names another folder): No such file"* ]]
	run --separate-stderr bash -c 'trap "" XFSZ; ulimit -f 4; cat meta | thin_dump -'
	[ "$status" -eq 74 ] && [[ "$stderr" == *"temporary file in '$TMPDIR'"*"too large"* ]]
}

@test "packed files and metadata pass through pipes both ways" {
	cat meta | thin_metadata_pack -i - -o - | cmp - pack
	cat pack | thin_metadata_unpack -i - -o - | cmp - meta
	thin_metadata_unpack -i - -o - <pack >new && cmp new meta
	cat pack | thin_metadata_unpack -i - -o made && cmp made meta
	thin_metadata_pack -i meta -o - | thin_metadata_unpack -i - -o - | thin_dump - | cmp - <(thin_dump meta)
	# nobody can be asked while standard input is the packed file
	run --separate-stderr bash -c 'echo y | cat pack - | thin_metadata_unpack -i - -o made'
	[ "$status" -eq 1 ] && [[ "$stderr" == *"made: holds "*"nothing was written (--force overwrites it)" ]]
	# a cut one gives nothing
	run --separate-stderr bash -c 'head -c 900 pack | thin_metadata_unpack -i - -o - >out'
	[ "$status" -eq 1 ] && [[ "$stderr" == *"standard input: "* ]] && [ ! -s out ]
	# where standard output leads back to the input
	run --separate-stderr bash -c 'thin_metadata_pack -i meta -o - 1<>meta'
	[ "$status" -eq 64 ] && thin_check -q meta
}

@test "binary data is not written to a terminal" {
	need script
	need_terminal
	for c in 'thin_metadata_pack -i meta -o -' 'thin_metadata_unpack -i pack -o -' 'thin_materialize table a -' \
		'thin_metadata_pack -i meta -o /dev/stdout'; do
		run script -qec "$c" /dev/null </dev/null
		[ "$status" -eq 1 ] && [[ "$output" == *"binary data is not written to a terminal: name a file, or redirect"* ]] &&
			[ "${#output}" -lt 300 ] || { echo "$c: $status $output"; return 1; }
	done
}

@test "a mistyped name in /dev does not become a file" {
	for name in /dev/no-such-device /dev/no-such-vg/tmeta; do
		for c in 'thin_dump meta -o' 'thin_metadata_pack -i meta -o' 'thin_metadata_unpack -i pack -o' \
			'thin_shrink --no-copy --nr-blocks 90 -i xml -o' 'thin_materialize table a'; do
			run --separate-stderr bash -c "$c $name"
			[ "$status" -ne 0 ] && [[ "$stderr" == *"'$name': no such device"* ]] && [ ! -e "$name" ] ||
				{ echo "$c $name: $status $stderr"; return 1; }
		done
	done
	ln -s nowhere link
	run --separate-stderr thin_dump meta -o link
	[ "$status" -eq 74 ] && [[ "$stderr" == *"whose target does not exist"* ]] && [ -L link ]
}
