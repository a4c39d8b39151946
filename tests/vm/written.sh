# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# shellcheck shell=sh
# Read by tests/vm/run: pools that our commands wrote, in the kernel.

# Work on a pool of ours: the kernel reads it, writes, snapshots, discards, deletes.
use() { # NAME
	tell_tables >"$dir/$1.story"
	first=$(awk '/^table t/ { print $2; exit }' "$dir/$1.story")
	id=$(awk '/^table t/ { print $7; exit }' "$dir/$1.story")
	size=$(awk '/^table t/ { print $4; exit }' "$dir/$1.story")
	cat >>"$dir/$1.story" <<-STORY
	hash
	w $first 0 300 a.1
	w $first $((size / 2)) 40 a.2
	suspend $first
	message create_snap 8000 $id
	resume $first
	table t8000 0 $size thin pool 8000
	w $first 8 200 a.3
	w t8000 64 500 a.4
	message create_thin 8001
	table t8001 0 $size thin pool 8001
	w t8001 0 $size a.5
	d t8001 0 $((size / 2))
	d $first 0 1024
	remove t8001
	message delete 8001
	s $first
	STORY
	awk '$1 == "table" && $2 != "pool" { print $2 }' "$dir/$1.story" | grep -v '^t800' | while read -r t; do
		echo "$t $(thin_materialize tables "$t" - 2>/dev/null | sha256sum | cut -d' ' -f1)"
	done >ours
	# shellcheck disable=SC2046 # a list of files
	boot "$dir/$1.story" $(disks_of)
	ended
	result $? "$1: the kernel activates it, writes, snapshots, discards and deletes"
	awk '$1 == "first" { print $2, $6 }' told | sort >theirs
	sort ours | diff - theirs | sed 's/^/# /' >differences
	cat differences
	[ -s theirs ] && [ ! -s differences ]
	result $? "$1: each of $(wc -l <theirs) devices reads as thin_materialize wrote it"
	judge "$1"
}

vm_restored() {
	enter restored-$1 $1
	thin_dump meta.img >pool.xml && rm meta.img && truncate -s 4M meta.img
	thin_restore -q -i pool.xml -o meta.img
	use restored-$1
}

# The superblock is lost and comes back.
vm_repaired() {
	enter repaired crash-2
	"$build/tests/damage/damage" meta.img superblock-csum >/dev/null || exit 99
	mv meta.img bad.img && truncate -s 4M meta.img
	thin_repair -q -i bad.img -o meta.img
	use repaired
}

vm_shrunk() {
	enter shrunk fuzz-2
	used=$(thin_dump --skip-mappings meta.img | sed -n 's/.*nr_data_blocks="\([0-9]*\)".*/\1/p')
	bs=$(awk '/thin-pool/ { print $7 }' tables)
	mv meta.img old.img && truncate -s 4M meta.img
	thin_shrink -q --binary -i old.img -o meta.img --data data.img --nr-blocks $((used * 3 / 4))
	sed -i "s/^pool: 0 [0-9]*/pool: 0 $((used * 3 / 4 * bs))/" tables
	use shrunk
}

# The flag and its reason go, and the kernel writes again.
vm_cleared() {
	enter cleared needscheck-ioerror
	thin_check -q --clear-needs-check-flag meta.img
	use cleared
}

# From nothing, without the kernel: formatted, devices, snapshots.
vm_messages() {
	enter messages
	truncate -s 4M meta.img && truncate -s 64M data.img
	echo 'pool: 0 131072 thin-pool meta.img data.img 128 0' >tables
	thin_message -q tables 'create_thin 0' 'create_thin 7' 'create_snap 8 7' 'set_transaction_id 0 3'
	printf 't0: 0 9000 thin pool 0\nt7: 0 9001 thin pool 7\nt8: 0 9001 thin pool 8\n' >>tables
	use messages
}

# Written by our target: the whole story of a fixture.
vm_told() {
	enter told-$1 $1
	zstd -qdc "$fixtures/stories.tar.zst" | tar -xf - $1.story
	"$build/tests/tell" $1.story . told.meta told.data >/dev/null || echo "# tell failed"
	mv told.meta meta.img && mv told.data data.img
	use told-$1
}

