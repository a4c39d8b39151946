/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A cell holds 0 (nobody), owner + 1, or all ones (several).  It only ever goes from left to right
 * in that list, so that a leaf of several owners stores all ones without a look at what is there.
 */
#include "pool/query/cells.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/overflow.h"
#include "base/search.h"
#include "pool/format/format.h"

#define PREFETCH   24 /* entries ahead: the cells of a fragmented leaf lie anywhere */
#define PAGE_SHIFT 12 /* cells of a page */
#define HUGE_PAGE  ((size_t)2 << 20)

static inline void set_owned(struct cells *c, uint64_t at)
{
	uint8_t *p = &c->owned[at >> PAGE_SHIFT];

	if (!__atomic_load_n(p, __ATOMIC_RELAXED))
		__atomic_store_n(p, 1, __ATOMIC_RELAXED);
}

/* The cell of the block that entry @i of @n names; without one: at least c->nr. */
static inline uint64_t place(const struct node *n, uint32_t i, const struct cells *c)
{
	const dblock_t b = mapping_block(node_value64(n, i));
	uint64_t at;

	if (!c->list)
		return b - c->begin;
	at = search_first(k, c->nr, c->list[k] >= b);
	return at < c->nr && c->list[at] == b ? at : c->nr;
}

/*
 * The functions for cells of one width.  They keep a copy of the leaf's and the window's fields:
 * the compiler must take it that a store into a cell of one byte changes the originals.
 */
