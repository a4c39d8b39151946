#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_apply: what it takes, and what it refuses before the first write.

bats_require_minimum_version 1.5.0
load needs
load increment.bash

@test "an image of each form, and increments of each form, become a thin device of another pool" {
	new_seed 11
	local i
	new_pool
	change_and_snap 0
	change_and_snap 1
	thin_materialize pool s0 s0.img
	thin_materialize pool s1 s1.img
	thin_materialize -O qcow2 -c pool s0 s0.qcow2
	thin_materialize -O rbd-diff pool s0 s0.rbd
	thin_materialize --since s0 -O qcow2 --backing s0.qcow2 pool s1 s1.qcow2
	thin_materialize --since s0 -O rbd-diff pool s1 s1.rbd
	truncate -s 2M meta2
	truncate -s 128M data2
	local origin=
	[ "$(pick 2)" -eq 0 ] || { origin=base2; head -c $((1000000 + $(pick 3000000))) /dev/urandom >base2; }
	{
		echo "pool: 0 262144 thin-pool meta2 data2 $BLOCK 0 1 skip_block_zeroing"
		for i in 1 2 3 4 5; do echo "d$i: 0 40000 thin pool $i $origin"; done
	} >pool2
	yes junk | head -c 128M | dd of=data2 conv=notrunc status=none
	thin_message pool2 'create_thin 1' 'create_thin 2' 'create_thin 3' 'create_thin 4' 'create_thin 5'
	thin_apply -i s0.img pool2 d1
	thin_apply -i s0.qcow2 pool2 d2
	thin_apply -i s0.rbd pool2 d3
	thin_message pool2 'create_snap 9 3'
	for i in 1 2 3; do
		thin_materialize -f --size "$(stat -c %s s0.img)" pool2 d$i out
		cmp out s0.img
	done
	thin_apply -i s1.qcow2 pool2 d4
	thin_apply -i s1.qcow2 --top pool2 d2
	thin_apply pool2 d3 <s1.rbd
	for i in 2 3 4; do
		thin_materialize -f --size "$(stat -c %s s1.img)" pool2 d$i out
		cmp out s1.img
	done
	thin_check -q meta2
	# the snapshot is what it was
	thin_materialize -f --size "$(stat -c %s s0.img)" ${origin:+--origin $origin} pool2 9 out
	cmp out s0.img
	# what is zero takes no space where no origin shines through
	[ -n "$origin" ] || [ "$(thin_ls --no-headers -o MAPPED_BLOCKS pool2 | head -1)" -le $(($(stat -c %s s0.img) / 512 / BLOCK + 1)) ]
}

@test "qemu-img's own images, of any cluster size, compressed and chained, are applied as they read" {
	need qemu-img
	new_seed 12
	local bits kind
	small_pool
	for bits in 512 4096 65536 2097152; do
		for kind in "" "-c" ${ZSTD:+"-c -o compression_type=zstd"}; do
			[ "$bits" -ge 4096 ] || [[ "$kind" != *zstd* ]] || continue # qemu-img compresses no smaller clusters with zstd
			qemu-img convert $kind -f raw -O qcow2 -o cluster_size=$bits s1.img q.qcow2
			truncate -s 0 out
			thin_apply -i q.qcow2 out
			qemu-img compare -q -f raw -F raw out s1.img
		done
	done
	qemu-img convert -f raw -O qcow2 -o compat=0.10 s0.img v2.qcow2
	mkdir -p sub
	qemu-img create -q -f qcow2 -b ../v2.qcow2 -F qcow2 sub/o.qcow2 20M
	qemu-io -c 'write -P 7 100k 300k' -c 'write -z 1M 1M' -c 'discard 2M 1M' sub/o.qcow2 >/dev/null
	qemu-img convert -O raw sub/o.qcow2 want
	truncate -s 0 out
	thin_apply -i sub/o.qcow2 out
	cmp out want
	cp s0.img out
	thin_apply -i sub/o.qcow2 --top out
	cmp out want
}

