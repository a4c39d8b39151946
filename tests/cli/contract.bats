#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# What holds for every command: help, version, mistakes, bad input, exit codes.

bats_require_minimum_version 1.5.0
load things
load needs

COMMANDS='thin_apply thin_check thin_delta thin_dump thin_info thin_ls thin_lvm thin_materialize thin_message
	thin_metadata_pack thin_metadata_size thin_metadata_unpack thin_migrate thin_repair
	thin_restore thin_rmap thin_shrink thin_trim'
# those that read a pool's metadata, and those of them that do not write it
READERS='thin_check thin_delta thin_dump thin_info thin_ls thin_materialize thin_metadata_pack thin_repair thin_rmap'
METADATA_COMMANDS="$READERS thin_message thin_trim thin_shrink"

setup_file() {
	export DIR=$BATS_FILE_TMPDIR
	two_devices >"$DIR/pool.xml"
	truncate -s 1M "$DIR/meta"
	truncate -s 4M "$DIR/data"
	thin_restore -i "$DIR/pool.xml" -o "$DIR/meta"
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	truncate -s 4M out
	cp "$DIR/data" data
}

# Runs command $1 with $2 where its metadata goes; everything else is good.
with_input() {
	local in=$2
	case $1 in
	thin_check | thin_dump | thin_info | thin_ls) run --separate-stderr timeout 20 "$1" "$in" ;;
	thin_delta) run --separate-stderr timeout 20 "$1" --thin1 1 --thin2 2 "$in" ;;
	thin_rmap) run --separate-stderr timeout 20 "$1" --region 0..64 "$in" ;;
	thin_materialize) run --separate-stderr timeout 20 "$1" --data-dev data -f "$in" 1 image ;;
	thin_message) run --separate-stderr timeout 20 "$1" "$in" 'create_thin 7' ;;
	thin_metadata_pack) run --separate-stderr timeout 20 "$1" -f -i "$in" -o packed ;;
	thin_metadata_unpack) run --separate-stderr timeout 20 "$1" -f -i "$in" -o out ;;
	thin_repair | thin_restore) run --separate-stderr timeout 20 "$1" -i "$in" -o out ;;
	thin_trim) run --separate-stderr timeout 20 "$1" --metadata-dev "$in" --data-dev data ;;
	thin_shrink) run --separate-stderr timeout 20 "$1" --binary -i "$in" -o out --data data --nr-blocks 20 ;;
	esac
}

# $1 = wanted status; the message names the command and is there.
expect() {
	local what=$2
	[ "$status" -eq "$1" ] || { echo "$what: status $status, wanted $1: $stderr" >&2; return 1; }
	[[ "$stderr" == *"${what%% *}: "* ]] || { echo "$what: no message: $stderr" >&2; return 1; }
}

@test "every command prints help on stdout, within 80 columns" {
	for c in $COMMANDS; do
		run --separate-stderr "$c" --help
		[ "$status" -eq 0 ] && [ -z "$stderr" ] || { echo "$c: $status $stderr"; return 1; }
		[[ "$output" == "Usage: $c "* ]]
		! grep -nE '.{81}' <<<"$output" || { echo "$c: too wide"; return 1; }
		run "$c" -h
		[ "$status" -eq 0 ]
	done
}

