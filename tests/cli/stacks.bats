#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Pools whose devices are made of pieces of others: linear, striped, zero and error lines of a table.

bats_require_minimum_version 1.5.0
load loop
load needs

STACK=$abs_top_srcdir/tests/cli/stack.py

# A pool of chance: three devices, of which 1 is a snapshot of 0 and has its origin.
setup() {
	need python3
	cd "$BATS_TEST_TMPDIR" || return 1
	SEED=${SEED:-$RANDOM}
	echo "# SEED=$SEED"
	RANDOM=$SEED
	truncate -s 256K meta
	python3 - $SEED <<-'PY'
	import random, sys
	r = random.Random(int(sys.argv[1]))
	size, blocks = 65536, 40
	open("data", "wb").write(b"".join(r.choice([bytes(size), r.randbytes(size)]) for _ in range(blocks)))
	open("base", "wb").write(r.randbytes(r.randint(20, 900) * 512))
	free = r.sample(range(blocks), blocks)
	def runs(n):
	    keys = sorted(r.sample(range(30), n))
	    return [(k, free.pop()) for k in keys]
	def device(i, m, snap):
	    print(f'<device dev_id="{i}" mapped_blocks="{len(m)}" transaction="0" creation_time="0" snap_time="{snap}">', file=f)
	    for k, d in m:
	        print(f'<single_mapping origin_block="{k}" data_block="{d}" time="0"/>', file=f)
	    print("</device>", file=f)
	with open("xml", "w") as f:
	    print(f'<superblock uuid="" time="1" transaction="1" version="2" data_block_size="128" nr_data_blocks="{blocks}">', file=f)
	    first = runs(r.randint(1, 9))
	    device(0, first, 1)
	    device(1, first + [(40, free.pop())], 1)
	    device(2, runs(r.randint(0, 9)), 1)
	    print("</superblock>", file=f)
	PY
	thin_restore -q -i xml -o meta
	{ echo "pool: 0 5120 thin-pool meta data 128 0"; thins base; } >plain
	"$STACK" "$SEED" meta tmeta data tdata base tbase >lines
	{ cat lines; echo "pool: 0 5120 thin-pool tmeta /dev/mapper/tdata 128 0"; thins tbase; } >stack
}

# thins ORIGIN: the devices' lines
thins() {
	printf '%s\n' "t0: 0 5000 thin pool 0 $1" "t1: 0 5376 thin pool 1 $1" "t2: 0 4001 thin pool 2"
}

# Every device of the two tables reads the same.
same_devices() {
	local d
	for d in t0 t1 t2; do
		thin_materialize -f "$1" $d want
		thin_materialize -f "${@:3}" "$2" $d got
		cmp want got || { echo "$d differs, SEED=$SEED"; return 1; }
	done
}

teardown() {
	loops_end
}

refused() {
	run --separate-stderr "${@:3}"
	[ "$status" -eq "$1" ] || { echo "exit $status: $output $stderr"; return 1; }
	[[ "$stderr" == *$2* ]] || { echo "said: $stderr"; return 1; }
}

@test "each device of a pool on stacks by chance reads as that of the plain pool" {
	for i in 1 2 3 4 5 6; do
		rm -f disk*
		ZEROS=1 "$STACK" $((SEED + i)) meta tmeta data tdata base tbase >lines
		{ cat lines; echo "pool: 0 5120 thin-pool tmeta tdata 128 0"; thins tbase; } >stack
		sha256sum disk* >sums
		same_devices plain stack
		same_devices plain stack --verify --sparse=always -j 3
		thin_materialize plain t1 - >want
		thin_materialize stack t1 - | cmp - want
		thin_materialize stack t1 - >got
		cmp got want
		thin_check -q stack
		[ "$(thin_dump stack)" = "$(thin_dump meta)" ]
		[ "$(thin_ls --no-headers stack)" = "$(thin_ls --no-headers meta)" ]
		thin_repair -q -i stack -o repaired --size auto
		[ "$(thin_dump repaired)" = "$(thin_dump meta)" ]
		thin_metadata_pack -i stack -o packed -f
		rm repaired
		sha256sum --quiet -c sums
	done
}

