#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Table files, and which file has which role.

bats_require_minimum_version 1.5.0
load loop
load needs

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	pool m data 5
	pool m2 data2 7
	head -c 1M /dev/urandom >base
	cat >two <<-EOT
	a-tpool: 0 14336 thin-pool m data 128 0
	b-tpool: 0 14336 thin-pool m2 data2 128 0
	root: 0 4096 thin a-tpool 1
	work: 0 4096 thin /dev/mapper/b-tpool 1 base
	EOT
	printf '%s\n' 'p: 0 14336 thin-pool m data 128 0' 'web: 0 2048 thin p 9 base' >one
}

teardown() {
	loops_end
}

# pool METADATA DATA AT: device 1 maps blocks 0 to 9 to data block AT and those behind it
pool() {
	cat >x.xml <<-EOT
	<superblock uuid="" time="1" transaction="1" version="2" data_block_size="128" nr_data_blocks="100">
	<device dev_id="1" mapped_blocks="10" transaction="0" creation_time="0" snap_time="0">
	<range_mapping origin_begin="0" data_begin="$3" length="10" time="0"/></device></superblock>
	EOT
	truncate -s 1M "$1"
	truncate -s 7M "$2"
	thin_restore -q -i x.xml -o "$1"
}

# refused STATUS TEXT COMMAND...: with this status and text; nothing in the folder changes
refused() {
	local before
	before=$(cat m m2 data data2 base | sha256sum)
	run --separate-stderr "${@:3}"
	[ "$status" -eq "$1" ] || { echo "exit $status: $stderr"; return 1; }
	[[ "$stderr" == *"$2"* ]] || { echo "$stderr"; return 1; }
	[ "$before" = "$(cat m m2 data data2 base | sha256sum)" ]
}

plugin() { # PARAMETERS... : what nbdinfo says
	nbd "$PLUGIN" "$@" --run 'nbdinfo --size "$uri"'
}

have_plugin() {
	need_plugin
	need nbdinfo
}

@test "--pv and --seqno are refused of what is no disk with LVM: they would change nothing" {
	for pool in m x.xml two; do
		for word in --pv=data --seqno=3; do
			for command in thin_dump thin_ls thin_info thin_check 'thin_rmap --region 0..9'; do
				[[ "$pool $command" != *xml*thin_[lcr]* ]] || continue
				pools='' && [ $pool != two ] || pools='--pool a-tpool'
				# shellcheck disable=SC2086
				refused 64 "${word%=*}: '$pool' is not a disk with LVM" $command $pools $word $pool
			done
		done
	done
}

@test "a table of several pools: the device's name or --pool chooses, in every command" {
	[ "$(thin_materialize --map two root | head -n 1)" = "0 655360 data $((5 * 65536))" ]
	[ "$(thin_materialize --map two work | head -n 1)" = "0 655360 data $((7 * 65536))" ]
	[ "$(thin_materialize --map --pool b-tpool two 1 | head -n 1)" = "0 655360 data $((7 * 65536))" ]
	[[ "$(thin_dump --pool b-tpool two)" == *'data_begin="7"'* ]]
	[[ "$(thin_rmap --pool a-tpool --region 0..9 two)" == *"5..9"* ]]
	[ "$(thin_ls --pool b-tpool --no-headers -o NAME,ORIGIN two)" = "work $PWD/base " ] ||
		[ "$(thin_ls --pool b-tpool --no-headers -o NAME,ORIGIN two)" = "work base " ]
	thin_check -q --pool a-tpool two
	thin_delta --pool a-tpool --thin1 1 --thin2 1 two >delta
	thin_delta --thin1 work --thin2 1 two >delta
	thin_metadata_pack --pool b-tpool -i two -o packed
	truncate -s 1M out
	thin_repair --pool b-tpool -i two -o out
	[[ "$(thin_dump out)" == *'data_begin="7"'* ]]
	thin_trim -q -n --pool a-tpool --metadata-dev two
	thin_shrink -q -n --pool a-tpool --binary -i two --nr-blocks 50
	thin_message --pool b-tpool two 'create_thin 8'
	[ "$(thin_ls --no-headers -o DEV m2 | wc -l)" -eq 2 ]
	[ "$(thin_ls --no-headers -o DEV m | wc -l)" -eq 1 ]
}

