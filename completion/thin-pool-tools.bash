# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# bash completion for all commands: the options come from the command's own --help, so that
# the two cannot disagree.

_thin_pool_tools() {
	local cur=${COMP_WORDS[COMP_CWORD]} words

	COMPREPLY=()
	if [[ $cur == -* ]]; then
		words=$("$1" --help 2>/dev/null | grep -oE '^  +(-[A-Za-z], )?--[a-z0-9-]+' | grep -oE -- '--?[A-Za-z][A-Za-z0-9-]*')
	elif [[ ${1##*/} == thin_message && $COMP_CWORD -ge 2 ]]; then
		words='create_thin create_snap delete set_transaction_id reserve_metadata_snap release_metadata_snap'
	else
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _thin_pool_tools \
	thin_check thin_delta thin_dump thin_ls thin_lvm thin_materialize thin_message \
	thin_metadata_pack thin_metadata_size thin_metadata_unpack thin_repair \
	thin_restore thin_rmap thin_shrink thin_trim
