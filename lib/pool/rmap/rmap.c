/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The first reading of the leaves keeps the runs that lie inside of leaves, by buckets of the data
 * device, and notes the runs at the leaves' edges.  When the runs take too much memory, they are
 * dropped and rounds follow, each over as many buckets as fit into memory: the leaves are read
 * again for each.
 */
#include "pool/rmap/rmap.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "base/vec.h"
#include "pool/format/format.h"
#include "pool/format/leaf_runs.h"
#include "pool/rmap/impl.h"

/* Entries [@i, @end), a run at an edge of the leaf; of no length outside of all regions. */
static struct rmap_edge edge_of(const struct rmap *m, const struct node *n, uint32_t i, uint32_t end)
{
	const dblock_t d = mapping_block(node_value64(n, i));

	return (struct rmap_edge) { .v = node_key(n, i),
				    .d = d,
				    .len = rmap_wanted(m, d, end - i) ? end - i : 0 };
}

/* Makes the edge that was kept last longer where @e goes on from it. */
static bool join_edge(struct rmap_store *s, const struct rmap_edge *e, uint32_t set)
{
	struct rmap_kept_edge *to = s->nr_edges ? &s->edge[s->nr_edges - 1] : NULL;

	if (!to || s->edge_set != set || !to->len || !e->len || to->v + to->len != e->v ||
	    (uint64_t)to->d + to->len != e->d || to->len + e->len > RMAP_EDGE_MAX)
		return false;
	to->len = (to->len + e->len) & RMAP_EDGE_MAX;
	return true;
}

static int keep_edge(struct rmap_store *s, const struct rmap_edge *e)
{
	struct rmap_kept_edge *to = vec_add(s->edge, s->nr_edges, s->cap_edges);

	if (!to)
		return -ENOMEM;
	*to = (struct rmap_kept_edge) { .d = e->d, .len = e->len & RMAP_EDGE_MAX, .v = e->v };
	return 0;
}

/* The first run ends before entry @end, the last one begins at @last; 0: they are one. */
static int note_edges(struct rmap *m, unsigned worker, mblock_t block, const struct node *n,
		      uint32_t end, uint32_t last)
{
	struct rmap_store *s = &m->store[worker];
	const uint32_t set = owners_of(m->owners, block);
	struct rmap_edge e = edge_of(m, n, 0, end);
	uint32_t note;

	if (!join_edge(s, &e, set) && keep_edge(s, &e))
		return -ENOMEM;
	s->edge_set = set;
	note = (uint32_t)worker << RMAP_NOTE_WORKER | (uint32_t)(s->nr_edges - 1) << RMAP_NOTE_AT;
	if (last) {
		e = edge_of(m, n, last, n->nr);
		note |= RMAP_NOTE_TWO;
		if (keep_edge(s, &e))
			return -ENOMEM;
	}
	walk_put_note(m->f->walk, block, note);
	return 0;
}

/* Keeps the runs of a leaf without the first and the last, which are entries [@i, @last). */
static int inner_runs(struct rmap *m, struct rmap_store *store, mblock_t block,
		      const struct node *n, const struct leaf_runs *runs, uint32_t i, uint32_t last)
{
	const bool all = m->regions->nr == 1;
	const uint32_t set = owners_of(m->owners, block);
	int r = 0;

	for (uint32_t end; !r && i < last; i = end) {
		struct rmap_record rec = { mapping_block(node_value64(n, i)), 0, 0, set };

		end = leaf_runs_end(runs, i);
		rec.len = end - i;
		if (rec.d >= m->end || rec.d + rec.len <= m->begin)
			continue;
		rec.v = node_key(n, i);
		if (all && rec.d >= m->begin && rec.d + rec.len <= m->end)
			r = rmap_store_put(m, store, &rec);
		else
			r = rmap_clip(m, &rec, rmap_store_put, store);
	}
	return r;
}

static int first_reading(void *ctx, unsigned worker, mblock_t block, const struct node *n)
{
	struct rmap *m = ctx;
	struct leaf_runs runs;
	uint32_t end, last;

	if (!leaf_maps_any(n, m->begin, m->end))
		return 0;
	leaf_runs_find(&runs, n, RUNS_ANY_TIME);
	end = leaf_runs_end(&runs, 0);
	last = leaf_runs_last(&runs, n->nr);
	if (note_edges(m, worker, block, n, end, last))
		return -ENOMEM;
	return inner_runs(m, &m->store[worker], block, n, &runs, end, last);
}

static int next_reading(void *ctx, unsigned worker, mblock_t block, const struct node *n)
{
	struct rmap *m = ctx;
	struct leaf_runs runs;

	if (!leaf_maps_any(n, m->begin, m->end))
		return 0;
	leaf_runs_find(&runs, n, RUNS_ANY_TIME);
	return inner_runs(m, &m->store[worker], block, n, &runs, leaf_runs_end(&runs, 0),
			  leaf_runs_last(&runs, n->nr));
}

