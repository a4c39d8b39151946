#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_repair of metadata that is of several states: lost writes, and a pool formatted over another.

bats_require_minimum_version 1.5.0
load needs

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	truncate -s 262144 pool
	thin_restore -q -i "$abs_top_srcdir/xml/good/tiny.xml" -o pool
}

# The XML of a pool with that many devices and mappings each, none beside another
scattered() { # DEVICES MAPPINGS TIME CREATION_TIME TRANSACTION
	local d i
	echo "<superblock uuid=\"\" time=\"$3\" transaction=\"$5\" version=\"2\" data_block_size=\"128\" nr_data_blocks=\"9000\">"
	for ((d = 1; d <= $1; d++)); do
		echo "<device dev_id=\"$d\" mapped_blocks=\"$2\" transaction=\"$(($5 ? $5 - 1 : 0))\" creation_time=\"$4\" snap_time=\"$3\">"
		for ((i = 0; i < 2 * $2; i += 2)); do
			echo "<single_mapping origin_block=\"$i\" data_block=\"$((i + d * 2000))\" time=\"$4\"/>"
		done
		echo '</device>'
	done
	echo '</superblock>'
}

@test "the superblock of one state over the blocks of another never passes for whole" {
	command -v python3 >/dev/null || skip "python3 is not installed"
	python3 - pool <<-'EOT'
	import subprocess, sys
	def run(*a):
	    return subprocess.run(a, capture_output=True, text=True)
	def content(path): # the devices and their mappings, without details
	    return [w.split('mapped_blocks')[0] for w in run('thin_dump', '--no-shared', path).stdout.split('\n') if '_mapping' in w or '<device' in w]
	def block(image, b):
	    return image[b * 4096:b * 4096 + 4096]
	# each state has more blocks than the one before: where numbers, roots and time are the same, no image can tell
	steps = ['create_snap 900 1', 'create_thin 950', 'create_snap 901 1', 'create_thin 951', 'create_snap 902 1', 'create_thin 952', 'create_thin 953']
	state, told = [open('pool', 'rb').read()], [content('pool')]
	for s in steps:
	    assert run('thin_message', 'pool', s).returncode == 0
	    state.append(open('pool', 'rb').read())
	    told.append(content('pool'))
	tried = whole = wrong = 0
	for i, blocks in enumerate(state):
	    for j, other in enumerate(state):
	        if i == j:
	            continue
	        differ = [b for b in range(1, len(blocks) // 4096) if block(blocks, b) != block(other, b)]
	        for b in [None] + differ[:10]:
	            for lost in (False, True):
	                image = bytearray(blocks)
	                image[:4096] = block(other, 0)
	                if b is not None:
	                    image[b * 4096:b * 4096 + 4096] = bytes(4096) if lost else block(other, b)
	                elif lost:
	                    continue
	                open('mixed', 'wb').write(image)
	                subprocess.run(['rm', '-f', 'out'])
	                r = run('thin_repair', '-i', 'mixed', '-o', 'out', '--size', 'auto').returncode
	                assert r in (0, 1), r
	                tried += 1
	                if r == 0:
	                    whole += 1
	                    if content('out') != told[j]:
	                        wrong += 1
	                        print('blocks of state %d, superblock of %d, block %s %s' % (i, j, b, 'lost' if lost else 'of that, too'))
	print('%d mixed, %d whole, %d of them wrong' % (tried, whole, wrong))
	sys.exit(wrong > 0)
	EOT
}

@test "a damaged superblock with another transaction than the user gives may be of an older state" {
	local t
	printf 'x' | dd of=pool bs=1 conv=notrunc status=none
	t=$(thin_dump --repair pool 2> /dev/null | sed -n 's/.* transaction="\([0-9]*\)" version.*/\1/p')
	thin_repair -i pool -o out --size auto --transaction-id "$t"
	rm out
	run thin_repair -i pool -o out --size auto --transaction-id $((t + 3))
	[ "$status" -eq 1 ]
	[[ "$output" == *"the damaged superblock has transaction $t, not $((t + 3)): it may be of an older state"* ]]
}

@test "a damaged superblock may be older than a state that the device holds, though all is whole that it names" {
	local n
	damage_super() { dd of=pool bs=1 conv=notrunc status=none; }
	printf 'xyz' | damage_super
	thin_repair -i pool -o out --size auto # there is no other state
	thin_restore -q -i "$abs_top_srcdir/xml/good/tiny.xml" -o pool
	for n in 951 952 953; do
		thin_message pool "create_thin $n"
		head -c 4096 pool >super.$n
	done
	for n in 951 952 953; do
		dd if=super.$n of=pool bs=4096 conv=notrunc iflag=fullblock status=none
		printf 'xyz' | damage_super
		run thin_repair --dry-run -i pool
		[ "$status" -eq $((n < 953)) ] || { echo "$n: $status $output"; return 1; }
		[ $n != 952 ] || [[ "$output" == *"whether the pool was in this state or in another"* ]] || { echo "$n: $output"; return 1; }
		[[ "$output" == *"mapped blocks:"* ]]
	done
}

@test "an older superblock, of which a byte was put right, still says how the pool was" {
	local n
	for n in 951 952 953; do
		thin_message pool "create_thin $n"
		head -c 4096 pool >super.$n
	done
	{ printf 'x' && tail -c +2 super.951; } | dd of=pool bs=4096 conv=notrunc iflag=fullblock status=none
	run --separate-stderr thin_repair -i pool -o out --size auto
	[ "$status" -eq 1 ]
	thin_dump --no-shared out | grep _mapping | cmp - <(thin_restore -q -i "$abs_top_srcdir/xml/good/tiny.xml" -o pool && thin_dump --no-shared pool | grep _mapping)
}

@test "an empty pool over an older one is told, also when its top level is lost" {
	printf '<superblock uuid="" time="0" transaction="0" version="2" data_block_size="128" nr_data_blocks="64">\n</superblock>\n' >xml
	truncate -s 262144 new
	thin_restore -q -i xml -o new
	top=$(od -An -tu8 -j320 -N8 new | tr -d ' ')
	thin_message pool 'create_thin 950' # its state stands behind the first blocks
	for lost in none "$top"; do
		cp pool over
		dd if=new of=over bs=4096 count=7 conv=notrunc status=none
		[ "$lost" = none ] || dd if=/dev/zero of=over bs=4096 seek="$lost" count=1 conv=notrunc status=none
		rm -f out
		run --separate-stderr thin_repair -i over -o out --size auto
		echo "$lost: $status $stderr"
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"an older pool"* ]]
	done
	# without an older pool an empty one is whole
	dd if=/dev/zero of=new bs=4096 seek="$top" count=1 conv=notrunc status=none
	thin_repair -q -i new -o none --size auto
}

