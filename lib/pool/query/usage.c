/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A device's own blocks are counted by the cells as they stand at the end.  That is exact while a
 * device maps a block once, as the kernel does; a device that maps a block twice is noticed, and
 * then a second pass counts the entries that name such blocks.
 *
 * A data device that is large for its metadata would have far more cells than mappings.  Then
 * only the mapped blocks have cells; a list of them is made first.
 */
#include "pool/query/usage.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/order.h"
#include "base/overflow.h"
#include "base/search.h"
#include "pool/format/format.h"
#include "pool/query/cells.h"

#define SPARSE_BLOCKS ((uint64_t)1 << 23) /* so many cells are always given */

struct tail {
	mblock_t leaf; /* the last one of some device */
	uint64_t last; /* its last key */
	bool any;
};

struct usage {
	struct forest *f;
	const struct usage_want *want;
	bool exclusive;
	struct cells cells;
	dblock_t *list; /* of the mapped blocks, ascending; or NULL: each block has a cell */
	uint64_t nr_data_blocks, nr_counted;
	_Atomic uint64_t nr_listed;
	uint64_t *alone; /* nr_devs, in the second pass for each worker */
	atomic_bool twice;
	uint16_t *leaf_count; /* by metadata block */
	struct tail *tail;
	size_t nr_tails;
};

static struct tail *find_tail(const struct usage *u, mblock_t leaf)
{
	size_t at = search_first(i, u->nr_tails, u->tail[i].leaf >= leaf);

	return at < u->nr_tails && u->tail[at].leaf == leaf ? &u->tail[at] : NULL;
}

static void note_leaf(struct usage *u, mblock_t block, const struct node *n)
{
	struct tail *t = find_tail(u, block);

	u->leaf_count[block] = (uint16_t)n->nr;
	if (t && n->nr) {
		t->last = node_key(n, n->nr - 1);
		t->any = true;
	}
}

static int count_leaf(void *ctx, unsigned worker, mblock_t block, const struct node *n)
{
	struct usage *u = ctx;

	note_leaf(u, block, n);
	if (u->want->leaf && !u->cells.begin) {
		int r = u->want->leaf(u->want->ctx, worker, block, n);

		if (r)
			return r;
	}
	if (!u->exclusive)
		return 0;
	if (walk_shared(u->f->walk, block))
		cells_share(&u->cells, n);
	else if (cells_own(&u->cells, n, walk_attr(u->f->walk, block)))
		atomic_store_explicit(&u->twice, true, memory_order_relaxed);
	return 0;
}

/* By the cells as they stand: for devices that map a block more than once. */
static int recount_leaf(void *ctx, unsigned worker, mblock_t block, const struct node *n)
{
	struct usage *u = ctx;
	uint32_t owner = walk_attr(u->f->walk, block);

	if (!walk_shared(u->f->walk, block))
		u->alone[(size_t)worker * u->f->nr_devs + owner] +=
			cells_count_leaf(&u->cells, n, owner);
	return 0;
}

static int by_leaf(const void *va, const void *vb)
{
	const struct tail *a = va, *b = vb;

	return a->leaf < b->leaf ? -1 : a->leaf > b->leaf;
}

static mblock_t last_leaf(struct walk *w, mblock_t node)
{
	const uint32_t *child;
	uint32_t room[INTERNAL_MAX], nr;

	while (walk_height(w, node) > 0) {
		child = walk_children(w, node, room, &nr);
		if (!child || child[nr - 1] == WALK_NONE)
			return WALK_NONE;
		node = child[nr - 1];
	}
	return node;
}

static int find_tails(struct usage *u)
{
	struct forest *f = u->f;

	u->tail = calloc(f->nr_devs + 1, sizeof(*u->tail));
	if (!u->tail)
		return -ENOMEM;
	for (size_t i = 0; i < f->nr_devs; i++)
		u->tail[i].leaf = last_leaf(f->walk, f->dev[i]->root);
	qsort(u->tail, f->nr_devs, sizeof(*u->tail), by_leaf);
	u->nr_tails = 0;
	for (size_t i = 0; i < f->nr_devs; i++)
		if (!i || u->tail[i].leaf != u->tail[i - 1].leaf)
			u->tail[u->nr_tails++].leaf = u->tail[i].leaf;
	return 0;
}

/* Will leaves of one owner touch an eighth of @nr_cells, more or less? */
static bool many_owned(const struct usage *u, uint64_t nr_cells)
{
	uint64_t nr = 0;

	for (mblock_t b = 0; nr_cells && b < u->f->nr_blocks; b++)
		nr += walk_height(u->f->walk, b) == 0 && !walk_shared(u->f->walk, b);
	return nr * INTERNAL_MAX / 2 > nr_cells / 8;
}

