# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# For load: all commands, and each of them with the input that is wanted.
COMMANDS='thin_apply thin_check thin_delta thin_dump thin_info thin_ls thin_lvm thin_materialize thin_message
	thin_metadata_pack thin_metadata_size thin_metadata_unpack thin_migrate thin_repair
	thin_restore thin_rmap thin_shrink thin_trim'
# those that read a pool's metadata, and those of them that do not write it
READERS='thin_check thin_delta thin_dump thin_info thin_ls thin_materialize thin_metadata_pack thin_repair thin_rmap'
METADATA_COMMANDS="$READERS thin_message thin_trim thin_shrink"

setup_file() {
	export DIR=$BATS_FILE_TMPDIR
	two_devices >"$DIR/pool.xml"
	truncate -s 1M "$DIR/meta"
	truncate -s 4M "$DIR/data"
	thin_restore -i "$DIR/pool.xml" -o "$DIR/meta"
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	truncate -s 4M out
	cp "$DIR/data" data
}

# Runs command $1 with $2 where its metadata goes; everything else is good.
with_input() {
	local in=$2
	case $1 in
	thin_check | thin_dump | thin_info | thin_ls) run --separate-stderr timeout 20 "$1" "$in" ;;
	thin_delta) run --separate-stderr timeout 20 "$1" --thin1 1 --thin2 2 "$in" ;;
	thin_rmap) run --separate-stderr timeout 20 "$1" --region 0..64 "$in" ;;
	thin_materialize) run --separate-stderr timeout 20 "$1" --data-dev data -f "$in" 1 image ;;
	thin_message) run --separate-stderr timeout 20 "$1" "$in" 'create_thin 7' ;;
	thin_metadata_pack) run --separate-stderr timeout 20 "$1" -f -i "$in" -o packed ;;
	thin_metadata_unpack) run --separate-stderr timeout 20 "$1" -f -i "$in" -o out ;;
	thin_repair | thin_restore) run --separate-stderr timeout 20 "$1" -i "$in" -o out ;;
	thin_trim) run --separate-stderr timeout 20 "$1" --metadata-dev "$in" --data-dev data ;;
	thin_shrink) run --separate-stderr timeout 20 "$1" --binary -i "$in" -o out --data data --nr-blocks 20 ;;
	esac
}

# long_options: those that a help on standard input lists
long_options() { grep -oE '^  +(-[A-Za-z], )?--[a-z0-9-]+' | grep -oE -- '--[a-z][a-z0-9-]*'; }

# each_alone COMMAND WORD...: runs it with each word alone, all of them for two minutes at most.  What WORD number N made it
# say is in the file said.N, and its status in STATUSES[N].  One process for each, where bats's run starts six.
each_alone() {
	timeout 120 bash -c 'n=0; for word in "${@:2}"; do
		"$1" "$word" </dev/null >/dev/null 2>"said.$n"
		echo $?
		n=$((n + 1))
	done' - "$@" >statuses
	mapfile -t STATUSES <statuses
	[ "${#STATUSES[@]}" -eq $(($# - 1)) ] || { echo "$*: does not end"; return 1; }
}

# alone N: what bats's run would have set for word N
alone() {
	status=${STATUSES[$1]}
	IFS= read -r -d '' stderr <"said.$1" || :
	stderr=${stderr%$'\n'}
}

# $1 = wanted status; there is a message, and it begins with the command's name.
expect() {
	local what=$2
	[ "$status" -eq "$1" ] || { echo "$what: status $status, wanted $1: $stderr" >&2; return 1; }
	[[ "$stderr" == *"${what%% *}: "* ]] || { echo "$what: no message: $stderr" >&2; return 1; }
}
