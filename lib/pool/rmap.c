/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first reading of the leaves counts, by bucket of the data device, the runs that lie inside
 * of leaves, and notes the runs at the leaves' edges.  Few runs are kept at once, and nothing is
 * read again.  Otherwise rounds follow, each over as many buckets as fit into memory:
 * the leaves are read again, and as it is known how many runs each bucket has, the
 * workers put them straight into their places.
 */
#include "pool/rmap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "pool/format.h"
#include "pool/rmap_private.h"

#define KEPT_RECORDS ((uint64_t)1 << 20)
#define STRIDE 32u /* runs */
#define HUGE_PAGE ((size_t)2 << 20)

/* The runs of a leaf, whatever their times; returns how many. */
static uint32_t decode(const struct node *n, struct rmap_edge *run)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < n->nr; i++) {
		uint64_t key = node_key(n, i);
		dblock_t d = mapping_block(node_value64(n, i));
		struct rmap_edge *last = nr ? &run[nr - 1] : NULL;

		if (last && last->v + last->len == key && last->d + last->len == d)
			last->len++;
		else
			run[nr++] = (struct rmap_edge){ key, d, 1 };
	}
	return nr;
}

static int keep(struct rmap *m, struct rmap_worker *w, const struct rmap_record *rec)
{
	if (w->nr == w->cap) {
		size_t cap = w->cap ? 2 * w->cap : 256;
		struct rmap_record *p;

		/* The bound is for all workers together; over it nobody keeps any more. */
		if (atomic_fetch_add(&m->nr_kept, cap - w->cap) + (cap - w->cap) > m->max_kept)
			return 0;
		p = realloc(w->record, cap * sizeof(*p));
		if (!p)
			return -ENOMEM;
		w->record = p;
		w->cap = cap;
	}
	w->record[w->nr++] = *rec;
	return 0;
}

static int count_record(struct rmap *m, void *ctx, const struct rmap_record *rec)
{
	struct rmap_worker *w = ctx;

	w->hist[rmap_bucket(m, rec->d)]++;
	if (atomic_load_explicit(&m->nr_kept, memory_order_relaxed) > m->max_kept)
		return 0;
	return keep(m, w, rec);
}

/* Gives the runs [begin, end) of a leaf to @fn. */
static inline int some_runs(struct rmap *m, mblock_t block, const struct rmap_edge *run,
			    uint32_t begin, uint32_t end, rmap_record_fn *fn, void *ctx)
{
	uint32_t set = owners_of(m->owners, block);
	int r = 0;

	for (uint32_t i = begin; !r && i < end; i++) {
		struct rmap_record rec = { run[i].d, run[i].v, run[i].len, set };

		if (rec.d >= m->end || rec.d + rec.len <= m->begin)
			continue;
		if (m->regions->nr == 1 && rec.d >= m->regions->run[0].begin &&
		    rec.d + rec.len <= m->regions->run[0].end)
			r = fn(m, ctx, &rec);
		else
			r = rmap_clip(m, &rec, fn, ctx);
	}
	return r;
}

static int first_reading(void *ctx, unsigned worker, mblock_t block, const struct node *n)
{
	struct rmap *m = ctx;
	struct rmap_edge run[INTERNAL_MAX];
	struct rmap_edges *e = &m->edges[block];
	uint32_t nr = decode(n, run);

	if (!nr)
		return 0;
	e->single = nr == 1;
	if (rmap_wanted(m, run[0].d, run[0].len))
		e->first = run[0];
	if (rmap_wanted(m, run[nr - 1].d, run[nr - 1].len))
		e->last = run[nr - 1];
	return some_runs(m, block, run, 1, nr - 1, count_record, &m->worker[worker]);
}

static int place_record(struct rmap *m, void *ctx, const struct rmap_record *rec)
{
	uint32_t b = rmap_bucket(m, rec->d);

	(void)ctx;
	if (b >= m->bucket_begin && b < m->bucket_end)
		m->record[atomic_fetch_add_explicit(&m->fill[b - m->bucket_begin], 1,
						    memory_order_relaxed)] = *rec;
	return 0;
}

/* Records of a fragmented leaf go anywhere: asks for the place early. */
static void prefetch_place(const struct rmap *m, dblock_t d)
{
	uint32_t b;

	if (d < m->begin)
		return;
	b = rmap_bucket(m, d);
	if (b >= m->bucket_begin && b < m->bucket_end)
		__builtin_prefetch(&m->record[atomic_load_explicit(&m->fill[b - m->bucket_begin],
								   memory_order_relaxed)],
				   1);
}

static int next_reading(void *ctx, unsigned worker, mblock_t block, const struct node *n)
{
	struct rmap *m = ctx;
	struct rmap_edge run[INTERNAL_MAX];
	uint32_t nr = decode(n, run);
	int r = 0;

	(void)worker;
	/* in strides, so that the places of one are on their way while the one before is filled */
	for (uint32_t i = 0; i < MIN(nr, STRIDE); i++)
		prefetch_place(m, run[i].d);
	for (uint32_t at = 0; !r && at < nr; at += STRIDE) {
		uint32_t end = MIN(nr, at + STRIDE);

		for (uint32_t i = end; i < MIN(nr, end + STRIDE); i++)
			prefetch_place(m, run[i].d);
		r = some_runs(m, block, run, MAX(at, 1), MIN(end, nr - 1), place_record, NULL);
	}
	return r;
}

static int count_chain(struct rmap *m, void *ctx, const struct rmap_record *rec)
{
	(void)ctx;
	m->nr_in[rmap_bucket(m, rec->d)]++;
	return 0;
}

