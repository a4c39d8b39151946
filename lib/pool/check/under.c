/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * An empty pool may have been formatted over another one: the kernel does so at activation when
 * block 0 is zero.  The older pool's trees are then still there.
 */
#include "pdata/block/csum.h"
#include "pool/check/impl.h"

#define CHUNK 512 /* blocks that are looked at before the next ones are asked for */
/*
 * 256 MiB, twice of what LVM makes without being asked.  A new pool of 16 GiB of metadata must not be read as a
 * whole each time that it is activated; thin_repair looks everywhere.
 */
#define MOST_BLOCKS ((mblock_t)1 << 16)

/* @ctx: the first block that holds details of devices. */
__attribute__((cold)) static int look(void *ctx, unsigned worker, size_t i, mblock_t at,
				      const void *data, int status)
{
	const struct disk_node_header *h = data;
	mblock_t *first = ctx;

	(void)worker;
	(void)i;
	if (!status && at < *first && le32_get(h->value_size) == sizeof(struct disk_details) &&
	    le32_get(h->flags) == NODE_LEAF && le32_get(h->nr_entries) &&
	    !csum_verify(data, at, SALT_NODE))
		*first = at;
	return 0;
}

/* Runs in this thread alone: such a pool is rare, and small code matters more than speed. */
__attribute__((cold)) int check_under(struct check *c)
{
	struct finding f = finding_make(FOUND_OLDER_POOL, AREA_SUPERBLOCK);
	const mblock_t end = MIN(c->nr_blocks, MOST_BLOCKS);
	mblock_t list[CHUNK];
	struct stream stream;
	int r = 0;

	stream_init(&stream, c->io, NULL);
	for (mblock_t b = 1; b < end && f.block == FINDING_NO_BLOCK && !r;) {
		size_t nr = 0;

		while (nr < CHUNK && b < end)
			list[nr++] = b++;
		r = stream_read(&stream, list, nr, look, &f.block, c->err);
	}
	if (f.block != FINDING_NO_BLOCK)
		check_found(c, &f);
	return r;
}
