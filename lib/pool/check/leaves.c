/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Counting the data blocks that the leaves of mapping trees refer to: nearly all of a check's time. */
#include <errno.h>
#include <stdlib.h>

#include "pool/check/impl.h"
#include "pool/check/leaf_scan.h"
#include "pool/forest/suspects.h"

static inline uint64_t value_at(const struct node *n, uint32_t i)
{
	return node_value64(n, i);
}

#define SHORT_RUN 4 /* up to here block by block, with their cache lines asked for beforehand */

/* The blocks of a leaf, gathered before the counts are touched. */
struct leaf_blocks {
	uint64_t single[252], suspect[252];
	uint32_t nr_singles, nr_suspects, nr_runs;
	bool all_suspect; /* all of single[] is */
	uint64_t nr_outside, first_outside, last_outside, far;
};

/* Takes a run that may reach beyond the device or be unprotected. */
static __attribute__((noinline)) void take_run(struct check *c, struct refmap *counts,
					       struct leaf_blocks *lb, const struct node *n,
					       uint32_t i, uint32_t len, uint32_t snap_time)
{
	uint64_t value = value_at(n, i), b = mapping_block(value), fits = len;
	bool suspect = c->candidate && mapping_time(value) >= snap_time;

	if (unlikely(b + len > c->nr_data)) {
		if (c->data_unknown)
			return;
		fits = b < c->nr_data ? c->nr_data - b : 0;
		if (!lb->nr_outside)
			lb->first_outside = node_key(n, i + (uint32_t)fits);
		lb->last_outside = node_key(n, i + len - 1);
		lb->nr_outside += len - fits;
		lb->far = MAX(lb->far, b + len - 1);
	}
	if (fits >= SHORT_RUN)
		refmap_inc_run(counts, b, fits);
	if (fits >= SHORT_RUN && suspect)
		bits_set_run(c->candidate, b, fits);
	for (uint64_t k = 0; k < fits && fits < SHORT_RUN; k++) {
		lb->single[lb->nr_singles++] = b + k;
		if (suspect)
			lb->suspect[lb->nr_suspects++] = b + k;
	}
}

/*
 * Takes a leaf with no block beyond the device.  @suspect holds for all of its blocks or for none.
 */
static void take_plain(struct check *c, struct refmap *counts, struct leaf_blocks *lb,
		       const struct node *n, const struct leaf_scan *scan, bool suspect)
{
	uint32_t i = 0, nr = 0, end;

	for (; scan->no_run && i < n->nr; i++)
		lb->single[nr++] = mapping_block(value_at(n, i));
	while (i < n->nr) {
		uint64_t b = mapping_block(value_at(n, i));

		end = leaf_scan_end(scan, i);
		if (end - i >= SHORT_RUN) {
			refmap_inc_run(counts, b, end - i);
			lb->nr_runs++;
			if (suspect)
				bits_set_run(c->candidate, b, end - i);
			i = end;
		}
		for (; i < end; i++)
			lb->single[nr++] = b++;
	}
	lb->nr_singles = nr;
	lb->all_suspect = suspect;
}

static void take_singles(struct check *c, struct refmap *counts, const struct leaf_blocks *lb)
{
	const uint64_t *suspect = lb->all_suspect ? lb->single : lb->suspect;
	uint32_t nr = lb->all_suspect ? lb->nr_singles : lb->nr_suspects;

	refmap_inc_list(counts, lb->single, lb->nr_singles);
	if (nr)
		bits_set_list(c->candidate, suspect, nr);
}

static __attribute__((cold)) int leaf_issues(struct check *c, struct map_worker *me, uint32_t block,
					     const struct node *n, const struct leaf_blocks *lb,
					     uint32_t newest)
{
	struct leaf_issue issue = { .block = block, .kind = FOUND_DATA_OUTSIDE };
	int r = 0;

	if (lb->nr_outside) {
		issue.first = lb->first_outside;
		issue.last = lb->last_outside;
		issue.count = lb->nr_outside;
		issue.worst = lb->far;
		r = check_add_issue(me, &issue);
	}
	if (newest > c->out->sb.time && !r) {
		issue.kind = FOUND_MAPPING_TIME;
		issue.first = node_key(n, 0);
		issue.last = node_key(n, n->nr - 1);
		issue.count = 1;
		issue.worst = newest;
		r = check_add_issue(me, &issue);
	}
	return r;
}

/*
 * Workers on one map need an atomic operation for each block, or each word of a run.  So each has a map of
 * its own, as long as that is not much memory, and they are added up afterwards.  But clearing and adding up a
 * large map costs more than it saves where runs are long: there a worker begins on the common map.
 */
#define OWN_MAPS_MAX ((uint64_t)64 << 20) /* bytes, all together */
#define LARGE_MAP    ((uint64_t)4 << 20)
#define PIECES_PART  2048 /* a map of its own after so many runs and blocks: this part of the data blocks */