@test "every truncation of a stream is refused or says what was applied and that it can be run again" {
	new_seed 13
	local size cut was n
	small_pool
	thin_materialize --since s0 -O rbd-diff pool s1 inc
	size=$(stat -c %s inc)
	for ((n = 0; n < 40; n++)); do
		if [ "$n" -lt 30 ]; then cut=$n; else cut=$(($(pick 32768) * 32768 % size)); fi
		[ "$n" -ne 39 ] || cut=$((size - 1))
		head -c "$cut" inc >short
		cp s0.img image
		run --separate-stderr thin_apply -i short image
		[ "$status" -eq 1 ] || [ "$status" -eq 64 ]
		[[ "$stderr" == *"short"* ]]
		cmp image s0.img
		run --separate-stderr thin_apply image < <(cat short)
		[ "$status" -eq 1 ] || [ "$status" -eq 64 ]
		[ "$cut" -lt 12 ] || [[ "$stderr" == *"apply the whole stream again"* ]] || { echo "$cut: $stderr"; return 1; }
		thin_apply -i inc image
		cmp image s1.img
	done
	{ cat inc; echo more; } >long
	cp s0.img image
	run --separate-stderr thin_apply -i long image
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"more data after the end"* ]]
	cmp image s0.img
}

@test "every truncation of a qcow2 image is refused before the first write" {
	new_seed 14
	local size n cut
	small_pool
	thin_materialize -O qcow2 -c pool s1 q.qcow2
	size=$(stat -c %s q.qcow2)
	cp s0.img image
	for ((n = 0; n < 30; n++)); do
		cut=$(($(pick 32768) * 32768 % size + $(pick 32768)))
		[ "$cut" -lt "$size" ] || continue
		head -c $cut q.qcow2 >short.qcow2
		run --separate-stderr thin_apply --format qcow2 -i short.qcow2 image
		[ "$status" -eq 1 ] || { echo "$cut of $size: $status $stderr"; return 1; }
		cmp image s0.img
	done
}

@test "a wrong base, a wrong result, a small target and a target that is the input are refused" {
	new_seed 15
	local digest
	small_pool
	digest=$(sha256sum <s0.img | cut -d' ' -f1)
	thin_materialize --since s0 -O rbd-diff pool s1 inc
	cp s0.img image
	printf x | dd of=image bs=1 seek=5000 conv=notrunc status=none
	cp image was
	run --separate-stderr thin_apply --base-sha256 "$digest" -i inc image
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"it is not the base, nothing was written"* ]]
	cmp image was
	cp s0.img image
	thin_apply --base-sha256 "$digest" --sha256 "$(sha256sum <s1.img | cut -d' ' -f1)" -i inc image
	cmp image s1.img
	run --separate-stderr thin_apply --sha256 "$digest" -i inc image
	cmp -s s0.img s1.img || { [ "$status" -eq 1 ] && [[ "$stderr" == *"the result is wrong"* ]]; }
	run --separate-stderr thin_apply -i s1.img s1.img
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"s1.img"* ]]
	thin_materialize -O qcow2 --since s0 --backing s0.img pool s1 o.qcow2
	run --separate-stderr thin_apply -i o.qcow2 s0.img
	[ "$status" -eq 64 ]
	# a device with a smaller LENGTH
	sed -i 's/^s0: 0 [0-9]*/s0: 0 1024/' pool
	cp meta.img meta.was
	run --separate-stderr thin_apply -i s1.img pool s0
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"LENGTH"* ]]
	cmp meta.img meta.was
	run --separate-stderr thin_apply -i s1.img nowhere
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"Couldn't find 'nowhere'"*"truncate -s 0 'nowhere'" ]]
	# a difference needs the file that it is a difference to
	run --separate-stderr thin_apply -i inc nowhere
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"Couldn't find 'nowhere'"* && "$stderr" != *truncate* ]]
	[ ! -e nowhere ]
	run --separate-stderr thin_apply -n --base-sha256 "$digest" -i inc was
	[ "$status" -eq 1 ]
}