@test "messages and trims change a pool on a stack as they change a plain one" {
	for t in plain stack; do
		thin_message $t 'create_thin 7' 'create_snap 8 0' 'delete 2' 'set_transaction_id 1 5'
	done
	thin_check -q stack
	[ "$(thin_dump stack)" = "$(thin_dump plain)" ]
	sed -i 's/thin pool 2$/thin pool 8/' plain stack
	same_devices plain stack
	thin_trim -q --metadata-dev plain
	thin_trim -q --metadata-dev stack
	same_devices plain stack
	thin_shrink --binary -i plain -o smaller --size auto --nr-blocks 22
	thin_shrink --binary -i stack -o smaller2 --size auto --nr-blocks 22
	[ "$(thin_dump smaller2)" = "$(thin_dump smaller)" ]
	sed -i 's/0 5120 thin-pool [^ ]* /0 2816 thin-pool smaller /' plain
	sed -i 's/0 5120 thin-pool [^ ]* /0 2816 thin-pool smaller2 /' stack
	same_devices plain stack
}

@test "what a guest writes through the plugin into a pool on a stack is there" {
	need_plugin
	need qemu-io
	args=
	for i in $(seq 1 30); do
		# blocks 0 to 19, 40 and 41: of the pool's 40 blocks at least 21 are free
		where="$(((RANDOM % 8 ? RANDOM % 2460 : 5120 + RANDOM % 100) * 512)) $((RANDOM % 100 * 512 + 512))"
		[ $((RANDOM % 4)) -eq 0 ] && args+=" -c 'discard $where'" || args+=" -c 'write -P $((RANDOM % 256)) $where'"
	done
	for t in plain stack; do
		nbd "$PLUGIN" pool=$t device=t1 --run "qemu-io -f raw \"\$uri\" $args" >/dev/null
	done
	thin_check -q stack
	same_devices plain stack
}

@test "what lies on an error target is lost where a device needs it, and only there" {
	local bs=65536
	# block 3 of the device is data block 1, which is lost; data block 2 is lost, too, but no device has it
	cat >x <<-'XML'
	<superblock uuid="" time="0" transaction="0" version="2" data_block_size="128" nr_data_blocks="8">
	  <device dev_id="0" mapped_blocks="2" transaction="0" creation_time="0" snap_time="0">
	    <single_mapping origin_block="1" data_block="0" time="0"/>
	    <single_mapping origin_block="3" data_block="1" time="0"/>
	  </device>
	  <device dev_id="1" mapped_blocks="1" transaction="0" creation_time="0" snap_time="0">
	    <single_mapping origin_block="0" data_block="4" time="0"/>
	  </device>
	</superblock>
	XML
	thin_restore -q -i x -o meta
	cat >t <<-'TABLE'
	td: 0 129 linear data 0
	td: 129 256 error
	td: 385 639 linear data 385
	p: 0 1024 thin-pool meta td 128 0
	a: 0 1024 thin p 0
	b: 0 128 thin p 1
	TABLE
	refused 1 "device 0: 65024 bytes are lost" thin_materialize t a out
	[[ "$stderr" == *"65024 bytes at 197120; --repair"* ]]
	[ ! -e out ]
	thin_materialize t b out # has no lost block
	cmp -n $bs out <(tail -c +$((4 * bs + 1)) data)
	refused 1 "65024 bytes at 197120: the image has zeros there" thin_materialize --repair t a rest
	thin_materialize --repair --accept-loss t a rest2
	cmp rest rest2
	{ head -c $bs /dev/zero; head -c $bs data; head -c $bs /dev/zero; head -c $((bs + 512)) data | tail -c 512; head -c $((5 * bs - 512)) /dev/zero; } | cmp -n $((8 * bs)) - rest
	truncate -s $((4 * bs)) data # the file ends before the table says
	refused 1 "65536 bytes at 0" thin_materialize t b out2
	# metadata on an error target matters where it is needed
	printf '%s\n' 'tm: 0 400 linear meta 0' 'tm: 400 112 error' >>t
	sed -i 's/thin-pool meta/thin-pool tm/' t
	thin_check -q t
	[ "$(thin_dump t)" = "$(thin_dump meta)" ]
	sed -i 's/^tm: 0 400 linear meta 0/tm: 0 400 error/' t
	run thin_check t
	[ "$status" -ne 0 ] && [ "$status" -ne 2 ]
}