#define DEFINE_CELLS(bits)                                                                         \
	static inline __attribute__((always_inline)) void share_in##bits(                          \
		const struct cells *c, const struct node *leaf, const dblock_t *list)              \
	{                                                                                          \
		_Atomic uint##bits##_t *const cell = c->cell;                                      \
		const struct cells w = { .begin = c->begin, .nr = c->nr, .list = list };           \
		const struct node n = *leaf;                                                       \
                                                                                                   \
		_Pragma("GCC unroll 4") for (uint32_t i = 0; i < n.nr; i++)                        \
		{                                                                                  \
			const uint64_t at = place(&n, i, &w);                                      \
                                                                                                   \
			if (at < w.nr)                                                             \
				atomic_store_explicit(&cell[at], UINT##bits##_MAX,                 \
						      memory_order_relaxed);                       \
		}                                                                                  \
	}                                                                                          \
                                                                                                   \
	static void share##bits(const struct cells *c, const struct node *leaf)                    \
	{                                                                                          \
		if (c->list)                                                                       \
			share_in##bits(c, leaf, c->list);                                          \
		else /* the usual case: a loop without a question */                               \
			share_in##bits(c, leaf, NULL);                                             \
	}                                                                                          \
                                                                                                   \
	static bool own##bits(struct cells *c, const struct node *leaf, uint32_t owner)            \
	{                                                                                          \
		_Atomic uint##bits##_t *const cell = c->cell;                                      \
		const struct cells w = *c;                                                         \
		const struct node n = *leaf;                                                       \
		const uint##bits##_t me = (uint##bits##_t)(owner + 1);                             \
		bool twice = false;                                                                \
                                                                                                   \
		for (uint32_t i = 0; i < n.nr; i++) {                                              \
			const uint64_t at = place(&n, i, &w);                                      \
			uint##bits##_t v;                                                          \
                                                                                                   \
			if (!w.list && i + PREFETCH < n.nr)                                        \
				__builtin_prefetch(&cell[MIN(place(&n, i + PREFETCH, &w), w.nr)],  \
						   1);                                             \
			if (at >= w.nr)                                                            \
				continue;                                                          \
			v = atomic_load_explicit(&cell[at], memory_order_relaxed);                 \
			if (!v && atomic_compare_exchange_strong_explicit(&cell[at], &v, me,       \
									  memory_order_relaxed,    \
									  memory_order_relaxed))   \
				set_owned(c, at);                                                  \
			else if (v == me)                                                          \
				twice = true;                                                      \
			else                                                                       \
				atomic_store_explicit(&cell[at], UINT##bits##_MAX,                 \
						      memory_order_relaxed);                       \
		}                                                                                  \
		return twice;                                                                      \
	}                                                                                          \
                                                                                                   \
	static void count##bits(const struct cells *c, uint64_t at, uint64_t end, uint64_t *alone) \
	{                                                                                          \
		const uint##bits##_t *cell = c->cell;                                              \
                                                                                                   \
		for (; at < end; at++)                                                             \
			if (cell[at] && cell[at] != UINT##bits##_MAX)                              \
				alone[cell[at] - 1]++;                                             \
	}

DEFINE_CELLS(8)
DEFINE_CELLS(16)
DEFINE_CELLS(32)

/* Zeroed; in huge pages when it is worth it, as the cells are touched in no order. */
static void *alloc_cells(size_t len)
{
	void *p;

	/* calloc() does not touch fresh pages, so that only used ones cost memory */
	p = calloc(len + 4, 1); /* a cell more, which a prefetch may name */
	if (p && len > 2 * HUGE_PAGE)
		(void)madvise((void *)(uintptr_t)round_up((uintptr_t)p, HUGE_PAGE), len - HUGE_PAGE,
			      MADV_HUGEPAGE);
	return p;
}

int cells_init(struct cells *c, dblock_t begin, uint64_t nr, const dblock_t *list, size_t nr_owners)
{
	*c = (struct cells) {
		.begin = begin,
		.nr = nr,
		.list = list,
		.width = nr_owners < UINT8_MAX	  ? 1
			 : nr_owners < UINT16_MAX ? 2
						  : 4,
	};
	c->cell = alloc_cells((size_t)nr * c->width);
	c->owned = calloc((size_t)(nr >> PAGE_SHIFT) + 1, 1);
	return c->cell && c->owned ? 0 : -ENOMEM;
}

void cells_fini(struct cells *c)
{
	free(c->cell);
	free(c->owned);
}

void cells_share(struct cells *c, const struct node *leaf)
{
	if (c->width == 1)
		share8(c, leaf);
	else if (c->width == 2)
		share16(c, leaf);
	else
		share32(c, leaf);
}

bool cells_own(struct cells *c, const struct node *leaf, uint32_t owner)
{
	return c->width == 1   ? own8(c, leaf, owner)
	       : c->width == 2 ? own16(c, leaf, owner)
			       : own32(c, leaf, owner);
}

uint32_t cells_owner(const struct cells *c, uint64_t i)
{
	if (c->width == 1)
		return ((uint8_t *)c->cell)[i] == UINT8_MAX ? CELLS_SEVERAL
							    : ((uint8_t *)c->cell)[i];
	if (c->width == 2)
		return ((uint16_t *)c->cell)[i] == UINT16_MAX ? CELLS_SEVERAL
							      : ((uint16_t *)c->cell)[i];
	return ((uint32_t *)c->cell)[i];
}

void cells_count(const struct cells *c, uint64_t *alone)
{
	for (uint64_t at = 0; at < c->nr; at += 1u << PAGE_SHIFT) {
		const uint64_t end = MIN(at + (1u << PAGE_SHIFT), c->nr);

		if (!c->owned[at >> PAGE_SHIFT])
			continue;
		if (c->width == 1)
			count8(c, at, end, alone);
		else if (c->width == 2)
			count16(c, at, end, alone);
		else
			count32(c, at, end, alone);
	}
}

uint64_t cells_count_leaf(const struct cells *c, const struct node *leaf, uint32_t owner)
{
	uint64_t nr = 0;

	for (uint32_t i = 0; i < leaf->nr; i++) {
		const uint64_t at = place(leaf, i, c);

		nr += at < c->nr && cells_owner(c, at) == owner + 1;
	}
	return nr;
}
