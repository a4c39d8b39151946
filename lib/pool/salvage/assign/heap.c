/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/salvage/assign/impl.h"

#include <errno.h>
#include <stdbool.h>

#include "base/vec.h"

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
