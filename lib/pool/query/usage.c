/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Each data block has a cell: 0 nobody so far, owner + 1 one device alone, all ones several.
 * A worker that fills an empty cell counts the mapping for the owner; one that finds another
 * owner there turns the cell over and takes the count back.  That is exact while a device maps a
 * block once, as the kernel does; a device that maps a block twice is noticed and
 * makes a second pass count by the cells as they finally stand.
 *
 * A data device that is large for its metadata would have far more cells than mappings.  Then
 * only the mapped blocks have cells, in their order: a list of them is made first, and a search
 * finds the cell.
 */
#include "pool/query/usage.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/overflow.h"
#include "base/search.h"
#include "pool/format/format.h"

#define PREFETCH 24 /* mappings ahead */
#define SPARSE_BLOCKS ((uint64_t)1 << 23) /* so many cells are always given */

struct tail {
	mblock_t leaf; /* the last one of some device */
	uint64_t last; /* its last key */
	bool any;
};

struct usage {
	struct forest *f;
	const struct usage_want *want;
	bool exclusive, wide; /* cells of 4 bytes */
	uint64_t begin, end;  /* the window of data blocks; with a list, of its indices */
	dblock_t *list;       /* of the mapped blocks, ascending; or NULL: each block has a cell */
	uint64_t nr_data_blocks;
	_Atomic uint64_t nr_listed;
	void *cells;
	_Atomic uint16_t *cell16; /* the same, or NULL */
	_Atomic uint32_t *cell32; /* the same, or NULL */
	int64_t *alone; /* nr_devs for each worker */
	atomic_bool twice;
	uint16_t *leaf_count; /* by metadata block */
	struct tail *tail;
	size_t nr_tails;
};

/* Both widths of cells; SEVERAL is all ones. */
#define DEFINE_TOUCH(name, type, SEVERAL)                                                       \
	static void name(struct usage *u, _Atomic type *cell, uint32_t owner, int64_t *alone)    \
	{                                                                                        \
		type v = atomic_load_explicit(cell, memory_order_relaxed), me = (type)(owner + 1); \
                                                                                                 \
		for (;;) {                                                                       \
			type to = v ? (type)(SEVERAL) : me;                                      \
                                                                                                 \
			if (v == (SEVERAL))                                                      \
				return;                                                          \
			if (v == me) {                                                           \
				atomic_store_explicit(&u->twice, true, memory_order_relaxed);    \
				return;                                                          \
			}                                                                        \
			if (atomic_compare_exchange_weak_explicit(cell, &v, to,                  \
								  memory_order_relaxed,          \
								  memory_order_relaxed)) {       \
				alone[v ? (uint32_t)v - 1 : owner] += v ? -1 : 1;                \
				return;                                                          \
			}                                                                        \
		}                                                                                \
	}                                                                                        \
                                                                                                 \
	static void name##_shared(_Atomic type *cell, int64_t *alone)                            \
	{                                                                                        \
		type v = atomic_load_explicit(cell, memory_order_relaxed);                       \
                                                                                                 \
		if (v == (SEVERAL))                                                              \
			return;                                                                  \
		v = atomic_exchange_explicit(cell, (type)(SEVERAL), memory_order_relaxed);       \
		if (v && v != (SEVERAL))                                                         \
			alone[(uint32_t)v - 1]--;                                                \
	}

DEFINE_TOUCH(touch16, uint16_t, UINT16_MAX)
DEFINE_TOUCH(touch32, uint32_t, UINT32_MAX)

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

static void prefetch_cell(const struct usage *u, dblock_t block)
{
	uint64_t b = block - u->begin;

	if (b >= u->end - u->begin)
		return;
	__builtin_prefetch((const char *)u->cells + b * (u->wide ? 4 : 2), 1);
}

/* The index of its cell in the window; not less than the number of cells when it has none there. */
static uint64_t cell_of(const struct usage *u, dblock_t block)
{
	uint64_t at;

	if (!u->list)
		return block - u->begin;
	at = search_first(i, u->end, u->list[i] >= block);
	return at < u->end && u->list[at] == block ? at : u->end;
}

static void touch(struct usage *u, dblock_t block, bool shared, uint32_t owner, int64_t *alone)
{
	uint64_t b = cell_of(u, block);

	if (b >= u->end - u->begin)
		return;
	if (u->wide && shared)
		touch32_shared(&u->cell32[b], alone);
	else if (u->wide)
		touch32(u, &u->cell32[b], owner, alone);
	else if (shared)
		touch16_shared(&u->cell16[b], alone);
	else
		touch16(u, &u->cell16[b], owner, alone);
}

static int count_leaf(void *ctx, unsigned worker, mblock_t block, const struct node *n)
{
	struct usage *u = ctx;
	int64_t *alone = u->alone + (size_t)worker * u->f->nr_devs;
	bool shared = walk_shared(u->f->walk, block);
	uint32_t owner = walk_attr(u->f->walk, block);

	note_leaf(u, block, n);
	if (u->want->leaf && !u->begin) {
		int r = u->want->leaf(u->want->ctx, worker, block, n);

		if (r)
			return r;
	}
	if (!u->exclusive)
		return 0;
	for (uint32_t i = 0; i < n->nr; i++) {
		/* the cells of a fragmented leaf lie anywhere: ask for them early */
		if (i + PREFETCH < n->nr && !u->list)
			prefetch_cell(u, mapping_block(node_value64(n, i + PREFETCH)));
		touch(u, mapping_block(node_value64(n, i)), shared, owner, alone);
	}
	return 0;
}

