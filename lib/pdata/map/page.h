/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_SM_PAGE_H
#define PDATA_SM_PAGE_H
/*
 * One bitmap of a space map in memory.  To allocate from it, it also keeps which of its blocks were
 * in use when the transaction began, and which are in use now.
 */
#include "pdata/block/format.h"

#define PAGE_WORDS (ENTRIES_PER_BITMAP / 64)

struct sm_page {
	uint64_t index; /* covers blocks from index * ENTRIES_PER_BITMAP on */
	mblock_t at;	/* its place on disk; 0: it has none yet */
	mblock_t to;	/* its place in the commit that is being prepared; 0: none yet */
	bool dirty;
	uint32_t nr_used;
	uint64_t old[PAGE_WORDS]; /* bit set: in use in the committed state */
	uint64_t now[PAGE_WORDS];
	struct disk_bitmap *disk; /* aligned for I/O */
};

/* A page without any entry in use, not dirty.  NULL: no memory. */
struct sm_page *sm_page_new(uint64_t index);
void sm_page_free(struct sm_page *p);

/* Call it when p->disk has been read.  Entries from @end on do not exist and become 0. */
void sm_page_loaded(struct sm_page *p, uint32_t end);

/* 0, 1, 2, or 3 for "more than two". */
static inline unsigned sm_page_get(const struct sm_page *p, uint32_t i)
{
	return bitmap_count(p->disk->bits, i);
}

/* @count 0..3; keeps now[] and nr_used. */
void sm_page_set(struct sm_page *p, uint32_t i, unsigned count);

static inline bool sm_page_was_used(const struct sm_page *p, uint32_t i)
{
	return p->old[i / 64] >> (i % 64) & 1;
}

/* The first entry of [begin, end) that is free now and was before, or @end. */
uint32_t sm_page_find(const struct sm_page *p, uint32_t begin, uint32_t end);

/* For the index: nr_free counts the slots past the map's end as free, as the kernel does. */
struct disk_index_entry sm_page_entry(const struct sm_page *p);

#endif
