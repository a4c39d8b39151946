# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# shellcheck shell=sh
# Read by tests/vm/run: initial ram disks as Debian makes them, by initramfs-tools and by dracut, start the
# machine from a thin volume whose pool a reset left with leaked blocks.  LVM calls thin_check then: with
# ours, the leak is gone afterwards.  Tells what the programs add to the ram disk, ours and the distribution's.
#
# Needs root, debootstrap and the network, for a Debian in the folder BOOT_ROOT; it is made when it does not
# exist, and stays.  RELEASE: Debian's name (bookworm).  The kernel is that of BOOT_ROOT.
RELEASE=${RELEASE:-bookworm}
BOOT_ROOT=${BOOT_ROOT:-${TMPDIR:-/tmp}/thin-boot-$RELEASE}
boot_packages='linux-image-amd64 initramfs-tools dracut-core lvm2 thin-provisioning-tools udev kmod zstd e2fsprogs busybox'
boot_commands='thin_check thin_dump thin_repair thin_restore'

# --- a Debian in a folder ---

inside() { chroot "$BOOT_ROOT" env DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"; }

# Before the kernel is looked for; dpkg's state tells whether all packages are there.
boot_prepare() {
	[ "$(id -u)" = 0 ] || skip_all "only root can make a Debian in a folder"
	for tool in debootstrap mke2fs; do
		command -v $tool >/dev/null || skip_all "$tool is not installed"
	done
	log=$BOOT_ROOT.log
	[ -d "$BOOT_ROOT" ] || debootstrap --variant=minbase "$RELEASE" "$BOOT_ROOT" >"$log" 2>&1 ||
		skip_all "debootstrap makes no Debian $RELEASE in $BOOT_ROOT: $(tail -n 1 "$log")"
	# shellcheck disable=SC2086 # a list of words
	inside dpkg -s $boot_packages >/dev/null 2>&1 || {
		inside apt-get update -q && inside apt-get install -y -q --no-install-recommends $boot_packages
	} >>"$log" 2>&1 || skip_all "apt-get installs no $boot_packages in $BOOT_ROOT: $(tail -n 1 "$log")"
	# LVM's own default in Debian is -q alone, which frees nothing
	sed -i 's/^\([[:blank:]]*\)# thin_check_options = .*/\1thin_check_options = [ "-q", "--clear-needs-check-flag" ]/' \
		"$BOOT_ROOT/etc/lvm/lvm.conf"
	# shellcheck disable=SC2034 # for find_kernel
	VM_ROOT=$BOOT_ROOT
}

# What "make install" puts there
boot_build() {
	mkdir ours && (cd ours && "$srcdir/configure" -q --prefix=/usr --sysconfdir=/etc --with-tools="$boot_commands" &&
		make -s all && make -s install-strip DESTDIR="$PWD/image") >ours.log 2>&1
}

# The distribution's stay in BOOT_ROOT.theirs.
keep_theirs() {
	theirs=$BOOT_ROOT.theirs
	[ -d "$theirs" ] || { mkdir "$theirs.new" && (cd "$BOOT_ROOT" && tar -cf - usr/sbin/thin_* \
		usr/share/initramfs-tools/hooks/thin-provisioning-tools) | tar -xf - -C "$theirs.new" && mv "$theirs.new" "$theirs"; }
}
put_none() {
	rm -rf "$BOOT_ROOT"/usr/sbin/thin_* "$BOOT_ROOT"/usr/share/initramfs-tools/hooks/thin-p* \
		"$BOOT_ROOT"/usr/lib/dracut/modules.d/90thin-pool-tools
}
add_ours() {
	(cd ours/image && cp -a --parents --remove-destination usr/sbin usr/share/initramfs-tools usr/lib/dracut "$BOOT_ROOT")
}
put_theirs() { put_none && cp -a "$theirs/." "$BOOT_ROOT"; }
put_ours() { put_none && add_ours; }
put_both() { put_theirs && add_ours; }

# --- ram disks ---

# ram_disk MAKER WHOSE: MAKER-WHOSE.img; its files and their sizes in .list, its maker's words in .log, its checker
ram_disk() {
	"put_$2" && case $1 in
	initramfs-tools) inside mkinitramfs -o /tmp/ram.img "$version" ;;
	dracut)
		inside dracut --force --no-hostonly --compress 'zstd -3 -q -T0' --kver "$version" --add lvm \
			--install /etc/lvm/lvm.conf --tmpdir /tmp /tmp/ram.img
		;;
	esac >"$1-$2.log" 2>&1 || return
	rm -rf "$BOOT_ROOT/tmp/ram" && inside unmkinitramfs /tmp/ram.img /tmp/ram >/dev/null 2>&1
	mv "$BOOT_ROOT/tmp/ram.img" "$1-$2.img"
	tree=$BOOT_ROOT/tmp/ram
	[ ! -d "$tree/main" ] || tree=$tree/main
	(cd "$tree" && find . -type f -printf '%s %P\n') | sort -k2 >"$1-$2.list"
	[ ! -e "$tree/usr/sbin/thin_check" ] || cp -L "$tree/usr/sbin/thin_check" "$1-$2.thin_check"
	rm -rf "$BOOT_ROOT/tmp/ram"
}
# Bytes of the files that the one has and the other has not, and bytes by which it is larger compressed
added() { # MAKER WHOSE
	echo "$(awk 'FNR == NR { had[$2] = $1; next } { n += $1 - had[$2] } END { print n + 0 }' "$1-none.list" "$1-$2.list")" \
		"bytes, compressed $(($(stat -c %s "$1-$2.img") - $(stat -c %s "$1-none.img")))"
}
# more_ram IMG FOLDER NEW: a ram disk with what the folder holds added; the later file is the one that stays
more_ram() {
	size=$(stat -c %s "$1")
	{ cat "$1" && head -c $(((4 - size % 4) % 4)) /dev/zero && (cd "$2" && find . | cpio -o -H newc --quiet); } >"$3"
}
# The same ram disk; its thin_check tells the console that it was called, how, and what came of it.
logged() { # MAKER-WHOSE
	rm -rf more-ram && mkdir -p more-ram/usr/sbin && cp "$1.thin_check" more-ram/usr/sbin/thin_check.real
	cat >more-ram/usr/sbin/thin_check <<-'CHECK'
	#!/bin/sh
	/usr/sbin/thin_check.real "$@"
	status=$?
	version=$(/usr/sbin/thin_check.real -V)
	echo "@ checked $status ${version%%[!0-9.]*} $*" >/dev/console
	exit $status
	CHECK
	chmod +x more-ram/usr/sbin/*
	more_ram "$1.img" more-ram logged.img
}

# --- the machine ---

# start RAMDISK APPEND: with disk.img and root.img; what the console told goes to the file told
start() {
	# emulated, time follows the instructions: a busy host makes no timer late
	pace=
	[ "$accel" != tcg ] || pace='-icount shift=3'
	# shellcheck disable=SC2086 # a list of options
	timeout --foreground "$limit" qemu-system-x86_64 -machine "accel=$accel" $pace -cpu max -m 1024 -display none -no-reboot \
		-kernel "$kernel" -initrd "$1" -append "console=ttyS0 panic=-1 no_timer_check $2" -serial file:console -monitor none -nic none \
		-drive file=disk.img,format=raw,if=virtio,cache=unsafe -drive file=root.img,format=raw,if=virtio,cache=unsafe \
		</dev/null 2>qemu.log
	tr -d '\r' <console | sed -n 's/^.*@ //p' >told
}

boot_root() {
	mkdir -p system/bin system/sbin system/proc system/dev system/sys system/run system/tmp
	cp "$busybox" system/bin/busybox && cp "$here/boot-root" system/sbin/init && chmod +x system/sbin/init
	ln -sf busybox system/bin/sh
	seq 1 2000000 | head -c 9000000 >system/ballast
	truncate -s 32M root.img && mke2fs -q -t ext4 -d system root.img
}

# LVM makes leaky.img, and a reset leaves it: tests/vm/boot-disk
boot_disk() {
	mkdir -p maker && cp "$here/boot-disk" maker/init && chmod +x maker/init
	find "$modules" -name 'dm-delay.ko*' | while read -r f; do
		case $f in
		*.xz) xz -dc "$f" ;;
		*.zst) zstd -qdc "$f" ;;
		*) cat "$f" ;;
		esac >maker/dm-delay.ko
	done
	more_ram initramfs-tools-theirs.img maker maker.img
	truncate -s 400M disk.img
	start maker.img quiet
	grep -qx reset told || { tail -n 20 console && return 1; }
	thin_check disk.img >checked 2>&1
	status=$?
	cat checked
	[ "$status" = 0 ] && grep -q leaked checked && mv disk.img leaky.img
}

# from MAKER WHOSE RAMDISK SENTENCE: starts from a fresh copy of the disk, and looks at what it leaves
from() {
	cp --sparse=always leaky.img disk.img
	case $1 in
	initramfs-tools) start "$3" 'root=/dev/mapper/vg-root ro quiet' ;;
	dracut) start "$3" 'root=/dev/mapper/vg-root rd.lvm.lv=vg/root ro quiet' ;;
	esac
	grep '^checked' told | sed 's/^/# /'
	grep -qx 'root 9000000 /dev/mapper/vg-root ext4' told && grep -qx end told
	r=$?
	[ $r = 0 ] || tail -n 15 console | sed 's/^/# /'
	result $r "boot: $1, $4: the machine starts from a thin volume whose pool has a leak, and writes there"
	thin_check disk.img >checked 2>&1
	status=$?
	sed 's/^/# /' checked
}
leak_is_gone() { # MAKER WHOSE SENTENCE
	[ "$status" = 0 ] && ! grep -q leak checked
	result $? "boot: $1, $3: LVM has called our thin_check: the leak is gone"
	cmp -s "$1-$2.thin_check" ours/image/usr/sbin/thin_check
	result $? "boot: $1, $3: the ram disk's thin_check is the one that was built"
}
was_called() { # MAKER SENTENCE
	grep -qx "checked 0 $(thin_check -V | head -n 1) -q --clear-needs-check-flag .*vg-pool_tmeta" told
	result $? "boot: $1, $2: LVM calls it with lvm.conf's options on the pool's metadata"
}

vm_boot() {
	enter boot
	version=${kernel##*/vmlinuz-}
	boot_build || { tail -n 20 ours.log | sed 's/^/# /' && result 1 "boot: our commands are built"; return; }
	keep_theirs
	for maker in initramfs-tools dracut; do
		for whose in none theirs ours both; do
			ram_disk $maker $whose || { tail -n 20 $maker-$whose.log | sed 's/^/# /' && result 1 "boot: $maker makes a ram disk"; return; }
		done
		! grep -i 'thin.*\(fail\|error\|exists\)' $maker-both.log
		result $? "boot: $maker: beside thin-provisioning-tools, the maker of the ram disk does not complain"
		echo "# $maker: $boot_commands and their libraries add $(added $maker ours), the distribution's $(added $maker theirs)"
	done
	put_theirs
	boot_root
	boot_disk >disk.log
	r=$?
	sed 's/^/# /' disk.log
	result $r "boot: a reset leaves a pool with leaked blocks"
	[ $r = 0 ] || return
	from initramfs-tools theirs initramfs-tools-theirs.img "the distribution's thin_check"
	grep -q leaked checked
	result $? "boot: neither the kernel nor the distribution's thin_check frees the leak"
	for maker in initramfs-tools dracut; do
		from $maker ours $maker-ours.img "our commands alone"
		leak_is_gone $maker ours "our commands alone"
		logged $maker-both
		from $maker both logged.img "beside thin-provisioning-tools"
		leak_is_gone $maker both "beside thin-provisioning-tools"
		was_called $maker "beside thin-provisioning-tools"
	done
}