/* By the cells as they stand: for devices that map a block more than once. */
static int recount_leaf(void *ctx, unsigned worker, mblock_t block, const struct node *n)
{
	struct usage *u = ctx;
	int64_t *alone = u->alone + (size_t)worker * u->f->nr_devs;
	uint32_t owner = walk_attr(u->f->walk, block);

	if (walk_shared(u->f->walk, block))
		return 0;
	for (uint32_t i = 0; i < n->nr; i++) {
		uint64_t b = cell_of(u, mapping_block(node_value64(n, i)));

		if (b < u->end - u->begin &&
		    owner + 1 == (u->wide ? u->cell32[b] : (uint32_t)u->cell16[b]))
			alone[owner]++;
	}
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
	uint32_t nr;

	while (walk_height(w, node) > 0) {
		child = walk_children(w, node, &nr);
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

#define HUGE_PAGE ((size_t)2 << 20)

/* Zeroed; in huge pages when it is worth it, as the cells are touched in no order. */
static void *alloc_cells(size_t len)
{
	void *p;

	/* calloc() does not touch fresh pages, so that only used ones cost memory */
	p = calloc(len + 1, 1);
	if (p && len > 2 * HUGE_PAGE)
		(void)madvise((void *)(uintptr_t)round_up((uintptr_t)p, HUGE_PAGE), len - HUGE_PAGE,
			      MADV_HUGEPAGE);
	return p;
}

/* One window of data blocks; their cells live as long as it takes. */
static int count_window(struct usage *u, struct usage_row *row, struct err *err)
{
	size_t nr = (size_t)(u->end - u->begin), nr_devs = u->f->nr_devs;
	unsigned nr_workers = stream_nr_workers(u->f->s);
	int r;

	u->cells = u->exclusive ? alloc_cells(nr * (u->wide ? 4 : 2)) : NULL;
	u->cell16 = u->wide ? NULL : u->cells;
	u->cell32 = u->wide ? u->cells : NULL;
	u->alone = calloc(nr_workers * (nr_devs + 1), sizeof(*u->alone));
	r = !u->alone || (u->exclusive && !u->cells) ? err_nomem(err, "block owners") : 0;
	u->twice = false;
	if (!r)
		r = forest_read_leaves(u->f, count_leaf, u, err);
	if (!r && u->twice) {
		memset(u->alone, 0, nr_workers * nr_devs * sizeof(*u->alone));
		r = forest_read_leaves(u->f, recount_leaf, u, err);
	}
	if (!r && u->want->cells) {
		const struct usage_cells cells = { u->begin, nr, u->list, u->wide ? NULL : u->cells,
						   u->wide ? u->cells : NULL };

		u->want->cells(u->want->ctx, &cells);
	}
	for (size_t i = 0; !r && i < nr_devs; i++)
		for (unsigned w = 0; w < nr_workers; w++)
			row[i].exclusive += (uint64_t)u->alone[w * nr_devs + i];
	free(u->cells);
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

		/* the device may be written to meanwhile: no more than were counted */
		if (b < u->nr_data_blocks) {
			uint64_t at = atomic_fetch_add(&u->nr_listed, 1);

			if (at < u->end)
				u->list[at] = b;
		}
	}
	return 0;
}

static int by_block(const void *va, const void *vb)
{
	const dblock_t *a = va, *b = vb;

	return *a < *b ? -1 : *a > *b;
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
	u->end = u->nr_listed;
	u->nr_listed = 0;
	u->list = calloc_u64(u->end + 1, sizeof(*u->list));
	if (!u->list)
		return err_nomem(err, "mapped blocks");
	r = forest_read_leaves(u->f, list_mapped, u, err);
	if (r)
		return r;
	nr = MIN(u->end, u->nr_listed);
	qsort(u->list, nr, sizeof(*u->list), by_block);
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
		.wide = f->nr_devs >= UINT16_MAX - 1,
	};
	/* a mapping beyond the data device is damage, for thin_check to say; it is counted as mapped */
	uint64_t end;
	int r = find_tails(&u) ? err_nomem(err, "leaves") : 0;

	if (f->nr_devs == 1 && !f->nr_problems && !want->cells)
		u.exclusive = false; /* nobody to share with */
	u.nr_data_blocks = nr_data_blocks;
	if (!r && u.exclusive)
		r = list_blocks(&u, err);
	end = !u.exclusive ? 0 : u.list ? u.nr_listed : nr_data_blocks;
	memset(row, 0, f->nr_devs * sizeof(*row));
	u.leaf_count = calloc(MIN(f->s->io->size / MBLOCK_SIZE, MAX_METADATA_BLOCKS) + 1, sizeof(*u.leaf_count));
	if (!r && !u.leaf_count)
		r = err_nomem(err, "leaves");
	do {
		u.end = u.list ? end : MIN(end, u.begin + USAGE_WINDOW);
		if (!r)
			r = count_window(&u, row, err);
		u.begin = u.end;
	} while (!r && u.begin < end);
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
