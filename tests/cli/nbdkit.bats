#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# nbdkit-thin-plugin: thin devices of an inactive pool over NBD.

bats_require_minimum_version 1.5.0

load needs

setup() {
	need_plugin
	cd "$BATS_TEST_TMPDIR" || return 1
	truncate -s 2M meta
	truncate -s 64M data
	for i in $(seq 1 5000); do printf 'origin %06d...\n' $i; done >base
	cat >table <<-EOT
	pool: 0 131072 thin-pool meta data 128 0
	t0: 0 32768 thin pool 0
	o: 0 1024 thin pool 1 base
	EOT
	thin_message table 'create_thin 0' 'create_thin 1'
}

teardown() {
	! mountpoint -q m 2>/dev/null || umount m
	[ ! -f pid ] || kill "$(cat pid)" 2>/dev/null || true
}

# serve PARAMETERS... -- COMMAND: runs COMMAND with $uri set.
serve() {
	local params=()
	while [ "$1" != -- ]; do params+=("$1"); shift; done
	shift
	nbd "$PLUGIN" "${params[@]}" --run "$*"
}

io() { # [device] qemu-io command...
	local args=() c
	for c in "${@:2}"; do args+=("-c '$c'"); done
	serve pool=table "device=$1" -- "qemu-io -f raw \"\$uri\" ${args[*]}"
}

@test "nbdkit-thin: what is written is read back, also after a restart" {
	need qemu-io
	io t0 'write -P 7 5000 100000' 'read -P 7 5000 100000' 'read -P 0 0 5000'
	run -0 io t0 'read -P 7 5000 100000' 'read -P 0 105000 50000'
	[[ "$output" != *failed* ]]
	thin_check -q meta
}

@test "nbdkit-thin: unwritten parts of a device show its origin, and zeros after its end" {
	need nbdcopy
	need nbdinfo
	serve pool=table device=o -- 'nbdcopy "$uri" out'
	[ "$(stat -c %s out)" = 524288 ]
	cmp -n "$(stat -c %s base)" base out
	cmp -n 400000 -i "$(stat -c %s base):0" out /dev/zero
}

@test "nbdkit-thin: a write into the middle of an origin's block copies the rest of it" {
	need qemu-io
	io o 'write -P 9 1000 10' >/dev/null
	serve pool=table device=o -- 'nbdcopy "$uri" out'
	cmp -n 1000 base out
	cmp -n 60000 -i 1010 base out
	[ "$(od -An -tu1 -j 1000 -N 10 out | tr -d ' \n')" = 9999999999 ]
}

@test "nbdkit-thin: thin_materialize gives the bytes that the server gives" {
	need qemu-io
	io o 'write -P 9 1000 10' 'write -P 3 100k 200k' 'discard 128k 64k' >/dev/null
	serve pool=table device=o -- 'nbdcopy "$uri" out'
	thin_materialize table o flat
	cmp out flat
}

