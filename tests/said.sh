#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Not each change starts the virtual machine.  So that a message is not reworded behind its back: each phrase that its
# scripts look for, as says 'PHRASE' or in a file of phrases, is in a message of the commands.
set -u
: "${srcdir:=$(dirname "$0")/..}"
cd "$srcdir" || exit 99
work=$(mktemp -d "${TMPDIR:-/tmp}/said.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 99' HUP INT TERM
# texts that follow each other are one text
find lib bin -name '*.c' -exec cat {} + | tr '\n\t' '  ' | sed 's/"  *"//g' | grep -o '"[^"]*"' >"$work/texts"
{
	grep -oh "says '[^']*'" tests/vm/* | sed "s/^says //"
	grep -h '>phrases$' tests/vm/* | sed "s/^[^']*'[^']*'//" | grep -o "'[^']*'"
} | tr -d "'" | sort -u >"$work/phrases"
n=0
while read -r phrase; do
	n=$((n + 1))
	if grep -qF -e "$phrase" "$work/texts"; then
		echo "ok $n - '$phrase' is in a message"
	else
		echo "not ok $n - '$phrase' is in a message: $(grep -lF "$phrase" tests/vm/* | tr '\n' ' ')"
	fi
done <"$work/phrases"
# a test of nothing
[ $n -gt 5 ] || echo "Bail out! no phrases were found"
echo "1..$n"
