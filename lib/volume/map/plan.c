/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/vec.h"
#include "volume/map/plan.h"

#include <stdlib.h>

void plan_fini(struct plan *p)
{
	free(p->extent);
	free(p->piece);
	*p = (struct plan){ 0 };
}

void plan_reset(struct plan *p)
{
	p->nr = 0;
	p->nr_pieces = 0;
	p->bytes = 0;
}

int plan_add(struct plan *p, const struct extent *e, struct err *err)
{
	struct extent *slot = vec_add(p->extent, p->nr, p->cap);

	if (!slot)
		return err_nomem(err, "extents to copy");
	*slot = *e;
	p->bytes += e->len;
	return 0;
}

static int add_piece(struct plan *p, const struct piece *pc, struct err *err)
{
	struct piece *slot = vec_add(p->piece, p->nr_pieces, p->cap_pieces);

	if (!slot)
		return err_nomem(err, "pieces to copy");
	*slot = *pc;
	return 0;
}

static int by_source(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Does extent @e go on in the source where piece @pc ends? */
static bool joins(const struct piece *pc, const struct extent *e, uint64_t max_len)
{
	return pc->len && e->kind != EXTENT_ZERO && e->kind == pc->kind &&
	       e->from == pc->from + pc->len && pc->len + e->len <= max_len && pc->len % 4096 == 0;
}

int plan_cut(struct plan *p, uint64_t max_len, uint64_t max_zero, bool any_order, struct err *err)
{
	struct piece pc = { 0 };
	size_t i;
	int r = 0;

	if (any_order && plan_fragmented(p))
		qsort(p->extent, p->nr, sizeof(*p->extent), by_source);
	for (i = 0; i < p->nr && !r; i++) {
		const struct extent *e = &p->extent[i];
		uint64_t max = e->kind == EXTENT_ZERO ? max_zero : max_len, skip;

		if (any_order && joins(&pc, e, max)) {
			pc.len += e->len;
			pc.nr++;
			continue;
		}
		for (skip = 0; skip < e->len && !r; skip += pc.len) {
			if (pc.len)
				r = add_piece(p, &pc, err);
			pc = (struct piece){ .kind = e->kind, .nr = 1, .first = i, .skip = skip };
			pc.from = e->from + skip;
			pc.len = MIN(e->len - skip, max);
		}
	}
	if (!r && pc.len)
		r = add_piece(p, &pc, err);
	return r;
}
