/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What happens to metadata devices. */
#include <stdlib.h>
#include <string.h>

#include "harsh.h"
#include "pdata/block/csum.h"

static void spoil(struct harm *h, uint32_t begin, uint32_t nr)
{
	bool zero = below(&h->rng, 2);

	for (uint32_t b = begin; b < begin + nr && b < h->nr_blocks; b++)
		for (size_t i = 0; i < 4096; i += 8) {
			uint64_t x = zero ? 0 : rnd(&h->rng);

			memcpy(harm_at(h, b) + i, &x, 8);
		}
}

static bool has(const struct pool *p, uint32_t b, enum role r)
{
	return p->roles[b] & 1 << r;
}

static void spoil_role(struct harm *h, enum role r)
{
	for (uint32_t i = 0; i < h->pool->nr_of_role[r]; i++)
		spoil(h, h->pool->of_role[r][i], 1);
}

static uint32_t top_root(const struct pool *p)
{
	uint32_t b;

	memcpy(&b, p->image + 320, 4);
	return b;
}

static uint32_t details_root(const struct pool *p)
{
	uint32_t b;

	memcpy(&b, p->image + 328, 4);
	return b;
}

uint32_t harm_live_block(struct harm *h)
{
	for (;;) {
		uint32_t role = below(&h->rng, ROLE_FREE);

		if (h->pool->nr_of_role[role])
			return h->pool->of_role[role][below(&h->rng, h->pool->nr_of_role[role])];
	}
}

static uint32_t node_block(struct harm *h)
{
	for (;;) {
		uint32_t b = harm_live_block(h);

		if (has(h->pool, b, ROLE_LEAF) || has(h->pool, b, ROLE_INTERNAL) ||
		    has(h->pool, b, ROLE_TOP) || has(h->pool, b, ROLE_DETAILS))
			return b;
	}
}

static bool first_mib(struct harm *h)
{
	spoil(h, 0, h->nr_blocks > 512 ? 256 : h->nr_blocks / 2);
	return true;
}

/* Some sectors are those that stood there before. */
static bool torn(struct harm *h)
{
	const struct history *y = h->history;
	const uint8_t *old = y->nr > 1 ? y->state[y->nr - 2] : NULL;
	uint32_t nr = 1 + below(&h->rng, 8);

	for (uint32_t i = 0; i < nr; i++) {
		uint32_t b = harm_live_block(h);

		for (uint32_t k = 0; k < 8; k++)
			if (below(&h->rng, 2)) {
				if (old)
					memcpy(harm_at(h, b) + k * 512, old + (size_t)b * 4096 + k * 512,
					       512);
				else
					memset(harm_at(h, b) + k * 512, 0, 512);
			}
	}
	h->older = old ? y->nr - 1 : 0; /* when it was block 0 */
	return true;
}

static bool lost_64k(struct harm *h)
{
	spoil(h, below(&h->rng, h->nr_blocks), 16);
	return true;
}

static bool lost_mib(struct harm *h)
{
	uint32_t nr = h->nr_blocks > 512 ? 256 : h->nr_blocks / 2;

	spoil(h, below(&h->rng, h->nr_blocks - nr), nr);
	return true;
}

static bool every_nth(struct harm *h)
{
	uint32_t n = 5 + below(&h->rng, 60);

	for (uint32_t b = below(&h->rng, n); b < h->nr_blocks; b += n)
		spoil(h, b, 1);
	return true;
}

static bool half(struct harm *h)
{
	h->nr_blocks /= 2;
	return true;
}

/* Writes of the last commit that never arrived. */
static bool lost_writes(struct harm *h)
{
	const struct history *y = h->history;
	uint32_t n = 2 + below(&h->rng, 10);

	if (y->nr < 2)
		return false;
	for (uint32_t b = 0; b < h->nr_blocks; b++) {
		const uint8_t *old = y->state[y->nr - 2] + (size_t)b * 4096;

		if (memcmp(harm_at(h, b), old, 4096) && !below(&h->rng, n))
			memcpy(harm_at(h, b), old, 4096);
	}
	h->older = y->nr - 1;
	return true;
}

