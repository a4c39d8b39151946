/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_CSUM_H
#define PDATA_CSUM_H
#include "pdata/block/format.h"

/* The checksum of a 4096-byte block for one kind. */
uint32_t csum_compute(const void *block, enum csum_salt salt);

/* Sets the own block number (u64@8) and then the checksum (u32@0). */
void csum_seal(void *block, mblock_t at, enum csum_salt salt);

/*
 * The kind of block that a checksum shows.  CSUM_FOREIGN: the block belongs to another dm target.
 */
enum csum_kind {
	CSUM_NONE,
	CSUM_IS_SUPERBLOCK,
	CSUM_IS_NODE,
	CSUM_IS_BITMAP,
	CSUM_IS_INDEX,
	CSUM_FOREIGN,
};
/* @name (may be NULL): "cache superblock" etc. for CSUM_FOREIGN, static. */
enum csum_kind csum_classify(const void *block, const char **name);

/* The own block number stored in any kind of block. */
static inline mblock_t block_own_nr(const void *block)
{
	return le64_get(((const struct disk_node_header *)block)->blocknr);
}

/*
 * Checks place and checksum, in the kernel's order.  0; -ENOTBLK: sealed for another location;
 * -EBADMSG: bad checksum.
 */
int csum_verify(const void *block, mblock_t at, enum csum_salt salt);

#endif
