/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What happens to the devices below: disks, arrays, copies of them. */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "harsh.h"

/* A state some commits before, or NULL. */
static const uint8_t *older_state(struct harm *h)
{
	const struct history *y = h->history;

	return y->nr < 2 ? NULL : y->state[below(&h->rng, y->nr - 1)];
}

static void take_from(struct harm *h, const uint8_t *state, uint32_t b)
{
	memcpy(harm_at(h, b), state + (size_t)b * 4096, 4096);
}

/* One of the usual damages. */
static bool usual(struct harm *h)
{
	return kinds[below(&h->rng, (uint32_t)nr_kinds)].harm(h);
}

/* Each nth chunk is that of a disk that was away for some commits. */
static bool stale_stripe(struct harm *h)
{
	const uint8_t *old = older_state(h);
	uint32_t disks = 2 + below(&h->rng, 4), chunk = 1u << below(&h->rng, 6), which = below(&h->rng, disks);

	for (uint32_t b = 0; b < h->nr_blocks && old; b++)
		if (b / chunk % disks == which)
			take_from(h, old, b);
	return old;
}

/* A copy of the device over an older copy was not finished; or, backwards, an older copy over it. */
static bool partial_copy(struct harm *h)
{
	const uint8_t *old = older_state(h);
	uint32_t from = below(&h->rng, h->nr_blocks);
	bool front = below(&h->rng, 2);

	for (uint32_t b = 0; b < h->nr_blocks && old; b++)
		if ((b < from) == front)
			take_from(h, old, b);
	return old;
}

static bool exchanged(struct harm *h)
{
	uint32_t a = harm_live_block(h), b = harm_live_block(h);
	uint8_t kept[4096];

	memcpy(kept, harm_at(h, a), sizeof(kept));
	memcpy(harm_at(h, a), harm_at(h, b), sizeof(kept));
	memcpy(harm_at(h, b), kept, sizeof(kept));
	return a != b;
}

/* The header of a partition table, of LVM, of an array, or of an encrypted device. */
static bool foreign_header(struct harm *h)
{
	static const struct { size_t from, len; } header[] = {
		{ 0, 512 }, { 512, 512 }, { 512, 17408 }, { 4096, 4096 }, { 4096, 1020 }, { 0, 16384 }, { 0, 4096 },
		{ 65536, 4096 }, { 4096, 131072 },
	};
	const size_t i = below(&h->rng, sizeof(header) / sizeof(header[0])), all = (size_t)h->nr_blocks * 4096;

	for (size_t k = header[i].from; k < header[i].from + header[i].len && k < all; k++)
		h->image[k] = k % 64 < 20 ? (uint8_t)rnd(&h->rng) : 0;
	(void)usual(h);
	return true;
}

/* A bit of one byte of each sector, on a part of the device, is always set or never. */
static bool stuck_bit(struct harm *h)
{
	const uint32_t begin = below(&h->rng, h->nr_blocks), nr = 1 + below(&h->rng, 200);
	const size_t every = (size_t)512 << below(&h->rng, 4), byte = below(&h->rng, (uint32_t)every);
	const uint8_t bit = (uint8_t)(1 << below(&h->rng, 8));
	const bool set = below(&h->rng, 2);

	for (size_t i = (size_t)begin * 4096 + byte; i < (size_t)(begin + nr) * 4096 && i < (size_t)h->nr_blocks * 4096;
	     i += every)
		h->image[i] = (uint8_t)(set ? h->image[i] | bit : h->image[i] & ~bit);
	return true;
}

/* The device became larger after the last commit, or zeros follow the copy of it. */
static bool extended(struct harm *h)
{
	const uint32_t more = 1 + below(&h->rng, 2000);
	bool any = usual(h);

	h->image = realloc(h->image, (size_t)(h->nr_blocks + more) * 4096);
	if (!h->image)
		err(1, "memory");
	memset(harm_at(h, h->nr_blocks), 0, (size_t)more * 4096);
	h->nr_blocks += more;
	return any;
}

/* A file that was cut off, and extended to its size. */
static bool zero_end(struct harm *h)
{
	uint32_t from = 1 + below(&h->rng, h->nr_blocks - 1);

	memset(harm_at(h, from), 0, (size_t)(h->nr_blocks - from) * 4096);
	return true;
}

/* No block that is not in use is left to tell of what was before. */
static bool trimmed(struct harm *h)
{
	for (uint32_t b = 1; b < h->nr_blocks; b++)
		if (is_unused(h->pool, b))
			memset(harm_at(h, b), 0, 4096);
	return usual(h);
}

/* A disk trimmed what was free in an older state. */
static bool trimmed_late(struct harm *h)
{
	const uint8_t *old = older_state(h);
	struct pool older;

	if (!old)
		return false;
	pool_take(&older, old, h->history->nr_blocks);
	for (uint32_t b = 1; b < h->nr_blocks; b++)
		if (is_unused(&older, b))
			memset(harm_at(h, b), 0, 4096);
	pool_free(&older);
	return true;
}

const struct kind device_kinds[] = {
	{ "stale stripe", stale_stripe },
	{ "partial copy", partial_copy },
	{ "blocks exchanged", exchanged },
	{ "foreign header", foreign_header },
	{ "stuck bit", stuck_bit },
	{ "extended", extended },
	{ "zeros to the end", zero_end },
	{ "trimmed", trimmed },
	{ "trimmed late", trimmed_late },
};
const int nr_device_kinds = sizeof(device_kinds) / sizeof(device_kinds[0]);
