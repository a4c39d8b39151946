/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The metadata map counts its own blocks.  Its tree of large counts comes first: only shared
 * nodes have counts above two, never a block of a space map, so that tree is complete before
 * the rest is allocated.  Then the places of bitmaps and index are known and counted, and
 * what is filled in afterwards changes no count.
 */
#include "pdata/map/write.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "pdata/tree/build.h"

struct overflow_ctx {
	struct btree_build tree;
	struct err *err;
};

static int add_overflow_count(void *ctx, uint64_t b, uint32_t count)
{
	struct overflow_ctx *c = ctx;
	le32 v = le32_make(count);

	return btree_build_add(&c->tree, b, &v, c->err);
}

static int write_overflow(struct block_writer *w, const struct refmap *counts, mblock_t *root,
			  struct err *err)
{
	struct overflow_ctx c = { .err = err };
	int r;

	if (refmap_failed(counts))
		return err_nomem(err, "reference counts");
	r = btree_build_init(&c.tree, w, sizeof(le32), err);
	if (!r)
		r = refmap_each_overflow(counts, add_overflow_count, &c);
	if (!r)
		r = btree_build_finish(&c.tree, root, err);
	btree_build_fini(&c.tree);
	return r;
}

static int write_bitmap(struct block_writer *w, const struct refmap *counts, uint64_t i,
			unsigned count, struct disk_index_entry *e, struct err *err)
{
	uint32_t nr_used, first_free;
	struct disk_bitmap *d;
	mblock_t at;
	void *data;
	int r;

	r = block_writer_alloc(w, SALT_BITMAP, count, &data, &at, err);
	if (r < 0)
		return r;
	d = data;
	d->unused = le32_make(0);
	refmap_to_bitmap(counts, i, d->bits, &nr_used, &first_free);
	*e = (struct disk_index_entry){
		.blocknr = le64_make(at),
		.nr_free = le32_make(ENTRIES_PER_BITMAP - nr_used),
		.none_free_before = le32_make(first_free),
	};
	return 0;
}

int sm_write_data(struct block_writer *w, const struct refmap *counts, struct sm_root *root,
		  struct err *err)
{
	uint64_t nr = refmap_nr_blocks(counts);
	struct disk_index_entry e;
	struct btree_build index;
	int r;

	*root = (struct sm_root){ .nr_blocks = nr, .nr_allocated = refmap_nr_allocated(counts) };
	r = write_overflow(w, counts, &root->ref_count_root, err);
	if (r < 0)
		return r;
	r = btree_build_init(&index, w, sizeof(e), err);
	for (uint64_t i = 0; !r && i < div_up(nr, ENTRIES_PER_BITMAP); i++) {
		r = write_bitmap(w, counts, i, 1, &e, err);
		if (!r)
			r = btree_build_add(&index, i, &e, err);
	}
	if (!r)
		r = btree_build_finish(&index, &root->bitmap_root, err);
	btree_build_fini(&index);
	return r;
}

int sm_write_metadata(struct block_writer *w, struct sm_root *root, struct err *err)
{
	uint64_t nr = refmap_nr_blocks(w->counts), nr_bitmaps = div_up(nr, ENTRIES_PER_BITMAP);
	CLEANUP(free_ptr) struct disk_index *index = calloc(1, sizeof(*index));
	mblock_t b;
	void *data;
	int r;

	if (!index)
		return err_nomem(err, "space map index");
	if (nr_bitmaps > MAX_METADATA_BITMAPS)
		return err_set(err, -EFBIG, "more metadata blocks than the format can describe");
	*root = (struct sm_root){ .nr_blocks = nr };
	r = write_overflow(w, w->counts, &root->ref_count_root, err);
	if (r < 0)
		return r;
	for (b = w->next; b < MIN(w->next + nr_bitmaps + 1, nr); b++)
		refmap_inc(w->counts, b);
	root->nr_allocated = refmap_nr_allocated(w->counts);
	for (uint64_t i = 0; !r && i < nr_bitmaps; i++)
		r = write_bitmap(w, w->counts, i, 0, &index->entry[i], err);
	if (!r)
		r = block_writer_alloc(w, SALT_INDEX, 0, &data, &root->bitmap_root, err);
	if (!r)
		memcpy(data, index, sizeof(*index));
	return r;
}

uint64_t sm_write_data_blocks(uint64_t nr_data_blocks)
{
	uint64_t nr_bitmaps = div_up(nr_data_blocks, ENTRIES_PER_BITMAP);

	return nr_bitmaps + btree_build_nr_nodes(nr_bitmaps, sizeof(struct disk_index_entry)) + 1;
}

uint64_t sm_write_metadata_blocks(uint64_t nr_metadata_blocks)
{
	return div_up(nr_metadata_blocks, ENTRIES_PER_BITMAP) + 2;
}
