#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# What debian/ and packaging/ say of what is installed.

setup() {
	cd "$abs_top_srcdir" || return 1
}

commands() { ls man/thin_*.8 | sed 's,man/,,; s/\.8$//'; }

@test "debian: for each command that is installed, thin-provisioning-tools' one steps aside, and comes back on removal" {
	[ -d debian ] || skip "not in the archive"
	for script in debian/thin-pool-tools.preinst debian/thin-pool-tools.postrm; do
		sh -n $script
		sed -n "/^diverted='/,/'\$/p" $script | tr -s "'\t\n " '\n' | grep '^thin_' | sort | diff <(commands | sort) -
	done
}

@test "debian: commands with packed relocations depend on a C library that has them" {
	[ -d debian ] || skip "not in the archive"
	command -v readelf >/dev/null || skip "readelf is not installed"
	readelf -V "$abs_top_builddir"/bin/thin_check | grep -q GLIBC_ABI_DT_RELR || skip "this build has none"
	depends=$(sed -n '/^Package: thin-pool-tools$/,/^$/s/^Depends: .*libc6 (>= \([0-9.]*\)).*/\1/p' debian/control)
	printf '2.36\n%s\n' "$depends" | sort -VC
}

@test "packaging: each file names the version of configure.ac" {
	version=$(sed -n 's/^AC_INIT(\[[^]]*\], *\[\([0-9.]*\)\].*/\1/p' configure.ac)
	[ "$version" ]
	grep -qx "Version: *$version" packaging/thin-pool-tools.spec
	grep -qx "pkgver=$version" packaging/PKGBUILD
	grep -qx "pkgver=$version" packaging/APKBUILD
	[ ! -d debian ] || [[ "$(head -n 1 debian/changelog)" == "thin-pool-tools ($version"* ]]
}

@test "packaging: the drafts are well formed, and take all pages of the manual" {
	sh -n packaging/APKBUILD
	bash -n packaging/PKGBUILD
	grep -q 'mandir}/man1/nbdkit-thin-plugin' packaging/thin-pool-tools.spec
	for page in man/*.[1578]; do
		[ "$page" = man/nbdkit-thin-plugin.1 ] || grep -q "mandir}/man${page##*.}/thin[-_]" packaging/thin-pool-tools.spec
	done
}

@test "goals that have a make of their own are made one after the other, so that no file is made twice at once" {
	one_by_one() { { env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -npq -C "$abs_top_builddir" "$@" 2>/dev/null || true; } | grep -c '^.NOTPARALLEL:'; }

	for goals in 'all tests/rescue/harsh' 'bin/thin_check check' 'all install'; do
		[ "$(one_by_one $goals)" -eq 1 ] || { echo "$goals"; return 1; }
	done
	for goals in all check 'bin/thin_check bin/thin_dump'; do
		[ "$(one_by_one $goals)" -eq 0 ] || { echo "$goals"; return 1; }
	done
}

# configured FOLDER OPTIONS: goes to a build that is below a folder with a space in its name, as are its sources
configured() {
	[ ! -e "$abs_top_srcdir/config.status" ] || skip "the sources are configured"
	mkdir -p "$BATS_FILE_TMPDIR/a b/$1"
	cd "$BATS_FILE_TMPDIR/a b/$1" || return 1
	shift
	[ ! -e Makefile ] || return 0
	[ -e ../src ] || ln -s "$abs_top_srcdir" ../src
	../src/configure -q --cache-file=../cache --prefix=/opt/our-own "$@" >/dev/null
}

of_one_command() { configured one --with-tools=thin_ls; }

own_make() { env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s "$@"; }

@test "sources and builds in folders with a space in their path compile" {
	of_one_command
	own_make lib/base/err.o
}

@test "an archive made in a build of one command has the manual pages of all" {
	of_one_command
	own_make distdir distdir=packed
	diff <(ls "$abs_top_srcdir"/man/*.[1578] | sed 's,.*/,,') <(ls packed/man/*.[1578] | sed 's,.*/,,')
}

@test "configure: --enable-sanitizers without a list takes address and undefined" {
	configured sanitized --enable-sanitizers
	grep -q '^SANITIZE = -fsanitize=address,undefined ' Makefile
}

@test "the manual page of the plugin is installed with the plugin alone" {
	configured plain --without-nbdkit-plugin
	own_make install-man DESTDIR="$PWD/d"
	[ -e d/opt/our-own/share/man/man8/thin_check.8 ] && [ -e d/opt/our-own/share/man/man5/thin-pool-table.5 ]
	[ -z "$(find d -name 'nbdkit*')" ]
}

@test "a page names files where they are installed, and they go when the commands go" {
	of_one_command
	own_make install-data DESTDIR="$PWD/d"
	for f in $(tr -d '\\' <d/opt/our-own/share/man/man8/thin_ls.8 | grep -oE '/[a-z/-]*/share/[a-z/_.-]*[a-z]'); do
		[ -f "d$f" ] || { echo "there is no $f"; return 1; }
		echo "$f" >>named
	done
	grep -q /json.md named && grep -q /thin_ls.schema.json named
	mkdir d/opt/our-own/sbin # what install-exec would have made
	own_make uninstall DESTDIR="$PWD/d"
	[ ! -e d/opt/our-own/share/thin-pool-tools ]
}