@test "every command prints its version as three numbers on the first line" {
	for c in $COMMANDS pdata_tools; do
		run --separate-stderr "$c" -V
		[ "$status" -eq 0 ]
		[[ "${lines[0]}" =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || { echo "$c: $output"; return 1; }
	done
}

@test "the version names the project on the second line, behind the bare number" {
	for c in $COMMANDS pdata_tools; do
		run --separate-stderr "$c" --version
		[ "${lines[1]}" = "$c is part of thin-pool-tools" ] || { echo "$c: $output"; return 1; }
		[ "${#lines[@]}" -eq 2 ]
	done
}

@test "--version -v tells the compiler, the machine and the libraries, in either order" {
	for c in $COMMANDS; do
		run --separate-stderr "$c" --version -v
		[ "$status" -eq 0 ]
		[[ "$output" == *"compiler: "*" bits, "*" endian"* ]] || { echo "$c: $output"; return 1; }
		[[ "$output" == *"libraries:"*"reports: "*@* ]] || { echo "$c: $output"; return 1; }
	done
	[ "$(thin_check -v --version)" = "$(thin_check --version -v)" ]
	if ldd "$(command -v thin_restore)" | grep -q libexpat; then
		[[ "$(thin_restore --version -v)" == *libexpat* ]]
	fi
}

@test "the command's name is bold on a terminal, and plain with NO_COLOR, TERM=dumb or in a file" {
	need python3
	bold() { TERM=$1 NO_COLOR=$2 SHOW_BOLD=1 python3 "$abs_top_srcdir/tests/on_terminal" thin_check nothing; }
	[[ "$(bold xterm '')" == "<bold>thin_check: "* ]]
	[[ "$(bold xterm 1)" == "thin_check: "* ]]
	[[ "$(bold dumb '')" == "thin_check: "* ]]
	run --separate-stderr env TERM=xterm thin_check nothing
	[[ "$stderr" == "thin_check: "* ]]
}

@test "no command takes an abbreviated long option; it names the whole one" {
	for c in $COMMANDS; do
		for o in $("$c" --help | grep -oE '^  +(-[A-Za-z], )?--[a-z0-9-]+' | grep -oE -- '--[a-z][a-z0-9-]*'); do
			local short=${o%??}
			[ "${#short}" -gt 2 ] || continue
			"$c" --help | grep -qE -- " $short( |\[|\$)" && continue
			run --separate-stderr timeout 60 "$c" "$short" </dev/null
			expect 64 "$c $short"
			[[ "$stderr" == *"unexpected argument '$short' found: write the whole name, "*"'$o'"* ]] ||
				{ echo "$c $short: $stderr"; return 1; }
		done
	done
	run --separate-stderr thin_check --auto "$DIR/meta"
	expect 64 "thin_check --auto"
	[[ "$stderr" == *"'--auto-repair'"* ]]
}

@test "no paragraph of help has a line of one word in its middle" {
	for c in $COMMANDS; do
		"$c" --help >help
		! awk 'alone && /^[^ ]/ { print last; bad = 1 } { alone = /^[^ ]+$/; last = $0 } END { exit !bad }' help ||
			{ echo "$c: a line of one word"; return 1; }
	done
}

@test "a slip in an option's name is told with the name that was meant" {
	for o in --quite:--quiet --auto-repare:--auto-repair --skip_mappings:--skip-mappings --formt=json:--format; do
		run --separate-stderr thin_check "${o%%:*}" "$DIR/meta"
		expect 64 "thin_check $o"
		[[ "$stderr" == *"found: did you mean '${o#*:}'?"* ]] || { echo "$o: $stderr"; return 1; }
	done
	for o in --zzz --no-such-option --x; do
		run --separate-stderr thin_check "$o" "$DIR/meta"
		[[ "$stderr" != *"did you mean"* ]] || { echo "$o: $stderr"; return 1; }
	done
}

@test "an unknown option exits 64 and points to --help" {
	for c in $COMMANDS; do
		run --separate-stderr "$c" --no-such-option
		expect 64 "$c"
		[[ "$stderr" == *"unexpected argument '--no-such-option' found"* ]]
		[[ "$stderr" == *"Try '$c --help'"* ]]
		run --separate-stderr "$c" -@
		expect 64 "$c"
	done
}

@test "no arguments at all exit 64" {
	for c in $COMMANDS; do
		run --separate-stderr "$c"
		expect 64 "$c"
	done
}

@test "the engine option of other generations is taken by everything that reads metadata" {
	for c in $METADATA_COMMANDS; do
		run --separate-stderr "$c" --io-engine bogus
		expect 64 "$c"
		[[ "$stderr" == *"unknown io engine type 'bogus'"* ]]
	done
	thin_check --io-engine sync -v "$DIR/meta"
}

@test "a missing input exits 74 and is named" {
	for c in $METADATA_COMMANDS thin_restore thin_metadata_unpack; do
		with_input "$c" no-such-file
		expect 74 "$c missing input"
		[[ "$stderr" == *no-such-file* ]]
	done
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
			[[ "$stderr" != *"thin_repair can"* && "$stderr" != *lost* ]] || { echo "$c $f: $stderr"; return 1; }
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
	[[ "$stderr" == *"thin_repair can"* ]]
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

@test "readers never modify their input" {
	cp "$DIR/meta" meta
	local before; before=$(sha256sum meta data)
	for c in $READERS; do
		with_input "$c" meta
		[ "$status" -eq 0 ] || { echo "$c: $status $stderr"; return 1; }
	done
	[ "$before" = "$(sha256sum meta data)" ]
}

@test "every option of --help is in the man page" {
	for c in $COMMANDS; do
		local page=$abs_top_srcdir/man/$c.8
		[ -f "$page" ] || { echo "$c has no man page"; return 1; }
		for o in $("$c" --help | grep -oE '^  +(-[A-Za-z], )?--[a-z0-9-]+' | grep -oE -- '--?[A-Za-z][A-Za-z0-9-]*'); do
			sed 's/\\-/-/g; s/\\f[BIRP]//g' "$page" | grep -qE -- "(^|[^-a-z0-9])$o([^-a-z0-9]|\$)" ||
				{ echo "$c: $o is not in its man page"; return 1; }
		done
	done
}

@test "every long option in a man page's option list is one that the command takes" {
	for c in $COMMANDS; do
		for o in $(sed 's/\\-/-/g; s/\\f[BIRP]//g' "$abs_top_srcdir/man/$c.8" |
			awk '/^\.TP/ { getline; print }' | grep -oE -- '(^|[ ,])--[a-z0-9-]+' | tr -d ' ,'); do
			run --separate-stderr timeout 60 "$c" "$o" </dev/null
			[[ "$stderr" != *"unexpected argument '$o' found"* ]] || { echo "$c: man page names $o"; return 1; }
		done
	done
}

@test "man pages are well formed" {
	need man
	for c in $COMMANDS; do
		! grep -iE 'warning|error' <<<"$(man --warnings -l "$abs_top_srcdir/man/$c.8" 2>&1 >/dev/null)" ||
			{ echo "$c"; return 1; }
	done
	! grep -iE 'warning|error' <<<"$(man --warnings -l "$abs_top_srcdir/man/thin-pool-table.5" 2>&1 >/dev/null)"
}

@test "output to a full disk exits 74 and says so" {
	[ -c /dev/full ] || skip "no /dev/full"
	for c in thin_dump thin_info thin_ls thin_check "thin_rmap --region 0..64" "thin_delta --thin1 1 --thin2 2"; do
		run --separate-stderr bash -c "$c '$DIR/meta' >/dev/full"
		expect 74 "$c"
		[[ "$stderr" == *"No space left"* ]]
	done
}

@test "a closed pipe is silent" {
	for c in thin_dump thin_info thin_ls "thin_rmap --region 0..64"; do
		run --separate-stderr bash -c "set -o pipefail; $c '$DIR/meta' | :"
		[ -z "$stderr" ] || { echo "$c: $stderr"; return 1; }
		[ "$status" -ne 2 ] && [ "$status" -lt 128 ]
	done
}

# much output, which stdio passes on in pieces, as well as little
@test "a closed pipe is silent and a full disk is named once, in every form of output" {
	[ -c /dev/full ] || skip "no /dev/full"
	cd "$BATS_TEST_TMPDIR"
	"$abs_top_builddir/bench/mkpool" frag 0.01 big
	truncate -s 1G data
	while read -r c; do
		run --separate-stderr bash -c "$c | :"
		[ -z "$stderr" ] || { echo "$c: $stderr"; return 1; }
		run --separate-stderr bash -c "$c >/dev/full"
		expect 74 "$c"
		[ "$(grep -c . <<<"$stderr")" -eq 1 ] && [[ "$stderr" == *"No space left on device" ]] ||
			{ echo "$c: $stderr"; return 1; }
	done <<-'EOF'
	thin_dump big
	thin_dump -o - big
	thin_dump -f json big
	thin_dump -f human_readable big
	thin_dump --repair big
	thin_delta --thin1 1 --thin2 1 big
	thin_delta --verbose --thin1 1 --thin2 1 big
	thin_delta -f json --thin1 1 --thin2 1 big
	thin_rmap --region 0..1000000 big
	thin_rmap -f json --region 0..1000000 big
	thin_ls big
	thin_ls --format json big
	thin_info big
	thin_info --format json big
	thin_info --format html big
	thin_check big
	thin_check --format json big
	thin_repair --list-roots -i big
	thin_repair --dry-run --format json -i big
	thin_materialize --data-dev data --map big 1
	thin_materialize --data-dev data --map=json big 1
	thin_metadata_pack -i big -o -
	thin_metadata_size -b64k -s1t -m1000
	thin_dump --help
	EOF
}

@test "a closed stdout does not end up in somebody's file" {
	for c in thin_dump thin_info thin_ls thin_check; do
		run --separate-stderr bash -c "$c '$DIR/meta' >&-"
		[ "$status" -ne 2 ] && [ "$status" -lt 128 ] || { echo "$c: $status"; return 1; }
	done
}

@test "no command exits 2 or crashes, whatever the words" {
	local words=(-m -m9 --metadata-snap=x -i -o '' "$DIR/meta" "$DIR/pool.xml" /dev/null /dev/full . 0 1 -1
		99999999999999999999 --dev-id --format json xml --region 1..0 0..5 --thin1 --thin2 --nr-blocks
		--size --origin -q --data-dev --block-size --pool-size -b64k -s1t -m10 --repair --force)
	RANDOM=11
	for i in $(seq 20); do
		for c in $COMMANDS pdata_tools; do
			local args=()
			for j in $(seq $((RANDOM % 5 + 1))); do args+=("${words[RANDOM % ${#words[@]}]}"); done
			# never let a writer near the sample
			[[ "$c ${args[*]}" == *"-o"* || $c == thin_message || $c == thin_check ]] && args=("${args[@]//$DIR\/meta/none}")
			run timeout 20 "$c" "${args[@]}" </dev/null
			case $status in
			0 | 1 | 64 | 74) ;;
			*) echo "$c ${args[*]}: $status"; return 1 ;;
			esac
		done
	done
}

@test "pdata_tools starts its commands by name and lists them" {
	run --separate-stderr pdata_tools thin_check -q "$DIR/meta"
	[ "$status" -eq 0 ]
	run --separate-stderr pdata_tools nonsense
	[ "$status" -eq 64 ]
	[[ "$stderr" == "unrecognised command"* ]]
	run --separate-stderr pdata_tools
	[ "$status" -eq 64 ]
	for c in $COMMANDS; do [[ "$stderr" == *"  $c"* ]]; done
}

@test "pdata_tools is also what a link to it is called" {
	bin=$(dirname "$(command -v pdata_tools)")
	mkdir links beside
	ln -s "$bin/pdata_tools" links/thin_check
	run --separate-stderr links/thin_check -q "$DIR/meta"
	[ "$status" -eq 0 ]
	run links/thin_check -V
	[ "$output" = "$(thin_check -V)" ]
	ln -s "$bin/pdata_tools" links/thin_nonsense
	run --separate-stderr links/thin_nonsense
	[ "$status" -eq 64 ]
	# a link beside it leads nowhere, and it says so instead of starting itself for ever
	cp "$bin/pdata_tools" beside
	ln -s pdata_tools beside/thin_ls
	run --separate-stderr timeout 10 beside/pdata_tools thin_ls "$DIR/meta"
	[ "$status" -eq 74 ]
	run --separate-stderr timeout 10 beside/thin_ls "$DIR/meta"
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"must lie beside this program"* ]]
	run --separate-stderr beside/pdata_tools thin_check
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"cannot start"*"beside/thin_check"* ]]
}