@test "nbdkit-thin: block status says data and holes exactly" {
	need nbdinfo
	need qemu-io
	io t0 'write -P 1 64k 64k' 'write -P 1 192k 4k' >/dev/null
	run -0 serve pool=table device=t0 -- 'nbdinfo --map "$uri"'
	[ "$(awk '{ print $1, $2, $3 }' <<<"$output")" = "0 65536 3
65536 65536 0
131072 65536 3
196608 65536 0
262144 16515072 3" ]
}

@test "nbdkit-thin: exports are the table's devices" {
	need nbdinfo
	run -0 serve pool=table -- 'nbdinfo --list "$uri"'
	[[ "$output" == *'export="t0"'* && "$output" == *'export="o"'* ]]
	run -0 nbd -e o "$PLUGIN" pool=table --run 'nbdinfo --size "$uri"'
	[ "$output" = 524288 ]
	run nbd -e nosuch "$PLUGIN" pool=table --run 'nbdinfo --size "$uri"'
	[ "$status" -ne 0 ]
	[[ "$output" == *nosuch* ]]
}

@test "nbdkit-thin: with device= nothing else is served" {
	need nbdinfo
	run nbd -e o "$PLUGIN" pool=table device=t0 --run 'nbdinfo --size "$uri"'
	[ "$status" -ne 0 ]
}

@test "nbdkit-thin: bare metadata with parameters for the rest" {
	need nbdinfo
	run -0 serve pool=meta data-dev=data device=1 origin=base size=1M -- 'nbdinfo --size "$uri"'
	[ "$output" = 1048576 ]
	run -0 --separate-stderr serve pool=meta data-dev=data device=1 origin=base -- 'nbdinfo --size "$uri"'
	[[ "$stderr" == *"is a guess"*"size of the external origin"* ]]
	[ "$output" = "$(stat -c %s base)" ]
	run serve pool=meta device=1 -- true
	[ "$status" -ne 0 ]
	[[ "$output" == *"data device"* ]]
}

@test "nbdkit-thin: readonly=true changes nothing and lets others read" {
	need qemu-io
	io t0 'write -P 7 0 64k' >/dev/null
	before=$(sha256sum meta data)
	run -0 serve pool=table device=t0 readonly=true -- \
		"nbdkit -U other '$PLUGIN' pool=table device=o readonly=true --run 'nbdinfo \"\$uri\"' && qemu-io -r -f raw \"\$uri\" -c 'read -P 7 0 64k'"
	[[ "$output" == *"is_read_only: true"* ]]
	[ "$before" = "$(sha256sum meta data)" ]
}

@test "nbdkit-thin: nbdkit -r changes nothing, not even a map that could grow" {
	need nbdinfo
	truncate -s 4M meta
	before=$(sha256sum meta data)
	nbd -r "$PLUGIN" pool=table device=t0 --run 'nbdinfo "$uri"'
	[ "$before" = "$(sha256sum meta data)" ]
	serve pool=table device=t0 -- 'nbdinfo "$uri"'
	[ "$before" != "$(sha256sum meta data)" ]
}

@test "nbdkit-thin: a pool that is being served is busy for others" {
	run serve pool=table device=t0 -- "thin_message meta 'create_thin 9'"
	[ "$status" -eq 74 ]
	[[ "$output" == *busy* ]]
}

@test "nbdkit-thin: a parameter without a value is said to be empty" {
	local keys
	keys=$(grep -oE '\["?[a-z-]+=|^\.RB \[ [a-z\\-]+=|^\.BI [a-z\\-]+=' "$abs_top_srcdir/man/nbdkit-thin-plugin.1" |
		grep -oE '[a-z\\-]+=' | tr -d '\\=' | sort -u)
	[ "$(wc -w <<<"$keys")" -ge 10 ]
	for key in $keys; do
		run serve pool=table $key= -- true
		[[ "$status" -ne 0 && "$output" == *"$key= is empty"* ]] || { echo "$key: $output"; return 1; }
	done
}

@test "nbdkit-thin: needs_check is served with readonly=true only" {
	need nbdcopy
	cp "$abs_top_srcdir/tests/fixtures/needscheck-ioerror.tar.zst" .
	need zstd
	zstd -qdc needscheck-ioerror.tar.zst | tar -xSf -
	cd needscheck-ioerror
	run serve pool=tables device=t0 -- true
	[ "$status" -ne 0 ]
	[[ "$output" == *"needs_check"*"rebuilds the metadata; readonly=true serves it as it is"* ]]
	serve pool=tables device=t0 readonly=true -- 'nbdcopy "$uri" - | sha256sum' >sum
	[ "$(cut -d' ' -f1 sum)" = "$(awk '$1 == "thin" && $2 == "t0" { print $6 }' oracle)" ]
}

@test "nbdkit-thin: a discarded block shows the origin again and frees its data block" {
	need qemu-io
	io o 'write -P 9 64k 64k' >/dev/null
	[ "$(thin_dump meta | grep -c mapping)" = 1 ]
	io o 'discard 64k 64k' >/dev/null
	run thin_dump meta
	[[ "$output" != *_mapping* ]]
	serve pool=table device=o -- 'nbdcopy "$uri" out'
	cmp -n 81000 base out
}

@test "nbdkit-thin: with ignore_discard trim is not offered, and zeros take space" {
	need nbdinfo
	need qemu-io
	sed -i '1s/$/ 1 ignore_discard/' table
	run -0 serve pool=table device=t0 -- 'nbdinfo "$uri"'
	[[ "$output" == *"can_trim: false"*"can_zero: true"* ]]
	io t0 'write -P 9 0 64k' 'discard 0 64k' 'write -z -u 128k 64k' >/dev/null
	run -0 io t0 'read -P 9 0 64k' 'read -P 0 128k 64k'
	[[ "$output" != *failed* ]]
	run -0 thin_dump meta
	[[ "$output" == *'dev_id="0" mapped_blocks="2"'* ]]
}

@test "nbdkit-thin: writing zeros over an origin keeps them, over nothing takes no space" {
	need qemu-io
	io o 'write -z -u 0 128k' >/dev/null
	io t0 'write -z -u 0 1M' >/dev/null
	serve pool=table device=o -- 'nbdcopy "$uri" out'
	# the origin ends at 80000 in the second block: zeros lie over both
	cmp -n 131072 out /dev/zero
	thin_check -q meta
	run thin_dump meta
	[[ "$output" == *'dev_id="0" mapped_blocks="0"'* ]]
}

@test "nbdkit-thin: zeros over a hole of the origin take no space, and free what was there" {
	need qemu-img
	rm base
	truncate -s 1T base image
	printf base | dd of=base bs=1 seek=$((600 << 30)) conv=notrunc status=none
	printf image | dd of=image bs=1 seek=$((500 << 30)) conv=notrunc status=none
	sed -i 's/^o: 0 1024 /o: 0 2147483648 /' table
	io o 'write -P 7 300G 1M' >/dev/null
	serve pool=table device=o -- 'timeout 100 qemu-img convert -n -f raw -O raw image "$uri"'
	thin_check -q meta
	[ "$(thin_dump meta | grep -c 'origin_block="\(8192000\|9830400\)"')" = 2 ]
	[[ "$(thin_dump meta)" == *'dev_id="1" mapped_blocks="2"'* ]]
	thin_materialize table o out
	cmp -i $((500 << 30)) -n 65536 image out
	cmp -i $((600 << 30)) -n 65536 image out
}

# old_bytes FEATURE...: a pool with these feature words, whose data device is full of old bytes, and a device of 2 MiB
old_bytes() {
	head -c 64M /dev/zero | tr '\0' Z >data
	printf '%s\n' "pool: 0 131072 thin-pool meta data 128 0 $#${*:+ $*}" 't0: 0 4096 thin pool 0' >table
}

# An image of 2 MiB with data and zeros in sectors, runs and whole blocks, from the seed $1.
patchy_image() {
	awk -v seed="$1" 'BEGIN {
		srand(seed)
		for (i = 0; i < 4096; i++) {
			if (!n) { n = rand() < 0.3 ? 1 : int(rand() * rand() * 500) + 1; zero = rand() < 0.5 }
			n--
			line = ""
			for (k = 0; k < 16; k++) line = line sprintf("%031d\n", i * 16 + k)
			if (zero) gsub(/[^\t]/, "\t", line)
			printf "%s", line
		}
	}' | tr '\t' '\0'
}

