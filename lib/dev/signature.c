/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "dev/signature.h"

#include <string.h>

#define UNPACK ": unpack it first"

static const struct {
	uint32_t offset;
	uint8_t len;
	char magic[11]; /* bytes and the NUL of the literal */
	const char *name;
} table[] = {
	/* metadata of other device-mapper targets: the u64 at byte 32 of block 0 */
	{ 32, 8, "\x03\xc4\x18\x00\0\0\0\0", "the metadata of a dm-cache device" },
	{ 32, 8, "\x7b\x07\xc1\x7e\0\0\0\0", "the metadata of a dm-era device" },
	{ 0, 8, "\x77\xef\x09\x63\xaa\xa0\x37\xa5",
	  "packed metadata: 'thin_metadata_unpack -i FILE -o DEV' unpacks it" },
	{ 0, 6, "LUKS\xba\xbe", "an encrypted (LUKS) volume" },
	{ 24, 8, "LVM2 001", "an LVM physical volume" },
	{ 512 + 24, 8, "LVM2 001", "an LVM physical volume" },
	{ 1024 + 24, 8, "LVM2 001", "an LVM physical volume" },
	{ 1536 + 24, 8, "LVM2 001", "an LVM physical volume" },
	{ 512 + 4, 8, "!Stra0ti", "a Stratis block device" },
	{ 0, 8, "dmvdo001", "a VDO volume" },
	{ 0, 4, "SnAp", "the exceptions of a dm-snapshot" },
	{ 0, 8, "integrit", "a dm-integrity device" },
	{ 0, 4, "\xfc\x4e\x2b\xa9", "a RAID member (md)" },
	{ 4096, 4, "\xfc\x4e\x2b\xa9", "a RAID member (md)" },
	{ 4096 + 24, 8, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca", "a bcache device" },
	{ 4086, 10, "SWAPSPACE2", "swap space" },
	{ 0, 4, "XFSB", "an xfs filesystem" },
	{ 1024 + 56, 2, "\x53\xef", "an ext2, ext3 or ext4 filesystem" },
	{ 1024, 4, "\x10\x20\xf5\xf2", "an f2fs filesystem" },
	{ 65536 + 64, 8, "_BHRfS_M", "a btrfs filesystem" },
	{ 0, 4, "hsqs", "a squashfs filesystem" },
	{ 3, 8, "NTFS    ", "an NTFS filesystem" },
	{ 32769, 5, "CD001", "an ISO 9660 filesystem" },
	{ 0, 4, "QFI\xfb", "a qcow2 image" },
	{ 0, 4, "KDMV", "a vmdk image" },
	{ 0, 8, "vhdxfile", "a vhdx image" },
	{ 0, 8, "conectix", "a vhd image" },
	{ 64, 4, "\x7f\x10\xda\xbe", "a vdi image" },
	{ 0, 4, "QED\0", "a qed image" },
	{ 0, 4,
	  "\x7f"
	  "ELF",
	  "a program (ELF)" },
	{ 0, 3, "\x1f\x8b\x08", "a gzip file" UNPACK },
	{ 0, 6,
	  "\xfd"
	  "7zXZ\0",
	  "an xz file" UNPACK },
	{ 0, 4, "\x28\xb5\x2f\xfd", "a zstd file" UNPACK },
	{ 0, 4, "\x04\x22\x4d\x18", "an lz4 file" UNPACK },
	{ 0, 3, "BZh", "a bzip2 file" UNPACK },
	{ 0, 4, "PK\x03\x04", "a zip file" UNPACK },
	{ 257, 5, "ustar", "a tar archive" UNPACK },
	{ 512, 8, "EFI PART", "a partition table (GPT): a whole disk, not a device of a pool" },
	{ 4096, 8, "EFI PART", "a partition table (GPT): a whole disk, not a device of a pool" },
	/* last: boot sectors of filesystems end with it too */
	{ 510, 2, "\x55\xaa", "a partition table or boot sector: a whole disk, or a filesystem" },
};

const char *signature_name(const void *data, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].offset + table[i].len <= len &&
		    !memcmp((const char *)data + table[i].offset, table[i].magic, table[i].len))
			return table[i].name;
	return NULL;
}

bool signature_is_packed(const char *name)
{
	size_t len = strlen(name), end = strlen(UNPACK);

	return len > end && !strcmp(name + len - end, UNPACK);
}