@test "a table of several pools: without a choice it is refused, and lists them" {
	for c in thin_check thin_dump thin_ls; do refused 64 "a-tpool, b-tpool" $c two; done
	refused 64 "a-tpool, b-tpool" thin_materialize --map two 1
	refused 64 "a-tpool, b-tpool" thin_materialize --map --pool nope two 1
	refused 64 "not of 'a-tpool'" thin_materialize --map --pool a-tpool two work
	refused 64 "not a table file" thin_ls --pool a-tpool m
}

@test "an origin may be another thin device of the same pool, which is read and never written" {
	cat >x.xml <<-'EOT'
	<superblock uuid="" time="0" transaction="0" version="2" data_block_size="128" nr_data_blocks="100">
	<device dev_id="1" mapped_blocks="2" transaction="0" creation_time="0" snap_time="0">
	<range_mapping origin_begin="3" data_begin="20" length="2" time="0"/></device>
	<device dev_id="2" mapped_blocks="1" transaction="0" creation_time="0" snap_time="0">
	<single_mapping origin_block="1" data_block="7" time="0"/></device></superblock>
	EOT
	truncate -s 1M two-devices
	thin_restore -q -i x.xml -o two-devices
	head -c 7M /dev/urandom >data
	printf '%s\n' 'p: 0 12800 thin-pool two-devices data 128 0' 'below: 0 1024 thin p 1 base' \
		'above: 0 1280 thin p 2 below' >t
	thin_materialize t below below.img
	thin_materialize --origin below.img --data-dev data --size 640K two-devices 2 want
	thin_materialize t above got
	cmp want got
	thin_materialize --origin below t 2 got2
	cmp want got2
	[[ "$(thin_ls --no-headers -o NAME,ORIGIN t)" == *above*below* ]]
}

@test "the plugin, which may write, serves no device whose origin is a device of the same pool" {
	have_plugin
	printf '%s\n' 'p: 0 12800 thin-pool m data 128 0' 'below: 0 1024 thin p 1' 'above: 0 1280 thin p 2 below' >t
	refused 1 "same file or device" plugin t device=above
}

@test "a thin line is not taken for another pool's" {
	grep -v b-tpool: two >t # the line of its pool is gone
	refused 1 "the pool of 'work' is not known" thin_materialize --map t work
	[ "$(thin_ls --no-headers -o NAME t)" = "root " ]
	printf '%s\n' '0 14336 thin-pool m data 128 0' '0 20 thin 253:1 1' '0 20 thin 253:2 2' >t
	refused 1 "line 3: '253:2': line 2 has '253:1'" thin_ls t
	sed 's/a-tpool 1/253:7 1/' two >t
	refused 1 "line 3: '253:7'" thin_materialize --map t root
}

@test "a table comes from standard input, and a blank in a path is backslash 040" {
	mkdir 'two words'
	cp m 'two words/m x'
	printf '%s\n' 'p: 0 14336 thin-pool two\040words/m\040x data 128 0' '0 2048 thin p 1' >t
	thin_dump m >want
	thin_dump t | cmp want -
	thin_dump - <t | cmp want -
	cat t | thin_dump -o file - # a pipe is read once
	cmp want file
	thin_check -q - <t
	thin_materialize --map - 1 <t >map
	# mistakes of a table there are told with its line
	sed 's/128 0/129 0/' t >bad
	run --separate-stderr thin_dump - <bad
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"standard input: line 1:"* ]]
}

@test "what the kernel refuses in a pool's features stops writers and warns readers" {
	for f in '1 no_such_thing' '5 read_only read_only read_only read_only read_only'; do
		printf '%s\n' "p: 0 14336 thin-pool m data 128 0 $f" '0 2048 thin p 1' >t
		run --separate-stderr thin_ls t
		[ "$status" -eq 0 ]
		[[ "$stderr" == *"warning: t: line 1:"* ]]
		refused 1 "t: line 1:" thin_message t 'create_thin 5'
		refused 1 "t: line 1:" thin_check --auto-repair t
		refused 1 "t: line 1:" thin_trim --metadata-dev t
	done
}