@test "nbdkit-thin: zeros that were written over old bytes stay zeros under skip_block_zeroing" {
	need qemu-io
	for z in 'write -z -u' 'write -z' 'write -z -u -f'; do
		truncate -s 0 meta
		truncate -s 2M meta
		old_bytes skip_block_zeroing
		thin_message table 'create_thin 0'
		run -0 io t0 "$z 0 4096" 'write -P 97 4096 4096' 'read -P 0 0 4096' \
			"$z 64k 192k" 'write -P 98 100k 1k' 'read -P 0 64k 36k' 'read -P 0 101k 155k' \
			'write -P 7 512k 64k' "$z 520k 4k" 'read -P 7 512k 8k' 'read -P 0 520k 4k' \
			'discard 512k 64k' "$z 512k 4k" 'write -P 9 516k 4k' 'read -P 0 512k 4k'
		[[ "$output" != *failed* ]]
	done
	thin_check -q meta
}

@test "nbdkit-thin: an image copied over old bytes arrives whole, whatever the pool's features" {
	need qemu-img
	need nbdcopy
	seed=${SEED:-$RANDOM}
	echo "SEED=$seed"
	patchy_image "$seed" >image
	for f in '' skip_block_zeroing ignore_discard 'skip_block_zeroing ignore_discard' \
		'skip_block_zeroing no_discard_passdown'; do
		for copy in 'qemu-img convert -n -f raw -O raw' 'qemu-img convert -n -W -S 512 -f raw -O raw' \
			nbdcopy 'nbdcopy --allocated'; do
			echo "$copy, $f"
			truncate -s 0 meta
			truncate -s 2M meta
			old_bytes $f
			thin_message table 'create_thin 0'
			serve pool=table device=t0 -- "$copy image \"\$uri\""
			rm -f out
			thin_materialize table t0 out
			cmp image out
		done
	done
}

