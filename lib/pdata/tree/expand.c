/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Keeping the children of an internal node in the arena, and passing its keys, owners and sharing on
 * to them.
 *
 * Workers meet only in the arrays: bits are set and ranges narrowed by atomic operations that give
 * the same result in any order, so the walk's outcome does not depend on their number.  Mostly they
 * only read, because a shared node's second parent adds nothing new.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/vec.h"
#include "pdata/tree/expand.h"

__attribute__((cold)) int walk_add_fault(struct walk_worker *me, const struct walk_fault *f)
{
	struct walk_fault *p = vec_add(me->fault, me->nr_faults, me->cap_faults);

	if (!p)
		return -ENOMEM;
	*p = *f;
	return 0;
}

/*
 * Both write at once, without a look before: the kernel would map its page of zeros for that look, and
 * take it away from all CPUs for the writing.
 */
static void raise_u64(uint64_t *p, uint64_t v)
{
	uint64_t old = 0;

	while (old < v &&
	       !__atomic_compare_exchange_n(p, &old, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void walk_raise_u32(uint32_t *p, uint32_t v)
{
	uint32_t old = 0;

	while (old < v &&
	       !__atomic_compare_exchange_n(p, &old, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

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
	if (__atomic_load_n(&w->flag[b], __ATOMIC_RELAXED) & WALK_DONE)
		return node_keys_fit(w->first[b], ~w->nlast[b], first, last) ? NODE_OK
									     : NODE_BAD_RANGE;
	raise_u64(&w->first[b], first);
	raise_u64(&w->nlast[b], ~last);
	return NODE_OK;
}

/* Chunk @c.  The first ones are filled page by page: a small pool needs little of them. */
static __attribute__((cold)) uint32_t *new_chunk(const struct walk *w, uint32_t c)
{
	const size_t size = CHUNK_LEN * sizeof(uint32_t);
	uint32_t *p;

	if (c < w->nr_workers)
		return malloc(size);
	p = aligned_alloc(size, size);
	if (p)
		madvise(p, size, MADV_HUGEPAGE);
	return p;
}

uint32_t *walk_arena_get(struct walk *w, struct walk_worker *me, uint32_t len, uint32_t *at)
{
	uint32_t c;

	if (me->used + len > CHUNK_LEN) {
		c = atomic_fetch_add_explicit(&w->nr_chunks, 1, memory_order_relaxed);
		if (c >= w->max_chunks)
			return NULL;
		w->chunk[c] = new_chunk(w, c);
		if (!w->chunk[c])
			return NULL;
		me->chunk = c;
		me->used = 0;
	}
	*at = (me->chunk << CHUNK_SHIFT | me->used) + 1;
	me->used += len;
	return w->chunk[me->chunk] + me->used - len;
}

/* Child @i of @b lies beyond the device. */
__attribute__((cold)) int walk_note_outside(struct walk *w, struct walk_worker *me, uint32_t b,
					    const struct node *n, uint32_t i)
{
	const struct walk_fault f = { .block = node_value64(n, i),
				      .parent = b,
				      .fault = NODE_OUTSIDE,
				      .begin = node_key(n, i),
				      .last = walk_child_last(n->raw->keys, i, n->nr,
							      ~w->nlast[b]) };

	return walk_add_fault(me, &f);
}

/*
 * Keeps the children of an internal node in the arena; with @keys (for a node on the spine, where
 * they are needed once more) the keys behind them.  NULL: no memory.
 */
uint32_t *walk_keep(struct walk *w, struct walk_worker *me, uint32_t b, const struct node *n,
		    bool keys)
{
	const uint64_t end = w->s.nr_blocks;
	uint32_t at, *in = walk_arena_get(w, me, INNER_CHILDREN + n->nr * (keys ? 3 : 1), &at);

	if (!in)
		return NULL;
	in[INNER_NR] = n->nr;
	in[INNER_PICK] = in[INNER_LIKE] = 0;
	if (keys)
		memcpy(in + INNER_CHILDREN + n->nr, n->raw->keys, n->nr * sizeof(le64));
	for (uint32_t i = 0; i < n->nr; i++) {
		const uint64_t child = node_value64(n, i);

		in[INNER_CHILDREN + i] = child < end ? (uint32_t)child : EDGE_NONE;
		if (unlikely(child >= end) && walk_note_outside(w, me, b, n, i))
			return NULL;
	}
	w->at[b] = at;
	return in;
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
	       __atomic_load_n(&w->first[b], __ATOMIC_RELAXED) >= first &&
	       __atomic_load_n(&w->nlast[b], __ATOMIC_RELAXED) >= ~last;
}

static inline int pass_on(struct walk *w, struct walk_worker *me, uint32_t b,
			  const struct bequest *q, uint32_t *c, uint64_t first, uint64_t last)
{
	if (!adds_nothing(w, *c, q, first, last))
		return expand_edge(w, me, b, q, c, first, last);
	if (w->s.refs)
		refmap_inc(w->s.refs, *c);
	return 1;
}

int walk_pass_on(struct walk *w, struct walk_worker *me, uint32_t b, const struct bequest *q,
		 uint32_t *c, uint64_t first, uint64_t last)
{
	return pass_on(w, me, b, q, c, first, last);
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
		r = pass_on(w, me, b, q, c, le64_get(keys[i]), walk_child_last(keys, i, nr, last));
		if (r < 0)
			return r;
		known += r;
	}
	return known;
}