@test "an external origin whose first sectors are lost is read where a device needs the others" {
	printf '%s\n' 'o: 0 8 error' 'o: 8 2040 linear base 8' 'p: 0 5120 thin-pool meta data 128 0' 'a: 0 2048 thin p 99 o' >t
	head -c 1M /dev/urandom >base
	thin_message t 'create_thin 99'
	refused 1 "device 99: 4096 bytes are lost" thin_materialize t a out
	[ "$(thin_materialize --map t a)" = "0 1048576 origin 0" ]
	refused 1 "4096 bytes at 0: the image has zeros there" thin_materialize --repair t a out
	cmp out <(head -c 4096 /dev/zero; tail -c +4097 base)
	# a device with the first block mapped needs none of them
	head -c 64K data >first
	{ printf 'rbd diff v1\nf\1\0\0\0as\0\0\020\0\0\0\0\0w\0\0\0\0\0\0\0\0\0\0\001\0\0\0\0\0'; cat first; printf e; } | thin_apply t a
	thin_materialize -f t a out
	cmp out <(cat first; tail -c +65537 base)
}

@test "a writer that meets a zero target fails, and leaves the old pool" {
	printf '%s\n' 'tm: 0 240 linear meta 0' 'tm: 240 272 zero' 'p: 0 5120 thin-pool tm data 128 0' >t
	thin_check -q t
	thin_dump t >before
	for i in $(seq 3 60); do
		run --separate-stderr thin_message t "create_thin $i"
		[ "$status" -eq 0 ] || break
		thin_dump t >before
	done
	[ "$status" -eq 74 ] && [[ "$stderr" == *"zero target"* ]]
	[ "$(thin_dump t)" = "$(cat before)" ]
}

@test "loops, gaps and overlaps are refused, with file, line and word" {
	p='p: 0 5120 thin-pool meta data 128 0'
	printf '%s\n' "p: 0 5120 thin-pool m data 128 0" 'm: 0 512 linear m 0' >t
	refused 1 "loop" thin_dump t
	printf '%s\n' "$p" 'a: 0 8 linear b 0' 'b: 0 8 striped 1 8 /dev/mapper/c 0' 'c: 0 8 linear a 0' >t
	refused 1 "loop" thin_dump t
	printf '%s\n' "$p" 'a: 0 8 thin p 0 b' 'b: 0 8 thin p 1 a' >t
	refused 1 "loop" thin_dump t
	printf '%s\n' "$p" 'a: 0 8 linear data 0' 'a: 9 8 linear data 8' >t
	refused 1 "t: line 3: '9': START leaves a gap" thin_dump t
	printf '%s\n' "$p" 'a: 0 8 linear data 0' 'a: 7 8 linear data 8' >t
	refused 1 "t: line 3: '7': START overlaps" thin_dump t
	printf '%s\n' "$p" 'a: 8 8 linear data 0' >t
	refused 1 "t: line 2: '8': START leaves a gap" thin_dump t
	printf '%s\n' "$p" 'a: 0 9 striped 2 4 data 0 data 8' >t
	refused 1 "t: line 2: '4': LENGTH is not a multiple" thin_dump t
	printf '%s\n' "p: 0 5120 thin-pool m data 128 0" 'm: 0 512 crypt aes - 0 meta 0' >t
	refused 1 "line 2 has that name and is a crypt target" thin_dump t
	for i in $(seq 0 25); do printf 'l%d: 0 8 linear l%d 0\nl%d: 8 8 linear l%d 0\n' $i $((i + 1)) $i $((i + 1)); done >t
	printf '%s\n' 'l26: 0 16 zero' "p: 0 5120 thin-pool l0 data 128 0" >>t
	refused 1 "pieces" thin_dump t
}