/* Reads all leaves once and tells what cannot be read. */
static int read_all(struct rmap *m, struct err *err)
{
	int r = forest_read_leaves(m->f, first_reading, m, err);

	if (!r)
		r = forest_tell_damage(m->f, err);
	return r ? r : rmap_chains(m, rmap_store_put, &m->store[0]);
}

/* All records were kept: what is known of nodes and of leaves' edges is needed no more. */
static int only_round(struct rmap *m, struct err *err)
{
	walk_free(steal_ptr(&m->f->walk));
	for (unsigned w = 0; w < m->nr_workers; w++)
		free(steal_ptr(&m->store[w].edge));
	return rmap_out(m, err);
}

static int one_round(struct rmap *m, struct err *err)
{
	int r;

	for (unsigned w = 0; w < m->nr_workers; w++)
		rmap_store_clear(m, &m->store[w]);
	r = forest_read_leaves(m->f, next_reading, m, err);
	if (!r)
		r = rmap_chains(m, rmap_store_put, &m->store[0]);
	return r ? r : rmap_out(m, err);
}

static int rounds(struct rmap *m, struct err *err)
{
	CLEANUP(free_ptr) uint64_t *bytes = calloc(m->nr_buckets, sizeof(*bytes));
	const uint64_t max = m->max_kept;
	uint32_t end = 0;
	int r = 0;

	if (!bytes)
		return -ENOMEM;
	for (uint32_t b = 0; b < m->nr_buckets; b++)
		bytes[b] = rmap_bucket_bytes(m, b);
	m->max_kept = UINT64_MAX; /* a round keeps all of its records */
	while (!r && end < m->nr_buckets) {
		uint64_t total = bytes[end];

		m->bucket_begin = end++;
		while (end < m->nr_buckets && total + bytes[end] <= max)
			total += bytes[end++];
		m->bucket_end = end;
		if (total)
			r = one_round(m, err);
	}
	return r;
}

static int find_owners(struct rmap *m, struct err *err)
{
	m->owners = forest_owners(m->f, false, err);
	m->most_owners = 1;
	for (uint32_t i = 0; m->owners && i < owners_nr_sets(m->owners); i++)
		m->most_owners = MAX(m->most_owners, owners_count(m->owners, i));
	return m->owners ? 0 : -ENOMEM;
}

static int prepare(struct rmap *m, const struct metadata *md, struct err *err)
{
	const struct runs *reg = m->regions;
	uint64_t span;

	m->begin = reg->run[0].begin;
	m->end = reg->run[reg->nr - 1].end;
	/* what is beyond the data device (damage) goes to the last bucket */
	span = MIN(m->end, MAX(md->nr_data_blocks, m->begin + 1)) - m->begin;
	m->shift = RMAP_SHIFT_MIN;
	while (m->shift < 40 && span > (uint64_t)RMAP_BUCKETS << m->shift)
		m->shift++;
	m->nr_buckets = (uint32_t)MIN((span - 1) >> m->shift, (uint64_t)RMAP_BUCKETS - 1) + 2;
	m->bucket_end = m->nr_buckets;
	if (find_owners(m, err))
		return -ENOMEM;
	m->nr_workers = stream_nr_workers(m->f->s);
	m->store = aligned_alloc(128, m->nr_workers * sizeof(*m->store));
	if (m->store)
		memset(m->store, 0, m->nr_workers * sizeof(*m->store));
	if (!m->store || walk_begin_notes(m->f->walk))
		return -ENOMEM;
	for (unsigned i = 0; i < m->nr_workers; i++)
		if (rmap_store_init(m, &m->store[i]))
			return -ENOMEM;
	return 0;
}

int rmap_tell(struct forest *f, const struct metadata *md, const struct runs *regions,
	      uint64_t max_kept, const struct rmap_sink *sink, struct err *err)
{
	struct rmap m = {
		.f = f, .regions = regions, .sink = sink
	};
	int r;

	m.max_kept = max_kept ? max_kept : RMAP_KEPT;
	if (!regions->nr)
		return 0;
	r = prepare(&m, md, err);
	if (!r)
		r = read_all(&m, err);
	if (!r)
		r = m.nr_kept <= m.max_kept ? only_round(&m, err) : rounds(&m, err);
	for (unsigned i = 0; m.store && i < m.nr_workers; i++)
		rmap_store_fini(&m.store[i]);
	free(m.store);
	owners_free(m.owners);
	return r == -ENOMEM ? err_nomem(err, "reverse map") : r;
}