@test "what a stream, an unlisted device or bare metadata do not tell is asked for before the first write" {
	new_seed 12
	new_pool
	change_and_snap 0
	thin_materialize pool s0 s0.img
	thin_materialize -O qcow2 pool s0 s0.qcow2
	cp meta.img before
	while IFS='|' read -r words in want; do
		# shellcheck disable=SC2086
		run --separate-stderr thin_apply $words <"$in"
		[ "$status" -eq 64 ] && [[ "$stderr" == *"$want"* ]] || { echo "$words: $status $stderr"; return 1; }
		cmp meta.img before
	done <<-'WORDS'
		pool vm|s0.qcow2|a qcow2 image cannot be read from a stream: name its file with -i
		-i s0.img pool 77|/dev/null|device 77 has no line in the table, so its size and origin are not known
		-i s0.img meta.img 0|/dev/null|meta.img is bare metadata, which does not name the data device: give --data-dev
	WORDS
	run --separate-stderr thin_materialize -O rbd-diff --to-snap "$(head -c 5000 /dev/zero | tr '\0' x)" pool s0 s0.rbd
	[ "$status" -eq 1 ] && [[ "$stderr" == *"the name of a snapshot has at most "* ]] && [ ! -e s0.rbd ]
}

@test "a stream through a pipe has no size before it is read: what does not fit is refused with the size that it needs" {
	local head='rbd diff v1\n'
	printf '%s\n' 'pool: 0 1024 thin-pool meta.img data.img 128 0' 'vm: 0 2048 thin pool 0' >pool
	truncate -s 1M meta.img
	truncate -s 512K data.img
	thin_message pool 'create_thin 0'
	# a size, a record of zeros and one of bytes, each beyond the end
	for text in 's\0\0\040\0\0\0\0\0e' 'z\0\0\020\0\0\0\0\0\0\0\020\0\0\0\0\0e' 'w\0\0\020\0\0\0\0\0\3\0\0\0\0\0\0\0abce'; do
		run --separate-stderr thin_apply pool vm < <(printf '%b' "$head$text")
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"vm: has 1048576 bytes, the image needs "* ]] || { echo "$text: $stderr"; return 1; }
	done
	# the digest of the result is that of the whole device, where the stream tells no size
	printf '%b' "${head}w\0\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0abce" >diff
	{ printf abc; head -c $((1048576 - 3)) /dev/zero; } >want
	thin_apply --sha256 "$(sha256sum <want | cut -d' ' -f1)" pool vm < <(cat diff)
	thin_materialize pool vm got
	cmp want got
	run --separate-stderr thin_apply --sha256 "$(sha256sum <diff | cut -d' ' -f1)" pool vm < <(cat diff)
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"the result is wrong"* ]]
	# a file without a told size ends where its last record ends
	truncate -s 0 file
	thin_apply file < <(cat diff)
	[ "$(cat file)" = abc ]
	# neither bare metadata nor the stream tells how large a device is
	run --separate-stderr thin_apply --data-dev data.img meta.img 0 < <(cat diff)
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"the size of device 0 is not known: name the pool by a table"* ]]
	# a qcow2 image must be a file
	run --separate-stderr thin_apply pool vm < <(printf 'QFI\xfb\0\0\0\3'; head -c 10000 /dev/zero)
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"a qcow2 image cannot be read from a stream"* ]]
	# another version is named, in a file and in a pipe
	printf 'rbd diff v2\nsomething of version 2' >other
	run --separate-stderr thin_apply -i other file
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"is an rbd diff of version 2; only version 1 is read"* ]]
	[ "$(cat file)" = abc ]
}

@test "a backing file that is no file, or whose format nobody tells, is refused by name" {
	need qemu-img python3
	truncate -s 1M target
	qemu-img create -q -f qcow2 base.qcow2 1M
	qemu-img create -q -u -f qcow2 -b base.qcow2 -F qcow2 a.qcow2 1M
	cp a.qcow2 b.qcow2
	python3 - <<-'PY'
	# b: its backing file is one of a server; c: as qemu-img wrote overlays before it asked for the format
	import re
	image = open("a.qcow2", "rb").read()
	open("b.qcow2", "wb").write(image.replace(b"base.qcow2", b"nbd:host:1"))
	at = image.find(bytes.fromhex("e2792aca"))
	assert at > 0
	open("c.qcow2", "wb").write(image[:at] + bytes.fromhex("12345678") + image[at + 4:])
	PY
	run --separate-stderr thin_apply -i b.qcow2 target
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"backing file 'nbd:host:1' is not the name of a file: only files and block devices are read"* ]]
	run --separate-stderr thin_apply -i c.qcow2 target
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"base.qcow2: looks like a qcow2 image, but the image above it does not record its backing file's format"* ]]
	cmp target <(head -c 1M /dev/zero)
}