@test "numbers stand for lines where the file says so, else the message says how to add it" {
	printf '%s\n' 'pool: 0 5120 thin-pool 4093:7 4093:8 128 0' "$(thins base)" 'm: 0 512 linear meta 0' 'd: 0 5120 linear data 0' >t
	refused 74 "dmsetup info -c" thin_dump t
	printf '%s\n' m:4093:7 d:4093:8 >>t
	same_devices plain t
	sed -i '/:4093:[78]$/d' t
	printf '%s\n' 'Name Maj Min' 'm    4093 7' 'd (4093, 8)' >>t
	same_devices plain t
	printf '%s\n' 'pool: 0 5120 thin-pool 4093:7 data 128 0' "$(thins base)" meta:4093:7 >t # a file
	same_devices plain t
	printf '%s\n' 'm: 0 512 linear 4093:9 0' 'pool: 0 5120 thin-pool m data 128 0' >t
	refused 74 "t: line 1: '4093:9'" thin_dump t
}

@test "numbers below other lines are said once, and nothing is destroyed through them" {
	need_sys
	cat meta data >disk
	loop disk
	number=$((0x$(stat -c %t "$LOOP"))):$((0x$(stat -c %T "$LOOP")))
	printf '%s\n' "m: 0 12 linear $number 0" "m: 12 500 linear n 12" "n: 0 512 linear $number 0" "d: 0 5120 linear $number 512" \
		"pool: 0 5120 thin-pool m d 128 0" "$(thins base)" >t
	run --separate-stderr thin_materialize t t0 got
	[ "$status" -eq 0 ]
	[ "$(grep -c "$number is $LOOP" <<<"$stderr")" -eq 1 ]
	thin_materialize plain t0 want
	cmp want got
}

@test "one disk holds metadata and data, but not the same bytes twice" {
	cat meta data base >disk
	m=$(($(stat -c %s meta) / 512))
	printf '%s\n' "tm: 0 $m linear disk 0" "td: 0 5120 linear disk $m" "tb: 0 $(($(stat -c %s base) / 512)) linear disk $((m + 5120))" \
		'pool: 0 5120 thin-pool tm td 128 0' "$(thins tb)" >t
	same_devices plain t
	thin_message t 'create_thin 9'
	thin_trim -q --metadata-dev t
	thin_check -q t
	sed "s/^td: 0 5120 linear disk $m/td: 0 5120 linear disk $((m - 1))/" t >u
	refused 1 "same" thin_check u
	refused 1 "same" thin_materialize u t0 out
	refused 1 "same" thin_message u 'create_thin 10'
	sed "s/linear disk $((m + 5120))/linear disk $((m + 5119))/" t >u
	refused 64 "same" thin_materialize u t0 out
	thin_materialize u t2 out # t2 has no origin
	refused 64 "source" thin_materialize -f t t0 disk
	exec 9<disk
	flock -s 9
	refused 74 "busy" thin_message t 'create_thin 10'
	flock -u 9
	flock -x 9
	refused 74 "busy" thin_materialize t t0 out3
	thin_materialize -U t t0 out3
}

