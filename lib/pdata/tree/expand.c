/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Passing the keys, owners and sharing of an internal node on to its children.
 *
 * Workers meet only in the arrays: bits are set and ranges narrowed by atomic operations that give
 * the same result in any order, so the walk's outcome does not depend on their number.  Mostly they
 * only read, because a shared node's second parent adds nothing new.
 */
#include <string.h>

#include "pdata/tree/expand.h"

/* Is the block used by something other than these trees? */
bool walk_foreign(const struct walk *w, uint64_t b)
{
	uint8_t kind = w->s.claims ? __atomic_load_n(&w->s.claims[b], __ATOMIC_RELAXED) : 0;

	return kind && kind != w->s.kind;
}

/* One more pointer to @b.  Is it of this kind of tree? */
bool walk_reach(struct walk *w, uint64_t b, uint32_t nattr, bool inherit)
{
	uint8_t had = __atomic_load_n(&w->flag[b], __ATOMIC_RELAXED);

	if (w->s.refs)
		refmap_inc(w->s.refs, b);
	if (walk_foreign(w, b))
		return false;
	if (w->s.claims && !__atomic_load_n(&w->s.claims[b], __ATOMIC_RELAXED))
		__atomic_store_n(&w->s.claims[b], w->s.kind, __ATOMIC_RELAXED);
	if (!(had & WALK_REACHED))
		had = __atomic_fetch_or(&w->flag[b], WALK_REACHED, __ATOMIC_RELAXED);
	if (had & WALK_REACHED)
		walk_set_flag(w, b, WALK_MULTI);
	if (inherit)
		walk_set_flag(w, b, WALK_INHERIT);
	walk_raise_u32(&w->nattr[b], nattr);
	return true;
}

/* A pointer from @parent, of @level, to @b.  NODE_OK: b is there, one level below. */
static enum node_fault reach_child(struct walk *w, struct walk_worker *me, uint32_t parent,
				   int level, uint32_t b, bool inherit)
{
	uint8_t want = (uint8_t)level, had = 0; /* height + 1 of the child */

	if (!walk_reach(w, b, w->nattr[parent], inherit))
		return NODE_LOOP;
	had = __atomic_load_n(&w->height[b], __ATOMIC_RELAXED);
	if (!had && __atomic_compare_exchange_n(&w->height[b], &had, want, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED)) {
		me->min = MIN(me->min, b);
		me->max = MAX(me->max, b);
		return NODE_OK;
	}
	if (had == want)
		return NODE_OK;
	if (__atomic_load_n(&w->flag[b], __ATOMIC_RELAXED) & WALK_LOST) {
		if (had == HEIGHT_UNKNOWN) /* lost on the spine: its parent has noted that */
			__atomic_store_n(&w->height[b], want, __ATOMIC_RELAXED);
		return NODE_OK;
	}
	return NODE_LOOP;
}

/* Narrows the keys that a child may have; a child that was judged already is judged again. */
static enum node_fault narrow(struct walk *w, uint32_t b, uint64_t first, uint64_t last)
{
	uint64_t own_first, own_last;

	if (__atomic_load_n(&w->flag[b], __ATOMIC_RELAXED) & WALK_DONE) {
		keys_get(w, b, &own_first, &own_last);
		return node_keys_fit(own_first, own_last, first, last) ? NODE_OK : NODE_BAD_RANGE;
	}
	keys_narrow(w, b, first, last);
	return NODE_OK;
}

/* The long way: one pointer from @b to *@c, which may have the keys [first, last]. */
static __attribute__((noinline)) int expand_edge(struct walk *w, struct walk_worker *me, uint32_t b,
						 const struct bequest *q, uint32_t *c,
						 uint64_t first, uint64_t last)
{
	struct walk_fault f = { .block = *c, .parent = b, .begin = first, .last = last };

	f.fault = reach_child(w, me, b, q->height, *c, q->shared);
	if (!f.fault)
		f.fault = narrow(w, *c, first, last);
	if (!f.fault)
		return 0;
	*c = EDGE_NONE;
	return walk_add_fault(me, &f);
}

/*
 * Does one more pointer to @b change nothing but its number of references?  So it is with most
 * pointers where snapshots share their nodes.  What is looked at only ever grows, so a false answer
 * is never wrong: it costs the long way.  A block that was reached is claimed for these trees, too; one
 * that several pointers reach is shared, whatever is above it.
 */
static inline bool adds_nothing(const struct walk *w, uint32_t b, const struct bequest *q,
				uint64_t first, uint64_t last)
{
	uint8_t flag = __atomic_load_n(&w->flag[b], __ATOMIC_RELAXED);

	return (flag & (WALK_MULTI | WALK_DONE | WALK_LOST)) == WALK_MULTI &&
	       __atomic_load_n(&w->height[b], __ATOMIC_RELAXED) == q->height &&
	       __atomic_load_n(&w->nattr[b], __ATOMIC_RELAXED) >= q->nattr &&
	       __atomic_load_n(&w->key[b].first, __ATOMIC_RELAXED) >= first && last < KEY_WIDE &&
	       __atomic_load_n(&w->key[b].nlast, __ATOMIC_RELAXED) >= ~(uint32_t)last;
}

int walk_pass_on(struct walk *w, struct walk_worker *me, uint32_t b, const struct bequest *q,
		 uint32_t *c, uint64_t first, uint64_t last)
{
	if (!adds_nothing(w, *c, q, first, last))
		return expand_edge(w, me, b, q, c, first, last);
	if (w->s.refs)
		refmap_inc(w->s.refs, *c);
	return 1;
}

int walk_expand(struct walk *w, struct walk_worker *me, uint32_t b, uint32_t *in, const le64 *keys,
		const struct bequest *q)
{
	uint32_t nr = in[INNER_NR], *c = &in[INNER_CHILDREN];
	const uint64_t last = walk_last(w, b, keys, nr);
	int r, known = 0;

	for (uint32_t i = 0; i < nr; i++, c++) {
		if (*c == EDGE_NONE)
			continue;
		r = walk_pass_on(w, me, b, q, c, le64_get(keys[i]),
				 walk_child_last(keys, i, nr, last));
		if (r < 0)
			return r;
		known += r;
	}
	return known;
}