@test "nbdkit-thin: under skip_block_zeroing a client that may write is not told that holes stay zero" {
	need nbdinfo
	old_bytes skip_block_zeroing
	run -0 serve pool=table device=t0 -- 'nbdinfo --map "$uri"'
	[ "$(awk '{ print $1, $2, $3 }' <<<"$output")" = "0 2097152 1" ]
	run -0 serve pool=table device=t0 readonly=true -- 'nbdinfo --map "$uri"'
	[ "$(awk '{ print $1, $2, $3 }' <<<"$output")" = "0 2097152 3" ]
	run -0 nbd -r "$PLUGIN" pool=table device=t0 --run 'nbdinfo --map "$uri"'
	[ "$(awk '{ print $1, $2, $3 }' <<<"$output")" = "0 2097152 3" ]
}

@test "nbdkit-thin: a full data device fails writes with ENOSPC and stays good" {
	need qemu-io
	truncate -s 1M small
	truncate -s 2M meta2
	printf '%s\n' 'pool: 0 2048 thin-pool meta2 small 128 0' 't: 0 32768 thin pool 0' >table2
	thin_message table2 'create_thin 0'
	run serve pool=table2 device=t -- \
		"qemu-io -f raw \"\$uri\" -c 'write -P 5 0 1M' -c 'write 1M 64k' -c 'read -P 5 0 1M'"
	[[ "$output" == *"No space left"* ]]
	[[ "$output" == *"read 1048576/1048576"* ]]
	[[ "$output" != *"Pattern verification failed"* ]]
	thin_check -q meta2
}

@test "nbdkit-thin: qemu-img converts a device to qcow2 and back" {
	need qemu-img
	need qemu-io
	io o 'write -P 9 100k 50k' >/dev/null
	serve pool=table device=o -- 'qemu-img convert -f raw "$uri" -O qcow2 out.qcow2'
	serve pool=table device=t0 -- 'qemu-img convert -n -f qcow2 out.qcow2 -O raw "$uri"'
	thin_materialize table o a
	thin_materialize --size 512K table t0 b
	cmp a b
}

@test "nbdkit-thin: ext4 and xfs are made on thin devices" {
	need nbdfuse
	need mke2fs
	[ -w /dev/fuse ] || skip "no /dev/fuse"
	truncate -s 1G data
	printf '%s\n' 'pool: 0 2097152 thin-pool meta data 128 0' 't: 0 1048576 thin pool 0' >table
	mkdir m
	nbdkit -U sock -P pid "$PLUGIN" pool=table device=t
	nbdfuse m/disk "nbd+unix:///?socket=sock" &
	for i in $(seq 600); do [ -f m/disk ] && break; sleep 0.1; done
	[ -f m/disk ] || { kill "$(cat pid)"; skip "nbdfuse cannot mount here"; }
	mke2fs -q -F -t ext4 m/disk
	e2fsck -fn m/disk
	if command -v mkfs.xfs >/dev/null; then
		mkfs.xfs -q -f m/disk
		xfs_repair -n m/disk
	fi
	umount m 2>/dev/null || fusermount3 -u m 2>/dev/null || fusermount -u m
	wait
	kill "$(cat pid)"
	for i in $(seq 600); do [ -f pid ] || break; sleep 0.1; done
	thin_check -q meta
	thin_materialize table t flat
	[[ "$(blkid -p flat)" == *xfs* || "$(blkid -p flat)" == *ext4* ]]
}

@test "nbdkit-thin: several connections write and read at once" {
	need nbdcopy
	head -c 16M /dev/urandom >random
	serve pool=table device=t0 -- 'nbdcopy --connections=4 --requests=16 random "$uri" && nbdcopy --connections=4 "$uri" back'
	cmp random back
	thin_check -q meta
}

@test "nbdkit-thin: what was flushed survives kill -9" {
	need_daemon
	need qemu-io
	nbdkit -U sock -P pid "$PLUGIN" pool=table device=t0
	qemu-io -f raw "nbd+unix:///?socket=sock" -c 'write -P 4 0 300k' -c flush -c 'write -P 5 1M 300k' >/dev/null
	kill -9 "$(cat pid)"
	while kill -0 "$(cat pid)" 2>/dev/null; do sleep 0.01; done
	thin_check -q meta
	run -0 io t0 'read -P 4 0 300k'
	[[ "$output" != *failed* ]]
}