@test "a table that says read_only: no command changes the pool, each ends with 1, and readers read it" {
	printf '%s\n' 'p: 0 14336 thin-pool m data 128 0 1 read_only' '0 2048 thin p 1' >t
	head -c 1M /dev/urandom >image
	for writer in "thin_message t create_thin\ 5" "thin_message -n t create_thin\ 5" "thin_apply -i image t 1" \
		"thin_check --auto-repair t" "thin_check --clear-needs-check-flag t" "thin_trim --metadata-dev t" \
		"thin_shrink --binary -i t --size 1M -o new --nr-blocks 99"; do
		eval "set -- $writer"
		refused 1 "the table makes the pool read_only" "$@"
	done
	[ ! -e new ]
	for reader in thin_check thin_ls thin_dump "thin_rmap --region 0..9" thin_info "thin_trim -n --metadata-dev" \
		"thin_shrink -n --binary -o new --size auto --nr-blocks 99 -i"; do
		$reader t
	done
	thin_materialize t 1 out
}

@test "a device that the table does not list is refused, with the line to add and the origins" {
	refused 64 "'0 LENGTH thin p 1 base'" thin_materialize one 1 out
	for o in "" --repair -n; do refused 64 "of device 9 (web)" thin_materialize $o one 1 out; done
	refused 64 "of device 9 (web)" thin_materialize --map one 1
	[ ! -e out ]
	thin_message m reserve_metadata_snap
	refused 64 "LENGTH" thin_materialize -m one 1 out
	run --separate-stderr thin_materialize --size 1M one 1 out
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"warning: device 1 has no line"*"--origin"* ]]
	run --separate-stderr thin_materialize -f --no-origin --size 1M one 1 out
	[ "$status" -eq 0 ] && [ -z "$stderr" ]
	run --separate-stderr thin_ls -o DEV,SIZE,ORIGIN one
	[[ "$stderr" == *"no line in the table"* ]]
	echo '0 2048 thin p 1 base' >>one # as the message says
	run --separate-stderr thin_materialize -f one 1 out
	[ "$status" -eq 0 ] && [ -z "$stderr" ]
}

@test "a guessed size is always said, and what it was guessed from" {
	for p in m x.xml; do
		run --separate-stderr thin_materialize --map --data-dev data2 $p 1
		[[ "$stderr" == *"655360 bytes is a guess: the last mapped block ends there"* ]]
		run --separate-stderr thin_materialize --map --data-dev data2 --origin base $p 1
		[[ "$stderr" == *"1048576 bytes is a guess: it is the size of the external origin"* ]]
	done
}

@test "the plugin chooses pools, refuses unlisted devices and says guesses" {
	have_plugin
	run -0 --separate-stderr plugin pool=two device=work
	run -0 --separate-stderr plugin pool=two pool-name=a-tpool device=1 readonly=true
	[ "$output" = $((4096 * 512)) ]
	run ! plugin pool=two device=1
	[[ "$output" == *"a-tpool, b-tpool"* ]]
	run ! plugin pool=one device=1
	[[ "$output" == *"'0 LENGTH thin p 1 base'"*"or give device=1 with size=SIZE, and with origin=DEV"* ]]
	run ! plugin pool=one size=1M # a device without a line has no export of its own
	[[ "$output" == *"device=ID is missing"* ]]
	run -0 --separate-stderr plugin pool=one device=1 size=1M
	[ "$output" = 1048576 ]
	run -0 --separate-stderr plugin pool=m data-dev=data device=1
	[ "$output" = 655360 ]
	[[ "$stderr" == *"655360 bytes, is a guess"* ]]
}

@test "one file in two roles is refused, by whatever name" {
	ln m hard
	ln -s m soft
	for name in m hard soft ./m; do
		refused 64 "m" thin_materialize --map --origin $name --data-dev data m 1
		refused 64 "m" thin_materialize --map --data-dev $name m 1
		refused 64 "m" thin_materialize -n --data-dev $name m 1 out
		refused 64 "m" thin_materialize -n --data-dev $name --repair m 1 out
		printf '%s\n' "p: 0 14336 thin-pool m $name 128 0" '0 2048 thin p 1' >t
		for c in thin_check thin_dump thin_ls; do refused 1 "t: line 1" $c t; done
		refused 1 "t: line 1" thin_message t 'create_thin 4'
		refused 64 "m" thin_trim --metadata-dev m --data-dev $name
		refused 64 "m" thin_shrink --binary -i m2 -o m --data $name --nr-blocks 50
		printf '%s\n' 'p: 0 14336 thin-pool m data 128 0' "a: 0 2048 thin p 1 $name" >t
		refused 64 "external origin" thin_materialize --map t a
		refused 64 "output" thin_dump -o $name t
	done
	ln data hard2
	refused 64 "external origin" thin_materialize --map --origin hard2 --data-dev data m 1
	printf '%s\n' 'p: 0 14336 thin-pool m data 128 0' "a: 0 2048 thin p 1 hard2" >t
	refused 64 "external origin" thin_materialize --map t a
	refused 64 "table file" thin_materialize --map --origin one --size 1M one 1
	have_plugin
	for p in "origin=data" "origin=hard" "origin=hard2"; do run ! plugin pool=m data-dev=data device=1 $p; done
	run ! plugin pool=m data-dev=hard device=1
	run ! plugin pool=t device=a
}

