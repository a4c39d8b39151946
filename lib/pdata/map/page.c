/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pdata/map/page.h"

#include <stdlib.h>
#include <string.h>

#include "dev/io.h"

struct sm_page *sm_page_new(uint64_t index)
{
	struct sm_page *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->disk = io_alloc(MBLOCK_SIZE);
	if (!p->disk) {
		free(p);
		return NULL;
	}
	memset(p->disk, 0, MBLOCK_SIZE);
	p->index = index;
	return p;
}

void sm_page_free(struct sm_page *p)
{
	free(p->disk);
	free(p);
}

void sm_page_loaded(struct sm_page *p, uint32_t end)
{
	p->disk->unused = le32_make(0);
	p->nr_used = 0;
	for (uint32_t i = 0; i < ENTRIES_PER_BITMAP; i += 4) {
		uint8_t *byte = &p->disk->bits[i / 4];

		if (i >= end)
			*byte = 0;
		else if (end - i < 4)
			*byte &= (uint8_t)((1u << 2 * (end - i)) - 1);
		for (uint32_t k = i; *byte && k < i + 4; k++)
			if (*byte >> 2 * (k % 4) & 3) {
				p->now[k / 64] |= UINT64_C(1) << k % 64;
				p->nr_used++;
			}
	}
	memcpy(p->old, p->now, sizeof(p->old));
}

void sm_page_set(struct sm_page *p, uint32_t i, unsigned count)
{
	unsigned pair = (count & 1) << 1 | count >> 1;
	uint8_t *byte = &p->disk->bits[i / 4];
	uint64_t bit = UINT64_C(1) << i % 64, *word = &p->now[i / 64];

	*byte = (uint8_t)((*byte & ~(3u << 2 * (i % 4))) | pair << 2 * (i % 4));
	if (count && !(*word & bit))
		p->nr_used++;
	else if (!count && *word & bit)
		p->nr_used--;
	*word = count ? *word | bit : *word & ~bit;
}

uint32_t sm_page_find(const struct sm_page *p, uint32_t begin, uint32_t end)
{
	uint64_t mask = ~UINT64_C(0) << begin % 64, free;

	for (uint32_t w = begin / 64; begin < end && w <= (end - 1) / 64; w++) {
		free = ~(p->old[w] | p->now[w]) & mask;
		mask = ~UINT64_C(0);
		if (free)
			return MIN(w * 64 + (uint32_t)__builtin_ctzll(free), end);
	}
	return end;
}

static uint32_t first_unused(const struct sm_page *p)
{
	for (uint32_t w = 0; w < PAGE_WORDS; w++)
		if (~p->now[w])
			return w * 64 + (uint32_t)__builtin_ctzll(~p->now[w]);
	return 0;
}

struct disk_index_entry sm_page_entry(const struct sm_page *p)
{
	return (struct disk_index_entry){
		.blocknr = le64_make(p->to),
		.nr_free = le32_make(ENTRIES_PER_BITMAP - p->nr_used),
		.none_free_before = le32_make(first_unused(p)),
	};
}
