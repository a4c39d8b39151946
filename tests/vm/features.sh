# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# shellcheck shell=sh
# Read by tests/vm/run: the words that a pool's line can have.

# A random story with this word: what the kernel made of it, and what our target makes of it.
vm_words() {
	seed=${SEEDS%% *}
	play "words-$1" -v seed="$seed" -v ops=250 -v words="$1"
	ended
	result $? "words-$1: the kernel plays story $seed with $1"
	judge "words-$1"
	"$build/tests/tell" "$dir/words-$1.story" . >out 2>&1
	r=$?
	sed 's/^/# /' out
	result $r "words-$1: told to our target, it gives the same pool"
}

# Nothing can be changed, by the kernel or by us, and everything read.
vm_read_only() {
	enter "read_only-$1" "$1"
	cp meta.img was.img
	cp --sparse=always data.img data.was
	sed -i 's/^\(pool: 0 [0-9]* thin-pool [^ ]* [^ ]* [0-9]* [0-9]*\).*/\1 1 read_only/' tables
	tell_tables >"$dir/read_only-$1.story"
	first=$(awk '/^table t/ { print $2; exit }' "$dir/read_only-$1.story")
	cat >>"$dir/read_only-$1.story" <<-STORY
	hash
	not message create_thin 9000
	not message set_transaction_id 0 0
	not w $first 0 8 r.1
	STORY
	awk '$1 == "table" && $2 != "pool" { print $2 }' "$dir/read_only-$1.story" | while read -r t; do
		echo "$t $(thin_materialize tables "$t" - 2>/dev/null | sha256sum | cut -d' ' -f1)"
	done | sort >ours
	# shellcheck disable=SC2046 # a list of files
	boot "$dir/read_only-$1.story" $(disks_of)
	ended
	result $? "read_only-$1: the kernel activates it and refuses messages and a write"
	awk '$1 == "first" { print $2, $6 }' told | sort >theirs
	[ -s theirs ] && cmp -s ours theirs && cmp -s meta.img was.img && cmp -s data.img data.was
	result $? "read_only-$1: each of $(wc -l <theirs) devices reads as thin_materialize wrote it, and no byte has changed"
	! thin_message tables 'create_thin 9000' 2>words && [ -s words ] && cmp -s meta.img was.img
	result $? "read_only-$1: thin_message refuses it, too"
}

# The kernel fills the metadata up to its last block: by writes, which sets needs_check, or by snapshots, which does not.
# The pool then goes on in a larger device: grown, with the flag cleared, or repaired into it.
vm_full() { # KIB:GROWN|REPAIRED
	size=${1%:*} way=${1#*:} name=full-$way
	enter "$name"
	truncate -s "${size}K" meta.img && truncate -s 64M data.img
	cat >"$dir/$name.story" <<-STORY
	table pool 0 131072 thin-pool meta.img data.img 128 0
	message create_thin 1
	table t1 0 40000 thin pool 1
	w t1 0 40000 full.1
	s t1
	script full 40000
	STORY
	mkdir more && cp "$here/full" more/
	boot "$dir/$name.story" meta.img data.img
	ended
	result $? "$name: the machine plays to its end"
	sed -n 's/^room /# /p' told
	grep -q '^room ended by [cw]' told
	result $? "$name: the kernel has no room for another snapshot or write"
	judge "$name"
	grep -q '^room .* needs_check' told && flag=0 || flag=1
	thin_check meta.img >words 2>&1 && { grep -q needs_check words && found=0 || found=1; } && [ $found = $flag ]
	result $? "$name: thin_check finds the pool sound, and the needs_check flag when the kernel has set it"
	sed -n 's/^table pool /pool: /p' "$dir/$name.story" >tables
	awk '$1 == "thin" && n++ < 12 { print $2 ": 0 " $4 " thin pool " $3 }' told >>tables
	case $way in
	grown) truncate -s 4M meta.img && thin_check -q --clear-needs-check-flag meta.img ;;
	repaired) mv meta.img full.img && truncate -s 4M meta.img && thin_repair -q -i full.img -o meta.img ;;
	esac && thin_check -q meta.img
	result $? "$name: the pool is sound in a larger device"
	use "$name-on"
}
