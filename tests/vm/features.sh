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
