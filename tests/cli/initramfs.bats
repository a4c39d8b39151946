#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# The initramfs-tools hook and the dracut module, as built, over stubs of what these two offer.

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	mkdir sbin
	sbin=$PWD/sbin
	for name in thin_check thin_dump thin_repair thin_restore thin_ls; do
		printf '#!/bin/sh\n' >"sbin/$name"
		chmod +x "sbin/$name"
	done
	{ echo 'copy_exec() { echo "exec $1"; }'; echo 'manual_add_modules() { echo "module $*"; }'; } >functions
	sed -e "s|^sbin=.*|sbin='$sbin'|" -e "s|/usr/share/initramfs-tools/hook-functions|'$PWD/functions'|" \
		"$abs_top_builddir/initramfs/thin-pool-tools" >hook
	sed "s|^sbin=.*|sbin='$sbin'|" "$abs_top_builddir/initramfs/module-setup.sh" >module-setup.sh
}

# dracut: defines the functions that the module uses, and calls the module's.  POOL is major:minor of a thin pool.
dracut() {
	require_binaries() { [ -x "$1" ]; }
	inst_multiple() {
		local optional=
		[ "$1" != -o ] || { optional=yes; shift; }
		local p
		for p; do
			if [ -x "$p" ]; then echo "exec $p"; else [ -n "$optional" ] || return 1; fi
		done
	}
	instmods() { echo "module $* ${hostonly:-any host}"; }
	for_each_host_dev_and_slaves() { "$1" 8:1 || "$1" 254:3; }
	dmsetup() {
		[ "$1 $2 $4" = "table -j -m" ] || return 1
		if [ "$3:$5" = "${POOL:-}" ]; then echo "0 8192 thin-pool 254:1 254:2 128 0"; else echo "0 8192 linear 8:1 0"; fi
	}
	. ./module-setup.sh
	"$@"
}

@test "initramfs: the scripts installed know where the programs are installed" {
	for f in thin-pool-tools module-setup.sh; do
		[ -x "$abs_top_builddir/initramfs/$f" ]
		run -0 sed -n "s|^sbin='\(/.*\)'|\1|p" "$abs_top_builddir/initramfs/$f"
		[[ "$output" == /*bin ]]
		run ! grep @ "$abs_top_builddir/initramfs/$f"
	done
}

@test "initramfs: the hook takes the four programs and the kernel's module" {
	run -0 sh ./hook
	[ "$output" = "exec $sbin/thin_check
exec $sbin/thin_dump
exec $sbin/thin_repair
exec $sbin/thin_restore
module dm-thin-pool" ]
}

@test "initramfs: asked for its prerequisites, the hook prints them and takes nothing" {
	run -0 sh ./hook prereqs
	[ "$output" = thin-provisioning-tools ]
}

@test "initramfs: a thin_check in the ram disk that is a link of another hook is replaced, and one that is a file stays" {
	mkdir -p "ram$sbin"
	ln -s pdata_tools "ram$sbin/thin_check"
	echo kept >"ram$sbin/pdata_tools"
	echo kept >"ram$sbin/thin_dump"
	DESTDIR=$PWD/ram run -0 sh ./hook
	[[ "$output" == "exec $sbin/thin_check"* ]]
	[ ! -L "ram$sbin/thin_check" ] && [ "$(cat "ram$sbin/pdata_tools" "ram$sbin/thin_dump")" = $'kept\nkept' ]
}

@test "initramfs: the hook does without what is not there" {
	rm sbin/thin_restore
	run -0 sh ./hook
	[[ "$output" == *"exec $sbin/thin_repair
module dm-thin-pool" ]]
	rm sbin/thin_check
	run -0 sh ./hook
	[ -z "$output" ]
}

@test "initramfs: the hook fails when a copy fails" {
	echo 'copy_exec() { return 1; }' >>functions
	run ! sh ./hook
}

@test "initramfs: the dracut module takes the same programs and module" {
	run -0 dracut install
	[ "$output" = "exec $sbin/thin_check
exec $sbin/thin_dump
exec $sbin/thin_repair
exec $sbin/thin_restore" ]
	hostonly=yes run -0 dracut installkernel
	[ "$output" = "module dm-thin-pool any host" ]
	run -0 dracut depends
	[ "$output" = dm ]
	rm sbin/thin_restore
	run -0 dracut install
	[ "${lines[2]}" = "exec $sbin/thin_repair" ] && [ "${#lines[@]}" = 3 ]
}

@test "initramfs: the dracut module is for every host, or for the host that starts from a thin pool" {
	run -0 dracut check
	hostonly=yes run -255 dracut check
	hostonly=yes POOL=254:3 run -0 dracut check
	hostonly=yes POOL=254:4 run -255 dracut check
	mount_needs=yes run -255 dracut check
	rm sbin/thin_check
	run -1 dracut check
}