# pool FILE ID MAPPINGS FIRST: a pool of one device
one_device() {
	{
		echo '<superblock uuid="" time="0" transaction="1" version="2" data_block_size="128" nr_data_blocks="100000">'
		echo "<device dev_id=\"$2\" mapped_blocks=\"$3\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\">"
		for ((i = 0; i < $3; i++)); do
			echo "<single_mapping origin_block=\"$i\" data_block=\"$((2 * i + $4))\" time=\"0\"/>"
		done
		echo '</device></superblock>'
	} > "$1"
}

# Blocks 1 to 10 are leaves, 11 the root, 12 the details, 13 the top level, and the older root names 13 as the leaf of mappings from 3024 on.
@test "a top level of one device is not taken for an older tree's leaf of one mapping, which stood there" {
	local id n
	truncate -s 1M small
	one_device old.xml 1 20000 1
	for id in 1 3024 3100; do
		one_device new.xml $id 2500 0
		thin_restore -q -i old.xml -o small
		thin_restore -q -i new.xml -o small
		thin_dump small > want
		for n in 0 12; do
			cp small damaged
			dd if=/dev/zero of=damaged bs=4096 seek=$n count=1 conv=notrunc status=none
			rm -f out
			run thin_repair --data-block-size 128 -i damaged -o out --size auto
			echo "device $id, block $n: $output"
			[ "$status" -le 1 ]
			thin_dump out | grep _mapping | cmp - <(grep _mapping want)
			[[ "$(thin_repair --list-roots -i damaged)" == *"mapping root 13"* ]]
			rm -f out
			thin_repair --data-block-size 128 -i damaged -o out --size auto --mapping-root 13 || [ $? -eq 1 ]
			thin_dump out | grep _mapping | cmp - <(grep _mapping want)
		done
	done
}

