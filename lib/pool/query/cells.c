/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A cell holds 0 (nobody), owner + 1, or all ones (several), and only ever goes from left to right
 * in that list.  What leaves of several owners map has a bit besides: most blocks of a pool with many
 * snapshots need no more, and a bit is an eighth of a cell.
 */
#include "pool/query/cells.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "base/overflow.h"
#include "base/search.h"
#include "pool/format/format.h"
#include "pool/format/leaf_runs.h"

#define PREFETCH   24 /* entries ahead: the cells of a fragmented leaf lie anywhere */
#define PAGE_SHIFT 12 /* cells of a page */
#define HUGE_PAGE  ((size_t)2 << 20)

/*
 * Pages are written before they are read: the kernel would map its page of zeros for the first
 * reading, and take that away from all CPUs for the first writing.
 */
static inline bool is_owned(const struct cells *c, uint64_t at)
{
	return __atomic_load_n(&c->owned[at >> PAGE_SHIFT], __ATOMIC_RELAXED);
}

static inline void set_owned(struct cells *c, uint64_t at)
{
	if (!is_owned(c, at))
		__atomic_store_n(&c->owned[at >> PAGE_SHIFT], 1, __ATOMIC_RELAXED);
}

/* For the page of the bits that has @at. */
static inline uint8_t *mark_of(const struct cells *c, uint64_t at)
{
	return &c->marked[at >> (PAGE_SHIFT + 3)];
}

/* Bits of one word that are still to be set: runs of a leaf often lie side by side. */
struct gathered {
	uint64_t word, bits;
};

static inline void share_word(const struct cells *c, const struct gathered *g)
{
	uint8_t *const mark = mark_of(c, g->word * 64);
	uint64_t *const word = &c->shared[g->word];

	if (!g->bits)
		return;
	if (unlikely(!__atomic_load_n(mark, __ATOMIC_RELAXED))) {
		__atomic_fetch_or(word, g->bits, __ATOMIC_RELAXED);
		__atomic_store_n(mark, 1, __ATOMIC_RELAXED);
	} else if (g->bits & ~__atomic_load_n(word, __ATOMIC_RELAXED)) {
		__atomic_fetch_or(word, g->bits, __ATOMIC_RELAXED);
	}
}

/* Several own the blocks of these cells.  What is gathered in the end is for share_word(). */
static inline void share(const struct cells *c, struct gathered *g, uint64_t at, uint64_t len)
{
	for (uint64_t nr; len; at += nr, len -= nr) {
		nr = MIN(64 - at % 64, len);
		if (at / 64 != g->word) {
			share_word(c, g);
			*g = (struct gathered) { .word = at / 64 };
		}
		g->bits |= ~0ull >> (64 - nr) << at % 64;
	}
}

/* The same for data blocks of which some are outside of the window. */
static __attribute__((cold)) void share_clipped(const struct cells *c, struct gathered *g,
						dblock_t from, uint64_t len)
{
	const dblock_t to = MIN(from + len, c->begin + c->nr);

	from = MAX(from, c->begin);
	if (from < to)
		share(c, g, from - c->begin, to - from);
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
			uint##bits##_t v = 0;                                                      \
                                                                                                   \
			if (!w.list && i + PREFETCH < n.nr)                                        \
				__builtin_prefetch(&cell[MIN(place(&n, i + PREFETCH, &w), w.nr)],  \
						   1);                                             \
			if (at >= w.nr)                                                            \
				continue;                                                          \
			if (is_owned(c, at))                                                       \
				v = atomic_load_explicit(&cell[at], memory_order_relaxed);         \
			if (!v && atomic_compare_exchange_strong_explicit(&cell[at], &v, me,       \
									  memory_order_relaxed,    \
									  memory_order_relaxed))   \
				set_owned(c, at);                                                  \
			else if (v == me)                                                          \
				twice |= !bits_get(w.shared, at);                                  \
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
		const bool any = *mark_of(c, at);                                                  \
                                                                                                   \
		for (; at < end; at++)                                                             \
			if (cell[at] && cell[at] != UINT##bits##_MAX &&                            \
			    !(any && bits_get(c->shared, at)))                                     \
				alone[cell[at] - 1]++;                                             \
	}

