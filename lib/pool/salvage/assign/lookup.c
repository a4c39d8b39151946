/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/salvage/assign/lookup.h"

#include <errno.h>
#include <stdlib.h>

#include "base/vec.h"

int near_set_init(struct near_set *s, uint32_t nr)
{
	size_t words = nr / 64 + 2;

	for (int l = 0; l < NEAR_LEVELS; l++, words = words / 64 + 2) {
		s->word[l] = calloc(words, sizeof(uint64_t));
		if (!s->word[l])
			return -ENOMEM;
	}
	return 0;
}

void near_set_fini(struct near_set *s)
{
	for (int l = 0; l < NEAR_LEVELS; l++)
		free(s->word[l]);
}

void near_set_put(struct near_set *s, uint32_t i, bool on)
{
	for (int l = 0; l < NEAR_LEVELS; l++, i /= 64) {
		uint64_t *w = &s->word[l][i / 64], mask = (uint64_t)1 << i % 64;

		*w = on ? *w | mask : *w & ~mask;
		if (!on && *w)
			break;
	}
}

static uint32_t bit_of(uint64_t w, bool last)
{
	return (uint32_t)(last ? 63 - __builtin_clzll(w) : __builtin_ctzll(w));
}

uint32_t near_set_find(const struct near_set *s, uint32_t i, bool before)
{
	for (int l = 0; l < NEAR_LEVELS; l++) {
		uint64_t w = s->word[l][i / 64];

		w &= before ? UINT64_MAX >> (63 - i % 64) : UINT64_MAX << i % 64;
		if (w) {
			i = i / 64 * 64 + bit_of(w, before);
			while (l--)
				i = i * 64 + bit_of(s->word[l][i], before);
			return i;
		}
		if (before && i < 64)
			return UINT32_MAX;
		i = before ? i / 64 - 1 : i / 64 + 1;
	}
	return UINT32_MAX;
}

static bool comes_first(const struct heap_entry *a, const struct heap_entry *b)
{
	return a->margin != b->margin ? a->margin > b->margin : a->cand < b->cand;
}

int heap_push(struct heap *h, struct heap_entry e)
{
	size_t i;

	if (vec_reserve(h->e, h->cap, h->nr + 1))
		return -ENOMEM;
	for (i = h->nr++; i && comes_first(&e, &h->e[(i - 1) / 2]); i = (i - 1) / 2)
		h->e[i] = h->e[(i - 1) / 2];
	h->e[i] = e;
	return 0;
}

struct heap_entry heap_pop(struct heap *h)
{
	struct heap_entry top = h->e[0], e = h->e[--h->nr];
	size_t i = 0, c;

	for (; (c = 2 * i + 1) < h->nr; i = c) {
		c += c + 1 < h->nr && comes_first(&h->e[c + 1], &h->e[c]);
		if (!comes_first(&h->e[c], &e))
			break;
		h->e[i] = h->e[c];
	}
	if (h->nr)
		h->e[i] = e;
	return top;
}

void heap_fini(struct heap *h)
{
	free(h->e);
}
