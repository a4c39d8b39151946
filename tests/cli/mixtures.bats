#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Each command with each kind of thing where its input goes: what it says and that nothing changes.

bats_require_minimum_version 1.5.0
load things
load needs

COMMANDS='thin_check thin_delta thin_dump thin_ls thin_materialize thin_message thin_metadata_pack
	thin_metadata_unpack thin_repair thin_restore thin_rmap thin_shrink shrink_xml thin_trim'

# $1 = name, $2 = offset, $3 = bytes as printf writes them: a file of 2 MiB with noise around
alien() {
	head -c 2M /dev/urandom >"$1"
	dd if=/dev/zero of="$1" bs=4096 count=20 conv=notrunc status=none
	# shellcheck disable=SC2059 # escapes are wanted
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

setup_file() {
	export DIR=$BATS_FILE_TMPDIR
	cd "$DIR" || return 1
	mkdir in work
	two_devices >in/xml
	iconv -t UTF-16 in/xml >in/xml16
	truncate -s 1M in/pool
	thin_restore -q -i in/xml -o in/pool
	thin_metadata_pack -i in/pool -o in/pack
	thin_dump -f json in/pool >in/json
	head -c 40960 in/pool >in/cut
	truncate -s 4M work/data
	printf 'p: 0 8192 thin-pool pool ../work/data 128 0\n' >in/table
	printf 'p: 0 8192 thin-pool not-there ../work/data 128 0\n' >in/table-of-nothing
	: >in/empty
	truncate -s 1M in/zeros
	{ echo guest; head -c 2M /dev/urandom; } >in/data
	truncate -s 8M in/ext4
	mkfs.ext4 -q in/ext4
	gzip <in/data >in/gzip
	cp "$(command -v thin_check)" in/elf
	alien in/pv 512 'LABELONE\1\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001'
	alien in/luks 0 'LUKS\xba\xbe\0\2'
	alien in/btrfs 65600 '_BHRfS_M'
	alien in/qcow2 0 'QFI\xfb\0\0\0\3'
	alien in/cache 32 '\x03\xc4\x18'
	alien in/era 32 '\x7b\x07\xc1\x7e'
	alien in/gpt 512 'EFI PART'
	cp -r in kept
	mkdir in/dir
}

# Runs command $1 with $2 where its input goes; everything else is good.
with_input() {
	local in=$2 run='run --separate-stderr timeout 20'
	cd "$DIR/work" || return 1
	rm -rf -- *
	truncate -s 1M out
	truncate -s 4M data
	case $1 in
	thin_check | thin_dump | thin_ls) $run "$1" "$in" ;;
	thin_delta) $run "$1" --thin1 1 --thin2 2 "$in" ;;
	thin_rmap) $run "$1" --region 0..64 "$in" ;;
	thin_materialize) $run "$1" --data-dev data --size 4M "$in" 1 image ;;
	thin_message) $run "$1" "$in" 'create_thin 7' ;;
	thin_metadata_pack) $run "$1" -i "$in" -o packed ;;
	thin_metadata_unpack) $run "$1" -i "$in" -o unpacked ;;
	thin_repair | thin_restore) $run "$1" -i "$in" -o out ;;
	thin_trim) $run "$1" --metadata-dev "$in" --data-dev data ;;
	thin_shrink) $run "$1" --binary -i "$in" -o out --data data --nr-blocks 20 ;;
	shrink_xml) $run thin_shrink -i "$in" -o new.xml --data data --nr-blocks 20 ;;
	esac
}