DEFINE_CELLS(8)
DEFINE_CELLS(16)
DEFINE_CELLS(32)

/* Zeroed and at the beginning of a page; *memory is to be freed. */
static void *alloc_pages(size_t len, void **memory)
{
	/* calloc() does not touch fresh pages, so that only used ones cost memory */
	*memory = calloc(len + ((size_t)1 << PAGE_SHIFT), 1);
	return *memory ? (void *)(uintptr_t)round_up((uintptr_t)*memory, (uintptr_t)1 << PAGE_SHIFT)
		       : NULL;
}

/* In huge pages when many are touched, which is in no order. */
static void prefer_huge_pages(void *cells, size_t len)
{
	if (len > 2 * HUGE_PAGE)
		(void)madvise((void *)(uintptr_t)round_up((uintptr_t)cells, HUGE_PAGE),
			      len - HUGE_PAGE, MADV_HUGEPAGE);
}

int cells_init(struct cells *c, dblock_t begin, uint64_t nr, const dblock_t *list, size_t nr_owners,
	       bool many_owned)
{
	*c = (struct cells) {
		.begin = begin,
		.nr = nr,
		.list = list,
		.width = nr_owners < UINT8_MAX	  ? 1
			 : nr_owners < UINT16_MAX ? 2
						  : 4,
	};
	/* a cell more, which a prefetch may name */
	c->cell = alloc_pages((size_t)nr * c->width + 4, &c->memory[0]);
	if (c->cell && many_owned)
		prefer_huge_pages(c->cell, (size_t)nr * c->width);
	c->owned = calloc((size_t)(nr >> PAGE_SHIFT) + 1, 1);
	c->shared = alloc_pages((size_t)(nr / 64 + 1) * sizeof(*c->shared), &c->memory[1]);
	c->marked = calloc((size_t)(nr >> (PAGE_SHIFT + 3)) + 1, 1);
	return c->cell && c->owned && c->shared && c->marked ? 0 : -ENOMEM;
}

void cells_fini(struct cells *c)
{
	free(c->memory[0]);
	free(c->owned);
	free(c->memory[1]);
	free(c->marked);
}

static void share_runs(const struct cells *cells, const struct node *leaf,
		       const struct leaf_runs *runs)
{
	const struct cells c = *cells;
	struct gathered g = { 0 };
	uint32_t begin = 0;

	/* the first run begins at entry 0, and what is behind the last entry ends the last run */
	for (uint32_t i = 1; i <= leaf->nr; i = (i / 64 + 1) * 64) {
		uint64_t ends = runs->begins[i / 64] & ~0ull << i % 64;

		for (; ends; ends &= ends - 1) {
			const uint32_t end = i / 64 * 64 + (uint32_t)__builtin_ctzll(ends);
			const uint64_t block = mapping_block(node_value64(leaf, begin));
			const uint64_t at = block - c.begin, len = end - begin;

			begin = end;
			if (likely(at < c.nr && len <= c.nr - at))
				share(&c, &g, at, len);
			else
				share_clipped(&c, &g, block, len);
		}
	}
	share_word(&c, &g);
}

void cells_share(struct cells *c, const struct node *leaf)
{
	struct leaf_runs runs;
	struct gathered g = { 0 };

	if (!c->list) {
		leaf_runs_find(&runs, leaf, RUNS_ANY_TIME);
		share_runs(c, leaf, &runs);
		return;
	}
	for (uint32_t i = 0; i < leaf->nr; i++) {
		const uint64_t at = place(leaf, i, c);

		if (at < c->nr)
			share(c, &g, at, 1);
	}
	share_word(c, &g);
}

bool cells_own(struct cells *c, const struct node *leaf, uint32_t owner)
{
	return c->width == 1   ? own8(c, leaf, owner)
	       : c->width == 2 ? own16(c, leaf, owner)
			       : own32(c, leaf, owner);
}

uint32_t cells_owner(const struct cells *c, uint64_t i)
{
	if (bits_get(c->shared, i))
		return CELLS_SEVERAL;
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
