/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/space/shrink_bits.h"

#include <stdlib.h>

#include "base/order.h"
#include "base/search.h"
#include "base/vec.h"

#define WORD_BITS 64
#define GROUP_WORDS 64
#define GROUP_BITS ((uint64_t)WORD_BITS * GROUP_WORDS)

struct used_group {
	uint64_t nr; /* first, for the order: the group begins at bit nr * GROUP_BITS */
	uint64_t before; /* set bits before it */
	uint64_t *word; /* NULL: all are set */
};

void used_bits_fini(struct used_bits *u)
{
	for (size_t i = 0; i < u->nr_groups; i++)
		free(u->group[i].word);
	free(u->group);
	umap_fini(&u->index);
	*u = (struct used_bits){ 0 };
}

/* The bits [from, to) of a word, from < to <= 64 */
static uint64_t mask(unsigned from, unsigned to)
{
	return (~0ull << from) & (~0ull >> (WORD_BITS - to));
}

/* The group of that number, which is made where it is missing.  NULL: no memory. */
static struct used_group *group_for(struct used_bits *u, uint64_t nr)
{
	size_t place = u->nr_groups && u->group[u->last].nr == nr ? u->last + 1 : (size_t)umap_get(&u->index, nr);
	struct used_group *g;
	uint64_t *word;

	if (place) {
		u->last = place - 1;
		return &u->group[place - 1];
	}
	word = calloc(GROUP_WORDS, sizeof(*word));
	if (!word || vec_reserve(u->group, u->cap, u->nr_groups + 1) || umap_put(&u->index, nr, u->nr_groups + 1)) {
		free(word);
		return NULL;
	}
	u->last = u->nr_groups++;
	g = &u->group[u->last];
	*g = (struct used_group){ .nr = nr, .word = word };
	return g;
}

/* [from, from+len) of one group. */
static void set_in_group(struct used_group *g, unsigned from, unsigned len)
{
	if (len == GROUP_BITS) {
		free(g->word);
		g->word = NULL;
	}
	while (g->word && len) {
		unsigned bit = from % WORD_BITS, end = MIN((unsigned)WORD_BITS, bit + len);

		g->word[from / WORD_BITS] |= mask(bit, end);
		from += end - bit;
		len -= end - bit;
	}
}

int used_bits_set(struct used_bits *u, uint64_t b, uint64_t len, struct err *err)
{
	while (len) {
		const unsigned from = b % GROUP_BITS, n = (unsigned)MIN(len, GROUP_BITS - from);
		struct used_group *g = group_for(u, b / GROUP_BITS);

		if (!g)
			return err_nomem(err, "map of the data blocks in use");
		set_in_group(g, from, n);
		b += n;
		len -= n;
	}
	return 0;
}

/* Set bits of the group's first @nr. */
static unsigned count_in_group(const struct used_group *g, unsigned nr)
{
	unsigned n = 0, w;

	if (!g->word)
		return nr;
	for (w = 0; w < nr / WORD_BITS; w++)
		n += (unsigned)__builtin_popcountll(g->word[w]);
	return nr % WORD_BITS ? n + (unsigned)__builtin_popcountll(g->word[w] & mask(0, nr % WORD_BITS)) : n;
}

void used_bits_count(struct used_bits *u)
{
	umap_fini(&u->index);
	if (u->nr_groups)
		qsort(u->group, u->nr_groups, sizeof(*u->group), order_u64);
	u->nr_set = 0;
	for (size_t i = 0; i < u->nr_groups; i++) {
		u->group[i].before = u->nr_set;
		u->nr_set += count_in_group(&u->group[i], GROUP_BITS);
	}
}

/* The first group that holds the bit @b, or lies behind it. */
static size_t group_at(const struct used_bits *u, uint64_t b)
{
	return search_first(i, u->nr_groups, u->group[i].nr >= b / GROUP_BITS);
}

uint64_t used_bits_before(const struct used_bits *u, uint64_t b)
{
	const size_t i = group_at(u, b);

	if (i == u->nr_groups)
		return u->nr_set;
	return u->group[i].before + (u->group[i].nr == b / GROUP_BITS ? count_in_group(&u->group[i], b % GROUP_BITS) : 0);
}

/* Clear bits before the group. */
static uint64_t free_before(const struct used_group *g)
{
	return g->nr * GROUP_BITS - g->before;
}

uint64_t used_bits_nth_free(const struct used_bits *u, uint64_t n)
{
	/* the last group before which at most @n are free */
	const size_t i = search_first(k, u->nr_groups, free_before(&u->group[k]) > n);
	const struct used_group *g = i ? &u->group[i - 1] : NULL;
	uint64_t here, v;
	unsigned w = 0;

	if (!g)
		return n;
	n -= free_before(g);
	here = GROUP_BITS - count_in_group(g, GROUP_BITS);
	if (n >= here)
		return (g->nr + 1) * GROUP_BITS + (n - here);
	for (; WORD_BITS - (unsigned)__builtin_popcountll(g->word[w]) <= n; w++)
		n -= WORD_BITS - (unsigned)__builtin_popcountll(g->word[w]);
	for (v = ~g->word[w]; n; n--)
		v &= v - 1;
	return g->nr * GROUP_BITS + w * WORD_BITS + (unsigned)__builtin_ctzll(v);
}

/* The first bit of the group from @from on that is set, or clear; GROUP_BITS: none. */
static unsigned find_in_group(const struct used_group *g, unsigned from, bool set)
{
	uint64_t keep = ~0ull << from % WORD_BITS, hit;

	if (!g->word)
		return set ? from : GROUP_BITS;
	for (unsigned w = from / WORD_BITS; w < GROUP_WORDS; w++, keep = ~0ull) {
		hit = (set ? g->word[w] : ~g->word[w]) & keep;
		if (hit)
			return w * WORD_BITS + (unsigned)__builtin_ctzll(hit);
	}
	return GROUP_BITS;
}

uint64_t used_bits_find(const struct used_bits *u, uint64_t from, uint64_t end, bool set)
{
	for (size_t i = group_at(u, from); from < end; i++) {
		const struct used_group *g = i < u->nr_groups ? &u->group[i] : NULL;
		unsigned at;

		if (!g) /* behind the last group all is clear */
			return set ? end : from;
		if (g->nr > from / GROUP_BITS) { /* what lies before it is clear */
			if (!set)
				return from;
			from = g->nr * GROUP_BITS;
		}
		at = find_in_group(g, from % GROUP_BITS, set);
		from = g->nr * GROUP_BITS + at;
		if (at < GROUP_BITS)
			break;
	}
	return MIN(from, end);
}