# The words that the message of command $1 must have for kind $2; none when the command accepts it.
wanted() {
	case $2 in
	pool | cut)
		case $1 in
		thin_restore) echo thin_dump ;;
		thin_metadata_unpack) echo 'not packed' ;;
		shrink_xml) echo --binary ;;
		thin_check | thin_trim) [ "$2" = pool ] || echo 'has 10 blocks, but its space map describes 256' ;;
		thin_message) [ "$2" = pool ] || echo 'give the whole device' ;;
		esac ;;
	xml | xml16)
		case $1 in
		thin_restore | thin_materialize | shrink_xml) ;;
		thin_metadata_unpack) echo 'Not a pack file' ;;
		*) echo XML ;;
		esac ;;
	pack) [ "$1" = thin_metadata_unpack ] || echo thin_metadata_unpack ;;
	table)
		case $1 in
		thin_restore) echo 'a table file' ;;
		thin_metadata_unpack) echo 'Not a pack file' ;;
		shrink_xml) echo --binary ;;
		esac ;;
	table-of-nothing)
		case $1 in
		thin_restore) echo 'a table file' ;;
		thin_metadata_unpack) echo 'Not a pack file' ;;
		*) echo "find input file '*not-there'" ;;
		esac ;;
	empty)
		case $1 in
		thin_restore) echo 'no <superblock>' ;;
		*) echo 'too small' ;;
		esac ;;
	zeros)
		case $1 in
		thin_restore | thin_repair) echo 'holds zeros' ;;
		thin_metadata_unpack) echo 'Not a pack file' ;;
		thin_metadata_pack) echo 'all zero' ;;
		shrink_xml) echo --binary ;;
		*) echo zero ;;
		esac ;;
	data | json)
		case $1 in
		thin_restore) [ "$2" = data ] && echo 'holds binary data' || echo 'holds text' ;;
		thin_metadata_unpack) echo 'Not a pack file' ;;
		*) [ "$2" = data ] && echo VG/POOL_tmeta || echo 'too small' ;;
		esac ;;
	ext4) echo 'ext4 filesystem' ;;
	gzip) echo 'gzip file' ;;
	elf) echo ELF ;;
	pv) echo 'LVM physical volume' ;;
	luks) echo LUKS ;;
	btrfs) echo 'btrfs filesystem' ;;
	qcow2) echo 'qcow2 image' ;;
	cache) echo dm-cache ;;
	era) echo dm-era ;;
	gpt) echo 'partition table' ;;
	dir) [ "$1" = thin_restore ] && echo directory || echo 'block device or regular file' ;;
	nothing) echo "find input file" ;;
	esac
}

# $1 = kind; $2 = exit status when the input is refused
try() {
	local c want path=../in/$1
	for c in $COMMANDS; do
		want=$(wanted "$c" "$1")
		with_input "$c" "$path"
		if [ -z "$want" ]; then
			[ "$status" -eq 0 ] || { echo "$c $1: $status $stderr"; return 1; }
		elif [ "$c$1" = thin_metadata_packzeros ]; then
			[ "$status" -eq 0 ]
		else
			[ "$status" -eq "$2" ] || { echo "$c $1: status $status, wanted $2: $stderr"; return 1; }
			# there are no new files, and the old ones are unchanged
			[ "$(ls)" = $'data\nout' ] || { echo "$c $1 leaves: $(ls)"; return 1; }
			cmp out <(head -c 1M /dev/zero)
		fi
		# it begins with the command's name, and is one sentence
		[ -z "$want" ] || [[ "$stderr" == "thin_"*": "*$want* ]] || { echo "$c $1: wanted '$want': $stderr"; return 1; }
		[[ "$stderr$output" != *"rror in line"* && "$stderr" != *"panic"* ]]
		if [ "$c" = thin_message ] && [ "$status" -eq 0 ]; then
			cp "$DIR/kept/pool" "$DIR/in/pool" # it is the only one here that writes its input
		fi
		[ ! -f "$path" ] || cmp "$path" "$DIR/kept/$1" || { echo "$c $1: the input was changed"; return 1; }
		cmp "$DIR/in/pool" "$DIR/kept/pool"
		case $1 in cut | gpt | dir) continue ;; esac # of disks and folders thin_lvm says more
		[ -z "$want" ] || [ "$(grep -c . <<<"$stderr")" -eq 1 ] || { echo "$c $1: $stderr"; return 1; }
	done
}

@test "a pool, whole or cut off, XML, a pack and a table are taken or named by every command" {
	for kind in pool cut xml xml16 pack table; do try $kind 1; done
}

@test "what is no pool is named by every command, each with exit status 1, one sentence and no traces" {
	for kind in empty zeros data json ext4 gzip elf pv luks btrfs qcow2 cache era gpt; do try $kind 1; done
}

