# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# bash completion for all commands.  Options and their values come from the command's own option
# table (--list-options), so that the two cannot disagree; device ids and names from the POOL that
# is on the line already.

# The first word of the line that is a file: the POOL, whether -i, --metadata-dev or nothing stands
# before it.
_thin_pool_tools_pool() {
	local w
	for w in "${COMP_WORDS[@]:1}"; do
		w=${w#--*=}
		w=${w/#\~\//$HOME/}
		[[ -f $w || -b $w || -d $w ]] && { printf '%s\n' "$w"; return; }
	done
}

# _thin_pool_tools_names COMMAND POOL thin|thin-pool: the names of such lines of a table file, or of what is on a disk with
# LVM; as VG/LV, too, where the word has a slash
_thin_pool_tools_names() {
	local folder=''
	[[ $1 == */* ]] && folder=${1%/*}/
	{
		[[ -f $2 ]] && head -c 65536 -- "$2" 2>/dev/null | tr -d '\0'
		timeout 2 "${folder}thin_lvm" -q -- "$2" 2>/dev/null
	} | LC_ALL=C awk -v kind="$3" -v word="$cur" '
		/^# volume group / { vg = $4; sub(/,.*/, "", vg) }
		$1 ~ /^[^:#]+:$/ && $2 $3 ~ /^[0-9]+$/ && $4 == kind {
			name = substr($1, 1, length($1) - 1)
			print name
			if (vg != "" && index(word, "/"))
				print vg "/" name
		}'
}

# _thin_pool_tools_devices COMMAND POOL: ids, and names of a table file or of LVM
_thin_pool_tools_devices() {
	local folder=''
	[[ $1 == */* ]] && folder=${1%/*}/
	_thin_pool_tools_names "$1" "$2" thin
	timeout 2 "${folder}thin_ls" --no-headers -o DEV "$2" 2>/dev/null | tr -d ' '
	[[ -f $2 ]] && head -c 1048576 -- "$2" 2>/dev/null | tr -d '\0' |
		sed -n 's/.*<device dev_id="\([0-9]*\)".*/\1/p'
}

# _thin_pool_tools_value COMMAND KIND: fills COMPREPLY with what a value called KIND may be
_thin_pool_tools_value() {
	local words='' pool
	case $2 in
	FIELDS*) words="json tree $("$1" --list-fields 2>/dev/null)" ;;
	*FIELD) words=$("$1" --list-fields 2>/dev/null) ;;
	*\|*) words=${2//|/ } ;;
	raw) words=raw ;;
	*ID | DEVICE)
		pool=$(_thin_pool_tools_pool)
		[[ $pool ]] && words=$(_thin_pool_tools_devices "$1" "$pool")
		;;
	NAME)
		pool=$(_thin_pool_tools_pool)
		[[ $pool ]] && words=$(_thin_pool_tools_names "$1" "$pool" thin-pool)
		;;
	FILE | DEV | POOL | METADATA | OUTPUT | PV*)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

_thin_pool_tools() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev= options=() kind name letter arg value rest n=0 i w
	local -A takes=()

	COMPREPLY=()
	((COMP_CWORD > 0)) && prev=${COMP_WORDS[COMP_CWORD - 1]}
	# bash takes "=" for a word of its own
	if [[ $cur == = ]]; then
		cur=''
	elif [[ $prev == = ]] && ((COMP_CWORD > 1)); then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	while IFS=$'\t' read -r name letter arg value rest; do
		[[ $name == --* ]] || continue
		[[ $rest ]] && options+=("$name") # an old name is known, but not offered
		[[ $rest && $letter != - ]] && options+=("$letter")
		[[ $arg == required ]] && takes[$name]=$value takes[$letter]=$value
		[[ $arg == optional && $prev == "$name" && ${COMP_WORDS[COMP_CWORD - 1]}${COMP_WORDS[COMP_CWORD]} == *=* ]] &&
			takes[$name]=$value
	done < <("$1" --list-options 2>/dev/null)
	if [[ $prev == -?* && ${takes[$prev]-} ]]; then
		_thin_pool_tools_value "$1" "${takes[$prev]}"
		return
	fi
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "${options[*]}" -- "$cur")
		return
	fi
	# which argument is it?
	for ((i = 1; i < COMP_CWORD; i++)); do
		w=${COMP_WORDS[i - 1]}
		[[ ${COMP_WORDS[i]} == -?* || ${COMP_WORDS[i]} == = || $w == = ]] && continue
		[[ $w == -?* && ${takes[$w]-} ]] || ((n++))
	done
	kind=FILE
	case ${1##*/}:$n in
	thin_apply:1 | thin_materialize:1) kind=DEVICE ;;
	thin_message:0) ;;
	thin_message:1) kind='create_thin|create_snap|delete|set_transaction_id|reserve_metadata_snap|release_metadata_snap' ;;
	thin_message:*) kind=DEVICE ;;
	esac
	_thin_pool_tools_value "$1" "$kind"
}

complete -F _thin_pool_tools \
	thin_apply thin_check thin_delta thin_dump thin_info thin_ls thin_lvm thin_materialize thin_message \
	thin_metadata_pack thin_metadata_size thin_metadata_unpack thin_migrate thin_repair \
	thin_restore thin_rmap thin_shrink thin_trim