@test "loops of backing files, formats and features that are not understood are refused by name" {
	need qemu-img
	truncate -s 1M target
	qemu-img create -q -f qcow2 a.qcow2 1M
	qemu-img create -q -f qcow2 -b a.qcow2 -F qcow2 b.qcow2
	qemu-img rebase -u -b b.qcow2 -F qcow2 a.qcow2
	run --separate-stderr timeout 20 thin_apply -i a.qcow2 target
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"loop"* ]]
	qemu-img create -q -f qcow2 -o extended_l2=on,cluster_size=64k sub.qcow2 1M
	run --separate-stderr thin_apply -i sub.qcow2 target
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"subclusters"* ]]
	qemu-img create -q -f qcow2 -o data_file=d.raw ext.qcow2 1M
	run --separate-stderr thin_apply -i ext.qcow2 target
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"external data file"* ]]
	qemu-img create -q -f vmdk v.vmdk 1M
	qemu-img create -q -f qcow2 -b v.vmdk -F vmdk c.qcow2
	run --separate-stderr thin_apply -i c.qcow2 target
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"vmdk"* ]]
	run --separate-stderr thin_apply -i v.vmdk target
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"vmdk"* ]]
	# a chain as long as it may be, and one longer
	qemu-img create -q -f qcow2 000.qcow2 1M
	qemu-img create -q -u -f qcow2 -b 000.qcow2 -F qcow2 one.qcow2 1M
	for n in $(seq 128); do
		LC_ALL=C sed "s/000\.qcow2/$(printf %03d $((n - 1))).qcow2/" one.qcow2 >"$(printf %03d.qcow2 "$n")"
	done
	thin_apply -i 127.qcow2 target
	run --separate-stderr thin_apply -i 128.qcow2 target
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"chain of backing files, but at most 128 are read"* ]]
	# without --format, noise is in no form that is known
	run --separate-stderr thin_apply target < <(head -c 100000 /dev/urandom)
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"--format raw"* ]]
	cmp target <(head -c 1M /dev/zero)
}

@test "a raw stream is applied with --format raw, its zeros as holes" {
	head -c 3000000 /dev/urandom >part
	{ cat part; head -c 5000000 /dev/zero; cat part; } >want
	truncate -s 0 out
	cat want | thin_apply --format raw out
	cmp out want
	[ "$(stat -c %b out)" -lt $((7000000 / 512)) ]
}

@test "a pool that is full in the midst of an input of any form: the message says that a part is written, and how far" {
	local form
	printf '%s\n' 'pool: 0 1024 thin-pool meta.img data.img 128 0' 'vm: 0 2048 thin pool 0' >pool
	head -c 1M /dev/urandom >new
	qemu-img convert -q -f raw -O qcow2 new new.qcow2
	{ printf 'rbd diff v1\ns\0\0\020\0\0\0\0\0w\0\0\0\0\0\0\0\0\0\0\020\0\0\0\0\0'; cat new; printf e; } >new.rbd
	for form in 'new.rbd' 'new.qcow2' 'new' '- -O raw'; do
		rm -f meta.img data.img
		truncate -s 1M meta.img
		truncate -s 512K data.img
		thin_message pool 'create_thin 0'
		# shellcheck disable=SC2086
		run --separate-stderr thin_apply -i $form pool vm <new
		[ "$status" -eq 1 ] # no device has failed
		[[ "$stderr" == *"up to byte "*"; apply the whole "*" again when there is room: no free data block"* ]] || { echo "$form: $stderr"; return 1; }
		thin_check -q meta.img
		# what is written up to there is what the input has
		thin_materialize -f pool vm got
		cmp -n "$(sed -n 's/.*up to byte \([0-9]*\).*/\1/p' <<<"$stderr")" new got
	done
}

