/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/check/fix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "pool/check/fix_impl.h"

/*
 * Counts the leaks among the first @nr entries of a bitmap, those of blocks that exist; bits past
 * the map's end belong to no block.  A count of 3 or more also has an overflow entry, which
 * cannot be removed in place: that of a block that is still mapped stays.
 */
static int count_leaks(struct fix *x, const uint8_t *was, const uint8_t *is, uint64_t nr,
		       uint64_t *leaks)
{
	for (unsigned i = 0; i < nr; i++) {
		if (!bitmap_count(was, i) || bitmap_count(is, i))
			continue;
		if (bitmap_count(was, i) == 3)
			return err_set(
				x->err, -EUCLEAN,
				"leaked blocks with large reference counts cannot be freed in "
				"place; 'thin_repair -i POOL -o FILE' rebuilds the space maps");
		++*leaks;
	}
	return 0;
}

/* Large counts of blocks that are mapped stay as they are. */
static void keep_large(const uint8_t *was, uint8_t *is)
{
	for (unsigned i = 0; i < ENTRIES_PER_BITMAP; i++)
		if (bitmap_count(was, i) == 3 && bitmap_count(is, i))
			is[i / 4] |= (uint8_t)(3 << 2 * (i % 4));
}

static int fix_bitmap(struct fix *x, const struct check_map *m, uint64_t i, uint64_t *leaks)
{
	struct disk_bitmap *bm = (struct disk_bitmap *)x->buf;
	uint64_t here = refmap_nr_blocks(m->counts) - i * ENTRIES_PER_BITMAP;
	uint8_t bits[sizeof(bm->bits)];
	uint32_t used, first_free;
	int r = fix_read_block(x, m->index.entry[i].block, SALT_BITMAP);

	if (r)
		return r;
	refmap_to_bitmap(m->counts, i, bits, &used, &first_free);
	keep_large(bm->bits, bits);
	if (!memcmp(bits, bm->bits, sizeof(bits)))
		return 0;
	if (!x->write)
		return count_leaks(x, bm->bits, bits, MIN(here, (uint64_t)ENTRIES_PER_BITMAP),
				   leaks);
	memcpy(bm->bits, bits, sizeof(bits));
	x->rep->nr_bitmaps++;
	return fix_write_block(x, m->index.entry[i].block, SALT_BITMAP);
}

static int fix_bitmaps(struct fix *x, const struct check_map *m, uint64_t *leaks)
{
	int r = 0;

	for (uint64_t i = 0; i < m->index.nr && !r && m->wants_fix; i++)
		r = fix_bitmap(x, m, i, leaks);
	return r;
}

/* Corrects an index entry.  Both ways of counting the last bitmap's free entries are right. */
static bool fix_entry(const struct check_map *m, uint64_t i, struct disk_index_entry *d)
{
	uint64_t begin = i * ENTRIES_PER_BITMAP;
	uint64_t here = MIN(refmap_nr_blocks(m->counts) - begin, (uint64_t)ENTRIES_PER_BITMAP);
	uint32_t nr_free = le32_get(d->nr_free), used, first_free;
	uint8_t bits[sizeof(((struct disk_bitmap *)0)->bits)];
	bool changed = false;

	refmap_to_bitmap(m->counts, i, bits, &used, &first_free);
	if (nr_free != ENTRIES_PER_BITMAP - used && nr_free != here - used) {
		d->nr_free = le32_make(ENTRIES_PER_BITMAP - used);
		changed = true;
	}
	if (used < here && le32_get(d->none_free_before) > first_free) {
		d->none_free_before = le32_make(first_free);
		changed = true;
	}
	return changed;
}

static int fix_metadata_index(struct fix *x)
{
	const struct check_map *m = &x->r->metadata;
	mblock_t at = x->r->sb.metadata_sm.bitmap_root;
	struct disk_index *d = (struct disk_index *)x->buf;
	bool changed = false;
	int r;

	if (!m->wants_fix)
		return 0;
	r = fix_read_block(x, at, SALT_INDEX);
	if (r)
		return r;
	for (uint64_t i = 0; i < m->index.nr; i++)
		changed |= fix_entry(m, i, &d->entry[i]);
	if (!changed)
		return 0;
	x->rep->nr_index++;
	return fix_write_block(x, at, SALT_INDEX);
}

