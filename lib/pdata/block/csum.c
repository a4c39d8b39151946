/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pdata/block/csum.h"

#include <errno.h>

#include "base/sum/crc32c.h"

#define CSUM_AT 4 /* the checksum covers everything that follows its own four bytes */

static uint32_t stored_csum(const void *block)
{
	return le32_get(((const struct disk_node_header *)block)->csum);
}

static uint32_t raw_csum(const void *block)
{
	return crc32c_raw(0xFFFFFFFF, (const uint8_t *)block + CSUM_AT, MBLOCK_SIZE - CSUM_AT);
}

uint32_t csum_compute(const void *block, enum csum_salt salt)
{
	return raw_csum(block) ^ (uint32_t)salt;
}

void csum_seal(void *block, mblock_t at, enum csum_salt salt)
{
	struct disk_node_header *h = block;

	h->blocknr = le64_make(at);
	h->csum = le32_make(csum_compute(block, salt));
}

enum csum_kind csum_classify(const void *block, const char **name)
{
	static const struct {
		uint32_t salt;
		enum csum_kind kind;
		const char *name;
	} kinds[] = {
		{ SALT_NODE, CSUM_IS_NODE, "btree node" },
		{ SALT_BITMAP, CSUM_IS_BITMAP, "space map bitmap" },
		{ SALT_INDEX, CSUM_IS_INDEX, "metadata index" },
		{ SALT_SUPERBLOCK, CSUM_IS_SUPERBLOCK, "superblock" },
		{ 9031977, CSUM_FOREIGN, "cache superblock" },
		{ 146538381, CSUM_FOREIGN, "era superblock" },
		{ 595846735, CSUM_FOREIGN, "array block" },
	};
	uint32_t salt = stored_csum(block) ^ raw_csum(block);

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].salt != salt)
			continue;
		if (name)
			*name = kinds[i].name;
		return kinds[i].kind;
	}
	return CSUM_NONE;
}

int csum_verify(const void *block, mblock_t at, enum csum_salt salt)
{
	if (block_own_nr(block) != at)
		return -ENOTBLK;
	return stored_csum(block) == csum_compute(block, salt) ? 0 : -EBADMSG;
}