@test "details that may be as old as the lost write of the top level do not say whose an empty tree is" {
	need python3
	thin_message pool "create_thin 900" "set_transaction_id 5 6"
	cp pool before
	thin_message pool "delete 900" "set_transaction_id 6 7"
	thin_message pool "create_thin 901" "set_transaction_id 7 8"
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$abs_top_srcdir/tests/oracle python3 - <<-'EOT'
	import struct
	from thinpool import BLOCK, SALT_INDEX, SALT_NODE, crc, u64
	def read(path):
	    return bytearray(open(path, "rb").read())
	def put(image, at, content, salt): # as if it had been written there then
	    b = bytearray(content)
	    struct.pack_into("<Q", b, 8, at)
	    struct.pack_into("<I", b, 0, crc(b) ^ salt)
	    image[at * BLOCK:(at + 1) * BLOCK] = b
	def block(image, b):
	    return image[b * BLOCK:(b + 1) * BLOCK]
	pool, before = read("pool"), read("before")
	top, details = u64(pool, 320), u64(pool, 328)
	put(pool, details, block(before, u64(before, 328)), SALT_NODE)
	put(pool, top, block(before, u64(before, 208)), SALT_INDEX)
	open("pool", "wb").write(pool)
	EOT
	run thin_repair -i pool -o out --size auto
	[ "$status" -eq 1 ]
	[[ "$output" == *"device 900: missing from the top-level mapping tree"* ]] || { echo "$output"; return 1; }
	[[ "$output" == *"the newest changes may be lost: devices may be as they were before"* ]] || { echo "$output"; return 1; }
}

@test "all mappings come back, under new ids, where the top level is lost and the details are so old that half would be missing" {
	need python3
	content() { # FILE, and how many mappings devices 1 to 3 have
		local n=0 nr dev=0
		truncate -s 4M "$1"
		{
			echo '<superblock uuid="" time="0" transaction="1" version="2" data_block_size="128" nr_data_blocks="5000">'
			for nr in "${@:2}"; do
				dev=$((dev + 1))
				echo "<device dev_id=\"$dev\" mapped_blocks=\"$nr\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\">"
				[ "$nr" = 0 ] || echo "<range_mapping origin_begin=\"$dev\" data_begin=\"$n\" length=\"$nr\" time=\"0\"/>"
				echo '</device>'
				n=$((n + nr))
			done
			echo '</superblock>'
		} | thin_restore -q -i /dev/stdin -o "$1"
	}
	content pool.now 300 1200 200
	content pool.then 300 400 0
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$abs_top_srcdir/tests/oracle python3 - <<-'EOT'
	import struct
	from thinpool import BLOCK, SALT_NODE, crc, u64
	now, then = (bytearray(open("pool." + name, "rb").read()) for name in ("now", "then"))
	at, old = u64(now, 328), u64(then, 328)
	b = then[old * BLOCK:(old + 1) * BLOCK]
	struct.pack_into("<Q", b, 8, at)
	struct.pack_into("<I", b, 0, crc(b) ^ SALT_NODE)
	now[at * BLOCK:(at + 1) * BLOCK] = b
	top = u64(now, 320)
	now[top * BLOCK:(top + 1) * BLOCK] = bytes(BLOCK)
	open("damaged", "wb").write(now)
	EOT
	run --separate-stderr thin_repair -i damaged -o out --size auto
	[ "$status" -eq 1 ]
	cmp <(thin_dump --no-shared out | grep _mapping | sort) <(thin_dump --no-shared pool.now | grep _mapping | sort) || { echo "$stderr"; return 1; }
}

