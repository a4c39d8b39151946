#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# What stands where a writer is to write: refused and named, or overwritten.

bats_require_minimum_version 1.5.0

load needs
load loop
load things

# make_thing KIND: makes the thing that must survive
make_thing() {
	rm -f thing
	truncate -s 20M thing
	case $1 in
	ext4) mkfs.ext4 -qF thing ;;
	xfs) truncate -s 320M thing && mkfs.xfs -q thing ;;
	swap) mkswap -q thing ;;
	gpt) echo 'label: gpt' | sfdisk -q thing >/dev/null ;;
	dos) printf 'label: dos\n,,83\n' | sfdisk -q thing >/dev/null ;;
	luks)
		printf 'LUKS\272\276\0\002' | dd of=thing conv=notrunc status=none
		printf '00112233-4455-6677-8899-aabbccddeeff' | dd of=thing bs=1 seek=168 conv=notrunc status=none
		;;
	# label header in sector 1, its checksum as LVM computes it (crc with the seed 0xf597a6cf)
	pv) python3 - ;;
	table) cp table thing ;;
	xml) cp xml thing ;;
	pack) cp pack thing ;;
	text) yes 'what I wrote down' | head -c 30000 >thing ;;
	qcow2) printf 'QFI\373\0\0\0\3' | dd of=thing conv=notrunc status=none ;;
	gzip) head -c 300000 /dev/urandom | gzip >thing ;;
	tar) tar -cf thing xml pack meta ;;
	cache) printf '\3\304\30' | dd of=thing bs=1 seek=32 conv=notrunc status=none ;;
	esac <<-'EOF'
	import struct
	t = []
	for i in range(256):
	    c = i
	    for _ in range(8): c = (c >> 1) ^ (0xedb88320 if c & 1 else 0)
	    t.append(c)
	body = struct.pack("<I8s", 32, b"LVM2 001") + b"A" * 32 + struct.pack("<Q", 20 << 20) + b"\0" * 64
	body = body.ljust(512 - 20, b"\0")
	crc = 0xf597a6cf
	for b in body: crc = (crc >> 8) ^ t[(crc ^ b) & 255]
	f = open("thing", "r+b"); f.seek(512)
	f.write(b"LABELONE" + struct.pack("<QI", 1, crc) + body)
	EOF
}