@test "an origin may be a line, or a thin device of another pool, and so on" {
	cat >x2 <<-'XML'
	<superblock uuid="" time="0" transaction="0" version="2" data_block_size="256" nr_data_blocks="6">
	  <device dev_id="0" mapped_blocks="2" transaction="0" creation_time="0" snap_time="0">
	    <single_mapping origin_block="1" data_block="2" time="0"/>
	    <single_mapping origin_block="2" data_block="5" time="0"/>
	  </device>
	</superblock>
	XML
	truncate -s 256K meta2
	head -c $((6 * 131072)) /dev/urandom >data2
	thin_restore -q -i x2 -o meta2
	printf '%s\n' 'q: 0 1536 thin-pool meta2 data2 256 0' 'mid: 0 700 thin q 0 base' >second
	thin_materialize second mid mid.img
	{ echo "pool: 0 5120 thin-pool meta data 128 0"; thins mid.img; } >plain2
	{ cat stack second; } | sed 's/tbase$/mid-line/; s/ base$/ tbase/' >chain
	echo 'mid-line: 0 700 linear /dev/mapper/mid 0' >>chain
	thin_materialize chain mid got
	cmp got mid.img
	same_devices plain2 chain --pool pool
	thin_materialize chain mid-line got2 # a line over a whole thin device reads as that
	cmp got2 mid.img
	sed 's/ mid-line$/ mid/' chain >direct
	same_devices plain2 direct --pool pool
	# written: over another pool's device, but not over one of the same pool, which the write could change
	head -c 300000 /dev/urandom >new
	thin_materialize -f direct t0 want
	dd if=new of=want bs=1000 seek=20 conv=notrunc status=none
	mid=$(sha256sum <mid.img)
	thin_apply -i want direct t0
	thin_materialize -f direct t0 got
	cmp got want
	[ "$(thin_materialize direct mid - | sha256sum)" = "$mid" ]
	sed 's/^\(t0: .*\) mid$/\1 t1/' direct >own
	refused 1 "t1' is the external origin and a device of the same pool" thin_apply -i want own t0
	sed -i 's/thin-pool meta2/thin-pool mid/' second
	refused 1 "loop" thin_materialize second mid x
}

@test "options name lines of the table where no file has that name" {
	{ cat lines; echo "pool: 0 5120 thin-pool tmeta nowhere 128 0"; thins nowhere2; } >t
	for d in t0 t1; do
		thin_materialize -f plain $d want
		thin_materialize -f --data-dev tdata --origin tbase t $d got
		cmp want got
	done
	refused 74 "nowhere2" thin_materialize --data-dev tdata t t0 x
	# data moves alike when --data names the line and when it names the file
	cp meta meta0 && cp data data0 && truncate -s 256K out1 out2
	thin_shrink -q --binary -i plain -o out1 --data data --nr-blocks 38
	cp data moved && cp data0 data && cp meta0 meta
	thin_shrink -q --binary -i t -o out2 --data tdata --nr-blocks 38
	thin_dump out1 | diff - <(thin_dump out2)
	head -n 3 plain | sed 's/ meta data / out1 moved /' >plain1
	{ grep -v '^pool:\|^t[0-9]:' stack; echo "pool: 0 5120 thin-pool out2 tdata 128 0"; thins tbase; } >stack1
	sed -i 's/5120 thin-pool/4864 thin-pool/' plain1 stack1
	thins base | tail -n +3 >>plain1
	same_devices plain1 stack1
}

@test "the plugin's data-dev and origin name lines of the table, or files seen from where nbdkit is started" {
	need_plugin
	need nbdcopy
	{ cat lines; echo "pool: 0 5120 thin-pool tmeta nowhere 128 0"; thins nowhere2; } >t
	thin_materialize plain t1 want
	for how in 'data-dev=tdata origin=tbase' 'data-dev=/dev/mapper/tdata origin=tbase' 'data-dev=data origin=./base'; do
		nbd -r "$PLUGIN" pool=t readonly=true device=t1 $how --run 'nbdcopy "$uri" got'
		cmp want got
	done
	run nbd -r "$PLUGIN" pool=t readonly=true device=t1 data-dev=nothing origin=tbase --run true
	[ "$status" -ne 0 ]
	[[ "$output" == *"$PWD/nothing"* ]]
}