@test "what cannot be opened exits 74 with every command, and leaves no traces" {
	for kind in nothing dir table-of-nothing; do
		for c in $COMMANDS; do
			[ $kind = table-of-nothing ] && [[ $c == thin_restore || $c == thin_metadata_unpack ]] && continue
			COMMANDS=$c try $kind 74
		done
	done
}

@test "what may not be read exits 74 with every command" {
	need setpriv
	[ "$(id -u)" = 0 ] || skip "not root"
	local d; d=$(mktemp -d /tmp/thin.XXXXXX)
	chmod 755 "$d"
	cp "$DIR/in/pool" "$d/secret"
	chmod 0 "$d/secret"
	bin=$(dirname "$(command -v thin_check)")
	for c in thin_check thin_delta thin_dump thin_ls thin_materialize thin_message thin_metadata_pack thin_repair \
		thin_restore thin_rmap thin_shrink thin_trim thin_metadata_unpack; do cp "$bin/$c" "$d"; done
	setpriv() { command setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
	cd "$d"
	failed=
	while read -r c; do
		run --separate-stderr setpriv $c </dev/null
		[ "$status" -eq 74 ] && [[ "$stderr" == *"Permission denied"* ]] || failed+="$c: $status $stderr"
	done <<-'EOF'
	./thin_check secret
	./thin_delta --thin1 1 --thin2 2 secret
	./thin_dump secret
	./thin_ls secret
	./thin_materialize --size 4M --data-dev /dev/null secret 1 -
	./thin_message secret reserve_metadata_snap
	./thin_metadata_pack -i secret -o /dev/null
	./thin_metadata_unpack -i secret -o new
	./thin_repair -i secret -o new --size auto
	./thin_restore -i secret -o new --size auto
	./thin_rmap --region 0..5 secret
	./thin_shrink -i secret -o new --data /dev/null --nr-blocks 5
	./thin_trim --metadata-dev secret --data-dev /dev/null
	EOF
	cd /
	rm -rf "$d"
	[ -z "$failed" ] || { echo "$failed"; return 1; }
}

@test "with standard input, output or both closed no command exits 2, crashes or writes into its input" {
	for c in $COMMANDS; do
		for how in '<&-' '>&-' '<&- >&-' '<&- >&- 2>&-'; do
			cd "$DIR/work"
			rm -rf -- *
			truncate -s 4M out data
			cp "$DIR/in/pool" pool
			case $c in
			thin_check | thin_dump | thin_ls) line="$c pool" ;;
			thin_delta) line="$c --thin1 1 --thin2 2 pool" ;;
			thin_rmap) line="$c --region 0..64 pool" ;;
			thin_materialize) line="$c --data-dev data --size 4M pool 1 image" ;;
			thin_message) line="$c -n pool 'create_thin 7'" ;;
			thin_metadata_pack) line="$c -i pool -o packed" ;;
			thin_metadata_unpack) line="$c -i ../in/pack -o unpacked" ;;
			thin_repair) line="$c -i pool -o out" ;;
			thin_restore) line="$c -i ../in/xml -o out" ;;
			thin_trim) line="$c --metadata-dev pool --data-dev data" ;;
			thin_shrink) line="$c --binary -i pool -o out --data data --nr-blocks 20" ;;
			shrink_xml) line="thin_shrink -i ../in/xml -o new.xml --data data --nr-blocks 20" ;;
			esac
			run bash -c "timeout 20 $line $how"
			case $status in 0 | 74) ;; *) echo "$line $how: $status $output"; return 1 ;; esac
			cmp pool "$DIR/in/pool" || { echo "$line $how"; return 1; }
			for made in out packed unpacked image new.xml; do
				[ ! -s $made ] || ! grep -q 'thin_' $made || { echo "$line $how: messages in $made"; return 1; }
			done
		done
	done
}