# A device may stand in the fixture's table more than once, with other sizes and origins.
each_once() { sed -i '/^t[0-9]*-/d' tables; }

# A command that must succeed; r tells.
must() {
	"$@" >words 2>&1 && return
	sed 's/^/# /' words
	r=1
}

# Each device of a pool goes into an empty one, as an image of one form after the other; then what the last device has
# since the first, into a snapshot of the first.
vm_applied() { # FIXTURE
	enter applied-$1 $1
	mv meta.img was.meta && mv data.img was.data
	each_once
	sed 's/ meta.img data.img / was.meta was.data /' tables >was
	sed -i 's/^pool: 0 [0-9]*/pool: 0 1048576/' tables # what was shared is so no longer
	truncate -s 4M meta.img && truncate -s 512M data.img
	sed -n 's/^\(t[0-9]*\): .* pool \([0-9]*\).*/\1 \2/p' tables >names
	r=0
	while read -r _ id; do must thin_message tables "create_thin $id"; done <names
	form=raw
	while read -r t _; do
		must thin_materialize -f -O $form was "$t" image
		must thin_apply -i image tables "$t"
		case $form in raw) form=qcow2 ;; qcow2) form=rbd-diff ;; *) form=raw ;; esac
	done <names
	read -r first id <names
	last=$(sed -n '$s/ .*//p' names)
	must thin_message tables "create_snap 7000 $id"
	sed -n "s/^$last: \(.*pool\) [0-9]*/t7000: \1 7000/p" tables >>tables
	must thin_materialize --since "$first" -O rbd-diff was "$last" increment
	must thin_apply -i increment tables t7000
	echo "$last t7000" >>names
	while read -r t other; do
		case $other in t*) ;; *) other=$t ;; esac
		[ "$(thin_materialize -q was "$t" - | sha256sum)" = "$(thin_materialize -q tables "$other" - | sha256sum)" ] ||
			{ echo "# $other is not what $t was" && r=1; }
	done <names
	must thin_check meta.img
	result $r "applied-$1: each image and increment makes the device again"
	use applied-$1
}

# Written through the plugin: random writes, zeros and discards on each device, with snapshots between.
vm_served() { # FIXTURE
	plugin=$build/nbdkit/nbdkit-thin-plugin.so
	for tool in nbdkit qemu-io; do
		command -v $tool >/dev/null || { echo "# $tool is not installed: not tried" && return; }
	done
	[ -f "$plugin" ] && ! nm -D "$plugin" | grep -qE '__(asan|ubsan|tsan)' || { echo "# no plain plugin: not tried" && return; }
	enter served-$1 $1
	each_once
	seed=${SEEDS%% *} r=0
	for round in 1 2 3; do
		awk -F': ' '$1 ~ /^t/ { print $1 }' tables >names
		while read -r t; do
			size=$(sed -n "s/^$t: 0 \([0-9]*\) .*/\1/p" tables)
			awk -v seed="$seed$round" -v t="$t" -v size="$size" 'BEGIN {
				srand(seed + substr(t, 2))
				for (i = 0; i < 12; i++) {
					at = int(rand() * size); n = 1 + int(rand() * 400); how = rand()
					if (at + n > size) n = size - at
					print (how < .7 ? "write -P " 1 + int(rand() * 255) : how < .85 ? "write -z" : "discard"), at * 512, n * 512
				}
			}' >io
			must nbdkit -U - "$plugin" pool=tables device="$t" --run 'qemu-io -f raw "$uri" <io >io.out 2>&1 && ! grep -i "fail\|error" io.out'
		done <names
		[ $round -lt 3 ] || break
		id=$(sed -n '1s/^t//p' names)
		must thin_message tables "create_snap 700$round $id"
		sed -n "s/^t$id: \(.*pool\) [0-9]*/t700$round: \1 700$round/p" tables >>tables
	done
	must thin_check meta.img
	result $r "served-$1: nbdkit writes to $(wc -l <names) devices (seed $seed)"
	use served-$1
}