@test "metadata are restored and repaired into a line of a table, and read there" {
	truncate -s 600K spare.img spare2.img
	printf '%s\n' 'spare: 0 500 linear spare.img 7' 'spare: 500 500 linear spare2.img 1' >>stack
	printf '%s\n' 'busy: 0 512 linear fs.img 8' >>stack
	cp meta before
	thin_repair -q -i stack -o stack:spare
	[ "$(thin_dump stack:spare)" = "$(thin_dump meta)" ]
	thin_check -q stack:spare
	[ "$(stat -c %s spare.img spare2.img | sort -u)" = 614400 ]
	thin_restore -q --force -i xml -o stack:spare
	[ "$(thin_dump stack:spare)" = "$(thin_dump meta)" ]
	thin_message stack:spare 'create_thin 5'
	[ "$(thin_ls --no-headers -o DEV stack:spare | wc -l)" -eq 4 ]
	refused 1 "no linear, striped, zero or error line of the name 'nothing'" thin_check stack:nothing
	refused 1 "no linear" thin_restore -i xml -o stack:pool
	refused 64 "input and output" thin_repair -i stack -o stack:tmeta
	refused 1 "--size" thin_restore -i xml -o stack:spare --size 1M
	truncate -s 1M fs.img
	yes text | head -c 4096 | dd of=fs.img bs=512 seek=8 conv=notrunc status=none
	! command -v mkfs.ext4 >/dev/null || { truncate -s 900K e; mkfs.ext4 -q -F e; dd if=e of=fs.img bs=512 seek=8 conv=notrunc status=none; }
	! command -v mkfs.ext4 >/dev/null || refused 1 "holds" thin_restore -i xml -o stack:busy
	thin_restore -q --force -i xml -o stack:busy
	cmp meta before
}

@test "stacks on block devices, of 512 and of 4096 bytes a sector, are read and written" {
	need_root
	for sector in 512 4096; do
		cp meta plain.meta
		cp data plain.data
		sed 's/ meta data / plain.meta plain.data /' plain >flat
		rm -f disk*
		"$STACK" $((SEED + sector)) meta tmeta data tdata base tbase >lines
		{ cat lines; echo "pool: 0 5120 thin-pool tmeta tdata 128 0"; thins tbase; } >t
		for d in disk*; do
			truncate -s %4096 $d
			loop -b $sector $d
			sed -i "s, $d , $LOOP ,g; s, $d\$, $LOOP,; s, $d , $LOOP ,g" t
		done
		same_devices flat t
		for p in flat t; do
			thin_message $p 'create_thin 7' 'create_snap 8 0' 'delete 2'
			sed -i 's/thin pool 2$/thin pool 8/' $p
		done
		thin_check -q t
		same_devices flat t
		thin_trim -q --metadata-dev t
		same_devices flat t
		# the first disk of the first line that stands on one
		refused 64 "source" thin_materialize -f t t0 "$(grep -o '/dev/loop[0-9]*' t | head -n 1)"
		loops_end
	done
}

