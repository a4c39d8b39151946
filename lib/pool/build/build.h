/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_BUILD_H
#define POOL_BUILD_H
/*
 * The sink that makes metadata out of events.  Restore, repair and shrink end here, and so does
 * the generator of pools for bench/ and tests/.
 *
 * Trees are built bottom-up in one pass.  Leaves are filled completely, and the last two of a tree
 * are balanced.  The leaves of a def are written once and shared by the devices that refer to it,
 * unless that would leave an underfull leaf.  Space maps follow at end_pool.  mapped_blocks is
 * counted; the source's own number is only compared with the count.
 *
 * Order of writes: block 0 is made invalid (not zero) and flushed before the first other write;
 * all blocks, flush; block 0, flush.  On any failure block 0 stays invalid.  Nothing is
 * written before begin_pool has been checked.
 *
 * These are refused before they are written, and the text has the numbers: a block size, a time, a
 * device id, a data block or a key that the format or the pool does not allow; keys that do not
 * ascend; a device or a def that comes twice; a ref to a def that has not come yet.
 *
 * Times: the kernel writes in place to a block whose time is not below its device's snap_time.  Where
 * such a block is mapped more than once, the device's snap_time is raised.  Near the end of the
 * 24-bit clock all times of the pool are renumbered in their order, so that the clock goes on from a
 * low value.
 *
 * Memory: 3.25 bits a data block (2.25 in a pool without snapshots), 2.25 bits a metadata block (and
 * what refmap.h says for large counts),
 * 9 bytes a shared leaf, 38 to 59 bytes a def, 40 bytes a device, 2 MiB (9 MiB with direct I/O); nothing per mapping.
 */
#include "dev/io.h"
#include "pool/events/events.h"
#include "pool/format/superblock.h"

struct build_options {
	/* called for each device whose mapped_blocks claim differs from the count; may be NULL */
	void (*count_differs)(void *ctx, uint32_t dev_id, uint64_t claimed, uint64_t counted);
	/* a line of text about times that were changed; may be NULL */
	void (*note)(void *ctx, const char *text);
	void *ctx;
	struct superblock_mark mark;
	bool keep_flags; /* keep needs_check of pool_info.flags; else the flag is cleared */
};

/*
 * @out: the metadata device; its size is the metadata map's size (capped at the format's
 * limit).  When the pool does not fit, a later event fails with -ERANGE and the text "too small:
 * needs at least N blocks, has M" (-ENOSPC is kept for a full disk below a file).  @e becomes the
 * sink; build_free() frees it, whether it has come to its end or not.
 */
int build_new(struct io *out, const struct build_options *opt, struct events *e, struct err *err);
void build_free(struct events *e);

/*
 * The least number of metadata blocks that hold a pool, to say "too small" before the first write.
 * @nr_metadata_blocks: the size of the device, whose own space map takes blocks too; 0: the device
 * has only that least number.  @nr_mappings must not count what devices share.
 */
uint64_t build_min_blocks(uint64_t nr_devices, uint64_t nr_mappings, uint64_t nr_data_blocks,
			  uint64_t nr_metadata_blocks);

/* The same when the mapping trees have @nr_nodes in all. */
uint64_t build_blocks_around(uint64_t nr_nodes, uint64_t nr_devices, uint64_t nr_data_blocks,
			     uint64_t nr_metadata_blocks);

/*
 * A sink that only counts.  After end_pool build_count_all() tells how many metadata blocks build takes for these
 * events.
 */
int build_count_new(struct events *e, struct err *err);
struct build_counts {
	uint64_t nr_blocks;	 /* at least; more where small shared parts have to be copied, or counts are large */
	uint64_t nr_blocks_most; /* at most */
	uint64_t nr_data_blocks, nr_devices;
};
void build_count_all(const struct events *e, struct build_counts *n);
void build_count_free(struct events *e);

/*
 * Where the events that @tell gives need @counted blocks at least and the output @has not many more: builds them in memory,
 * which finds what the count leaves out, copies of small shared parts and large reference counts.  -ERANGE as of
 * build_new(); 0: they fit, or it is not known (much memory would be used, or @tell failed otherwise).
 */
int build_try(uint64_t counted, uint64_t has, int (*tell)(void *ctx, const struct events *to, struct err *err), void *ctx,
	      struct err *err);

#endif
