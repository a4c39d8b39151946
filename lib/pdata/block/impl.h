/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_BLOCK_IMPL_H
#define PDATA_BLOCK_IMPL_H
/* The inside of struct refmap, for refmap.c (counting) and refmap_bits.c (searching, bitmaps). */
#include <pthread.h>

#include "base/umap.h"
#include "pdata/block/format.h"
#include "pdata/block/refmap.h"

#define LOW	     0x5555555555555555ull
#define WORD_ENTRIES 32
#define BITMAP_WORDS (ENTRIES_PER_BITMAP / WORD_ENTRIES)
#define PAGE_SHIFT   8
#define PAGE_LEN     (1u << PAGE_SHIFT)
#define PAGE_TOP     (3u + UINT8_MAX) /* the greatest count without struct refmap.large */

struct refmap {
	uint64_t nr_blocks;
	uint64_t nr_words;
	uint64_t *word; /* whole bitmaps; entries past nr_blocks stay 0 */
	void *mapped;	/* the mapping that holds a large word[], mapped_len bytes; else NULL */
	size_t mapped_len;
	uint8_t **page; /* by block >> PAGE_SHIFT; NULL until needed */
	bool shared;
	_Atomic bool has_pages, failed;
	pthread_mutex_t lock; /* of large */
	struct umap large;    /* for counts above 258, which are rare: block -> count beyond 258 */
};

/* The pairs [from, to) of a word */
static inline uint64_t pairs_mask(unsigned from, unsigned to)
{
	return (to == WORD_ENTRIES ? ~0ull : (1ull << 2 * to) - 1) & (~0ull << 2 * from);
}

#endif