@test "a file of the pool, or an origin of any device of its table, is no output and no data device" {
	local file
	printf '%s\n' 'p: 0 14336 thin-pool m data 128 0' 'a: 0 2048 thin p 1' 'b: 0 2048 thin p 2 base' >t
	thin_dump m -o x
	head -c 1M base >raw
	mkdir kept
	cp m data base t x raw kept
	for file in m data base t; do
		refused 64 "'$file' is" thin_metadata_pack -f -i t -o $file
		refused 64 "'$file' is" thin_repair --force -i t -o $file
		refused 64 "'$file' is" thin_dump --force -o $file t
		refused 64 "'$file' is" thin_shrink -f --binary --no-copy --nr-blocks 100 -i t -o $file
		[ $file = base ] || refused 64 "'$file' is" thin_apply -O raw -i $file t a
		[ $file = base ] || refused 64 "'$file' is" thin_apply -O raw -i raw --origin $file t a
		[ $file = data ] || refused 64 "'$file' is" thin_apply -O raw -i raw --data-dev $file t a
		[ $file = data ] || refused 64 "'$file' is" thin_trim --metadata-dev t --data-dev $file
		[ $file = data ] || refused 64 "'$file' is" thin_shrink --binary --nr-blocks 100 -i t -o new --size auto --data $file
	done
	refused 64 "base: is a source" thin_materialize -f t a base
	refused 64 "base: is a source" thin_materialize -f -O qcow2 t a base
	for file in *; do [ ! -e kept/$file ] || cmp $file kept/$file; done
}

@test "an image is not applied to a file that is no disk: whoever names a pool has forgotten the DEVICE" {
	local file name format
	thin_dump m -o x
	thin_metadata_pack -i m -o pack
	head -c 1M base >raw
	mkdir kept
	cp one m x pack kept
	for file in one m x pack; do
		case $file in one) name='a table file' ;; m) name='thin pool metadata' ;; x) name=XML ;; pack) name='packed metadata' ;; esac
		refused 1 "$file: holds $name" thin_apply -O raw -i raw $file
		refused 1 "$file: holds $name" thin_apply -n -O raw -i raw $file
		cmp $file kept/$file
	done
	for format in qcow2 vmdk vdi; do
		command -v qemu-img >/dev/null || continue
		qemu-img create -q -f $format image 4M
		cp image kept
		refused 1 "a $format image" thin_apply -O raw -i raw image
		cmp image kept/image
	done
	thin_apply -f -O raw -i raw one
	cmp raw one
}

@test "loop devices over parts of one image are two devices, and overlapping ones are one" {
	cat m data >disk
	loop --sizelimit 1M disk
	meta=$LOOP
	loop -o 1M disk
	data=$LOOP
	loop disk
	all=$LOOP
	thin_materialize --size 1M --data-dev "$data" "$meta" 1 out
	refused 64 "same file or device" thin_materialize --map --size 1M --data-dev "$all" "$meta" 1
	refused 64 "same file or device" thin_materialize --map --size 1M --data-dev disk "$meta" 1
	refused 64 "same file or device" thin_materialize --map --size 1M --data-dev "$data" --origin disk m 1
}

@test "an origin that is an image of a virtual machine is refused unless it is taken as raw" {
	printf 'QFI\373\0\0\0\3' >qcow2
	printf 'QED\0' >qed
	printf 'KDMV\1\0\0\0' >vmdk
	printf '# Disk DescriptorFile\nversion=1\n' >vmdk2
	printf 'vhdxfile' >vhdx
	{ head -c 64 /dev/zero; printf '\177\020\332\276'; } >vdi
	for f in qcow2 qed vmdk vmdk2 vhdx vdi; do
		truncate -s 1M $f
		refused 1 "is a ${f%2}" thin_materialize --map --data-dev data --origin $f --size 1M m 1
		run -0 --separate-stderr thin_materialize --map --data-dev data --origin-format raw --origin $f --size 1M m 1
		printf '%s\n' 'p: 0 14336 thin-pool m data 128 0' "a: 0 2048 thin p 1 $f" >t
		refused 1 "qemu-img" thin_materialize --map t a
		run -0 thin_materialize --map --origin-format raw t a
	done
	refused 64 "--origin-format" thin_materialize --map --origin-format qcow2 t a
}