/* Reads all leaves once; afterwards nr_in[] is complete. */
static int count_all(struct rmap *m, struct err *err)
{
	CLEANUP(free_ptr) mblock_t *leaf = NULL;
	size_t nr;
	int r = forest_read_leaves(m->f, first_reading, m, err);

	if (!r)
		r = forest_tell_damage(m->f, err);
	if (!r)
		r = walk_leaves(m->f->walk, &leaf, &nr, err);
	if (r)
		return r;
	for (unsigned w = 0; w < m->nr_workers; w++) {
		for (uint32_t b = 0; b < RMAP_BUCKETS; b++)
			m->nr_in[b] += m->worker[w].hist[b];
		free(m->worker[w].hist);
		m->worker[w].hist = NULL;
	}
	rmap_mark_edges(m, leaf, nr);
	return rmap_chains(m, count_chain, NULL);
}

static int fill_round(struct rmap *m, struct err *err)
{
	int r = 0;

	if (m->nr_kept > m->max_kept) {
		r = forest_read_leaves(m->f, next_reading, m, err);
	} else {
		for (unsigned w = 0; w < m->nr_workers; w++)
			for (size_t i = 0; i < m->worker[w].nr; i++)
				place_record(m, NULL, &m->worker[w].record[i]);
	}
	return r ? r : rmap_chains(m, place_record, NULL);
}

/* Sets up the places of buckets [m->bucket_begin, m->bucket_end). */
static int begin_round(struct rmap *m, uint64_t total, struct err *err)
{
	uint32_t nr = m->bucket_end - m->bucket_begin;

	/* kept from round to round: fresh memory would be cleared by the kernel each time */
	if (total > m->cap_records) {
		free(m->record);
		m->cap_records = total;
		m->record = malloc(total * sizeof(*m->record));
		if (m->record && total * sizeof(*m->record) > 4 * HUGE_PAGE) /* written in no order */
			(void)madvise((void *)round_up((uintptr_t)m->record, HUGE_PAGE),
				      total * sizeof(*m->record) - HUGE_PAGE, MADV_HUGEPAGE);
	}
	m->fill = calloc(nr + 1, sizeof(*m->fill));
	m->start = calloc(nr + 1, sizeof(*m->start));
	if (!m->record || !m->fill || !m->start)
		return err_nomem(err, "lines");
	for (uint32_t i = 0; i < nr; i++) {
		m->start[i + 1] = m->start[i] + m->nr_in[m->bucket_begin + i];
		m->fill[i] = m->start[i];
	}
	return 0;
}

static void end_round(struct rmap *m)
{
	free(m->fill);
	free(m->start);
	m->fill = NULL;
	m->start = NULL;
}

static int rounds(struct rmap *m, uint64_t max_records, struct err *err)
{
	int r = 0;

	while (!r && m->bucket_end < RMAP_BUCKETS) {
		uint64_t total;

		m->bucket_begin = m->bucket_end;
		total = m->nr_in[m->bucket_end++];
		while (m->bucket_end < RMAP_BUCKETS &&
		       total + m->nr_in[m->bucket_end] <= max_records)
			total += m->nr_in[m->bucket_end++];
		if (!total)
			continue;
		r = begin_round(m, total, err);
		if (!r)
			r = fill_round(m, err);
		if (!r)
			r = rmap_out(m, err);
		end_round(m);
	}
	return r;
}

static int prepare(struct rmap *m, const struct metadata *md, struct err *err)
{
	const struct runs *reg = m->regions;

	m->begin = reg->run[0].begin;
	m->end = reg->run[reg->nr - 1].end;
	/* what is beyond the data device (damage) goes to the last bucket */
	while (m->shift < 40 && MIN(m->end, MAX(md->nr_data_blocks, m->begin + 1)) - m->begin >
					(uint64_t)RMAP_BUCKETS << m->shift)
		m->shift++;
	m->owners = owners_new(m->f, md->nr_blocks, err);
	if (!m->owners)
		return -ENOMEM;
	m->edges = calloc(md->nr_blocks, sizeof(*m->edges));
	m->nr_in = calloc(RMAP_BUCKETS, sizeof(*m->nr_in));
	m->nr_workers = stream_nr_workers(m->f->s);
	m->worker = aligned_alloc(128, m->nr_workers * sizeof(*m->worker));
	if (!m->edges || !m->nr_in || !m->worker)
		return err_nomem(err, "reverse map");
	memset(m->worker, 0, m->nr_workers * sizeof(*m->worker));
	for (unsigned i = 0; i < m->nr_workers; i++) {
		m->worker[i].hist = calloc(RMAP_BUCKETS, sizeof(*m->worker[i].hist));
		if (!m->worker[i].hist)
			return err_nomem(err, "reverse map");
	}
	return 0;
}

int rmap_tell(struct forest *f, const struct metadata *md, const struct runs *regions,
	      uint64_t max_records, const struct rmap_sink *sink, struct err *err)
{
	struct rmap m = { .f = f, .regions = regions, .sink = sink };
	int r = 0;

	max_records = max_records ? max_records : RMAP_RECORDS;
	m.max_kept = MIN(max_records, KEPT_RECORDS);
	if (!regions->nr)
		return 0;
	r = prepare(&m, md, err);
	if (!r)
		r = count_all(&m, err);
	if (!r)
		r = rounds(&m, max_records, err);
	for (unsigned i = 0; m.worker && i < m.nr_workers; i++) {
		free(m.worker[i].hist);
		free(m.worker[i].record);
	}
	free(m.worker);
	free(m.record);
	free(m.edges);
	free(m.nr_in);
	owners_free(m.owners);
	return r == -ENOMEM ? err_nomem(err, "reverse map") : r;
}