/* The superblock of an older state over what is there now. */
static bool old_super(struct harm *h)
{
	const struct history *y = h->history;

	if (y->nr < 2)
		return false;
	h->older = 1 + below(&h->rng, y->nr - 1);
	memcpy(h->image, y->state[h->older - 1], 4096);
	return true;
}

/* The newest superblock over the nodes of an older state. */
static bool new_super(struct harm *h)
{
	const struct history *y = h->history;

	if (y->nr < 2)
		return false;
	h->older = 1 + below(&h->rng, y->nr - 1);
	memcpy(harm_at(h, 1), y->state[h->older - 1] + 4096, (size_t)(h->nr_blocks - 1) * 4096);
	return true;
}

static bool bit_flips(struct harm *h)
{
	uint32_t every = 1000u << below(&h->rng, 8);
	uint64_t len = (uint64_t)h->nr_blocks * 4096;

	for (uint64_t i = below(&h->rng, every); i < len; i += 1 + below(&h->rng, 2 * every))
		h->image[i] ^= (uint8_t)(1 << below(&h->rng, 8));
	return true;
}

static bool space_maps(struct harm *h)
{
	spoil_role(h, ROLE_INDEX);
	spoil_role(h, ROLE_BITMAP);
	spoil_role(h, ROLE_DATA_SM);
	spoil_role(h, ROLE_OVERFLOW);
	return true;
}

static bool shift_64k(struct harm *h)
{
	uint32_t b = below(&h->rng, h->nr_blocks - 32);

	if (below(&h->rng, 2))
		memmove(harm_at(h, b + 16), harm_at(h, b), (size_t)(h->nr_blocks - b - 16) * 4096);
	else
		memmove(harm_at(h, b), harm_at(h, b + 16), (size_t)(h->nr_blocks - b - 16) * 4096);
	return true;
}

static bool holes(struct harm *h)
{
	uint32_t nr = 1 + below(&h->rng, 20);

	while (nr--)
		spoil(h, below(&h->rng, h->nr_blocks), 1 + below(&h->rng, 10));
	return true;
}

/* What is unused holds another pool's blocks, and some of ours are lost. */
static bool leftovers(struct harm *h)
{
	uint32_t nr = h->other->nr_blocks < h->nr_blocks ? h->other->nr_blocks : h->nr_blocks;

	for (uint32_t b = 1; b < nr; b++)
		if (is_unused(h->pool, b))
			memcpy(harm_at(h, b), h->other->image + (size_t)b * 4096, 4096);
	switch (below(&h->rng, 4)) {
	case 0:
		spoil(h, 0, 1);
		break;
	case 1:
		spoil(h, top_root(h->pool), 1);
		break;
	case 2:
		spoil(h, details_root(h->pool), 1);
		break;
	default:
		spoil(h, harm_live_block(h), 1);
	}
	return true;
}

/* A node's content in another node's place, as it is or with a header put right by the place. */
static void misdirect(struct harm *h, uint32_t to, const uint8_t *from)
{
	memcpy(harm_at(h, to), from, 4096);
	if (below(&h->rng, 2))
		csum_seal(harm_at(h, to), to, SALT_NODE);
}

static bool misdirected(struct harm *h)
{
	uint32_t to = harm_live_block(h), from = node_block(h);

	if (below(&h->rng, 2) && h->pool->nr_of_role[ROLE_FREE])
		from = h->pool->of_role[ROLE_FREE][below(&h->rng, h->pool->nr_of_role[ROLE_FREE])];
	misdirect(h, to, h->pool->image + (size_t)from * 4096);
	return to != from;
}

