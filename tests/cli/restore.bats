#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_restore: what it takes, what it makes, what it leaves when it cannot.

bats_require_minimum_version 1.5.0
load loop
load needs

XML=$abs_top_srcdir/xml
PDATA=/usr/sbin/thin_check # the 0.9.0 generation, when it is installed

teardown() {
	loops_end
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	truncate -s 4M out
}

need_rival() {
	[[ "$($PDATA -V 2>/dev/null)" == 0.9.0 ]] || skip "thin-provisioning-tools 0.9.0 is not installed"
}

# Is block 0 of $1 marked: neither zero nor a valid superblock?
marked_invalid() {
	[ "$(head -c 4096 "$1" | tr -d '\0' | wc -c)" -gt 0 ]
	run thin_dump "$1"
	[ "$status" -eq 1 ]
}

# A pool of $1 devices, each of $2 single mappings
make_xml() {
	echo '<superblock uuid="" time="0" transaction="1" version="2" data_block_size="128" nr_data_blocks="1000000">'
	for ((d = 0; d < $1; d++)); do
		echo "<device dev_id=\"$d\" mapped_blocks=\"$2\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\">"
		awk -v d="$d" -v n="$2" 'BEGIN { for (i = 0; i < n; i++)
			printf "<single_mapping origin_block=\"%d\" data_block=\"%d\" time=\"0\"/>\n", i, d * n + (i * 7919) % n }'
		echo '</device>'
	done
	echo '</superblock>'
}

@test "thin_restore: every good sample restores silently, and dumps the same from the result" {
	for f in "$XML"/good/*.xml; do
		[[ $f != */numbers.xml ]] || continue # 2^40 data blocks
		truncate -s 0 out
		truncate -s 4M out
		run thin_restore -i "$f" -o out
		[ "$status" -eq 0 ] || { echo "$f: $output"; return 1; }
		[ -z "$output" ] || [[ "$output" == *mapped_blocks* ]] || { echo "$f: $output"; return 1; }
		thin_dump out >first.xml
		truncate -s 4M again
		thin_restore -i first.xml -o again
		thin_dump again | cmp - first.xml
	done
}

