/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Writes what follows the last device, in the order in which it must reach the disk. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "pdata/map/write.h"
#include "pool/build/impl.h"

static int by_id(const void *va, const void *vb)
{
	const struct built_device *a = va, *b = vb;

	return a->dev_id < b->dev_id ? -1 : a->dev_id > b->dev_id;
}

static int write_device_trees(struct build *b, struct superblock *sb, struct err *err)
{
	struct btree_build top = { 0 }, details = { 0 };
	int r = btree_build_init(&top, &b->w, sizeof(le64), err);

	if (!r)
		r = btree_build_init(&details, &b->w, sizeof(struct disk_details), err);
	if (b->nr_devices)
		qsort(b->device, b->nr_devices, sizeof(*b->device), by_id);
	for (size_t i = 0; !r && i < b->nr_devices; i++) {
		const struct built_device *d = &b->device[i];
		le64 root = le64_make(d->root);
		struct device_info info = {
			.dev_id = d->dev_id,
			.mapped_blocks = d->mapped_blocks,
			.transaction = d->transaction,
			.creation_time = d->creation_time,
			.snap_time = d->snap_time,
		};
		struct disk_details v;

		device_info_encode(&info, &v);
		if (i && d->dev_id == d[-1].dev_id)
			r = err_set(err, -EINVAL, "device %u is defined twice", d->dev_id);
		if (!r)
			r = btree_build_add(&top, d->dev_id, &root, err);
		if (!r)
			r = btree_build_add(&details, d->dev_id, &v, err);
	}
	if (!r)
		r = btree_build_finish(&details, &sb->details_root, err);
	if (!r)
		r = btree_build_finish(&top, &sb->mapping_root, err);
	btree_build_fini(&top);
	btree_build_fini(&details);
	return r;
}

/* Takes back the counts of leaves of defs that no tree has taken. */
static int uncount_unused(struct build *b, struct err *err)
{
	CLEANUP(free_ptr) void *block = io_alloc(MBLOCK_SIZE);
	struct shared_leaf l;
	struct node n;
	dblock_t d;
	int r;

	if (!block)
		return err_nomem(err, "a leaf");
	for (uint32_t i = 0; i < b->defs.nr_leaves; i++) {
		l = build_defs_leaf(&b->defs, i);
		if (l.at >= b->nr_blocks || refmap_get(b->metadata_counts, l.at))
			continue;
		r = block_writer_read(&b->w, l.at, block, err);
		if (r < 0)
			return r;
		if (node_open(&n, block, l.at, 8) != NODE_OK)
			return err_set(err, -EIO, "block %llu, just written, reads back differently",
				       (unsigned long long)l.at);
		for (uint32_t k = 0; k < n.nr; k++) {
			d = mapping_block(node_value64(&n, k));
			refmap_set(b->data_counts, d, refmap_get(b->data_counts, d) - 1);
		}
	}
	return 0;
}

int build_end(struct build *b, struct err *err)
{
	struct superblock sb = {
		.flags = b->opt.keep_flags ? b->pool.flags & THIN_NEEDS_CHECK : 0,
		.version = THIN_VERSION,
		.time = b->pool.time,
		.transaction_id = b->pool.transaction,
		.data_block_size = b->pool.data_block_size,
		.metadata_block_size = MBLOCK_SIZE >> SECTOR_SHIFT,
		.metadata_nr_blocks = b->nr_blocks,
	};
	uint64_t others;
	int r;

	r = uncount_unused(b, err);
	if (!r)
		r = build_times_end(b, err);
	sb.time = b->pool.time;
	if (!r)
		r = write_device_trees(b, &sb, err);
	if (!r)
		r = sm_write_data(&b->w, b->data_counts, &sb.data_sm, err);
	if (!r)
		r = sm_write_metadata(&b->w, &sb.metadata_sm, err);
	if (r < 0)
		return r;
	if (block_writer_full(&b->w)) {
		others = b->w.next - div_up(b->nr_blocks, ENTRIES_PER_BITMAP) - 2;
		return build_too_small(err, build_with_metadata_map(others, 0), b->nr_blocks);
	}
	r = block_writer_finish(&b->w, err);
	if (!r)
		r = io_flush(b->out, err);
	if (r)
		return r;
	superblock_mark_ends(&b->opt.mark);
	return superblock_write(&sb, b->out, err);
}