/* A leaf replaced by what it was, or by what stood in its place. */
static bool older_copy(struct harm *h)
{
	const struct history *y = h->history;

	if (y->nr < 2)
		return false;
	for (int tries = 0; tries < 100; tries++) {
		const uint8_t *old = y->state[below(&h->rng, y->nr - 1)];
		uint32_t to = node_block(h), from = below(&h->rng, h->nr_blocks);

		if (below(&h->rng, 2))
			from = to;
		old += (size_t)from * 4096;
		if (csum_classify(old, NULL) != CSUM_IS_NODE || !memcmp(old, harm_at(h, to), 4096))
			continue;
		memcpy(harm_at(h, to), old, 4096);
		csum_seal(harm_at(h, to), to, SALT_NODE);
		return true;
	}
	return false;
}

static bool roots(struct harm *h)
{
	spoil(h, top_root(h->pool), 1);
	spoil(h, details_root(h->pool), 1);
	return true;
}

static bool roots_and_map(struct harm *h)
{
	roots(h);
	spoil_role(h, ROLE_INDEX);
	spoil_role(h, ROLE_BITMAP);
	return true;
}

static bool super_and_roots(struct harm *h)
{
	spoil(h, 0, 1);
	return roots(h);
}

static bool super_only(struct harm *h)
{
	spoil(h, 0, 1);
	return true;
}

static bool top_only(struct harm *h)
{
	spoil_role(h, ROLE_TOP);
	return true;
}

static bool inner_nodes(struct harm *h)
{
	spoil_role(h, ROLE_INTERNAL);
	return h->pool->nr_of_role[ROLE_INTERNAL];
}

/* What an older state had there, in place of the blocks [begin, begin + nr). */
static bool outdate(struct harm *h, uint32_t begin, uint32_t nr)
{
	const struct history *y = h->history;
	uint32_t state;

	if (y->nr < 2)
		return false;
	state = below(&h->rng, y->nr - 1);
	for (uint32_t b = begin; b < begin + nr && b < h->nr_blocks; b++)
		memcpy(harm_at(h, b), y->state[state] + (size_t)b * 4096, 4096);
	return true;
}

/* A part of the device is as it was some commits before: a leg of a mirror that was away, a write cache that was lost. */
static bool stale_64k(struct harm *h)
{
	return outdate(h, below(&h->rng, h->nr_blocks), 16);
}

static bool stale_mib(struct harm *h)
{
	uint32_t nr = h->nr_blocks > 512 ? 256 : h->nr_blocks / 2;

	return outdate(h, below(&h->rng, h->nr_blocks - nr), nr);
}

/* Single blocks of any kind, also of the space maps and the superblock. */
static bool stale_blocks(struct harm *h)
{
	uint32_t nr = 1 + below(&h->rng, 3);
	bool any = false;

	while (nr--)
		any |= outdate(h, harm_live_block(h), 1);
	return any;
}

/* Of the last commit only the superblock arrived, and a few others. */
static bool most_writes_lost(struct harm *h)
{
	const struct history *y = h->history;
	uint32_t n = 2 + below(&h->rng, 4);

	if (y->nr < 2)
		return false;
	for (uint32_t b = 1; b < h->nr_blocks; b++)
		if (below(&h->rng, n))
			memcpy(harm_at(h, b), y->state[y->nr - 2] + (size_t)b * 4096, 4096);
	return true;
}

/* Bytes in the middle of blocks in use. */
static bool part_of_sector(struct harm *h)
{
	uint32_t nr = 1 + below(&h->rng, 5);

	while (nr--) {
		uint32_t len = 2 + below(&h->rng, 300), from = below(&h->rng, 4096 - len), b = harm_live_block(h);

		for (uint32_t i = 0; i < len; i++)
			harm_at(h, b)[from + i] = (uint8_t)rnd(&h->rng);
	}
	return true;
}