things() {
	echo luks:LUKS table:table xml:XML pack:packed text:text
	echo qcow2:qcow2 gzip:gzip tar:tar cache:cache
	command -v mkfs.ext4 >/dev/null && echo ext4:ext4
	command -v mkfs.xfs >/dev/null && echo xfs:xfs
	command -v mkswap >/dev/null && echo swap:swap
	command -v sfdisk >/dev/null && echo gpt:gpt dos:dos
	command -v python3 >/dev/null && echo pv:LVM2
	return 0
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	cp --sparse=always "$BATS_FILE_TMPDIR"/* .
}

# metadata_writers OUTPUT: command lines that write metadata there, without --force
metadata_writers() {
	cat <<-EOF
	thin_restore -i xml -o $1
	thin_repair -i meta -o $1
	thin_shrink --binary --no-copy --nr-blocks 90 -i meta -o $1
	thin_metadata_unpack -i pack -o $1
	EOF
}

# refused COMMAND NAME: exit 1, the name, the way out, and not a byte of it changed
refused() {
	sha256sum thing >sum
	run --separate-stderr bash -c "$1 </dev/null"
	[ "$status" -eq 1 ] && [[ "$stderr" == *holds*"$2"*"nothing was written (--force overwrites it)" ]] &&
		sha256sum -c --quiet sum || { echo "$1 over $2: $status $stderr"; return 1; }
}

@test "every writer of metadata refuses a file that holds something else, and names it" {
	for t in $(things); do
		make_thing "${t%%:*}"
		while read -r c; do
			refused "$c" "${t#*:}"
		done < <(metadata_writers thing)
	done
}

@test "every writer of metadata overwrites it with --force" {
	for t in $(things); do
		while read -r c; do
			make_thing "${t%%:*}"
			# table and XML are too small to hold metadata
			[ "$(stat -c %s thing)" -gt 65536 ] || [[ $c == *unpack* ]] || continue
			bash -c "$c --force" || { echo "$c over $t"; return 1; }
			thin_check -q thing
		done < <(metadata_writers thing)
	done
}

@test "a thin pool, a damaged one, what an interrupted run left, and zeros are overwritten as always" {
	while read -r c; do
		for state in pool damaged stale zeros; do
			truncate -s 0 thing
			truncate -s 1M thing
			[ $state = zeros ] || cp meta thing
			[ $state != damaged ] || printf junk | dd of=thing bs=1 seek=400 conv=notrunc status=none
			# the rest of a filesystem behind a pool's first block: btrfs' magic
			[ $state != stale ] || printf _BHRfS_M | dd of=thing bs=1 seek=65600 conv=notrunc status=none
			bash -c "$c" <<<y 2>err || { echo "$c: $state: $(cat err)"; return 1; }
			thin_check -q thing
		done
	done < <(metadata_writers thing)
}

@test "a packed file replaces a packed file, an empty one and zeros, and nothing else" {
	for t in $(things); do
		[ "${t%%:*}" != pack ] || continue
		make_thing "${t%%:*}"
		refused "thin_metadata_pack -i meta -o thing" "${t#*:}"
	done
	head -c 100000 /dev/urandom >thing
	refused "thin_metadata_pack -i meta -o thing" 'binary data'
	# a raw image may begin with zeros
	{ head -c 2M /dev/zero; echo data; } >thing
	refused "thin_metadata_pack -i meta -o thing" 'binary data'
	thin_metadata_pack --force -i meta -o thing
	cmp pack thing
	for size in 0 3M; do
		truncate -s 0 thing
		truncate -s "$size" thing
		thin_metadata_pack -i meta -o thing </dev/null
		cmp pack thing
	done
	thin_metadata_pack -i meta -o thing
}

@test "a dump replaces a dump of any form, and refuses a table, metadata, packed and binary data" {
	for old in xml human_readable json; do
		for new in xml human_readable json; do
			thin_dump -f $old -o thing meta
			thin_dump -f $new -o thing meta
			thin_dump -f $new meta | cmp - thing
			thin_shrink --no-copy --nr-blocks 90 -i xml -o thing
		done
	done
	for t in table:table pack:packed ext4:binary; do
		make_thing "${t%%:*}"
		refused "thin_dump -o thing meta" "${t#*:}"
		refused "thin_shrink --no-copy --nr-blocks 90 -i xml -o thing" "${t#*:}"
	done
	cp meta thing
	refused "thin_dump -o thing meta" 'thin pool metadata'
	thin_dump --force -o thing meta
	thin_dump meta | cmp - thing
	make_thing pack
	thin_shrink --force --no-copy --nr-blocks 90 -i xml -o thing
	grep -q superblock thing
}

teardown() {
	cd "$BATS_TEST_TMPDIR"
	loops_end
}

@test "block devices are treated alike, and thin_materialize spares a thin pool too" {
	make_thing luks
	loop thing
	for t in $(things); do
		case ${t%%:*} in text | xfs) continue ;; esac
		rm -f new
		make_thing "${t%%:*}"
		truncate -s 20M thing
		cat thing >"$LOOP"
		ln -f thing new
		while read -r c; do
			run --separate-stderr bash -c "$c </dev/null"
			[ "$status" -eq 1 ] && [[ "$stderr" == *"$LOOP: holds "*"${t#*:}"*--force* ]] ||
				{ echo "$c: $t: $status $stderr"; return 1; }
			cmp thing "$LOOP"
		done < <(metadata_writers "$LOOP"; echo "thin_materialize table a $LOOP")
	done
	truncate -s 0 thing
	truncate -s 20M thing
	cat thing >"$LOOP"
	thin_restore -i xml -o "$LOOP"
	run --separate-stderr thin_materialize table a "$LOOP"
	[ "$status" -eq 1 ] && [[ "$stderr" == *"thin pool metadata"* ]]
	thin_check -q "$LOOP"
}

@test "a device that LVM or Stratis hands over is overwritten, whatever it held" {
	make_thing ext4
	loop thing
	# what sysfs would say of a device-mapper device, in a mount namespace of our own
	nr=$(stat -c '%Hr:%Lr' "$LOOP" 2>/dev/null) && [ -n "$nr" ] || skip "stat is too old"
	unshare -m true 2>/dev/null || skip "no mount namespaces"
	while read -r uuid wanted; do
		while read -r c; do
			mkfs.ext4 -qF "$LOOP"
			run unshare -m bash -c "mount -t tmpfs none /sys/dev/block && mkdir -p /sys/dev/block/$nr/dm &&
				echo '$uuid' >/sys/dev/block/$nr/dm/uuid && $c"
			[ "$status" -eq "$wanted" ] || { echo "$uuid: $c: $status $output"; return 1; }
		done < <(metadata_writers "$LOOP")
	done <<-'EOF'
	LVM-2Kq3abcdefghijklmnopqrstuvwxyz012345678901234567890123456789abcd 0
	stratis-1-private-00112233445566778899aabbccddeeff-physical-originsub 0
	CRYPT-LUKS2-00112233445566778899aabbccddeeff-root 1
	EOF
}

# metadata_makers OUTPUT: the writers that can be told a size
metadata_makers() {
	metadata_writers "$1" | grep -v unpack
}

@test "an output that is missing: how large it must be, and how it is made" {
	while read -r c; do
		rm -f new
		run --separate-stderr bash -c "$c"
		[ "$status" -eq 74 ] && [ ! -e new ] && [[ "$stderr" == *"Couldn't find output file 'new': it must exist, "* ]] &&
			[[ "$stderr" =~ "and so does "(truncate -s [0-9]+)$ ]] || { echo "$c: $status $stderr"; return 1; }
		${BASH_REMATCH[1]} new
		bash -c "$c"
		thin_check -q new
		mv new wanted
		# the same size and content by itself, and again over its own result
		bash -c "$c --size auto"
		cmp new wanted
		bash -c "$c --size auto"
		cmp new wanted
	done < <(metadata_makers new | grep -v thin_restore)
	run --separate-stderr thin_restore -i xml -o /dev/no-such-device
	[ "$status" -eq 74 ] && [[ "$stderr" == *"no such device"* ]]
	run --separate-stderr thin_restore --size auto -i xml -o /dev/no-such-device
	[ "$status" -eq 74 ] && [[ "$stderr" == *"no such device"* ]] && [ ! -e /dev/no-such-device ]
}

@test "thin_restore makes a file that is missing, as large as --size auto does, and says so" {
	rm -f new wanted
	thin_restore --size auto -i xml -o wanted
	run --separate-stderr thin_restore -i xml -o new
	[ "$status" -eq 0 ] && [[ "$stderr" == *"created 'new' with $(stat -c %s wanted) bytes"* ]]
	cmp new wanted
	# what exists keeps its size, and nothing is said of it
	run --separate-stderr thin_restore -i xml -o new
	[ "$status" -eq 0 ] && [ -z "$stderr" ]
	cmp new wanted
	rm new
	thin_restore -q -i - -o new <xml
	cmp new wanted
	for bad in no-such-folder/new new/; do
		rm -f new
		run --separate-stderr thin_restore -i xml -o $bad
		[ "$status" -eq 74 ] && [ ! -e new ]
	done
	sed '/<\/superblock>/d' xml >cut
	run --separate-stderr thin_restore -i cut -o new
	[ "$status" -eq 1 ] && [ ! -e new ] && [ "$(echo new*)" = 'new*' ]
}

@test "a size makes a new file of that size, and nothing where it does not fit" {
	while read -r c; do
		rm -f new
		bash -c "$c --size 2m"
		[ "$(stat -c %s new)" -eq 2097152 ] && thin_check -q new
		run --separate-stderr bash -c "$c --size 4m"
		[ "$status" -eq 1 ] && [[ "$stderr" == *"'new' exists and has 2097152 bytes, but --size asks for 4194304"* ]]
		[ "$(stat -c %s new)" -eq 2097152 ] && thin_check -q new
		rm new
		run --separate-stderr bash -c "$c --size 8192"
		[ "$status" -eq 1 ] && [[ "$stderr" == *"too small"* ]] && [ ! -e new ]
		for bad in 0 100 4097 many; do
			run --separate-stderr bash -c "$c --size $bad"
			[ "$status" -eq 64 ] && [ ! -e new ]
		done
		[ "$(echo new*)" = 'new*' ]
		run --separate-stderr bash -c "${c/-o new/-o /dev/null} --size 1m"
		[ "$status" -ne 0 ] && [[ "$stderr" == *"exists and is not a file"* ]]
	done < <(metadata_makers new)
	run --separate-stderr thin_shrink --no-copy --nr-blocks 90 -i xml -o new --size auto
	[ "$status" -eq 64 ]
}

@test "a terminal gets no metadata" {
	need script
	need_terminal
	while read -r c; do
		run script -qec "${c/-o new/-o -}" /dev/null </dev/null
		[ "$status" -eq 1 ] && [[ "$output" == *"binary data is not written to a terminal"* ]]
	done < <(metadata_makers new)
}

@test "standard output gets what a file would get" {
	while read -r c; do
		rm -f new
		bash -c "$c --size auto"
		bash -c "${c/-o new/-o -}" | cmp - new
	done < <(metadata_makers new)
	thin_restore --size auto -i xml -o new
	cat xml | thin_restore -i - -o - | cmp - new
	rm new
	cat xml | thin_restore -i - -o new --size auto
	thin_check -q new
	run --separate-stderr bash -c 'thin_restore -i <(cat xml) -o -'
	[ "$status" -eq 1 ] && [[ "$stderr" == *"is a pipe, which cannot be read twice"* ]]
	cat xml | thin_shrink --no-copy --nr-blocks 90 -i - -o - >got
	thin_shrink --no-copy --nr-blocks 90 -i xml -o want
	cmp want got
	cat meta | thin_shrink --binary --no-copy --nr-blocks 90 -i - -o - >got
	thin_check -q got
}

@test "the size that is chosen is enough for random pools with shared parts" {
	for i in 1 2 3 4 5 6; do
		seed=$((RANDOM * 32768 + RANDOM))
		echo "seed $seed"
		awk -v seed=$seed 'BEGIN {
			srand(seed); nd = int(rand() * 9); b = 0; n = 5000 + int(rand() * 200000)
			printf "<superblock uuid=\"\" time=\"1\" transaction=\"1\" data_block_size=\"128\" nr_data_blocks=\"%d\">\n", n
			for (d = 0; d < nd; d++) {
				printf "<def name=\"%d\">\n", d
				for (k = 0; k < 1 + int(rand() * 300); k++)
					printf "<single_mapping origin_block=\"%d\" data_block=\"%d\" time=\"0\"/>\n", d * 1000 + 2 * k, b++ % n
				print "</def>"
			}
			for (t = 1; t <= 1 + int(rand() * 40); t++) {
				printf "<device dev_id=\"%d\" mapped_blocks=\"0\" transaction=\"0\" creation_time=\"0\" snap_time=\"1\">\n", t
				for (d = 0; d < nd; d++) if (rand() < .7) printf "<ref name=\"%d\"/>\n", d
				print "</device>"
			}
			print "</superblock>" }' >random
		thin_restore -q -i random -o new --size auto
		thin_check -q new
		thin_repair -q -i new -o again --size auto
		thin_check -q again
		rm new again
	done
}

# world: every name here but the test's own, its size, and when it was last written or changed
world() { find . ! -name before -printf '%p %s %T@ %C@ %m\n' | sort; }

# same_said COMMAND...: with --dry-run and then without it, the command ends alike, a failure with the same last line
same_said() {
	local dry said=

	world >before
	run "$@" --dry-run
	dry=$status
	[ "$status" -eq 0 ] || said=${lines[-1]}
	world | diff before - >&2 || { echo "changed by a dry run: $*"; return 1; }
	run "$@"
	[ "$status" -eq "$dry" ] || { echo "$*: $status $output, and as a dry run $dry $said"; return 1; }
	[ "$status" -eq 0 ] || [ "${lines[-1]}" = "$said" ] || { echo "$*: ${lines[-1]}, and as a dry run: $said"; return 1; }
}

@test "a dry run says of its output what the run says, and changes nothing" {
	local to

	mkdir folder
	mkfifo pipe
	ln -s nowhere link
	truncate -s 8K small
	truncate -s 1M good taken
	make_thing luks
	exec 7<taken
	flock 7 # as another program that reads it
	for to in good none/x folder folder/ link pipe small thing taken table meta data /proc/none /dev/none ''; do
		same_said thin_repair -i table -o "$to"
		same_said thin_shrink --binary --no-copy --nr-blocks 90 -i table -o "$to"
		case $to in
		pipe) timeout 9 thin_shrink -q -n --no-copy --nr-blocks 90 -i xml -o pipe ;; # nobody reads it
		small) ;; # would become XML
		*) same_said thin_shrink --no-copy --nr-blocks 90 -i xml -o "$to" ;;
		esac
		same_said thin_materialize table a "$to"
	done
	rm good
	for to in good good none/x thing /proc/none /dev/none ''; do
		same_said thin_repair --size auto -i table -o "$to"
		same_said thin_shrink --size auto --binary --no-copy --nr-blocks 90 -i table -o "$to"
	done
	exec 7<&-
}

@test "a dry run says that a block device is read-only or held, as the run does" {
	truncate -s 8M read held
	loop -r read
	same_said thin_repair -i table -o "$LOOP"
	same_said thin_shrink --binary --no-copy --nr-blocks 90 -i table -o "$LOOP"
	same_said thin_materialize table a "$LOOP"
	[ "$status" -eq 74 ]
	[[ "$output" == *"is read-only"* ]]
	need mkfs.ext4
	loop held
	mkfs.ext4 -qF "$LOOP"
	mount_loop
	same_said thin_repair --force -i table -o "$LOOP"
	same_said thin_shrink -f --binary --no-copy --nr-blocks 90 -i table -o "$LOOP"
	same_said thin_materialize -f table a "$LOOP"
	[ "$status" -eq 74 ]
}

@test "a dry run of what changes a pool or an image in place says what the run says of a file that cannot be written" {
	local busy

	truncate -s 512K image
	sed '1s/$/ 1 read_only/' table >other
	writers() {
		rm -f made
		same_said thin_message "$1" 'create_thin 77'
		[ "$1" = other ] || same_said thin_shrink --binary --nr-blocks 90 -i "$1" --data data -o made --size auto
		same_said thin_apply -i image "$1" a
	}
	for busy in meta data; do
		exec 7<$busy
		flock -s 7
		writers table
		exec 7<&-
	done
	[ "$status" -eq 74 ]
	[[ "$output" == *"'data'"* || "$output" == *"/data'"* ]]
	writers other
	[ "$status" -eq 1 ]
	[[ "$output" == *read_only* ]]
	exec 7<image
	flock -s 7
	cp image again
	same_said thin_apply -i again image
	[ "$status" -eq 74 ]
	exec 7<&-
	loop -r image
	same_said thin_apply -i again "$LOOP"
	[ "$status" -eq 74 ]
	loop -r meta
	same_said thin_message "$LOOP" 'create_thin 77'
	[ "$status" -eq 74 ]
}

@test "what an interrupted writer left is called that by every reader, and not a damaged pool" {
	local c words="a thin pool tool was interrupted while it wrote this metadata"

	"$abs_top_builddir/tests/damage/damage" meta superblock-unfinished >/dev/null
	for c in thin_check thin_dump thin_ls thin_info 'thin_rmap --region 0..9' 'thin_delta --thin1 1 --thin2 2' \
		'thin_trim --data-dev data --metadata-dev' 'thin_repair --dry-run -i' 'thin_dump --repair' 'thin_materialize --map --data-dev data --size 1M 1'; do
		c=${c/%1M 1/1M meta 1} # POOL stands before DEVICE
		[[ $c == *' meta 1' ]] || c+=' meta'
		run --separate-stderr $c
		[ "$status" -eq 1 ] && [[ "$stderr" == *"$words"* ]] || { echo "$c: $status $stderr"; return 1; }
	done
	run --separate-stderr thin_message meta 'create_thin 9'
	[ "$status" -eq 1 ]
	[[ "$stderr" == "thin_message: meta: bad checksum in superblock: $words" ]]
	run thin_check --format json meta
	[[ "$output" == *'"superblock-unfinished"'* ]]
	run --separate-stderr thin_check meta
	[ "$stderr" = "thin_check: bad checksum in superblock: $words; run that command again" ]
	thin_restore -i xml -o meta # as the message says
	thin_check -q meta
	! grep -q "$words" meta
}

@test "an output may have the longest name that there is, new and replaced" {
	local to name twice command

	for name in "$(printf 'n%.0s' {1..255})" "$(printf 'ä%.0s' {1..127})"; do
		mkdir folder
		to=folder/$name
		for command in "thin_dump meta -o $to" "thin_metadata_pack -f -i meta -o $to" "thin_metadata_unpack -f -i pack -o $to" \
			"thin_restore -q -i xml --size auto -o $to" "thin_repair -q --size auto -i meta -o $to" \
			"thin_shrink -q --binary --no-copy --nr-blocks 90 --size auto -i meta -o $to" \
			"thin_shrink -q --no-copy --nr-blocks 90 -i xml -o $to" \
			"thin_materialize -q -f table a $to" "thin_materialize -q -f -O qcow2 table a $to"; do
			for twice in 1 2; do
				eval "$command" </dev/null
				[ "$(ls folder)" = "$name" ] || { echo "$command: $(ls folder)"; return 1; }
			done
			rm "$to"
		done
		rmdir folder
	done
}