static int fix_index_leaf(struct fix *x, mblock_t at)
{
	const struct check_map *m = &x->r->data;
	bool changed = false;
	struct node n;
	int r = fix_read_block(x, at, SALT_NODE);

	if (r)
		return r;
	if (node_open(&n, x->buf, at, sizeof(struct disk_index_entry)) || !n.leaf)
		return err_set(x->err, -EUCLEAN, FIX_BLOCK_CHANGED,
			       (unsigned long long)at);
	for (uint32_t i = 0; i < n.nr; i++) {
		size_t off = (size_t)((const uint8_t *)node_value(&n, i) - x->buf);
		struct disk_index_entry d;

		if (node_key(&n, i) >= m->index.nr)
			continue;
		memcpy(&d, x->buf + off, sizeof(d));
		if (!fix_entry(m, node_key(&n, i), &d))
			continue;
		memcpy(x->buf + off, &d, sizeof(d));
		changed = true;
	}
	if (!changed)
		return 0;
	x->rep->nr_index++;
	return fix_write_block(x, at, SALT_NODE);
}

static int fix_data_index(struct fix *x)
{
	CLEANUP(free_ptr) mblock_t *list = NULL;
	size_t nr = 0;
	int r = 0;

	if (x->r->data.wants_fix)
		r = fix_list_leaves(x, x->r->sb.data_sm.bitmap_root, sizeof(struct disk_index_entry),
				    &list, &nr);
	for (size_t i = 0; i < nr && !r; i++)
		r = fix_index_leaf(x, list[i]);
	return r;
}

static bool set_total(struct disk_sm_root *d, const struct check_map *m)
{
	uint64_t nr;

	if (!m || !m->counts || !m->wants_fix)
		return false;
	nr = refmap_nr_allocated(m->counts);
	if (le64_get(d->nr_allocated) == nr)
		return false;
	d->nr_allocated = le64_make(nr);
	return true;
}

/* The totals of both maps (@r may be NULL) and the flag, in one write of block 0. */
static int fix_superblock(struct fix *x)
{
	struct disk_superblock *d = (struct disk_superblock *)x->buf;
	int r = fix_read_block(x, 0, SALT_SUPERBLOCK);
	uint32_t flags;

	if (r)
		return r;
	flags = le32_get(d->flags);
	x->rep->flag = flags & THIN_NEEDS_CHECK;
	d->flags = le32_make(flags & ~THIN_NEEDS_CHECK);
	if (x->r) {
		x->rep->totals = set_total(&d->data_sm, &x->r->data);
		x->rep->totals |= set_total(&d->metadata_sm, &x->r->metadata);
	}
	if (!x->rep->flag && !x->rep->totals)
		return 0;
	r = fix_write_block(x, 0, SALT_SUPERBLOCK);
	return r ? r : io_flush(x->io, x->err);
}

static int fix_maps(struct fix *x)
{
	int r;

	x->write = false;
	r = fix_bitmaps(x, &x->r->data, &x->rep->data_leaks);
	if (!r)
		r = fix_bitmaps(x, &x->r->metadata, &x->rep->metadata_leaks);
	if (r)
		return r;
	x->write = true;
	r = fix_bitmaps(x, &x->r->data, NULL);
	if (!r)
		r = fix_bitmaps(x, &x->r->metadata, NULL);
	if (!r)
		r = fix_data_index(x);
	if (!r)
		r = fix_metadata_index(x);
	if (!r && x->rep->nr_bitmaps + x->rep->nr_index)
		r = io_flush(x->io, x->err);
	return r;
}

static int refuse(struct err *err)
{
	return err_set(err, -EUCLEAN, "nothing was changed: such damage cannot be repaired "
				      "in place; 'thin_repair -i POOL -o FILE' can rebuild the pool");
}

int fix_run(struct io *io, struct jobs *jobs, const struct check_result *r, struct fix_report *rep,
	    struct err *err)
{
	CLEANUP(free_ptr) void *buf = io_alloc(MBLOCK_SIZE);
	struct fix x = { .io = io, .jobs = jobs, .r = r, .rep = rep, .err = err, .buf = buf };
	int ret;

	*rep = (struct fix_report) { 0 };
	if (!buf)
		return err_nomem(err, "block");
	if (!r->complete || !fix_mends(r))
		return refuse(err);
	ret = fix_times_plan(&x);
	if (!ret)
		ret = fix_maps(&x);
	if (!ret)
		ret = fix_times(&x);
	if (!ret)
		ret = fix_superblock(&x);
	free(x.raise);
	return ret;
}

int fix_clear_flag(struct io *io, const struct check_result *r, struct fix_report *rep,
		   struct err *err)
{
	CLEANUP(free_ptr) void *buf = io_alloc(MBLOCK_SIZE);
	struct fix x = { .io = io, .rep = rep, .err = err, .buf = buf };

	*rep = (struct fix_report) { 0 };
	if (!fix_mends(r) || (!r->complete && findings_any(&r->findings, FINDING_FATAL)))
		return refuse(err);
	return buf ? fix_superblock(&x) : err_nomem(err, "block");
}
