# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# shellcheck shell=sh
# Random volume groups of the real LVM: read by tests/vm/run.

vm_shapes() { # SEED
	lvm=$(command -v lvm) && command -v python3 >/dev/null || { echo "# lvm or python3 is not installed: not tried" && return; }
	enter "shapes-$1"
	mkdir more && python3 "$here/shapes.py" "$1" >more/shapes.lines || exit 99
	cp more/shapes.lines lines
	copy_program more "$lvm" "$(command -v thin_check)"
	cp "$here/shapes" more/
	echo 'script shapes' >"$dir/shapes-$1.story"
	for d in a b c; do truncate -s 112M $d.img; done
	boot "$dir/shapes-$1.story" a.img b.img c.img
	ended && grep -qx 'left 0' told
	result $? "shapes-$1: LVM plays $(wc -l <lines) commands and refuses $(grep -c ^refused told)"
	sha256sum ./*.img >before
	thin_lvm ./*.img >table 2>words && thin_lvm --check ./*.img >>words 2>&1
	result $? "shapes-$1: thin_lvm reads the disks and finds no fault"
	sed 's/^/# /' words
	sed -n 's/^volume //p' told | sort >theirs
	while read -r pool name size _; do
		[ "$pool" = - ] && option= || option="--pool $pool"
		# shellcheck disable=SC2086 # an option
		echo "$pool $name $size $(thin_materialize -q $option table "$name" - 2>>words | sha256sum | cut -d' ' -f1)"
	done <theirs >ours
	diff ours theirs | sed 's/^/# /' >differences
	cat differences
	[ -s theirs ] && [ ! -s differences ] && sha256sum --quiet -c before >&2
	result $? "shapes-$1: each of $(wc -l <theirs) volumes is read from the disks as the kernel read it, and no disk has changed"
}