# packed NAME: makes NAME.gzip and so on of it by each tool that is here
packed() {
	local tool
	for tool in gzip xz zstd bzip2 lz4; do
		! command -v $tool >/dev/null || $tool -qc "$1" >"$1.$tool"
	done
	tar -cf "$1.tar" "$1"
	[ -s "$1.gzip" ]
}

@test "a compressed origin, input or target is refused unless it is taken as raw" {
	head -c 1M /dev/urandom >disk
	truncate -s 4M image
	packed disk
	for f in disk.*; do
		refused 1 "'$f' is a" thin_materialize --map --data-dev data --origin "$f" --size 1M m 1
		[[ "$stderr" == *"${f#*.} "*": unpack it first; "*"--origin-format raw"* ]]
		run -0 --separate-stderr thin_materialize --map --data-dev data --origin-format raw --origin "$f" --size 1M m 1
		refused 1 "unpack it first" thin_apply -i "$f" image
		cmp image <(head -c 4M /dev/zero)
		cp image raw
		thin_apply -q -O raw -i "$f" raw
		cmp -n "$(stat -c %s "$f")" raw "$f"
		cp raw kept
		refused 1 "nothing was written" thin_apply -O raw -i disk raw
		cmp raw kept
		thin_apply -qf -O raw -i disk raw
	done
}

@test "the plugin refuses an origin that is an image of a virtual machine unless it is taken as raw" {
	have_plugin
	for magic in 'QFI\373\0\0\0\3' 'KDMV\1\0\0\0' vhdxfile; do
		# shellcheck disable=SC2059 # the escapes are meant
		printf "$magic" >image
		truncate -s 1M image
		printf '%s\n' 'p: 0 14336 thin-pool m data 128 0' 'a: 0 2048 thin p 1 image' >t
		run ! plugin pool=t device=a
		[[ "$output" == *"origin-format=raw"* ]]
		run -0 plugin pool=t device=a origin-format=raw
	done
}

@test "a device number of a saved table: it is said which device it is, and nothing is destroyed through it" {
	need_sys
	printf '%s\n' 'p: 0 14336 thin-pool 4094:0 data 128 0' '0 2048 thin p 1' >t
	refused 74 "no block device of that number" thin_dump t
	loop m
	number=$((0x$(stat -c %t "$LOOP"))):$((0x$(stat -c %T "$LOOP")))
	echo "p: 0 14336 thin-pool $number data 128 0" >t
	run --separate-stderr thin_dump t
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"$number is $LOOP"* ]]
	thin_trim -q -n --metadata-dev t
	thin_trim -q --metadata-dev t # the pool on that device is the one of the table
	echo "p: 0 12800 thin-pool $number data 256 0" >t
	refused 1 "--force" thin_trim --metadata-dev t
	refused 1 "says" thin_shrink --binary -i t -o m2 --nr-blocks 20
	echo "p: 0 12672 thin-pool $number data 128 0" >t # a block short
	refused 1 "--force" thin_trim --metadata-dev t
	refused 1 "--force" thin_shrink --binary -i t -o m2 --nr-blocks 20
	thin_trim -q -f --metadata-dev t
	echo "p: 0 14336 thin-pool $number data 128 0" >t
	dd if=/dev/zero of="$LOOP" bs=4k count=1 conv=fsync status=none
	refused 1 "--force" thin_message t 'create_thin 1'
	thin_message --force t 'create_thin 1'
}