/* The worker has met many short runs.  The first one keeps the common map when all others have left it. */
static __attribute__((cold, noinline)) int stop_sharing(struct check *c, struct map_worker *me)
{
	me->nr_pieces = (int64_t)(c->nr_data / PIECES_PART);
	if (me == c->map_worker) {
		if (c->nr_sharing > 1)
			return 0;
		refmap_set_shared(c->data, false);
	} else {
		struct refmap *own = refmap_new(c->nr_data, false);

		if (!own)
			return -ENOMEM;
		refmap_make_pages(own);
		me->counts = own;
		c->nr_sharing--;
	}
	me->nr_pieces = INT64_MAX;
	return 0;
}

int check_take_leaf(void *ctx, unsigned worker, mblock_t block, uint32_t attr, const struct node *n)
{
	struct check *c = ctx;
	struct map_worker *me = &c->map_worker[worker];
	struct refmap *counts = me->counts;
	struct leaf_blocks lb;
	struct leaf_scan scan;
	bool suspect;

	c->leaf_count[block] = (uint16_t)n->nr;
	if (!n->nr)
		return 0;
	me->nr_mappings += n->nr;
	leaf_scan(n, c->nr_data, &scan);
	if (c->leaf_time)
		c->leaf_time[block] = scan.newest;
	suspect = c->candidate && scan.newest >= attr;
	lb.nr_singles = lb.nr_suspects = lb.nr_runs = 0;
	lb.all_suspect = false;
	lb.nr_outside = lb.far = 0;
	if (!scan.all_inside || (suspect && !scan.one_time)) {
		for (uint32_t i = 0, end; i < n->nr; i = end) {
			end = scan.one_run ? n->nr : leaf_scan_end(&scan, i);
			take_run(c, counts, &lb, n, i, end - i, attr);
		}
	} else if (scan.one_run) {
		refmap_inc_run(counts, mapping_block(value_at(n, 0)), n->nr);
		if (suspect)
			bits_set_run(c->candidate, mapping_block(value_at(n, 0)), n->nr);
	} else {
		take_plain(c, counts, &lb, n, &scan, suspect);
	}
	take_singles(c, counts, &lb);
	me->nr_pieces -= lb.nr_singles + lb.nr_runs;
	if (unlikely(me->nr_pieces < 0) && stop_sharing(c, me))
		return -ENOMEM;
	if (unlikely(lb.nr_outside || scan.newest > c->out->sb.time))
		return leaf_issues(c, me, (uint32_t)block, n, &lb, scan.newest);
	return 0;
}

/* --- counts of data blocks --- */

__attribute__((cold)) int check_counts_begin(struct check *c)
{
	const unsigned nr = stream_nr_workers(&c->stream);
	const uint64_t bytes = c->nr_data / 4;
	const bool own = nr > 1 && bytes * nr <= OWN_MAPS_MAX, late = own && bytes > LARGE_MAP;
	/* 16 nodes for each page of a map */
	const bool full = c->out->sb.metadata_sm.nr_allocated >= bytes / 256;

	if (!c->data)
		c->data = refmap_new(c->nr_data, true);
	if (!c->data)
		return err_nomem(c->err, "counts of data blocks");
	refmap_set_shared(c->data, nr > 1 && (!own || late));
	c->nr_sharing = nr;
	for (unsigned i = 0; i < nr; i++) {
		struct map_worker *me = &c->map_worker[i];

		me->counts = c->data;
		me->nr_pieces = late ? (int64_t)(c->nr_data / PIECES_PART) : INT64_MAX;
		if (i && own && !late)
			me->counts = refmap_new(c->nr_data, false);
		if (!me->counts)
			return err_nomem(c->err, "counts of data blocks");
		if (full)
			refmap_make_pages(me->counts);
	}
	return 0;
}

static int merge_piece(void *ctx, unsigned worker, size_t begin, size_t end, struct err *err)
{
	struct check *c = ctx;

	(void)worker;
	(void)err;
	for (unsigned i = 0; i < stream_nr_workers(&c->stream); i++)
		if (c->map_worker[i].counts != c->data)
			refmap_merge(c->data, c->map_worker[i].counts, begin * REFMAP_GRAIN,
				     end * REFMAP_GRAIN);
	return 0;
}

__attribute__((cold)) void check_counts_drop(struct check *c)
{
	for (unsigned i = 0; c->map_worker && i < stream_nr_workers(&c->stream); i++) {
		if (c->map_worker[i].counts != c->data)
			refmap_free(c->map_worker[i].counts);
		c->map_worker[i].counts = NULL;
	}
}

__attribute__((cold)) int check_counts_end(struct check *c)
{
	bool failed = refmap_failed(c->data), private = false;
	int r = 0;

	for (unsigned i = 0; i < stream_nr_workers(&c->stream); i++) {
		private |= c->map_worker[i].counts != c->data;
		failed |= refmap_failed(c->map_worker[i].counts);
	}
	if (private)
		r = jobs_for(c->stream.jobs, c->nr_data / REFMAP_GRAIN + 1, 4096, merge_piece, c,
			     c->err);
	check_counts_drop(c);
	return failed ? err_nomem(c->err, "counts of data blocks") : r;
}
