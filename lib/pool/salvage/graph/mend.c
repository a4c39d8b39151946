/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A CRC is linear: a change e in a block changes its checksum by a value that depends on e and
 * on where it is, not on the rest.  So the difference between the stored and the computed
 * checksum, walked back byte by byte from the block's end, is at some step that of a change in
 * the last byte alone: there the change was.  One flipped bit is found for certain (4 * 10^-6 of
 * other damages look like one); one changed byte nearly so (2 * 10^-4), which is why the
 * block must make sense afterwards and before, apart from what was changed.
 *
 * Damage that is longer is put right where nothing is: what a block does not use was mostly never written, and is zero.
 */
#include <stddef.h>

#include "base/overflow.h"
#include "base/search.h"
#include "base/sum/crc32c.h"
#include "pool/salvage/graph/graph.h"

#define POLY 0x82F63B78u

struct crc_back {
	uint32_t fwd[256];  /* what a byte does to a CRC of zero */
	uint8_t by_top[256]; /* the byte whose fwd has this top byte: they all differ */
};

static void crc_back_init(struct crc_back *t)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c >> 1 ^ (c & 1 ? POLY : 0);
		t->fwd[i] = c;
		t->by_top[c >> 24] = (uint8_t)i;
	}
}

/* Undoes the step of one zero byte. */
static uint32_t step_back(const struct crc_back *t, uint32_t crc)
{
	uint8_t low = t->by_top[crc >> 24];

	return (crc ^ t->fwd[low]) << 8 | low;
}

static bool one_byte(uint64_t diff)
{
	if (!diff)
		return true;
	return !(diff & ~((uint64_t)0xff << (__builtin_ctzll(diff) & ~7)));
}

static bool find_change(const struct crc_back *t, uint32_t diff, struct mend *m)
{
	/* in the stored checksum itself */
	if (one_byte(diff)) {
		m->byte = (uint16_t)(__builtin_ctz(diff) / 8);
		m->mask = (uint8_t)(diff >> 8 * m->byte);
		return true;
	}
	for (int at = MBLOCK_SIZE - 1; at >= 4; at--) {
		uint8_t e = t->by_top[diff >> 24];

		if (t->fwd[e] == diff) {
			m->byte = (uint16_t)at;
			m->mask = e;
			return true;
		}
		diff = step_back(t, diff);
	}
	return false;
}

/* Does everything in the block agree?  Elsewhere than in its own place it is used only where that is bad. */
static bool makes_sense(const uint8_t *block, const struct mend *m, uint32_t salt)
{
	const struct disk_node *raw = (const struct disk_node *)block;
	struct view v;

	if (block_own_nr(block) != m->at && block_own_nr(block) >= MAX_METADATA_BLOCKS)
		return false;
	if (salt != SALT_NODE)
		return true;
	return view_open(&v, block) && !v.mended && !v.unsorted && !le32_get(raw->h.padding);
}

/* Zeroes what a block of @kind does not use, which has @used entries in use. */
static void clear_unused(uint8_t *block, enum block_kind kind, uint32_t used)
{
	size_t end = offsetof(struct disk_bitmap, bits) + used / 4;
	struct view v;

	if (kind == BLOCK_NODE && view_open(&v, block)) {
		const size_t values = (size_t)(v.values - block);

		memset(block + sizeof(v.raw->h) + (size_t)8 * v.nr, 0, values - sizeof(v.raw->h) - (size_t)8 * v.nr);
		end = values + (size_t)v.nr * v.value_size;
	} else if (kind == BLOCK_INDEX) {
		end = offsetof(struct disk_index, entry) + used * sizeof(struct disk_index_entry);
	} else if (kind == BLOCK_BITMAP && used % 4) {
		block[end++] &= (uint8_t)((1u << 2 * (used % 4)) - 1);
	}
	memset(block + end, 0, MBLOCK_SIZE - end);
}

/* Is the block right when what it does not use is zero?  Then so it is made. */
static bool mend_unused(const struct graph *g, uint8_t *block, struct mend *m)
{
	const uint32_t last = g->nr_counted % ENTRIES_PER_BITMAP, last_data = (uint32_t)(g->nr_data_blocks % ENTRIES_PER_BITMAP);
	const struct mend all[] = {
		{ .at = m->at, .unused = BLOCK_NODE },
		{ .at = m->at, .unused = BLOCK_INDEX, .used = (uint16_t)div_up(g->nr_counted, ENTRIES_PER_BITMAP) },
		{ .at = m->at, .unused = BLOCK_BITMAP, .used = (uint16_t)last },
		{ .at = m->at, .unused = BLOCK_BITMAP, .used = (uint16_t)last_data },
	};
	static const enum csum_kind kind[] = { CSUM_IS_NODE, CSUM_IS_INDEX, CSUM_IS_BITMAP, CSUM_IS_BITMAP };
	uint8_t buf[MBLOCK_SIZE] BLOCK_ALIGNED;

	if (block_own_nr(block) != m->at || csum_classify(block, NULL) != CSUM_NONE)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		memcpy(buf, block, MBLOCK_SIZE);
		clear_unused(buf, all[i].unused, all[i].used);
		if (csum_classify(buf, NULL) != kind[i])
			continue;
		memcpy(block, buf, MBLOCK_SIZE);
		*m = all[i];
		return true;
	}
	return false;
}

bool mend_block(const struct graph *g, uint8_t *block, uint32_t at, struct mend *m)
{
	static const uint32_t salts[] = { SALT_NODE, SALT_BITMAP, SALT_INDEX, SALT_SUPERBLOCK };
	struct crc_back t;
	uint32_t diff;

	if (!one_byte(block_own_nr(block) ^ at) && block_own_nr(block) >= MAX_METADATA_BLOCKS)
		return false;
	crc_back_init(&t);
	diff = le32_get(((const struct disk_node_header *)block)->csum) ^
	       crc32c_raw(0xFFFFFFFF, block + 4, MBLOCK_SIZE - 4);
	for (size_t i = 0; i < ARRAY_SIZE(salts); i++) {
		*m = (struct mend){ .at = at };
		if (diff == salts[i])
			continue;
		if (!find_change(&t, diff ^ salts[i], m))
			continue;
		block[m->byte] ^= m->mask;
		m->bit = !(m->mask & (m->mask - 1));
		if (makes_sense(block, m, salts[i]))
			return true;
		block[m->byte] ^= m->mask;
	}
	*m = (struct mend){ .at = at };
	return mend_unused(g, block, m);
}

bool graph_may_be_torn(const struct graph *g)
{
	const struct mend *m = g->mends.data;

	return any_of(i, g->mends.nr, m[i].unused && graph_is_live(g, m[i].at));
}

const struct mend *graph_mend_at(const struct graph *g, uint32_t at)
{
	const struct mend *m = g->mends.data;
	const size_t k = search_first(i, g->mends.nr, m[i].at >= at);

	return k < g->mends.nr && m[k].at == at ? &m[k] : NULL;
}

void graph_apply_mends(const struct graph *g, uint32_t at, void *buf)
{
	const struct mend *m = graph_mend_at(g, at);

	if (!m)
		return;
	if (m->unused)
		clear_unused(buf, m->unused, m->used);
	else
		((uint8_t *)buf)[m->byte] ^= m->mask;
}
