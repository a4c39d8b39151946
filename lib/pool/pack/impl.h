/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_PACK_CODE_H
#define POOL_PACK_CODE_H
/*
 * One metadata block as a record of the packed format, version 3: the block's number and
 * instructions that make its 4096 bytes (doc/exchange.md has the table).  Pure functions
 * on memory.  Private to pack and unpack.
 */
#include "base/units.h"

#define PACK_VERSION 3
#define PACK_HEADER_LEN 32	/* four u64: magic, version, block size, number of blocks */
#define PACK_GROUP 256 /* blocks that go into one stream, at most; records that stay in the cache */
#define PACK_RECORD_MAX (8 + 3 + MBLOCK_SIZE) /* bytes of a record that we write */

/* Writes the record of @block at @out (PACK_RECORD_MAX bytes of room); returns its length. */
size_t pack_encode(mblock_t nr, const void *block, uint8_t *out);

/*
 * Reads one record from [*@in, @end) into @block (4096 bytes) and moves *@in past it.
 * NULL, or what is wrong with it.
 */
const char *pack_decode(const uint8_t **in, const uint8_t *end, mblock_t *nr, void *block);

#endif