/* One window, from @begin to @end, of data blocks or of the list; their cells live as long as it takes. */
static int count_window(struct usage *u, uint64_t begin, uint64_t end, struct usage_row *row,
			struct err *err)
{
	size_t nr_devs = u->f->nr_devs;
	unsigned nr_workers = stream_nr_workers(u->f->s);
	int r = cells_init(&u->cells, begin, end - begin, u->list, nr_devs,
			   many_owned(u, end - begin));

	u->alone = calloc(nr_workers * (nr_devs + 1), sizeof(*u->alone));
	u->twice = false;
	r = r || !u->alone ? err_nomem(err, "block owners")
			   : forest_read_leaves(u->f, count_leaf, u, err);
	if (!r && u->twice)
		r = forest_read_leaves(u->f, recount_leaf, u, err);
	else if (!r)
		cells_count(&u->cells, u->alone);
	if (!r && u->want->cells)
		u->want->cells(u->want->ctx, &u->cells);
	for (size_t i = 0; !r && i < nr_devs; i++)
		for (unsigned w = 0; w < nr_workers; w++)
			row[i].exclusive += u->alone[w * nr_devs + i];
	cells_fini(&u->cells);
	free(u->alone);
	return r;
}

static int count_mapped(void *ctx, unsigned worker, mblock_t block, const struct node *n)
{
	struct usage *u = ctx;

	(void)worker;
	(void)block;
	u->nr_listed += n->nr;
	return 0;
}

static int list_mapped(void *ctx, unsigned worker, mblock_t block, const struct node *n)
{
	struct usage *u = ctx;

	(void)worker;
	(void)block;
	for (uint32_t i = 0; i < n->nr; i++) {
		dblock_t b = mapping_block(node_value64(n, i));

		/* the device may change meanwhile: take no more blocks than were counted */
		if (b < u->nr_data_blocks) {
			uint64_t at = atomic_fetch_add(&u->nr_listed, 1);

			if (at < u->nr_counted)
				u->list[at] = b;
		}
	}
	return 0;
}

/* Makes the list where cells for all blocks would cost much more than the metadata is large. */
static int list_blocks(struct usage *u, struct err *err)
{
	uint64_t nr, nr_distinct = 0;
	int r;

	if (u->nr_data_blocks <= SPARSE_BLOCKS || u->nr_data_blocks / 2 <= u->f->s->io->size)
		return 0;
	r = forest_read_leaves(u->f, count_mapped, u, err);
	if (r)
		return r;
	u->nr_counted = u->nr_listed;
	u->nr_listed = 0;
	u->list = calloc_u64(u->nr_counted + 1, sizeof(*u->list));
	if (!u->list)
		return err_nomem(err, "mapped blocks");
	r = forest_read_leaves(u->f, list_mapped, u, err);
	if (r)
		return r;
	nr = MIN(u->nr_counted, u->nr_listed);
	qsort(u->list, nr, sizeof(*u->list), order_u64);
	for (uint64_t i = 0; i < nr; i++)
		if (!i || u->list[i] != u->list[i - 1])
			u->list[nr_distinct++] = u->list[i];
	u->nr_listed = nr_distinct;
	return 0;
}

int usage_count(struct forest *f, uint64_t nr_data_blocks, const struct usage_want *want,
		struct usage_row *row, struct err *err)
{
	struct usage u = {
		.f = f,
		.want = want,
		.exclusive = want->exclusive || want->cells,
	};
	/* a mapping beyond the data device is damage, for thin_check to say; it is counted as mapped */
	uint64_t begin = 0, end, to;
	int r = find_tails(&u) ? err_nomem(err, "leaves") : 0;

	if (f->nr_devs == 1 && !f->nr_problems && !want->cells)
		u.exclusive = false; /* no other device to share with */
	u.nr_data_blocks = nr_data_blocks;
	if (!r && u.exclusive)
		r = list_blocks(&u, err);
	end = !u.exclusive ? 0 : u.list ? u.nr_listed : nr_data_blocks;
	memset(row, 0, f->nr_devs * sizeof(*row));
	u.leaf_count = calloc(MIN(f->s->io->size / MBLOCK_SIZE, MAX_METADATA_BLOCKS) + 1,
			      sizeof(*u.leaf_count));
	if (!r && !u.leaf_count)
		r = err_nomem(err, "leaves");
	do {
		to = u.list ? end : MIN(end, begin + USAGE_WINDOW);
		if (!r)
			r = count_window(&u, begin, to, row, err);
		begin = to;
	} while (!r && begin < end);
	if (!r)
		r = forest_tell_damage(f, err);
	for (size_t i = 0; !r && i < f->nr_devs; i++) {
		const struct tail *t = find_tail(&u, last_leaf(f->walk, f->dev[i]->root));

		row[i].mapped = walk_sum(f->walk, f->dev[i]->root, u.leaf_count);
		if (want->exclusive && !u.exclusive)
			row[i].exclusive = row[i].mapped;
		row[i].highest = t && t->any ? t->last : 0;
	}
	free(u.list);
	free(u.leaf_count);
	free(u.tail);
	return r;
}