# Writes block after block, each followed by a flush, and notes what was acknowledged.
busy_writer() {
	local i=$1
	while qemu-io -f raw "nbd+unix:///?socket=sock" -c "write -P $((i % 250 + 1)) $((i * 40))k 40k" \
		-c flush >out.$i 2>&1 && ! grep -q failed out.$i; do
		echo "$i" >>acknowledged
		i=$((i + 1))
	done
}

@test "nbdkit-thin: a busy server is killed again and again, and nothing acknowledged is lost" {
	need_daemon
	need qemu-io
	: >acknowledged
	next=0
	for round in $(seq "${ROUNDS:-8}"); do
		nbdkit -U sock -P pid "$PLUGIN" pool=table device=t0
		busy_writer $next &
		sleep 0.$((RANDOM % 5))$((RANDOM % 10))
		kill -9 "$(cat pid)"
		wait
		rm -f sock pid
		thin_check -q meta || { echo "round $round"; thin_check meta; false; }
		next=$(($(tail -n 1 acknowledged || echo -1) + 1))
		[ $next -lt 300 ] || break
	done
	[ -s acknowledged ]
	args=()
	while read -r i; do args+=("-c 'read -P $((i % 250 + 1)) $((i * 40))k 40k'"); done <acknowledged
	run -0 serve pool=table device=t0 -- "qemu-io -r -f raw \"\$uri\" ${args[*]}"
	[[ "$output" != *failed* ]]
	[ "$(grep -c '^read 40960/40960' <<<"$output")" = "$(wc -l <acknowledged)" ]
}

# More with STORY_SESSIONS and STORY_SEEDS.
@test "nbdkit-thin: a long random story on devices with origins, with snapshots between, is that of a model" {
	need python3
	for seed in ${STORY_SEEDS:-1 $RANDOM}; do
		mkdir "story-$seed"
		(cd "story-$seed" && PYTHONDONTWRITEBYTECODE=1 timeout 600 python3 "$BATS_TEST_DIRNAME/nbd_story.py" "$PLUGIN" "$seed" \
			"${STORY_SESSIONS:-5}" 120) || { cat "story-$seed/server.log"; false; }
		rm -r "story-$seed"
	done
}

@test "nbdkit-thin: a device that the pool has not is refused at the start" {
	for d in nope 77 16777216 ''; do
		run nbd "$PLUGIN" pool=table "device=$d" --run 'echo started'
		[[ "$status" -ne 0 && "$output" != *started* && "$output" == *"$d"* ]]
	done
	sed -i 's/pool 1 base/pool 1 no-such-base/' table
	run nbd "$PLUGIN" pool=table device=o --run 'echo started'
	[[ "$status" -ne 0 && "$output" != *started* && "$output" == *no-such-base* ]]
	sed -i '/^o:/d; s/pool 0$/pool 9/' table
	run nbd "$PLUGIN" pool=table --run 'echo started'
	[[ "$status" -ne 0 && "$output" != *started* && "$output" == *"device 9 does not exist"* ]]
}

@test "nbdkit-thin: of a table's devices those that the pool has are served, the others are named" {
	need nbdinfo
	echo 't9: 0 1024 thin pool 9' >>table
	run -0 serve pool=table -- 'nbdinfo --list "$uri"'
	[[ "$output" == *'export="t0"'* && "$output" == *'export="o"'* && "$output" != *'export="t9"'* ]]
	[[ "$output" == *"device 9 is not served"* ]]
}

@test "nbdkit-thin: a device on which others stand as their external origin can only be read, the others are written" {
	need nbdinfo qemu-io
	truncate -s 1M meta2
	truncate -s 8M data2
	printf '%s\n' 'pool2: 0 16384 thin-pool meta2 data2 128 0' 'above: 0 1024 thin pool2 1 t0' >>table
	run -0 serve pool=table pool-name=pool -- 'nbdinfo --json "nbd+unix:///t0?socket=$unixsocket"'
	[[ "$output" == *'"is_read_only": true'* && "$output" == *"'t0' is the external origin of 'above': a write would change their bytes"* ]]
	cp meta meta.was
	run serve pool=table pool-name=pool -- 'qemu-io -f raw -c "write -P 7 0 64k" "nbd+unix:///t0?socket=$unixsocket"'
	[ "$status" -ne 0 ]
	cmp meta meta.was
	run -0 serve pool=table pool-name=pool -- 'nbdinfo --json "nbd+unix:///o?socket=$unixsocket"'
	[[ "$output" == *'"is_read_only": false'* && "$output" != *"can only be read"* ]]
	run -0 serve pool=table pool-name=pool -- 'qemu-io -f raw -c "write -P 7 0 64k" "nbd+unix:///o?socket=$unixsocket"'
	! cmp -s meta meta.was
}