@test "pdata_tools is installed only when configured so: cache_* and era_* of others are links to it" {
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -C "$abs_top_builddir" install DESTDIR="$PWD/root" >log 2>&1 ||
		{ cat log; return 1; }
	find root -name 'thin_*' -type f -perm -u+x -printf '%f\n' | sort >have
	diff <(tr -s ' \t' '\n' <<<"$COMMANDS") have
	local found; found=$(find root -name '*pdata_tools*')
	if grep -q -- '--enable-pdata-tools' "$abs_top_builddir/config.status"; then
		[[ "$found" == */sbin/pdata_tools ]]
	else
		[ -z "$found" ]
	fi
}

@test "with ever less memory each command ends with 0, 1 or 74, never by a signal" {
	need_plain
	cd "$BATS_TEST_TMPDIR"
	truncate -s 16G big out
	truncate -s 8M data
	thin_restore -q -i "$abs_top_srcdir/xml/good/tiny.xml" -o big
	for kb in 600000 250000 120000 60000 30000 16000; do
		for c in "thin_check big" "thin_dump big" "thin_ls big" "thin_rmap --region 0..100 big" \
			"thin_delta --thin1 1 --thin2 3 big" "thin_repair -i big -o out" \
			"thin_trim --metadata-dev big --data-dev data" \
			"thin_restore -i $abs_top_srcdir/xml/good/tiny.xml -o out"; do
			status=0
			(ulimit -v $kb; exec $c) >log 2>&1 || status=$?
			case $status in 0 | 1 | 74) ;; *) echo "$c, $kb KiB: $status"; cat log; return 1 ;; esac
		done
	done
	status=0
	(ulimit -v 250000; exec thin_check big) >log 2>&1 || status=$?
	[ "$status" -eq 74 ]
	grep -q 'out of memory' log
}