@test "a full disk below the pool's data is the failure of a file, not of the pool: exit status 74" {
	printf '%s\n' 'pool: 0 8192 thin-pool meta.img data.img 128 0' 'vm: 0 2048 thin pool 0' >pool
	head -c 1M /dev/urandom >new
	truncate -s 1M meta.img
	truncate -s 4M data.img
	thin_message pool 'create_thin 0'
	run --separate-stderr bash -c 'ulimit -f 512; thin_apply -i new pool vm' # in KiB
	[ "$status" -eq 74 ] && [[ "$stderr" == *"apply the whole input again: "*data.img* ]]
	thin_check -q meta.img
	thin_apply -i new pool vm
	thin_materialize pool vm got
	cmp new got
}

@test "metadata, XML, packed metadata and a table are no raw image, unless --format raw says so" {
	local f
	truncate -s 1M meta
	thin_restore -q -i "$abs_top_srcdir/xml/good/tiny.xml" -o meta
	thin_metadata_pack -i meta -o pack
	thin_dump meta -o xml
	{ printf 'pool: 0 12800 thin-pool meta data 128 0\n'; printf 't%d: 0 1024 thin pool %d\n' 1 1 2 2 3 3; } >table
	until [ "$(stat -c %s table)" -gt 512 ]; do echo '# more than a sector' >>table; done
	truncate -s 1M target
	for f in meta pack xml table; do
		for from in "-i $f target" "target" ; do
			run --separate-stderr bash -c "thin_apply $from <$f"
			[ "$status" -eq 1 ] || { echo "$f: $status"; return 1; }
			[[ "$stderr" == *": is "*"; if its raw bytes are meant, say that the format is raw" ]] || { echo "$stderr"; return 1; }
			cmp -n 1048576 target /dev/zero
		done
	done
	for f in meta pack xml table; do
		truncate -s 0 copy
		thin_apply -O raw -i $f copy
		cmp $f copy
		cp $f copy
		run --separate-stderr thin_materialize --size 1M --data-dev target --origin copy meta 2 image
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"external origin: 'copy' is "*"; if its raw bytes are the origin: --origin-format raw" ]]
	done
}

@test "a pool whose metadata cannot be written either after a failure: it is told that the pool is read-only, and what clears that" {
	printf '%s\n' 'pool: 0 2048 thin-pool meta.img data.img 128 0' 'vm: 0 2048 thin pool 0' >pool
	head -c 1M /dev/urandom >new
	truncate -s 1M meta.img data.img
	thin_message pool 'create_thin 0'
	# block 0 can be written, blocks that are new cannot
	run --separate-stderr bash -c 'ulimit -f 16; thin_apply -i new pool vm'
	[ "$status" -eq 74 ]
	[[ "${stderr_lines[0]}" == *"the pool is read-only until 'thin_check --clear-needs-check-flag pool' clears needs_check"* ]]
	[[ "${stderr_lines[1]}" == *"'vm' is partly written"*"apply the whole input again"* ]]
	thin_check -q --clear-needs-check-flag pool # as the message says
	thin_apply -i new pool vm
	thin_materialize pool vm got
	cmp new got
}

@test "an update that was interrupted anywhere is completed by the same command" {
	new_seed 16
	local n at len size
	small_pool
	size=$(stat -c %s s1.img)
	for n in 1 2 3 4 5 6; do
		# any part of what an update writes may have reached the disk, in any order
		cp s0.img image
		[ "$(stat -c %s image)" -ge "$size" ] || truncate -s "$size" image
		thin_materialize --since s0 --map pool s1 | while read -r at len _; do
			[ "$(pick 3)" -gt 0 ] || continue
			dd if=s1.img of=image bs=512 skip=$((at / 512)) seek=$((at / 512)) count=$(($(pick $((len / 512 + 1))))) conv=notrunc status=none
		done
		thin_materialize --since s0 pool s1 image
		cmp image s1.img
	done
}