@test "the plugin takes a device that a table names by number for a new pool only with force=true" {
	need_sys
	have_plugin
	loop m
	number=$((0x$(stat -c %t "$LOOP"))):$((0x$(stat -c %T "$LOOP")))
	printf '%s\n' "p: 0 14336 thin-pool $number data 128 0" 'a: 0 2048 thin p 1' >t
	run -0 plugin pool=t device=a readonly=true # what is there is the table's pool
	[[ "$output" == *"$number is $LOOP"* ]]
	run -0 plugin pool=t device=a
	printf '%s\n' "p: 0 14336 thin-pool $number data 256 0" 'a: 0 2048 thin p 1' >t2
	for more in "" force=true readonly=true; do # another pool is refused, with force as well
		refused 1 "this is not the table of this pool" nbd "$PLUGIN" pool=t2 device=a $more --run true
	done
	for zeros in 1 255; do # block 0 alone; the whole metadata
		dd if=/dev/zero of="$LOOP" bs=4k count=$zeros conv=fsync status=none
		for more in "" force=false; do
			refused 1 "force=true" nbd "$PLUGIN" pool=t $more --run true
			[[ "$stderr" == *"$LOOP"* ]]
		done
	done
	# with force the number is trusted, but the new pool has no device to serve
	refused 1 "device 1 does not exist" nbd "$PLUGIN" pool=t force=true --run true
	thin_message -f t 'create_thin 1'
	run -0 plugin pool=t device=a
}

@test "thin_message: the sector that dmsetup message wants is passed over" {
	thin_message m 0 'create_thin 4'
	thin_message m 0 create_thin 5
	[ "$(thin_ls --no-headers -o DEV m | wc -l)" -eq 3 ]
	run thin_message m 0
	[ "$status" -eq 64 ]
}

@test "the highest byte does not wrap around" {
	sed 's/origin_begin="0"/origin_begin="288230376151711744"/' x.xml >far.xml
	thin_restore -q -i far.xml -o m
	[ "$(thin_ls --no-headers -o HIGHEST_BYTE m | tr -d ' ')" = 18446744073709551615 ]
}

@test "no device of that id in XML: the message lists those there are" {
	refused 1 "no device 2: it has 1 device: 1" thin_materialize --map x.xml 2
}

@test "a name that no device has: the one that was meant is offered, by every command that takes a name" {
	tar --zstd --strip-components=1 -xf "$abs_top_srcdir/tests/fixtures/extorigin-snaps.tar.zst"
	cp tables names
	sed -i 's/^t0:/webserver:/; s/^t1:/database:/' names
	: >out.img
	for word in webservr wbeserver Webserver dataase data-base; do
		meant=webserver
		[[ "$word" != da* ]] || meant=database
		for c in "thin_materialize --map names $word" "thin_delta --thin1 $word --thin2 0 names" \
			"thin_apply --format raw -i out.img names $word"; do
			run $c
			[ "$status" -eq 1 ]
			[[ "$output" == *"'$word' is neither the name of a device in names nor a device id; did you mean '$meant'?"* ]] || { echo "$c: $output"; return 1; }
		done
	done
	for word in x nothing-like-it; do
		run thin_materialize --map names $word
		[ "$status" -eq 1 ]
		[[ "$output" != *"did you mean"* ]]
	done
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/lvm.tar.zst"
	run thin_materialize --map lvm/pv.img thn1
	[ "$status" -eq 1 ]
	[[ "$output" == *"did you mean 'thin1'?"* ]]
	run thin_materialize --map meta.img web
	[ "$status" -eq 1 ]
	[[ "$output" == *"'web' is not a device id; only a table file gives names, and meta.img is not one"* ]]
}

@test "a table with another block size than the metadata is refused by the checker, the repair and the packer, too" {
	local c
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/plain.tar.zst" plain/meta.img
	truncate -s 1M size.data
	cp plain/meta.img size.meta
	echo '0 98304 thin-pool size.meta size.data 256 0' >size.table
	for c in 'thin_check' 'thin_check --auto-repair' 'thin_check --clear-needs-check-flag' 'thin_repair --dry-run -i' \
		'thin_repair -o new --size 1M -i' 'thin_metadata_pack -o new -i'; do
		# shellcheck disable=SC2086
		run --separate-stderr $c size.table
		[ "$status" -eq 1 ] && [ -z "$output" ] && [ ! -e new ] || { echo "$c: $status $output"; return 1; }
		[[ "$stderr" == *"'256' is the table's data block size"*"says 128: this is not the table of this pool"* ]]
		cmp plain/meta.img size.meta
	done
	# the number that is given decides
	run --separate-stderr thin_repair --dry-run --data-block-size 128 -i size.table
	[[ "$stderr" != *"not the table"* ]]
}