# Down to what a program needs to start: each buffer and list is refused once.
@test "a command that runs out of memory exits 74 with one message, and no pool is lost" {
	need_plain
	truncate -s 8M pool new
	thin_restore -q -i "$abs_top_srcdir/xml/good/tiny.xml" -o pool
	cp "$abs_top_srcdir/xml/good/tiny.xml" .
	thin_metadata_pack -f -i pool -o pack
	truncate -s 8M data
	cp pool before
	cp new free
	local kb=7000 failed=' '
	while (ulimit -v $((kb - 400)); thin_materialize -V && thin_message -V && thin_restore -V &&
		thin_metadata_pack -V) >log 2>&1; do
		for c in 'thin_message pool create_thin\ 9' 'thin_message pool create_snap\ 9\ 1' \
			'thin_materialize --data-dev data --size 4M -f pool 1 image' 'thin_dump pool' 'thin_ls pool' \
			'thin_metadata_pack -f -i pool -o packed' 'thin_metadata_unpack -f -i pack -o new' \
			'thin_shrink --binary -i pool -o new --data data --nr-blocks 80' 'thin_check pool' \
			'thin_shrink -i tiny.xml -o new.xml --data data --nr-blocks 80' \
			'thin_trim --metadata-dev pool --data-dev data' 'thin_repair -i pool -o new' \
			'thin_restore -i tiny.xml -o new' 'thin_rmap --region 0..50 pool' \
			'thin_delta --thin1 1 --thin2 2 pool'; do
			status=0
			(ulimit -v $kb; eval exec "$c") >log 2>err || status=$?
			[ $status -eq 0 ] || [ $status -eq 74 ] || { echo "$c, $kb KiB: $status"; cat err; return 1; }
			[ $status -eq 0 ] || {
				failed+="${c%% *} "
				[ "$(grep -c 'out of memory' err)" -eq 1 ]
				[[ "$(tail -n 1 err)" == "${c%% *}: "*"out of memory"* ]] || { cat err; return 1; }
			}
			if [[ $c == thin_message* && $status -eq 0 ]]; then
				thin_check -q pool
				cp before pool
			fi
			cmp pool before
			# what is written is the old contents, the new ones, or something that is refused
			if ! cmp -s new free && [ $status -eq 74 ]; then
				run thin_check new
				[ "$status" -eq 1 ]
			fi
			cp free new
		done
		kb=$((kb - 250))
	done
	[ "$(tr ' ' '\n' <<<"$failed" | sort -u | grep -c .)" -gt 6 ] || { echo "only these failed: $failed"; return 1; }
}