static bool held_and_live(struct harm *h)
{
	if (!h->pool->nr_of_role[ROLE_HELD])
		return false;
	spoil(h, h->pool->of_role[ROLE_HELD][below(&h->rng, h->pool->nr_of_role[ROLE_HELD])], 1);
	spoil(h, below(&h->rng, 2) ? top_root(h->pool) : harm_live_block(h), 1);
	return true;
}

static bool a_few(struct harm *h)
{
	uint32_t nr = 1 + below(&h->rng, 4);

	while (nr--)
		spoil(h, harm_live_block(h), 1);
	return true;
}

const struct kind kinds[] = {
	{ "a few blocks lost", a_few },
	{ "superblock lost", super_only },
	{ "top level lost", top_only },
	{ "both roots lost", roots },
	{ "roots and map lost", roots_and_map },
	{ "superblock and roots", super_and_roots },
	{ "inner nodes lost", inner_nodes },
	{ "first MiB lost", first_mib },
	{ "torn writes", torn },
	{ "64 KiB lost", lost_64k },
	{ "1 MiB lost", lost_mib },
	{ "every nth block", every_nth },
	{ "cut to half", half },
	{ "lost writes", lost_writes },
	{ "older superblock", old_super },
	{ "older nodes", new_super },
	{ "bit flips", bit_flips },
	{ "all space maps lost", space_maps },
	{ "shifted by 64 KiB", shift_64k },
	{ "holes", holes },
	{ "another pool's rests", leftovers },
	{ "misdirected write", misdirected },
	{ "older copy", older_copy },
};
const int nr_kinds = sizeof(kinds) / sizeof(kinds[0]);

/* One of the kinds, and another one over it. */
static bool two_kinds(struct harm *h)
{
	bool any = kinds[below(&h->rng, (uint32_t)nr_kinds)].harm(h);

	return kinds[below(&h->rng, (uint32_t)nr_kinds)].harm(h) || any;
}

const struct kind more_kinds[] = {
	{ "stale 64 KiB", stale_64k },
	{ "stale MiB", stale_mib },
	{ "stale blocks", stale_blocks },
	{ "most writes lost", most_writes_lost },
	{ "parts of sectors", part_of_sector },
	{ "held and live", held_and_live },
	{ "two kinds", two_kinds },
};
const int nr_more_kinds = sizeof(more_kinds) / sizeof(more_kinds[0]);

/* One write of a leaf of mappings was lost: its block holds the leaf that stood there some commits before. */
static bool stale_leaf(struct harm *h)
{
	const struct history *y = h->history;
	const uint32_t begin = below(&h->rng, h->nr_blocks), skip = y->nr > 1 ? below(&h->rng, y->nr - 1) : 0;

	for (uint32_t i = 0; y->nr > 1 && i < h->nr_blocks * (y->nr - 1); i++) {
		const uint32_t b = (begin + i / (y->nr - 1)) % h->nr_blocks;
		const uint8_t *old = y->state[(skip + i) % (y->nr - 1)] + (size_t)b * 4096;

		if (!(h->pool->roles[b] & 1 << ROLE_LEAF) || h->pool->roles[b] & 1 << ROLE_HELD || csum_classify(old, NULL) != CSUM_IS_NODE ||
		    u64(old, 8) != b || u32(old, 4) != 2 || u32(old, 24) != 8 || !u32(old, 16) || !memcmp(old, harm_at(h, b), 4096))
			continue;
		memcpy(harm_at(h, b), old, 4096);
		return true;
	}
	return false;
}

static bool stale_leaves(struct harm *h)
{
	bool any = stale_leaf(h);

	for (uint32_t i = 1 + below(&h->rng, 3); i; i--)
		any |= stale_leaf(h);
	return any;
}

const struct kind stale_kinds[] = {
	{ "stale leaf", stale_leaf },
	{ "stale leaves", stale_leaves },
};
const int nr_stale_kinds = sizeof(stale_kinds) / sizeof(stale_kinds[0]);