@test "thin_apply and thin_message refuse a pool with needs_check, end with 1 and say how it is cleared" {
	tar -xf "$abs_top_srcdir/tests/fixtures/needscheck-enospc.tar.zst" -C .
	mv needscheck-enospc/meta.img m
	mv needscheck-enospc/data.img d
	head -c 1M /dev/urandom >image
	thin_ls --no-headers -o DEV m | head -1 >id
	printf '%s\n' "p: 0 $(($(stat -c %s d) / 512)) thin-pool m d $(thin_info --format json m | jq ".data.block_bytes / 512") 0" "0 2048 thin p $(<id)" >t
	sha256sum m d >before
	for command in "thin_apply -i image t $(<id)" "thin_message t delete\ $(<id)"; do
		eval "set -- $command"
		run --separate-stderr "$@"
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"needs_check is set"*"thin_check --auto-repair"* ]] || { echo "$stderr"; false; }
		sha256sum -c --quiet before
	done
}

@test "a target that cannot become as large as the image stays as it was, and the status is 1" {
	need qemu-img
	head -c 4K /dev/urandom >target
	cp target was
	head -c 1M /dev/urandom >source
	qemu-img create -q -f qcow2 -b source -F raw image.qcow2
	run --separate-stderr bash -c 'trap "" XFSZ; ulimit -f 100; exec thin_apply -i image.qcow2 target'
	[ "$status" -eq 74 ] || [ "$status" -eq 1 ]
	[[ "$stderr" == *"target: setting its size to 1048576 bytes: File too large"* ]] || { echo "$stderr"; return 1; }
	cmp target was
}

@test "what the external origin shows already takes no space, in each format, and shared blocks stay shared" {
	need qemu-img
	local len i
	# an origin that ends inside of a block, with zeros in it, and with an image's size before and behind its end
	head -c $((5 * 131072 + 777)) /dev/urandom >base
	dd if=/dev/zero of=base bs=131072 seek=2 count=1 conv=notrunc status=none
	truncate -s 1M meta
	truncate -s 8M data
	printf '%s\n' 'pool: 0 16384 thin-pool meta data 256 0' 'a: 0 4000 thin pool 1 base' 'b: 0 4000 thin pool 2 base' >table
	thin_message table 'create_thin 1'
	for len in $((3 * 131072 + 1024)) $((4000 * 512)); do
		thin_materialize -f --size $len table a same
		qemu-img convert -f raw -O qcow2 same same.qcow2
		thin_materialize -f -O rbd-diff --size $len table a same.rbd
		thin_apply -i same table a
		thin_apply -i same.qcow2 table a
		thin_apply -i same.rbd table a
		[ "$(thin_ls --no-headers -o MAPPED_BLOCKS table | tr -d ' ')" = 0 ]
	done
	# one byte is one block, and zeros over the origin's bytes are another
	thin_materialize -f table a other
	printf x | dd of=other bs=1 seek=$((131072 + 5)) conv=notrunc status=none
	dd if=/dev/zero of=other bs=131072 seek=3 count=1 conv=notrunc status=none
	thin_apply -i other table a
	thin_materialize table a - | cmp - other
	[ "$(thin_ls --no-headers -o MAPPED_BLOCKS table | tr -d ' ')" = 2 ]
	thin_message table 'create_snap 2 1'
	thin_apply -i other table b
	[ "$(thin_ls --no-headers -o EXCLUSIVE_BLOCKS table | tr -d ' \n')" = 00 ]
	thin_apply -i same table b
	thin_materialize table b - | cmp - same
	thin_materialize table a - | cmp - other
	thin_check -q meta
}

@test "an origin that looks like an image is taken as raw bytes where --origin-format says so" {
	need qemu-img
	qemu-img create -q -f qcow2 base.qcow2 1M
	truncate -s 1M meta
	truncate -s 8M data
	printf '%s\n' 'pool: 0 16384 thin-pool meta data 256 0' 'a: 0 4000 thin pool 1 base.qcow2' >table
	thin_message table 'create_thin 1'
	head -c 300000 /dev/urandom >new
	run --separate-stderr thin_apply -i new table a
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"'base.qcow2' is a qcow2 image"*"--origin-format raw"* ]]
	thin_apply --origin-format raw -i new table a
	thin_materialize --origin-format raw table a - | head -c 300000 | cmp - new
	run --separate-stderr thin_apply --origin-format qcow2 -i new table a
	[ "$status" -eq 64 ]
	run --separate-stderr thin_apply --origin-format raw -i new data
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"--origin-format needs POOL and DEVICE"* ]]
}
