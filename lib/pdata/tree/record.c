/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * What the walk knows of a node: its keys, its record in the arena when it is an internal one, and its faults.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/vec.h"
#include "pdata/tree/record.h"

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
static __attribute__((noinline)) void raise_u64(uint64_t *p, uint64_t v)
{
	uint64_t old = 0;

	while (old < v &&
	       !__atomic_compare_exchange_n(p, &old, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

__attribute__((noinline)) void walk_raise_u32(uint32_t *p, uint32_t v)
{
	uint32_t old = 0;

	while (old < v &&
	       !__atomic_compare_exchange_n(p, &old, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

uint64_t key_last(const struct walk *w, mblock_t b)
{
	uint32_t nlast = __atomic_load_n(&w->key[b].nlast, __ATOMIC_RELAXED);

	if (likely(nlast))
		return (uint32_t)~nlast;
	return ~__atomic_load_n(&w->wide[b].nlast, __ATOMIC_RELAXED);
}

void keys_get(const struct walk *w, mblock_t b, uint64_t *first, uint64_t *last)
{
	*first = w->key[b].first;
	if (*first == KEY_WIDE)
		*first = w->wide[b].first;
	*last = key_last(w, b);
}

/* As it stands in key[]. */
static __attribute__((noinline)) struct keys code(uint64_t first, uint64_t last)
{
	return (struct keys) { .first = (uint32_t)MIN(first, (uint64_t)KEY_WIDE),
			       .nlast = ~(uint32_t)MIN(last, (uint64_t)KEY_WIDE) };
}

static bool is_wide(struct keys k)
{
	return k.first == KEY_WIDE || !k.nlast;
}

void keys_narrow(struct walk *w, mblock_t b, uint64_t first, uint64_t last)
{
	const struct keys k = code(first, last);

	if (is_wide(k)) {
		raise_u64(&w->wide[b].first, first);
		raise_u64(&w->wide[b].nlast, ~last);
	}
	walk_raise_u32(&w->key[b].first, k.first);
	walk_raise_u32(&w->key[b].nlast, k.nlast);
}

void keys_set(struct walk *w, mblock_t b, uint64_t first, uint64_t last)
{
	w->key[b] = code(first, last);
	if (is_wide(w->key[b]))
		w->wide[b] = (struct wide_keys) { first, ~last };
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

uint32_t *walk_record(const struct walk *w, uint32_t at)
{
	return w->chunk[(at - 1) >> CHUNK_SHIFT] + ((at - 1) & (CHUNK_LEN - 1));
}

uint32_t walk_place(const struct walk *w, mblock_t b)
{
	const uint32_t group = __atomic_load_n(&w->at[b / AT_GROUP], __ATOMIC_ACQUIRE);

	return group ? walk_record(w, group)[b % AT_GROUP] : 0;
}

uint32_t *walk_inner(const struct walk *w, mblock_t b)
{
	const uint32_t at = walk_place(w, b);

	return at ? walk_record(w, at) : NULL;
}

int walk_put_inner(struct walk *w, struct walk_worker *me, uint32_t b, uint32_t at)
{
	uint32_t *room, mine, group = __atomic_load_n(&w->at[b / AT_GROUP], __ATOMIC_ACQUIRE);

	if (!group) {
		room = walk_arena_get(w, me, AT_GROUP, &mine);
		if (!room)
			return -ENOMEM;
		memset(room, 0, AT_GROUP * sizeof(*room));
		/* another worker may have been faster */
		if (__atomic_compare_exchange_n(&w->at[b / AT_GROUP], &group, mine, false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			group = mine;
	}
	walk_record(w, group)[b % AT_GROUP] = at;
	return 0;
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
							      key_last(w, b)) };

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
	return walk_put_inner(w, me, b, at) ? NULL : in;
}
