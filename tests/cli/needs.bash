# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# For load: what a test needs of the machine and of the build; without it the test is skipped.
PLUGIN=$abs_top_builddir/nbdkit/nbdkit-thin-plugin.so

# Programs
need() {
	for program; do
		command -v "$program" >/dev/null || skip "$program is not installed"
	done
}

# A pseudo-terminal, which a chroot without /dev/pts does not have
need_terminal() {
	need python3
	python3 -c 'import pty; pty.openpty()' 2>/dev/null || skip "no pseudo-terminal (/dev/pts)"
}

# The kernel's names of devices, which a chroot without /sys does not have
need_sys() {
	[ -d /sys/dev/block ] || skip "no /sys"
}

# Commands without a sanitizer's memory, addresses and time
need_plain() {
	! grep -qE "__(asan|tsan)_init" "$abs_top_builddir/bin/thin_check" || skip "${1:-sanitizers reserve all addresses}"
}

# nbdkit, and our plugin as it can load it
need_plugin() {
	[ -f "$PLUGIN" ] || skip "the plugin is not built"
	need nbdkit
	! nm -D "$PLUGIN" 2>/dev/null | grep -qE '__(asan|tsan|ubsan)' || skip "a sanitized plugin needs a sanitized nbdkit"
}

# nbd ARGUMENTS...: nbdkit with a socket in the current folder.  The folder that it makes for -U - stays in /tmp.
nbd() {
	local socket status=0
	socket=$(mktemp -u nbd.XXXXXX)
	timeout 300 nbdkit -U "$socket" "$@" || status=$?
	rm -f "$socket"
	return $status
}
