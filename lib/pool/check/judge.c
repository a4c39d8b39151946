/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Makes findings of the differences between three counts of each block: that in the bitmap, that in
 * the tree of large counts, and the references found.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/search.h"
#include "pool/check/map_check.h"

/* --- judging the differences --- */

static int by_begin(const void *a, const void *b)
{
	const struct diff *x = a, *y = b;

	return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static int by_block(const void *a, const void *b)
{
	const struct large *x = a, *y = b;

	return x->block < y->block ? -1 : x->block > y->block;
}

/* All workers' differences and large counts in one place, sorted. */
struct joined {
	struct diff *diff;
	size_t nr_diffs;
	struct large *large;
	size_t nr_large;
	struct finding run; /* being gathered; count 0: none */
	bool leaked;
};

static int join_large(struct map_check *m, struct joined *j)
{
	size_t nr = 0;

	free(j->large);
	for (unsigned i = 0; i < m->nr_parts; i++)
		nr += m->part[i].nr_large;
	j->large = malloc((nr + 1) * sizeof(*j->large));
	if (!j->large)
		return err_nomem(m->c->err, "space map");
	j->nr_large = 0;
	for (unsigned i = 0; i < m->nr_parts; i++)
		for (size_t k = 0; k < m->part[i].nr_large; k++)
			j->large[j->nr_large++] = m->part[i].large[k];
	if (nr)
		qsort(j->large, nr, sizeof(*j->large), by_block);
	return 0;
}

static int join(struct map_check *m, struct joined *j)
{
	size_t nr = 0;

	for (unsigned i = 0; i < m->nr_parts; i++)
		nr += m->part[i].nr_diffs;
	j->diff = malloc((nr + 1) * sizeof(*j->diff));
	if (!j->diff)
		return err_nomem(m->c->err, "space map");
	for (unsigned i = 0; i < m->nr_parts; i++)
		for (size_t k = 0; k < m->part[i].nr_diffs; k++)
			j->diff[j->nr_diffs++] = m->part[i].diff[k];
	if (nr)
		qsort(j->diff, nr, sizeof(*j->diff), by_begin);
	return join_large(m, j);
}

static const struct large *large_of(const struct joined *j, uint64_t b)
{
	struct large key = { .block = b };

	return j->nr_large ? bsearch(&key, j->large, j->nr_large, sizeof(key), by_block) : NULL;
}

/* The difference that covers @b, or NULL. */
static const struct diff *diff_of(const struct joined *j, uint64_t b)
{
	size_t at = search_first(i, j->nr_diffs, j->diff[i].begin + j->diff[i].len > b);

	return at < j->nr_diffs && j->diff[at].begin <= b ? &j->diff[at] : NULL;
}

static void flush_run(struct map_check *m, struct joined *j)
{
	if (j->run.count)
		check_found(m->c, &j->run);
	j->run.count = 0;
}

/* Blocks with a wrong count; neighbours that are wrong in the same way become one finding. */
static void found_count(struct map_check *m, struct joined *j, enum finding_kind kind,
			uint64_t begin, uint64_t len, uint64_t stored, uint64_t expected)
{
	struct finding *f = &j->run;

	/* blocks that a lost part of a tree refers to look the same */
	if (m->c->lost && (kind == FOUND_LEAK || kind == FOUND_COUNT_HIGH))
		return;
	j->leaked |= kind == FOUND_LEAK;
	if (f->count && f->kind == kind && f->last + 1 == begin && f->stored == stored &&
	    f->expected == expected) {
		f->last += len;
		f->count += len;
		return;
	}
	flush_run(m, j);
	*f = check_map_finding(m, kind);
	f->has_range = f->has_values = true;
	f->begin = begin;
	f->last = begin + len - 1;
	f->count = len;
	f->stored = stored;
	f->expected = expected;
}

static bool is_one_more(uint64_t stored, uint64_t expected)
{
	return expected && stored == expected + 1;
}

static void judge_count(struct map_check *m, struct joined *j, uint64_t begin, uint64_t len,
			uint64_t stored, uint64_t expected)
{
	if (stored < expected)
		found_count(m, j, FOUND_COUNT_LOW, begin, len, stored, expected);
	else if (!expected && stored)
		found_count(m, j, FOUND_LEAK, begin, len, stored, expected);
	else if (is_one_more(stored, expected) && m->unshared)
		for (uint64_t b = begin; b < begin + len; b++)
			found_count(m, j, bits_get(m->unshared, b) ? FOUND_COUNT_HIGH : FOUND_LEAK, b, 1, stored, expected);
	else if (stored > expected)
		found_count(m, j, FOUND_COUNT_HIGH, begin, len, stored, expected);
}

/* Has a data block, which snapshots may have shared, one count more than mappings? */
static bool any_one_more(const struct map_check *m, const struct joined *j)
{
	if (m->area != AREA_DATA_MAP || !m->c->out->sb.time)
		return false;
	return any_of(i, j->nr_diffs, is_one_more(j->diff[i].pair, j->diff[i].expected)) ||
	       any_of(i, j->nr_large, j->large[i].block < m->nr_blocks &&
					      is_one_more(j->large[i].count, refmap_get(m->counts, j->large[i].block)));
}

static void judge_diffs(struct map_check *m, struct joined *j, bool tree_sound)
{
	for (size_t i = 0; i < j->nr_diffs; i++) {
		const struct diff *d = &j->diff[i];
		const struct large *l;

		if (d->pair != 3) {
			judge_count(m, j, d->begin, d->len, d->pair, d->expected);
			continue;
		}
		l = large_of(j, d->begin);
		if (l)
			judge_count(m, j, d->begin, 1, l->count, d->expected);
		else if (tree_sound)
			found_count(m, j, FOUND_OVERFLOW_MISSING, d->begin, 1, 3, d->expected);
	}
	flush_run(m, j);
}

/* Could the bitmap of @b be read?  Beyond the map's end no bits are set. */
static bool bitmap_read(const struct map_check *m, uint64_t b)
{
	return b >= m->nr_blocks || m->out->index.entry[b / ENTRIES_PER_BITMAP].present;
}

static void judge_large(struct map_check *m, struct joined *j)
{
	for (size_t i = 0; i < j->nr_large; i++) {
		const struct large *l = &j->large[i];
		const struct diff *d = diff_of(j, l->block);
		uint32_t expected = l->block < m->nr_blocks ? refmap_get(m->counts, l->block) : 0;
		uint32_t pair = d ? d->pair : MIN(expected, 3u);

		if (!bitmap_read(m, l->block))
			continue;
		if (pair != 3)
			found_count(m, j, FOUND_OVERFLOW_STALE, l->block, 1, l->count, expected);
		else if (!d)
			judge_count(m, j, l->block, 1, l->count, expected);
	}
	flush_run(m, j);
}

/* Pairs of 11 that are right but have no entry: there are fewer entries than such pairs. */
static int judge_missing(struct map_check *m, struct joined *j)
{
	uint64_t pairs = 0, entries = 0, b;
	bool low = false;
	int r;

	for (unsigned i = 0; i < m->nr_parts; i++) {
		pairs += m->part[i].nr_11;
		entries += m->part[i].nr_good_large;
	}
	for (size_t i = 0; i < j->nr_diffs; i++)
		low |= j->diff[i].expected >= 3;
	for (size_t i = 0; i < j->nr_large; i++)
		entries += j->large[i].block < m->nr_blocks && !diff_of(j, j->large[i].block) &&
			   refmap_get(m->counts, j->large[i].block) >= 3;
	if (entries >= pairs && !low)
		return 0;
	r = check_reread_large(m);
	if (!r)
		r = join_large(m, j);
	for (b = 0; !r && (b = refmap_find_pair_11(m->counts, b)) < m->nr_blocks; b++)
		if (!large_of(j, b) && !diff_of(j, b))
			found_count(m, j, FOUND_OVERFLOW_MISSING, b, 1, 3,
				    refmap_get(m->counts, b));
	flush_run(m, j);
	return r;
}

/* --- totals --- */

static void merge_hints(struct hints *all, const struct hints *h)
{
	if (h->nr && (!all->nr || h->first < all->first)) {
		uint64_t nr = all->nr;

		*all = *h;
		all->nr = nr;
	}
	all->nr += h->nr;
}

static void found_hints(struct map_check *m, enum finding_kind kind, const struct hints *h)
{
	struct finding f = check_map_finding(m, kind);

	if (!h->nr)
		return;
	f.has_range = f.has_values = true;
	f.begin = f.last = h->first;
	f.count = h->nr;
	f.stored = h->stored;
	f.expected = h->expected;
	check_found(m->c, &f);
}

static void judge_totals(struct map_check *m)
{
	struct finding f = check_map_finding(m, FOUND_BITS_PAST_END);
	struct hints nr_free = { 0 }, none_free = { 0 };
	uint64_t past = 0;

	if (m->nr_blocks != m->root->nr_blocks) /* only a part of the map can be judged */
		return;
	for (unsigned i = 0; i < m->nr_parts; i++) {
		m->out->nr_used += m->part[i].nr_used;
		past += m->part[i].nr_past_end;
		merge_hints(&nr_free, &m->part[i].nr_free);
		merge_hints(&none_free, &m->part[i].none_free);
	}
	f.count = past;
	if (past)
		check_found(m->c, &f);
	f = check_map_finding(m, FOUND_INDEX_EXTRA);
	f.count = m->nr_extra;
	if (f.count)
		check_found(m->c, &f);
	found_hints(m, FOUND_NR_FREE, &nr_free);
	found_hints(m, FOUND_NONE_FREE_BEFORE, &none_free);
	f = check_map_finding(m, FOUND_NR_ALLOCATED);
	f.has_values = true;
	f.stored = m->root->nr_allocated;
	f.expected = m->out->nr_used;
	if (!m->bad_bitmap && f.stored != f.expected)
		check_found(m->c, &f);
	m->out->wants_fix |= past || nr_free.nr || none_free.nr || f.stored != f.expected;
}

int check_map_judge(struct map_check *m, bool tree_sound)
{
	struct joined j = { 0 };
	int r = join(m, &j);

	if (!r && any_one_more(m, &j))
		r = check_find_unshared(m);
	if (!r) {
		judge_diffs(m, &j, tree_sound);
		judge_large(m, &j);
		if (tree_sound)
			r = judge_missing(m, &j);
		m->out->wants_fix |= j.leaked;
		judge_totals(m);
	}
	free(j.diff);
	free(j.large);
	return r;
}