# Files that the commands below read and write, each time the same.
fresh_work() {
	cd "$DIR/work" || return 1
	rm -rf -- *
	truncate -s 4M out data
	cp "$DIR/in/pool" "$DIR/in/pack" "$DIR/in/xml" .
	cp "$DIR/in/table" table
	sed -i 's,\.\./work/,,' table
	echo 'nine: 0 256 thin p 9' >>table
	head -c 128K /dev/zero | tr '\0' A >raw
	thin_message -q pool 'create_thin 9'
}

@test "a standard descriptor that is closed, any of them, is never the number of a file: what writes makes the same bytes" {
	while read -r line; do
		fresh_work
		bash -c "$line" >/dev/null 2>&1 || :
		sha256sum -- * >"$BATS_TEST_TMPDIR/wanted"
		for how in '<&-' '>&-' '2>&-' '<&- 2>&-' '<&- >&- 2>&-'; do
			fresh_work
			run bash -c "exec timeout 20 $line $how"
			case $status in 0 | 1 | 74) ;; *) echo "$line $how: $status $output"; return 1 ;; esac
			sha256sum -- * | cmp - "$BATS_TEST_TMPDIR/wanted" || { echo "$line $how"; return 1; }
		done
	done <<-'EOF'
	thin_check -v --auto-repair pool
	thin_message table 'create_thin 9'
	thin_message pool 'create_thin 7' 'delete 9'
	thin_restore -v -i xml -o out
	thin_repair -i pool -o out
	thin_shrink --binary -i pool -o out --data data --nr-blocks 20
	thin_shrink -i xml -o new --data data --nr-blocks 20
	thin_trim --metadata-dev pool --data-dev data
	thin_dump -v -o new pool
	thin_metadata_pack -i pool -o new
	thin_metadata_unpack -i pack -o new
	thin_materialize --data-dev data pool 1 new
	thin_materialize --data-dev data -O qcow2 pool 1 new
	thin_apply -i raw data
	thin_apply -i raw table 9
	EOF
}

@test "lines of --progress-fd for a descriptor that is not open do not get into a file that is opened later" {
	while read -r line; do
		fresh_work
		bash -c "$line" >/dev/null 2>&1 || :
		sha256sum -- * >"$BATS_TEST_TMPDIR/wanted"
		for fd in 3 4 5 6; do
			fresh_work
			run bash -c "exec timeout 20 $line --progress-fd $fd $fd>&-"
			[ "$status" -eq 0 ] || { echo "$line, $fd: $status $output"; return 1; }
			sha256sum -- * | cmp - "$BATS_TEST_TMPDIR/wanted" || { echo "$line, $fd"; return 1; }
		done
	done <<-'EOF'
	thin_check --auto-repair pool
	thin_restore -i xml -o out
	thin_repair -i pool -o out
	thin_shrink --binary -i pool -o out --data data --nr-blocks 20
	thin_trim --metadata-dev pool --data-dev data
	thin_dump -o new pool
	thin_metadata_pack -i pool -o new
	thin_metadata_unpack -i pack -o new
	thin_materialize --data-dev data pool 1 new
	thin_apply -i raw data
	thin_apply -i raw table 9
	EOF
}

@test "standard output that is a file of the pool is refused before anything is printed" {
	fresh_work
	cp -r . ../kept-work
	while read -r line; do
		for how in '1<>pool' '>>pool' '>>data' '>>table'; do
			run --separate-stderr bash -c "exec timeout 20 $line $how"
			[ "$status" -ne 0 ] && [[ "$stderr" == *"standard output"* || "$stderr" == */proc/self/fd/1* ]] || { echo "$line $how: $status $stderr"; return 1; }
			diff -r . ../kept-work || { echo "$line $how"; return 1; }
		done
	done <<-'EOF'
	thin_check table
	thin_check --format json table
	thin_dump table
	thin_dump -f json table
	thin_ls table
	thin_info table
	thin_rmap --region 0..64 table
	thin_delta --thin1 1 --thin2 2 table
	thin_materialize --map table nine
	thin_materialize table nine -
	thin_metadata_pack -i table -o -
	thin_repair -i table -o -
	thin_repair --list-roots -i table
	thin_repair --dry-run --format json -i table
	thin_repair --format json -i table -o new
	thin_shrink --binary -i table -o - --nr-blocks 20
	EOF
	# the report of a repair over the repaired metadata
	cp pool other
	run --separate-stderr bash -c 'exec thin_repair -i pool -o other --format json 1<>other'
	[ "$status" -eq 64 ] && [[ "$stderr" == *"'other' (output)"*"(standard output)"* ]]
	cmp pool other
	rm -rf ../kept-work
}