@test "a superblock whose later writes were lost is not believed where newer states wrote over its own" {
	scattered 3 300 0 0 0 >three.xml
	truncate -s 0 pool && truncate -s 256K pool
	thin_restore -q -i three.xml -o pool
	for c in {10..20}; do
		head -c 4096 pool >"super.$c"
		thin_message pool "create_snap $c $((c % 3 + 1))"
	done
	thin_dump pool | grep -v '<superblock' >newest
	local right=0
	for c in {10..19}; do
		cp pool mixed
		dd if="super.$c" of=mixed conv=notrunc status=none
		run thin_check -q mixed
		[ "$status" -eq 1 ]
		rm -f out
		run thin_repair -i mixed -o out --size auto
		[ "$status" -eq 1 ] || { echo "$c: $output"; return 1; }
		! thin_dump out | grep -v '<superblock' | cmp -s - newest || right=$((right + 1))
	done
	[ "$right" -ge 9 ] || { echo "$right of 10"; return 1; }
	dd if=super.10 of=mixed conv=notrunc status=none # its state is replaced; a larger number that is given counts nevertheless
	run thin_repair -i mixed -o larger --size auto --nr-data-blocks 20000
	[ "$status" -eq 1 ]
	[[ "$(thin_dump larger | head -n 1)" == *'nr_data_blocks="20000"'* ]] || { thin_dump larger | head -n 1; return 1; }
}

@test "a superblock of another pool, to whose roots two blocks answer by chance, drops none of the mappings behind its own last data block" {
	need python3
	scattered 2 600 7 6 3 >two.xml
	truncate -s 0 pool && truncate -s 1M pool
	thin_restore -q -i two.xml -o pool
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$abs_top_srcdir/tests/oracle python3 - <<-'EOT'
	import struct
	from thinpool import BLOCK, SALT_SUPER, crc, u64
	pool = bytearray(open("pool", "rb").read())
	top = u64(pool, 320)
	tree = u64(pool, top * BLOCK + 32 + 252 * 8)
	sb = pool[:BLOCK]
	struct.pack_into("<I", sb, 44, 1)		# time
	struct.pack_into("<Q", sb, 48, 1)		# transaction
	struct.pack_into("<QQ", sb, 64, 1000, 3)	# data blocks, and how many are in use
	struct.pack_into("<Q", sb, 320, tree)		# the root of the mappings is in the place of a device's
	struct.pack_into("<I", sb, 0, crc(sb) ^ SALT_SUPER)
	open("mixed", "wb").write(sb + pool[BLOCK:])
	EOT
	run thin_repair -i mixed -o out --size auto
	[[ "$output" == *"it does not fit the trees"* ]] || { echo "$output"; return 1; }
	cmp <(thin_dump out | grep _mapping) <(thin_dump pool | grep _mapping)
}

@test "a pool made over another one stays, where two of its writes were lost and the other one's last state is whole behind it" {
	need python3
	{
		echo '<superblock uuid="" time="3" transaction="5" version="2" data_block_size="128" nr_data_blocks="9000">'
		echo '<device dev_id="1" mapped_blocks="3000" transaction="0" creation_time="0" snap_time="0">'
		for i in {0..5998..2}; do echo "<single_mapping origin_block=\"$i\" data_block=\"$i\" time=\"0\"/>"; done
		echo '</device>'
		echo '<device dev_id="6" mapped_blocks="2" transaction="4" creation_time="2" snap_time="2">'
		echo '<range_mapping origin_begin="0" data_begin="7001" length="2" time="0"/></device></superblock>'
	} >old.xml
	truncate -s 0 pool && truncate -s 1M pool
	thin_restore -q -i old.xml -o pool
	thin_message pool "delete 1" # the last state is behind the device's leaves
	cp pool old
	{
		echo '<superblock uuid="" time="0" transaction="1" version="2" data_block_size="128" nr_data_blocks="9000">'
		echo '<device dev_id="1" mapped_blocks="0" transaction="0" creation_time="0" snap_time="0"/></superblock>'
	} | thin_restore -q -i /dev/stdin -o pool
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$abs_top_srcdir/tests/oracle python3 - <<-'EOT'
	from thinpool import BLOCK, u64
	pool, old = bytearray(open("pool", "rb").read()), open("old", "rb").read()
	for at in (u64(pool, root) * BLOCK for root in (320, 80)): pool[at:at + BLOCK] = old[at:at + BLOCK] # top level, data index
	open("mixed", "wb").write(pool)
	EOT
	run thin_repair -i mixed -o out --size auto
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
	[ "$(thin_ls --no-headers -o DEV,MAPPED_BLOCKS out | xargs)" = "1 0" ] || { thin_ls out; return 1; }
}