@test "a device two parts of which are the same bytes is read, but nothing is written to it" {
	local t
	truncate -s 8M f g
	dd if=meta of=f conv=notrunc status=none
	{ echo 'm: 0 512 linear f 0'; echo 'p: 0 5120 thin-pool m d 128 0'; echo 'a: 0 2048 thin p 0'; } >rest
	printf 'rbd diff v1\nw\0\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0abce' >diff
	{ cat rest; echo 'd: 0 3000 linear f 4096'; echo 'd: 3000 2120 linear f 7000'; } >linear
	{ cat rest; echo 'd: 0 5120 striped 2 16 g 0 g 2552'; } >striped
	{ cat rest; echo 'd: 0 5120 striped 2 16 s 0 s 0'; echo 's: 0 2560 linear g 0'; } >below
	{ cat rest; echo 'd: 0 5120 linear s 0'; echo 's: 0 5120 striped 2 16 g 0 g 2552'; } >deeper
	ln -s g link
	{ cat rest; echo 'd: 0 2560 linear g 0'; echo 'd: 2560 2560 linear link 2552'; } >linked
	sha256sum f g >sums
	for t in linear striped below deeper linked; do
		thin_materialize -f $t a out
		for c in "thin_trim --metadata-dev $t" "thin_apply -i diff $t a" "thin_apply -n -i diff $t a" \
			"thin_shrink --binary -i $t -o out --size auto --nr-blocks 38 -f"; do
			rm -f out
			run --separate-stderr $c
			[ "$status" -eq 1 ] && [[ "$stderr" == *"$t:"[ds]": two parts of it are the same bytes of '"*"correct the table"* ]] ||
				{ echo "$c: $status $stderr"; return 1; }
		done
		sha256sum -c --quiet sums
	done
	{ echo 'm: 0 256 linear f 0'; echo 'm: 256 256 linear f 248'; sed 1d linear; } >t
	run --separate-stderr thin_message t 'create_thin 9'
	[ "$status" -eq 1 ] && [[ "$stderr" == *"t:m: two parts of it are the same bytes of 'f', from byte 126976 on"* ]]
	sha256sum -c --quiet sums
	# a striped device that is named part by part, in the midst of a stripe, has each byte once
	{ cat rest; echo 's: 0 5120 striped 2 16 g 0 g 2560'; echo 'd: 0 1003 linear s 0'; echo 'd: 1003 4117 linear s 1003'; } >parts
	thin_apply -i diff parts a
	thin_materialize -f parts a out
	[ "$(head -c 3 out)" = abc ]
}

@test "a device of more pieces than any table has lines, which lines that double others make, is refused soon" {
	local c i l nr
	truncate -s 8M f g
	for nr in 13 18; do
		{
			for c in f g; do
				echo "${c}0: 0 8 linear $c 0"
				for ((i = 1, l = 8; i <= nr; i++, l *= 2)); do
					echo "$c$i: 0 $l linear $c$((i - 1)) 0"
					echo "$c$i: $l $l linear $c$((i - 1)) 0"
				done
			done
			echo "pool: 0 $l thin-pool f$nr g$nr 128 0"
		} >many
		run --separate-stderr bash -c 'ulimit -t 20; thin_check many'
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"$([ $nr = 13 ] && echo "the superblock is all zeros" || echo "more than 32768 pieces of other lines")"* ]]
	done
	run --separate-stderr bash -c 'ulimit -t 20; thin_message many "create_thin 1"'
	[ "$status" -eq 1 ]
}

@test "a line that cannot hold all bytes is no output of thin_restore and thin_repair, and keeps what it holds" {
	local t c
	truncate -s 1M f
	thin_restore -q -i xml -o f
	sha256sum f meta >sums
	{ echo 'm: 0 8 linear f 0'; echo 'm: 8 8 error'; echo 'm: 16 2032 linear f 16'; } >error
	{ echo 'm: 0 2000 linear f 0'; echo 'm: 2000 48 zero'; } >zero
	echo 'm: 0 4096 linear f 0' >short
	{ echo 'm: 0 2000 striped 2 8 f 0 e 0'; echo 'e: 0 1000 error'; } >striped
	echo 'p: 0 5120 thin-pool meta d 128 0' | tee -a error zero short striped >whole
	for t in error zero short striped; do
		for c in "thin_restore -i xml" "thin_repair -i meta"; do
			run --separate-stderr $c -o $t:m --force
			[ "$status" -eq 1 ] && [[ "$stderr" == *"'$t:m' cannot hold "*"nothing was written"* ]] ||
				{ echo "$c $t: $status $stderr"; return 1; }
		done
		sha256sum -c --quiet sums
	done
	echo 'm: 0 2048 linear f 0' >>whole
	thin_restore -i xml -o whole:m
}
