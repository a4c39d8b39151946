/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Block 0, sealed here, and the judgement of metadata_open() over it. */
#include <string.h>

#include "fuzz.h"
#include "pdata/block/csum.h"
#include "pool/format/metadata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct metadata_options live = { 0 }, held = { .snap = true };
	struct io *io = io_mem_new("superblock", 4 * MBLOCK_SIZE);
	uint8_t *block;
	uint8_t again[MBLOCK_SIZE] = { 0 }, third[MBLOCK_SIZE] = { 0 };
	struct superblock sb, sb2;
	struct err err = { 0 };
	struct metadata md;

	MUST(io);
	block = io_mem_data(io);
	memcpy(block, data, MIN(len, MBLOCK_SIZE));
	memcpy(block + 2 * MBLOCK_SIZE, data, MIN(len, MBLOCK_SIZE));
	csum_seal(block, 0, SALT_SUPERBLOCK);
	csum_seal(block + 2 * MBLOCK_SIZE, 2, SALT_SUPERBLOCK);
	if (superblock_open(&sb, block, 0) == SB_OK) {
		superblock_seal(&sb, again, 0);
		MUST(superblock_open(&sb2, again, 0) == SB_OK);
		superblock_seal(&sb2, third, 0);
		MUST(!memcmp(again, third, MBLOCK_SIZE));
		if (!metadata_open(io, &live, &md, &err))
			MUST(md.mapping_root < 4 && md.details_root < 4);
		if (!metadata_open(io, &held, &md, &err))
			MUST(md.snap == 2);
	}
	io_free(io);
	return 0;
}