@test "nbdkit-thin: mistakes in parameters are explained" {
	run nbdkit "$PLUGIN" device=t0
	[[ "$status" -ne 0 && "$output" == *"pool=FILE is missing"* ]]
	run nbdkit "$PLUGIN" pool=table size=0 device=t0
	[[ "$status" -ne 0 && "$output" == *size=0* ]]
	run nbdkit "$PLUGIN" pool=table origin=base
	[[ "$status" -ne 0 && "$output" == *"device=ID is missing"* ]]
	run nbdkit "$PLUGIN" pool=no-such-file device=0
	[[ "$status" -ne 0 && "$output" == *no-such-file* ]]
	run nbdkit "$PLUGIN" pool=table bogus=1
	[[ "$status" -ne 0 && "$output" == *bogus* && "$output" != *"did you mean"* ]]
	run nbdkit "$PLUGIN" pool=table datadev=x
	[[ "$status" -ne 0 && "$output" == *"'datadev'; did you mean 'data-dev='?"* ]]
}

@test "nbdkit-thin: of a name that is mistyped the message says which one was meant" {
	need nbdinfo
	sed 's/^t0:/webserver:/' table >named
	run nbd "$PLUGIN" pool=named device=websever --run 'echo started'
	[[ "$status" -ne 0 && "$output" == *"'websever'"*"did you mean 'webserver'?"* ]]
	run nbd "$PLUGIN" pool=named --run 'nbdinfo "nbd+unix:///webservr?socket=$unixsocket"'
	[[ "$status" -ne 0 && "$output" == *"no export 'webservr': neither a name in the table nor a device id; did you mean 'webserver'?"* ]]
	run nbd "$PLUGIN" pool=named --run 'nbdinfo "nbd+unix:///zzzzzzzzzzzz?socket=$unixsocket"'
	[[ "$status" -ne 0 && "$output" == *"no export"* && "$output" != *"did you mean"* ]]
	run nbd "$PLUGIN" pool=meta data-dev=data --run 'nbdinfo "nbd+unix:///webserver?socket=$unixsocket"'
	[[ "$status" -ne 0 && "$output" == *"not a device id; only a table gives names"* ]]
}

@test "nbdkit-thin: messages name parameters where they would name a command's options" {
	local wanted parameters
	need qemu-img
	qemu-img create -q -f qcow2 image 1M
	printf '%s\n' 'p: 0 131072 thin-pool meta data 128 0' 'q: 0 131072 thin-pool meta2 data2 128 0' \
		'a: 0 1024 thin p 0' 'b: 0 1024 thin q 0' >twice
	while IFS='|' read -r wanted parameters; do
		# shellcheck disable=SC2086
		run nbd "$PLUGIN" $parameters --run 'echo started'
		[[ "$status" -ne 0 && "$output" == *"$wanted"* ]] || { echo "$parameters: $output"; return 1; }
		! grep -E -- "--[a-z]" <<<"$output" || return 1
	done <<-'END'
		pool-name=NAME|pool=twice device=1
		pool-name: no pool 'x' in|pool=twice pool-name=x device=1
		meta' is not a table file and has only one pool|pool=meta data-dev=data pool-name=x device=1
		pool-name: '|pool=meta data-dev=data pool-name=x device=1
		pv: '|pool=meta data-dev=data pv=meta2 device=1
		data-dev=DEV|pool=meta device=1
		raw bytes are the origin: origin-format=raw|pool=meta data-dev=data device=1 origin=image
	END
}

@test "no test and no benchmark lets nbdkit make a folder in /tmp, where it would stay" {
	cd "$abs_top_srcdir"
	! grep -rnE 'nbdkit( -[a-z]+)* -U - [^,]|"-U", "[-]"' tests/cli tests/*.sh bench
}
