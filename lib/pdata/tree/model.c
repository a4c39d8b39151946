/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pdata/tree/model.h"

#include <errno.h>
#include <stdlib.h>

#include "pdata/tree/expand.h"

#define MODEL_BITS 11 /* of their numbers, at most; fewer for small pools */
#define NODES_EACH 16 /* metadata blocks a model, at least: few models share a place */
#define GROUP	   16u /* pointers that are compared in one go */
#define NR_GROUPS  ((INTERNAL_MAX + GROUP - 1) / GROUP)

/* A bit for each pointer. */
struct marks {
	uint16_t group[NR_GROUPS];
};

struct model {
	uint32_t busy;		      /* 1: a worker uses it */
	uint32_t whole;		      /* place + 1 of the record with which nodes are compared */
	uint32_t nr, times;	      /* pointers; nodes so far */
	struct bequest q;	      /* all settled children have it */
	uint64_t last;		      /* key that the nodes may have */
	struct marks open;	      /* not settled: it may still add something */
	struct marks other;	      /* the whole record may have another one */
	uint32_t since[INTERNAL_MAX]; /* settled: from this time on references are not counted */
	le64 key[INTERNAL_MAX], value[INTERNAL_MAX];
};

static bool marked(const struct marks *m, uint32_t i)
{
	return m->group[i / GROUP] >> i % GROUP & 1;
}

static void mark(struct marks *m, uint32_t i, bool on)
{
	uint16_t *p = &m->group[i / GROUP];

	*p = (uint16_t)((*p & ~(1u << i % GROUP)) | (unsigned)on << i % GROUP);
}

/*
 * The model for nodes that begin with the same key as @n, which nobody else uses until release(); NULL:
 * another worker does, there is none and none is to be made, or no memory.
 */
static struct model *acquire(struct walk *w, const struct node *n, bool make)
{
	struct model **at = w->model + (node_key(n, 0) * 0x9e3779b97f4a7c15 >> w->model_shift);
	struct model *m = __atomic_load_n(at, __ATOMIC_ACQUIRE), *mine;