@test "thin_restore: every bad sample exits 1, names file and line, and leaves no pool" {
	for f in "$XML"/bad/*.xml; do
		run --separate-stderr thin_restore -i "$f" -o out
		[ "$status" -eq 1 ] || { echo "$f: $status $stderr"; return 1; }
		[[ "$stderr" == *"thin_restore: $f: line "* ]] || { echo "$f: $stderr"; return 1; }
		run thin_dump out
		[ "$status" -eq 1 ]
	done
}

@test "thin_restore: damage inside of the XML is found after the old pool went, and that is said" {
	sed 's/<single_mapping/<other_mapping/' "$XML/good/tiny.xml" >bad.xml
	thin_restore -i "$XML/good/tiny.xml" -o out
	for input in "-i bad.xml" "-i -"; do
		run --separate-stderr thin_restore $input -o out <bad.xml
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"'out' holds no pool now"* ]] || { echo "$stderr"; return 1; }
		run thin_check out
		[ "$status" -eq 1 ]
		thin_restore -i "$XML/good/tiny.xml" -o out
	done
	run --separate-stderr thin_restore -i bad.xml -o new
	[ "$status" -eq 1 ]
	[[ "$stderr" != *"holds no pool now"* ]]
	[ ! -e new ]
}

@test "thin_restore: 0.9.0 accepts what it makes and dumps the same mappings" {
	need_rival
	for f in "$XML"/good/{tiny,many,shared,no-mappings,empty}.xml; do
		thin_restore -i "$f" -o out
		/usr/sbin/thin_check out
		/usr/sbin/thin_dump out | sed 's/ flags="[0-9]*"//' >theirs.xml
		thin_dump --no-shared out | sed 's/ flags="[0-9]*"//' >ours.xml
		cmp ours.xml theirs.xml || { echo "$f"; return 1; }
	done
}

@test "thin_restore: what 0.9.0 makes and what it makes hold the same" {
	need_rival
	for f in "$XML"/good/{tiny,many,no-mappings}.xml; do
		truncate -s 4M theirs
		/usr/sbin/thin_restore -i "$f" -o theirs >/dev/null
		thin_restore -i "$f" -o out
		# where shared blocks are not protected, the pool's time and snap_times are raised
		thin_dump theirs | sed 's/snap_time="[0-9]*"//; /<superblock/s/ time="[0-9]*"//' >theirs.xml
		thin_dump out | sed 's/snap_time="[0-9]*"//; /<superblock/s/ time="[0-9]*"//' | cmp - theirs.xml
	done
}

@test "thin_restore: reads a pipe, standard input and a fifo" {
	thin_restore -i "$XML/good/tiny.xml" -o out
	mkfifo ff
	for way in file dash fifo; do
		truncate -s 4M o2
		case $way in
		file) thin_restore -i /dev/stdin -o o2 <"$XML/good/tiny.xml" ;;
		dash) cat "$XML/good/tiny.xml" | thin_restore -i - -o o2 ;;
		fifo)
			cat "$XML/good/tiny.xml" >ff &
			thin_restore -i ff -o o2
			;;
		esac
		cmp out o2
		rm o2
	done
}

@test "thin_restore: the worked example takes 12 blocks, and says so when it has fewer" {
	truncate -s $((12 * 4096)) fits
	thin_restore -i "$XML/good/tiny.xml" -o fits
	truncate -s $((11 * 4096)) small
	run --separate-stderr thin_restore -i "$XML/good/tiny.xml" -o small
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"output 'small': too small: needs at least 12 blocks, has 11"* ]]
}

@test "thin_restore: an output that is too small is left untouched when the XML is a file" {
	make_xml 3 2000 >big.xml
	head -c 81920 /dev/urandom >small
	cp small before
	run --separate-stderr thin_restore -i big.xml -o small
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"too small: needs at least 97 blocks, has 20"* ]] || { echo "$stderr"; return 1; }
	cmp small before
	truncate -s $((97 * 4096)) fits
	thin_restore -i big.xml -o fits
	truncate -s $((96 * 4096)) fits_not
	run -1 thin_restore -i big.xml -o fits_not
}

@test "thin_restore: more data blocks than metadata can count are refused before the first write" {
	run --separate-stderr thin_restore -i "$XML/good/numbers.xml" -o out
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"more than the format's limit of 4161600"* ]]
	cmp out /dev/zero -n 4194304
}

@test "thin_restore: from a pipe too small is found at the end, with the same number, and no pool is left" {
	make_xml 3 2000 >big.xml
	truncate -s $((80 * 4096)) small
	run --separate-stderr thin_restore -i - -o small < <(cat big.xml)
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"too small: needs at least 97 blocks, has 80"* ]] || { echo "$stderr"; return 1; }
	marked_invalid small
}

@test "thin_restore: claims of mapped_blocks that are too high do not refuse what fits" {
	sed 's/mapped_blocks="4"/mapped_blocks="999999"/' "$XML/good/tiny.xml" >liar.xml
	truncate -s $((12 * 4096)) fits
	run --separate-stderr thin_restore -i liar.xml -o fits
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"device 1: the XML says mapped_blocks=\"999999\", but maps 4 blocks"* ]]
	thin_restore -i "$XML/good/tiny.xml" -o out
	[[ "$(thin_dump fits | sha256sum)" == "$(thin_dump out | sha256sum)" ]]
}

@test "thin_restore: --quiet says nothing, whatever happens" {
	sed 's/mapped_blocks="4"/mapped_blocks="5"/' "$XML/good/tiny.xml" >liar.xml
	run thin_restore -q -i liar.xml -o out
	[ "$status" -eq 0 ] && [ -z "$output" ]
	run thin_restore --quiet -i no-such-file -o out
	[ "$status" -eq 74 ] && [ -z "$output" ]
	run thin_restore -q -i "$XML/bad/key-twice.xml" -o out
	[ "$status" -eq 1 ] && [ -z "$output" ]
}

@test "thin_restore: an output that exists keeps its size" {
	mkdir dir
	run --separate-stderr thin_restore -i "$XML/good/tiny.xml" -o dir
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"Invalid output file"* ]]
	truncate -s 100001 odd
	thin_restore -i "$XML/good/tiny.xml" -o odd
	[ "$(stat -c %s odd)" -eq 100001 ]
}

@test "thin_restore: input and output must be told, and be two" {
	run --separate-stderr thin_restore -o out
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"No input file provided."* ]]
	run --separate-stderr thin_restore -i "$XML/good/tiny.xml"
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"No output file provided."* ]]
	cp "$XML/good/tiny.xml" same.xml
	ln same.xml other.xml
	for o in same.xml other.xml ./same.xml; do
		run --separate-stderr thin_restore -i same.xml -o $o
		[ "$status" -eq 64 ]
		[[ "$stderr" == *"is both input and output"* ]]
		run --separate-stderr thin_restore -i - -o $o <same.xml
		[ "$status" -eq 64 ]
	done
	cmp same.xml "$XML/good/tiny.xml"
}

@test "thin_restore: metadata given for XML, a directory and a missing file are told apart" {
	thin_restore -i "$XML/good/tiny.xml" -o out
	truncate -s 4M o2
	run --separate-stderr thin_restore -i out -o o2
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"holds binary metadata"* ]]
	run --separate-stderr thin_restore -i . -o o2
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"is a directory"* ]]
	run --separate-stderr thin_restore -i nothing -o o2
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"Couldn't find input file 'nothing'"* ]]
	cmp o2 /dev/zero -n 4194304
}

@test "thin_restore: overrides are applied before anything is built" {
	thin_restore -i "$XML/good/tiny.xml" -o out --transaction-id 99 --data-block-size 1024 \
		--nr-data-blocks 50000
	[[ "$(thin_dump out | head -1)" == *'transaction="99" version="2" data_block_size="1024" nr_data_blocks="50000"'* ]]
	[ ! -x $PDATA ] || $PDATA -q out
	run --separate-stderr thin_restore -i "$XML/good/tiny.xml" -o out --data-block-size 100
	[ "$status" -eq 64 ]
	run --separate-stderr thin_restore -i "$XML/good/tiny.xml" -o out --nr-data-blocks 20x
	[ "$status" -eq 64 ]
	run --separate-stderr thin_restore -i "$XML/good/tiny.xml" -o out --nr-data-blocks=20
	[ "$status" -eq 1 ] || [[ "$(thin_dump out | head -1)" == *'nr_data_blocks="100"'* ]]
}

@test "thin_restore: a second writer of the same file is refused as busy" {
	mkfifo ff
	thin_restore -i ff -o out &
	exec 7<>ff # does not wait for a reader, which may have ended
	for ((i = 0; i < 600; i++)); do
		run --separate-stderr thin_restore -i "$XML/good/tiny.xml" -o out
		[ "$status" -eq 0 ] || break
		sleep 0.05
	done
	exec 7>&-
	wait || true
	[ "$status" -eq 74 ]
	[[ "$stderr" == *busy* ]]
}

@test "thin_restore: killed half way it leaves neither a pool nor zeros, whatever was there" {
	thin_restore -i "$XML/good/tiny.xml" -o out
	cp out before
	make_xml 2 20000 >big.xml
	mkfifo ff
	for signal in KILL INT TERM; do
		# in a job of its own, so that SIGINT is not ignored
		rm -f pid
		(set -m; thin_restore -i ff -o out & echo $! >new; mv new pid; wait $! 2>/dev/null) &
		exec 7<>ff # does not wait for a reader, which may have ended
		for ((i = 0; i < 1200; i++)); do [ -s pid ] && break; sleep 0.05; done
		timeout 100 head -c 1500000 big.xml >&7
		for ((i = 0; i < 600; i++)); do sleep 0.05; cmp -s -n 4096 out before || break; done
		kill -$signal "$(cat pid)"
		exec 7>&-
		wait || true
		marked_invalid out
		thin_restore -i "$XML/good/tiny.xml" -o out
	done
	thin_dump out | grep -q 'transaction="5"'
}

@test "thin_restore: a limit on file sizes is said, and leaves no pool" {
	thin_restore -i "$XML/good/tiny.xml" -o out
	make_xml 2 30000 >big.xml
	run --separate-stderr bash -c 'ulimit -f 100; exec thin_restore -i big.xml -o out'
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"File too large"* ]]
	marked_invalid out
}

@test "thin_restore: a full disk below the output is said, and leaves no pool" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to mount a small tmpfs"
	mkdir small
	mount -t tmpfs -o size=256k tmpfs small 2>/dev/null || skip "cannot mount a tmpfs"
	truncate -s 4M small/out
	make_xml 2 30000 >big.xml
	run --separate-stderr thin_restore -i big.xml -o small/out
	cp --sparse=always small/out copy
	umount small
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"No space left"* ]]
	marked_invalid copy
}

@test "thin_restore: a block device in use is refused, a free one is written" {
	truncate -s 4M disk
	loop disk
	thin_restore -i "$XML/good/tiny.xml" -o "$LOOP"
	thin_dump "$LOOP" >on-disk.xml
	need mkfs.ext4
	mkfs.ext4 -q "$LOOP"
	mount_loop
	run --separate-stderr thin_restore -i "$XML/good/tiny.xml" -o "$LOOP"
	[ "$status" -eq 74 ]
	[[ "$stderr" == *busy* ]]
	thin_restore -i "$XML/good/tiny.xml" -o out
	thin_dump out | cmp - on-disk.xml
}

@test "thin_restore: a cut dump in a file is refused before the old pool goes, wherever it is cut" {
	cd "$BATS_TEST_TMPDIR"
	xml=$abs_top_srcdir/xml/good/many.xml
	truncate -s 2M meta
	thin_restore -i "$xml" -o meta
	cp meta before
	size=$(sed -z 's/[[:space:]]*$//' "$xml" | wc -c)
	seed=$RANDOM
	echo "seed $seed" >&2
	RANDOM=$seed
	for n in 0 1 $((size - 1)) $((size - 2)) $((size - 12)) $((size - 13)) $((size - 14)) $(for i in 1 2 3 4 5 6 7 8; do echo $(((RANDOM * 32768 + RANDOM) % size)); done); do
		head -c "$n" "$xml" >cut
		run --separate-stderr thin_restore -i cut -o meta
		[ "$status" -eq 1 ] && [[ "$stderr" == *cut*"nothing was written"* ]] && cmp before meta ||
			{ echo "$n: $status $stderr"; return 1; }
		# zeros behind it: a file that a crash has cut
		truncate -s $((n + 5000)) cut
		run thin_restore -i cut -o meta
		[ "$status" -eq 1 ] && cmp before meta
	done
	# a comment at the end, and white space
	{ cat "$xml"; echo '<!-- kept by me -->'; yes '' | head -c 10; } >whole
	thin_restore -i whole -o meta
	thin_dump meta | cmp - <(thin_dump before)
}

@test "an output that is some blocks too small is refused before the first write, also where shared parts are copied" {
	local n
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/snap-tree.tar.zst" snap-tree/meta.img
	thin_dump -o shared.xml snap-tree/meta.img
	for n in {80..100}; do
		rm -f old
		thin_restore -q -i "$abs_top_srcdir/xml/good/tiny.xml" -o old --size $((n * 4096))
		cp old before
		run --separate-stderr thin_restore -i shared.xml -o old
		[ "$status" -eq 0 ] && break
		[ "$status" -eq 1 ] && [[ "$stderr" == *"output 'old'"*"needs at least"*"has $n"* ]]
		cmp old before
		# a repair says the same, and so does its dry run
		run --separate-stderr thin_repair --dry-run -i snap-tree/meta.img -o old
		[ "$status" -eq 1 ] && [[ "$stderr" == *"output 'old'"*"needs at least"*"has $n"*"nothing was written"* ]]
		run --separate-stderr thin_repair -i snap-tree/meta.img -o old
		[ "$status" -eq 1 ] && cmp old before
	done
	[ "$n" -gt 80 ] && [ "$n" -lt 100 ]
	thin_check -q old
	thin_repair -i snap-tree/meta.img -o old
	thin_check -q old
}
