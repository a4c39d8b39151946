/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * One wave of nodes: reading them, keeping their children, passing keys and owners on to the
 * children (expand), and comparing a node's keys with those that its parents allow (judge).
 *
 * A node on the spine is read before all of its parents are known.  It is not read again: its
 * children and keys go to the arena at once, and it is expanded and judged when its level comes.
 * All other nodes are read, judged and expanded in one go.
 *
 * Workers meet only in the arrays: bits are set and ranges narrowed by atomic operations that give
 * the same result in any order, so the walk's outcome does not depend on their number.  Mostly they
 * only read, because a shared node's second parent adds nothing new.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/vec.h"
#include "pdata/tree/bequest.h"

#define WINDOW ((size_t)64 << 10) /* nodes read in one call: their list takes 512 KiB at most */

struct wave {
	struct walk *w;
	int level; /* height of the nodes in it; -1: the spine, unknown */
};

__attribute__((cold)) int walk_add_fault(struct walk_worker *me, const struct walk_fault *f)
{
	struct walk_fault *p = vec_add(me->fault, me->nr_faults, me->cap_faults);

	if (!p)
		return -ENOMEM;
	*p = *f;
	return 0;
}

static void set_flag(struct walk *w, uint64_t b, uint8_t flag)
{
	if ((__atomic_load_n(&w->flag[b], __ATOMIC_RELAXED) & flag) != flag)
		__atomic_fetch_or(&w->flag[b], flag, __ATOMIC_RELAXED);
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
		set_flag(w, b, WALK_MULTI);
	if (inherit)
		set_flag(w, b, WALK_INHERIT);
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

static uint32_t *arena_get(struct walk *w, struct walk_worker *me, uint32_t len, uint32_t *at)
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

/* The last key that child @i of @nr may have, where the node itself may go up to @last. */
static uint64_t child_last(const le64 *keys, uint32_t i, uint32_t nr, uint64_t last)
{
	return i + 1 < nr ? MIN(le64_get(keys[i + 1]) - 1, last) : last;
}

/* Child @i of @b lies beyond the device. */
static __attribute__((cold)) int note_outside(struct walk *w, struct walk_worker *me, uint32_t b,
					      const struct node *n, uint32_t i)
{
	const struct walk_fault f = { .block = node_value64(n, i),
				      .parent = b,
				      .fault = NODE_OUTSIDE,
				      .begin = node_key(n, i),
				      .last = child_last(n->raw->keys, i, n->nr, ~w->nlast[b]) };

	return walk_add_fault(me, &f);
}

/*
 * Keeps the children of an internal node in the arena; with @keys (for a node on the spine, where
 * they are needed once more) the keys behind them.  NULL: no memory.
 */
static uint32_t *keep_inner(struct walk *w, struct walk_worker *me, uint32_t b,
			    const struct node *n, bool keys)
{
	const uint64_t end = w->s.nr_blocks;
	uint32_t at, *in = arena_get(w, me, INNER_CHILDREN + n->nr * (keys ? 3 : 1), &at);

	if (!in)
		return NULL;
	in[INNER_NR] = n->nr;
	in[INNER_PICK] = 0;
	if (keys)
		memcpy(in + INNER_CHILDREN + n->nr, n->raw->keys, n->nr * sizeof(le64));
	for (uint32_t i = 0; i < n->nr; i++) {
		const uint64_t child = node_value64(n, i);

		in[INNER_CHILDREN + i] = child < end ? (uint32_t)child : EDGE_NONE;
		if (unlikely(child >= end) && note_outside(w, me, b, n, i))
			return NULL;
	}
	w->at[b] = at;
	return in;
}

/* The long way: one pointer from @b, of @level, to @c, which may have the keys [first, last]. */
static __attribute__((noinline)) int expand_edge(struct walk *w, struct walk_worker *me, uint32_t b,
						 int level, bool shared, uint32_t *c,
						 uint64_t first, uint64_t last)
{
	struct walk_fault f = { .block = *c, .parent = b, .begin = first, .last = last };

	f.fault = reach_child(w, me, b, level, *c, shared);
	if (!f.fault)
		f.fault = narrow(w, *c, first, last);
	if (!f.fault)
		return 0;
	*c = EDGE_NONE;
	return walk_add_fault(me, &f);
}

/* Passes the keys, owners and sharing of @b, a node of @level, on to its children. */
int walk_expand(struct walk *w, struct walk_worker *me, uint32_t b, uint32_t *in, const le64 *keys,
		int level)
{
	uint32_t nr = in[INNER_NR], *c = &in[INNER_CHILDREN], run;
	bool shared = w->flag[b] & (WALK_MULTI | WALK_INHERIT);
	const struct bequest q = bequest_of(w, b, level, shared);
	struct refmap *const refs = w->s.refs;
	const struct walk copy = *w;
	uint64_t first, next = le64_get(keys[0]), last = ~w->nlast[b], to;

	/* a node with keys out of its range would make all of its children faulty as well */
	if (last < le64_get(keys[nr - 1]))
		last = UINT64_MAX;
	for (uint32_t i = 0; i < nr; i++, c++) {
		first = next;
		next = i + 1 < nr ? le64_get(keys[i + 1]) : 0;
		to = i + 1 < nr ? MIN(next - 1, last) : last;
		if (*c == EDGE_NONE)
			continue;
		run = expand_run(w, c, &q, keys, i, nr);
		if (run) {
			i += run - 1;
			c += run - 1;
			next = le64_get(keys[i + 1]);
			continue;
		}
		if (!adds_nothing(&copy, *c, &q, first, to)) {
			if (expand_edge(w, me, b, level, shared, c, first, to))
				return -ENOMEM;
		} else if (refs) {
			refmap_inc(refs, *c);
		}
	}
	return 0;
}

/* The contents of @b are lost. */
__attribute__((cold)) int walk_lose(struct walk *w, struct walk_worker *me, uint32_t b,
				    enum node_fault fault, int io_error)
{
	struct walk_fault f = {
		.block = b, .parent = WALK_NONE, .fault = fault, .io_error = io_error
	};

	set_flag(w, b, WALK_READ | WALK_LOST);
	return walk_add_fault(me, &f);
}

/* Are the node's keys among those that its parents allow?  From now on its own keys stand there. */
int walk_judge(struct walk *w, struct walk_worker *me, uint32_t b, uint64_t first, uint64_t last)
{
	struct walk_fault f = { .block = b,
				.parent = WALK_NONE,
				.fault = NODE_BAD_RANGE,
				.begin = w->first[b],
				.last = ~w->nlast[b] };
	bool good = node_keys_fit(first, last, f.begin, f.last);

	w->first[b] = first;
	w->nlast[b] = ~last;
	set_flag(w, b, WALK_DONE | (good ? 0 : WALK_RANGED));
	return good ? 0 : walk_add_fault(me, &f);
}

int walk_note_spine(struct walk_worker *me, uint32_t b, uint64_t first, uint64_t last)
{
	struct spine_node *p = vec_add(me->spine, me->nr_spine, me->cap_spine);

	if (!p)
		return -ENOMEM;
	*p = (struct spine_node) { b, first, last };
	return 0;
}

static __attribute__((cold)) int note_underfull(struct walk *w, struct walk_worker *me, uint32_t b)
{
	uint32_t *p;

	if (w->root[b / 8] & 1u << b % 8)
		return 0;
	p = vec_add(me->underfull, me->nr_underfull, me->cap_underfull);
	if (!p)
		return -ENOMEM;
	*p = b;
	return 0;
}

static int read_node(void *ctx, unsigned worker, size_t i, mblock_t block, const void *data,
		     int status)
{
	struct wave *v = ctx;
	struct walk *w = v->w;
	struct walk_worker *me = &w->worker[worker];
	uint32_t b = (uint32_t)block;
	enum node_fault fault;
	uint64_t first, last;
	uint32_t *in;
	struct node n;
	int r = 0;

	(void)i;
	if (status < 0)
		return walk_lose(w, me, b, node_read_fault(status), status);
	fault = node_open(&n, data, block, w->s.leaf_value_size);
	if (!fault && v->level >= 0 && n.leaf != !v->level)
		fault = NODE_BAD_DEPTH;
	if (fault)
		return walk_lose(w, me, b, fault, 0);
	set_flag(w, b, WALK_READ);
	first = n.nr ? node_key(&n, 0) : UINT64_MAX;
	last = n.nr ? node_key(&n, n.nr - 1) : 0;
	if (!n.leaf) {
		in = keep_inner(w, me, b, &n, v->level < 0);
		if (!in)
			return -ENOMEM;
		if (v->level > 0)
			r = walk_expand(w, me, b, in, n.raw->keys, v->level);
	} else if (w->s.leaf) {
		r = w->s.leaf(w->s.ctx, worker, block, ~w->nattr[b], &n);
	}
	if (!r && n.nr < NODE_MAX_ENTRIES(n.value_size) / 3)
		r = note_underfull(w, me, b);
	if (r < 0)
		return r;
	if (v->level >= 0)
		return walk_judge(w, me, b, first, last);
	w->height[b] = n.leaf ? 1 : HEIGHT_UNKNOWN;
	return walk_note_spine(me, b, first, last);
}

void walk_merge_bounds(struct walk *w)
{
	for (unsigned i = 0; i < w->nr_workers; i++) {
		struct walk_worker *me = &w->worker[i];

		w->min = MIN(w->min, me->min);
		w->max = MAX(w->max, me->max);
		me->min = UINT32_MAX;
		me->max = 0;
	}
}

__attribute__((cold)) int walk_read_height(struct walk *w, uint8_t height, int level, bool *none,
					   struct err *err)
{
	struct wave v = { w, level };
	mblock_t *list = NULL;
	size_t nr = 0, k;
	uint64_t b;
	int r = 0;

	walk_merge_bounds(w);
	for (b = w->min; (b = walk_next(w, b, w->max, height, WALK_READ)) <= w->max; b++)
		nr++;
	*none = !nr;
	if (!nr)
		return 0;
	list = malloc(MIN(nr, WINDOW) * sizeof(*list));
	if (!list)
		return err_nomem(err, "list of tree nodes");
	for (b = w->min; nr && !r; nr -= k) {
		for (k = 0; k < MIN(nr, WINDOW); b++) {
			b = walk_next(w, b, w->max, height, WALK_READ);
			list[k++] = b;
		}
		r = stream_read(w->s.stream, list, k, read_node, &v, err);
	}
	free(list);
	return r == -ENOMEM ? err_nomem(err, "tree walk") : r;
}
