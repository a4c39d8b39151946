/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pdata/map/read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "pdata/block/csum.h"

int sm_index_init(struct sm_index *x, uint64_t nr_blocks, struct err *err)
{
	x->nr = div_up(nr_blocks, ENTRIES_PER_BITMAP);
	x->entry = calloc_u64(x->nr + 1, sizeof(*x->entry));
	return x->entry ? 0 : err_nomem(err, "index of a space map");
}

void sm_index_fini(struct sm_index *x)
{
	free(x->entry);
	*x = (struct sm_index) { 0 };
}

static void take_entry(struct sm_index *x, uint64_t i, const struct disk_index_entry *d)
{
	x->entry[i] = (struct sm_entry) {
		.block = le64_get(d->blocknr),
		.nr_free = le32_get(d->nr_free),
		.none_free_before = le32_get(d->none_free_before),
		.present = true,
	};
}

int sm_index_decode(struct sm_index *x, const void *block, mblock_t at)
{
	const struct disk_index *d = block;
	int r = csum_verify(block, at, SALT_INDEX);

	/* entries beyond the map's size hold junk in real images */
	for (uint64_t i = 0; !r && i < MIN(x->nr, (uint64_t)MAX_METADATA_BITMAPS); i++)
		if (le64_get(d->entry[i].blocknr))
			take_entry(x, i, &d->entry[i]);
	return r;
}

uint32_t sm_index_take(struct sm_index *x, const struct node *leaf)
{
	uint32_t beyond = 0;

	for (uint32_t i = 0; i < leaf->nr; i++) {
		struct disk_index_entry d;

		memcpy(&d, node_value(leaf, i), sizeof(d));
		if (node_key(leaf, i) < x->nr)
			take_entry(x, node_key(leaf, i), &d);
		else
			beyond++;
	}
	return beyond;
}

struct place {
	mblock_t block;
	uint64_t index;
};

struct bitmaps {
	const struct place *place; /* one for each block of the list */
	sm_bitmap_fn *fn;
	void *ctx;
};

static int by_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static int read_bitmap(void *ctx, unsigned worker, size_t i, mblock_t block, const void *data,
		       int status)
{
	const struct bitmaps *b = ctx;

	if (status >= 0)
		status = csum_verify(data, block, SALT_BITMAP);
	return b->fn(b->ctx, worker, b->place[i].index, status < 0 ? NULL : data, status);
}

int sm_read_bitmaps(struct stream *s, const struct sm_index *x, sm_bitmap_fn *fn, void *ctx,
		    struct err *err)
{
	CLEANUP(free_ptr) struct place *place = calloc_u64(x->nr + 1, sizeof(*place));
	CLEANUP(free_ptr) mblock_t *list = calloc_u64(x->nr + 1, sizeof(*list));
	struct bitmaps b = { place, fn, ctx };
	size_t nr = 0, k = 0;
	int r;

	if (!place || !list)
		return err_nomem(err, "list of bitmaps");
	for (uint64_t i = 0; i < x->nr; i++)
		if (x->entry[i].present)
			place[nr++] = (struct place) { x->entry[i].block, i };
	qsort(place, nr, sizeof(*place), by_place);
	for (size_t i = 0; i < nr; i++) {
		if (k && place[k - 1].block == place[i].block) {
			r = fn(ctx, 0, place[i].index, NULL, -EEXIST);
			if (r < 0)
				return r;
			continue;
		}
		place[k] = place[i];
		list[k++] = place[i].block;
	}
	return stream_read(s, list, k, read_bitmap, &b, err);
}
