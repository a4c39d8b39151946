#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# "-" is standard input or standard output, through a pipe as from a file.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	truncate -s 1M meta
	thin_restore -i "$abs_top_srcdir/xml/good/tiny.xml" -o meta
	cp "$abs_top_srcdir/xml/good/tiny.xml" xml
	thin_metadata_pack -i meta -o pack
	printf 'pool: 0 12800 thin-pool meta data 128 0\na: 0 1024 thin pool 1\n' >table
	truncate -s 6553600 data
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	cp --sparse=always "$BATS_FILE_TMPDIR"/* .
	mkdir tmp
	export TMPDIR=$PWD/tmp
}

# readers POOL: the commands that read a pool
readers() {
	printf "%s $1\n" thin_check thin_dump 'thin_dump --repair' 'thin_dump -f json' thin_ls \
		'thin_rmap --region 0..-1' 'thin_delta --thin1 1 --thin2 1' 'thin_repair --dry-run -i' \
		'thin_repair --list-roots -i' 'thin_metadata_pack -o - -i' 'thin_shrink --binary --dry-run --nr-blocks 90 -i'
	printf '%s\n' "thin_materialize --map $1 1"
}

# what a command says names its input
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
				[[ "$stderr" == *"standard input cannot be changed in place: give the name of the device or file"* ]] ||
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
