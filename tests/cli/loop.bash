# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# For load: loop devices and what is mounted from them.  teardown() must call loops_end.
LOOPS=
MOUNTED=

need_root() {
	[ "$(id -u)" = 0 ] || skip "needs root"
}

# A loop device over a file, with losetup's other arguments, in LOOP.  Fails where there is none
try_loop() {
	LOOP=$(losetup -f --show "$@" 2>/dev/null) || return 1
	LOOPS="$LOOPS $LOOP"
}

# The same; the test is skipped where there is none
loop() {
	need_root
	try_loop "$@" || skip "no loop devices"
}

# Mounts $LOOP at ./mnt, read-only: a file system that may write does so seconds later, while a test looks
mount_loop() {
	mkdir -p mnt
	mount -r "$LOOP" mnt 2>/dev/null || skip "cannot mount"
	MOUNTED=$PWD/mnt
}

loops_end() {
	[ -z "$MOUNTED" ] || umount "$MOUNTED"
	for l in $LOOPS; do
		partx -d "$l" 2>/dev/null || : # they would outlive the device
		losetup -d "$l"
	done
	MOUNTED=
	LOOPS=
}
