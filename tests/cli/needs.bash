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

# strace, where a program may be traced
need_strace() {
	need strace
	export ASAN_OPTIONS=detect_leaks=0 # LeakSanitizer does not work under strace
	strace -f -qq -o /dev/null true 2>/dev/null || skip "strace does not run here"
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

# Commands without sanitizers, which need more memory, addresses and time
need_plain() {
	! grep -qE "__(asan|tsan)_init" "$abs_top_builddir/bin/thin_check" || skip "${1:-sanitizers reserve all addresses}"
}

# nbdkit, and our plugin as it can load it
need_plugin() {
	[ -f "$PLUGIN" ] || skip "the plugin is not built"
	need nbdkit
	! nm -D "$PLUGIN" 2>/dev/null | grep -qE '__(asan|ubsan)' || skip "a sanitized plugin needs a sanitized nbdkit"
	! nm -D "$PLUGIN" 2>/dev/null | grep -q __tsan || nbdkit_with_tsan
}

# Puts an nbdkit into the PATH that loads the runtime of ThreadSanitizer before the plugin.  A shell cannot be run with
# it, so that what --run starts goes without.  A race ends the server.
nbdkit_with_tsan() {
	local at=$BATS_FILE_TMPDIR/tsan real runtime
	[ "${PATH%%:*}" != "$at" ] || return 0
	real=$(command -v nbdkit)
	runtime=$("${CC:-cc}" -print-file-name=libtsan.so)
	[ -f "$runtime" ] || skip "the plugin needs libtsan"
	mkdir -p "$at"
	"${CC:-cc}" -shared -fPIC -x c -o "$at/forget.so" - <<-C
	#include <stdlib.h>
	__attribute__((constructor)) static void forget(void) { unsetenv("LD_PRELOAD"); }
	C
	printf '#!/bin/sh\nTSAN_OPTIONS=halt_on_error=1 LD_PRELOAD="%s %s" exec %s "$@"\n' "$runtime" "$at/forget.so" "$real" >"$at/nbdkit"
	chmod +x "$at/nbdkit"
	PATH=$at:$PATH
}

# A server in the background
need_daemon() {
	need_plugin
	! nm -D "$PLUGIN" 2>/dev/null | grep -q __tsan || skip "a server that forks stops under ThreadSanitizer"
}

# nbd ARGUMENTS...: nbdkit with a socket in the current folder.  The folder that it makes for -U - stays in /tmp.
nbd() {
	local socket status=0
	socket=$(mktemp -u nbd.XXXXXX)
	timeout 300 nbdkit -U "$socket" "$@" || status=$?
	rm -f "$socket"
	return $status
}

# does COMMAND...: sets status, output and stderr as run --separate-stderr does, which starts five processes more.  For loops;
# it leaves out.txt and err.txt in the current folder.
does() {
	status=0
	"$@" >out.txt 2>err.txt || status=$?
	IFS= read -r -d '' output <out.txt || :
	IFS= read -r -d '' stderr <err.txt || :
	output=${output%$'\n'}
	stderr=${stderr%$'\n'}
}