@test "progress lines that would go to what is read are refused before the first" {
	local line how
	fresh_work
	cp pool other && thin_dump -o xml pool && thin_metadata_pack -i pool -o pack
	cp -r . ../kept-work
	while read -r line; do
		for how in '5<>' '5>>'; do
			run --separate-stderr bash -c "exec timeout 20 ${line%%:*} --progress-fd 5 $how${line##*:}"
			[ "$status" -eq 64 ] && [[ "$stderr" == *"progress lines"* ]] || { echo "$line $how: $status $stderr"; return 1; }
			diff -r . ../kept-work || { echo "$line $how"; return 1; }
		done
	done <<-'EOF'
	thin_check pool :pool
	thin_check table :data
	thin_check --auto-repair pool :pool
	thin_dump -o new table :table
	thin_dump -o new table :pool
	thin_repair --dry-run -i pool :pool
	thin_repair -i table -o other :pool
	thin_restore -i xml -o other :xml
	thin_metadata_pack -i pool -o new :pool
	thin_metadata_unpack -i pack -o other :pack
	thin_materialize table nine new :data
	thin_apply -i raw table nine :pool
	thin_trim --dry-run --metadata-dev table :data
	thin_shrink --binary -i table -o new --nr-blocks 20 :pool
	thin_shrink --no-copy -i xml -o new --nr-blocks 100 :xml
	EOF
	rm -rf ../kept-work
}

@test "a number on the command line that no pool can have is a wrong command line, and nothing is written" {
	fresh_work
	cp -r . ../kept-work
	while read -r word line; do
		run --separate-stderr timeout 20 $line
		[ "$status" -eq 64 ] && [[ "$stderr" == *"$word"* ]] || { echo "$line: $status $stderr"; return 1; }
	done <<-'EOF'
	--nr-data-blocks thin_restore -i xml -o out --nr-data-blocks 18446744073709551615
	--nr-data-blocks thin_repair -i pool -o out --nr-data-blocks 1099511627777
	--nr-data-blocks thin_dump --nr-data-blocks 1099511627777 pool
	16777215 thin_delta --thin1 16777216 --thin2 1 pool
	16777215 thin_materialize --data-dev data --size 4M pool 16777216 image
	bytes thin_materialize --data-dev data --size 18446744073709551615 pool 1 image
	--root2 thin_delta --thin1 1 --root2 x pool
	EOF
	diff -r . ../kept-work
	rm -rf ../kept-work
}

@test "a data device or origin that is missing is named, and not called an output" {
	cd "$DIR/work"
	truncate -s 4M data out
	cp "$DIR/in/pool" pool
	while read -r c; do
		run --separate-stderr $c
		[ "$status" -eq 74 ] && [[ "$stderr" == *"'missing'"* && "$stderr" != *output* ]] ||
			{ echo "$c: $status $stderr"; return 1; }
	done <<-'EOF'
	thin_trim --metadata-dev pool --data-dev missing
	thin_shrink --binary -i pool -o out --data missing --nr-blocks 20
	thin_materialize --data-dev missing --size 4M pool 1 image
	thin_materialize --data-dev data --origin missing --size 4M pool 1 image
	EOF
	[ ! -e image ]
}

@test "thin_rmap: --region A..-1 means to the end" {
	thin_rmap --region 0..64 "$DIR/in/pool" >all
	[ -s all ]
	thin_rmap --region 0..-1 "$DIR/in/pool" | cmp - all
	[ "$(thin_rmap --region 12..-1 "$DIR/in/pool" | head -1)" = 'data 12..14 -> thin(1) 5..7' ]
	run --separate-stderr thin_rmap --region 0..-2 "$DIR/in/pool"
	[ "$status" -eq 64 ]
}