	if (!m && make) {
		w->has_models = true;
		mine = calloc(1, sizeof(*mine));
		if (__atomic_compare_exchange_n(at, &m, mine, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			m = mine;
		else
			free(mine);
	}
	return m && !__atomic_exchange_n(&m->busy, 1, __ATOMIC_ACQUIRE) ? m : NULL;
}

/* The model loses pointer @i. */
static void unsettle(struct walk *w, struct model *m, uint32_t i)
{
	if (!marked(&m->open, i) && w->s.refs)
		refmap_add(w->s.refs, le64_get(m->value[i]), m->times - m->since[i]);
	mark(&m->open, i, true);
}

/* The model loses all pointers to children that have less than @nattr. */
static void unsettle_weak(struct walk *w, struct model *m, uint64_t nattr)
{
	for (uint32_t i = 0; i < m->nr; i++) {
		const uint64_t c = le64_get(m->value[i]);

		if (!marked(&m->open, i) && __atomic_load_n(&w->nattr[c], __ATOMIC_RELAXED) < nattr)
			unsettle(w, m, i);
	}
}

static size_t nr_models(const struct walk *w)
{
	return (size_t)1 << (64 - w->model_shift);
}

bool walk_new_models(struct walk *w)
{
	w->model_shift = 63;
	while (w->model_shift > 64 - MODEL_BITS && w->s.nr_blocks / NODES_EACH > nr_models(w))
		w->model_shift--;
	w->model = calloc(nr_models(w), sizeof(*w->model));
	return w->model;
}

void walk_end_models(struct walk *w)
{
	for (size_t i = 0; w->has_models && i < nr_models(w); i++) {
		if (!w->model[i])
			continue;
		unsettle_weak(w, w->model[i], UINT64_MAX);
		free(w->model[i]);
		w->model[i] = NULL;
	}
	w->has_models = false;
}

/*
 * Has @n the same pointers as the model in the group from @i on, are they settled, and may their children have
 * the same keys?
 */
static bool same_group(const struct model *m, const struct node *n, uint32_t i)
{
	const uint32_t nr = MIN(GROUP, m->nr - i);

	return !(m->open.group[i / GROUP] & ((1u << nr) - 1)) &&
	       !memcmp(&m->value[i], n->values + (size_t)i * 8, nr * sizeof(le64)) &&
	       !memcmp(&m->key[i], &n->raw->keys[i], MIN(nr + 1, m->nr - i) * sizeof(le64));
}

/* The same for one pointer. */
static inline bool same_pointer(const struct model *m, const struct node *n, uint32_t i)
{
	return !marked(&m->open, i) && le64_get(m->value[i]) == node_value64(n, i) &&
	       le64_get(m->key[i]) == node_key(n, i) &&
	       (i + 1 == m->nr || le64_get(m->key[i + 1]) == node_key(n, i + 1));
}

/* Pointer @i of @b is another one, or was not settled. */
static int take_other(struct walk *w, struct walk_worker *me, uint32_t b, const struct node *n,
		      struct model *m, uint32_t i)
{
	const le64 *keys = n->raw->keys;
	uint32_t c = EDGE_NONE;
	int r;

	unsettle(w, m, i);
	if (node_value64(n, i) < w->s.nr_blocks) {
		c = (uint32_t)node_value64(n, i);
		r = walk_pass_on(w, me, b, &m->q, &c, node_key(n, i),
				 walk_child_last(keys, i, n->nr, walk_last(w, b, keys, n->nr)));
	} else {
		r = walk_note_outside(w, me, b, n, i);
	}
	if (le64_get(m->value[i]) != c)
		mark(&m->other, i, true);
	m->key[i] = keys[i];
	m->value[i] = le64_make(c);
	m->since[i] = m->times + 1;
	mark(&m->open, i, r <= 0);
	return MIN(r, 0);
}

/* Keeps the pointers that @b has and the whole record has not; when these are many, all as a whole record. */
static int keep_like(struct walk *w, struct walk_worker *me, uint32_t b, struct model *m)
{
	uint32_t at, k = 0, *in = walk_arena_get(w, me, INNER_CHILDREN + m->nr, &at), *to;

	if (!in)
		return -ENOMEM;
	to = in + INNER_CHILDREN;
	for (uint32_t g = 0; g < NR_GROUPS; g++) {
		for (unsigned bits = m->other.group[g]; bits && k <= m->nr / 8; bits &= bits - 1) {
			const uint32_t i = g * GROUP + (uint32_t)__builtin_ctz(bits);

			to[2 * k] = i;
			to[2 * k + 1] = (uint32_t)le64_get(m->value[i]);
			k++;
		}
	}
	in[INNER_NR] = m->nr;
	if (k <= m->nr / 8) {
		in[INNER_PICK] = k;
		in[INNER_LIKE] = m->whole;
		me->used -= m->nr - 2 * k;
		return walk_put_inner(w, me, b, at);
	}
	in[INNER_PICK] = in[INNER_LIKE] = 0;
	for (uint32_t i = 0; i < m->nr; i++)
		to[i] = (uint32_t)le64_get(m->value[i]);
	m->other = (struct marks) { 0 };
	m->whole = at;
	return walk_put_inner(w, me, b, at);
}

/* The model becomes what @b has.  A pointer with a fault is never settled: each node has its own faults. */
static int take_like(struct walk *w, struct walk_worker *me, uint32_t b, const struct node *n,
		     struct model *m)
{
	for (uint32_t i = 0; i < n->nr; i++) {
		if (!(i % GROUP) && same_group(m, n, i))
			i += GROUP - 1;
		else if (!same_pointer(m, n, i) && take_other(w, me, b, n, m, i))
			return -ENOMEM;
	}
	m->times++;
	return keep_like(w, me, b, m);
}

/* Nodes like @b, which has a whole record, will be compared with it. */
static void start(struct walk *w, struct model *m, uint32_t b, const struct node *n)
{
	const uint32_t *child;

	unsettle_weak(w, m, UINT64_MAX);
	m->whole = walk_place(w, b);
	child = walk_record(w, m->whole) + INNER_CHILDREN;
	m->nr = n->nr;
	m->last = key_last(w, b);
	for (uint32_t i = 0; i < n->nr; i++)
		m->value[i] = le64_make(child[i]);
	memset(&m->open, 0xff, sizeof(m->open));
	m->other = (struct marks) { 0 };
}

int walk_take_inner(struct walk *w, struct walk_worker *me, uint32_t b, const struct node *n,
		    int level)
{
	const struct bequest q = bequest_of(w, b, level);
	struct model *m = acquire(w, n, false);
	uint32_t *in;
	int r;

	if (m && m->nr == n->nr && m->last == key_last(w, b)) {
		if (q.nattr > m->q.nattr)
			unsettle_weak(w, m, q.nattr);
		m->q = q;
		r = take_like(w, me, b, n, m);
	} else {
		in = walk_keep(w, me, b, n, false);
		r = in ? walk_expand(w, me, b, in, n->raw->keys, &q) : -ENOMEM;
		if (n->nr > 1 && r > (int)n->nr / 2) { /* keep_like() has room for two numbers */
			if (!m)
				m = acquire(w, n, true);
			if (m)
				start(w, m, b, n);
		}
	}
	if (m)
		__atomic_store_n(&m->busy, 0, __ATOMIC_RELEASE);
	return MIN(r, 0);
}
