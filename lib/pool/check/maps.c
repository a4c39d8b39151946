/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Space maps: what the bitmaps and the trees of large counts say, against the references
 * that were found.
 *
 * A sound map needs no memory beyond the references themselves: bitmaps are compared by words
 * as they are read, entries of the tree one by one, and that no entry is missing follows from
 * their number.  Only differences are kept, and joined afterwards.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "pdata/block/csum.h"
#include "pool/check/map_check.h"

#define LOW	     0x5555555555555555ull /* in a pair: weight 2 */
#define BITMAP_WORDS (ENTRIES_PER_BITMAP / 32)

static int map_begin(struct check *c, struct map_check *m, enum pool_area area)
{
	bool data = area == AREA_DATA_MAP;

	*m = (struct map_check) { .c = c, .area = area };
	m->overflow = data ? AREA_DATA_OVERFLOW : AREA_METADATA_OVERFLOW;
	m->root = data ? &c->out->sb.data_sm : &c->out->sb.metadata_sm;
	m->out = data ? &c->out->data : &c->out->metadata;
	m->counts = data ? c->data : c->meta;
	m->nr_blocks = data ? c->nr_data : c->nr_blocks;
	m->nr_parts = stream_nr_workers(&c->stream);
	m->part = aligned_alloc(64, m->nr_parts * sizeof(*m->part));
	if (!m->part)
		return err_nomem(c->err, "space map");
	memset(m->part, 0, m->nr_parts * sizeof(*m->part));
	return 0;
}

static void map_end(struct map_check *m)
{
	for (unsigned i = 0; m->part && i < m->nr_parts; i++) {
		free(m->part[i].diff);
		free(m->part[i].large);
	}
	free(m->part);
	free(m->unshared);
}

/* --- comparing a bitmap --- */

static int add_diff(struct map_part *p, uint64_t b, uint32_t pair, uint32_t expected)
{
	struct diff *d = p->nr_diffs ? &p->diff[p->nr_diffs - 1] : NULL;

	if (d && d->begin + d->len == b && d->pair == pair && d->expected == expected &&
	    pair != 3) {
		d->len++;
		return 0;
	}
	d = vec_add(p->diff, p->nr_diffs, p->cap_diffs);
	if (!d)
		return -ENOMEM;
	*d = (struct diff) { b, 1, pair, expected };
	return 0;
}

/* @stored: a word of the bitmap for blocks [b, b + 32), differing from the references */
static int diff_word(struct map_check *m, struct map_part *p, uint64_t b, uint64_t stored,
		     uint64_t differ)
{
	static const uint32_t count_of[4] = { 0, 2, 1, 3 };
	uint64_t lanes = (differ | differ >> 1) & LOW;

	for (; lanes; lanes &= lanes - 1) {
		unsigned k = (unsigned)__builtin_ctzll(lanes) / 2;

		if (b + k >= m->nr_blocks)
			p->nr_past_end += (stored >> 2 * k & 3) != 0;
		else if (add_diff(p, b + k, count_of[stored >> 2 * k & 3],
				  refmap_get(m->counts, b + k)))
			return -ENOMEM;
	}
	return 0;
}

static void note_hint(struct hints *h, uint64_t index, uint64_t stored, uint64_t expected)
{
	if (!h->nr || index < h->first) {
		h->first = index;
		h->stored = stored;
		h->expected = expected;
	}
	h->nr++;
}

/*
 * The index entry's hints for the allocator.  Both conventions for the last bitmap are
 * right: counting the places beyond the end as free, or not.
 */
static void check_hints(struct map_check *m, struct map_part *p, uint64_t index, uint32_t used,
			uint32_t first_free)
{
	const struct sm_entry *e = &m->out->index.entry[index];
	uint64_t begin = index * ENTRIES_PER_BITMAP;
	uint32_t here = (uint32_t)MIN(m->nr_blocks - begin, (uint64_t)ENTRIES_PER_BITMAP);

	if (e->nr_free != ENTRIES_PER_BITMAP - used && e->nr_free != here - used)
		note_hint(&p->nr_free, index, e->nr_free, ENTRIES_PER_BITMAP - used);
	if (first_free < here && e->none_free_before > first_free)
		note_hint(&p->none_free, index, e->none_free_before, first_free);
}

static int compare_bitmap(struct map_check *m, struct map_part *p, uint64_t index,
			  const uint8_t *bits)
{
	uint64_t begin = index * ENTRIES_PER_BITMAP, stored, found, any;
	uint32_t used = 0, first_free = ENTRIES_PER_BITMAP;
	le64 v;

	for (unsigned i = 0; i < BITMAP_WORDS; i++) {
		memcpy(&v, bits + (size_t)i * 8, 8);
		stored = le64_get(v);
		found = refmap_word(m->counts, index * BITMAP_WORDS + i);
		if (stored != found && diff_word(m, p, begin + i * 32, stored, stored ^ found))
			return -ENOMEM;
		if (!stored) {
			first_free = MIN(first_free, i * 32);
			continue;
		}
		any = (stored | stored >> 1) & LOW;
		if (any != LOW)
			first_free =
				MIN(first_free, i * 32 + (unsigned)__builtin_ctzll(~any & LOW) / 2);
		if (begin + i * 32 + 32 > m->nr_blocks)
			any &= begin + i * 32 >= m->nr_blocks
				       ? 0
				       : (1ull << 2 * (m->nr_blocks - begin - i * 32)) - 1;
		used += any == LOW ? 32 : (unsigned)__builtin_popcountll(any);
		any &= stored & stored >> 1 & found & found >> 1;
		p->nr_11 += any ? (unsigned)__builtin_popcountll(any) : 0;
	}
	p->nr_used += used;
	check_hints(m, p, index, used, first_free);
	return 0;
}

static void bad_bitmap(struct map_check *m, uint64_t index, int status)
{
	struct finding f =
		check_map_finding(m, status == -EEXIST ? FOUND_BITMAP_IN_USE : FOUND_BITMAP);
	uint64_t begin = index * ENTRIES_PER_BITMAP;

	f.block = m->out->index.entry[index].block;
	f.has_range = f.has_values = true;
	f.begin = begin;
	f.last = MIN(begin + ENTRIES_PER_BITMAP, MAX(m->nr_blocks, begin + 1)) - 1;
	f.stored = index;
	f.error = status;
	m->bad_bitmap = true;
	check_found(m->c, &f);
}

/* Bad bitmaps are noted by the workers and reported in order afterwards. */
struct bitmap_status {
	struct map_check *m;
	int *status; /* of each bitmap */
	int (*good)(struct map_check *m, struct map_part *p, uint64_t index, const uint8_t *bits);
};

static int take_bitmap(void *ctx, unsigned worker, uint64_t index, const struct disk_bitmap *bm,
		       int status)
{
	struct bitmap_status *s = ctx;

	if (s->status[index])
		return 0;
	if (status < 0) {
		s->status[index] = status;
		return 0;
	}
	return s->good(s->m, &s->m->part[worker], index, bm->bits);
}

/*
 * Claims all bitmaps of the index, reads them and gives the good ones to @good; reports
 * the rest, and what the index lacks.  Only those that were read remain "present".
 */
static int read_bitmaps(struct map_check *m, int (*good)(struct map_check *, struct map_part *,
							 uint64_t, const uint8_t *))
{
	struct sm_index *x = &m->out->index;
	CLEANUP(free_ptr) int *status = calloc(x->nr + 1, sizeof(*status));
	struct bitmap_status s = { m, status, good };
	struct finding f = check_map_finding(m, FOUND_INDEX_MISSING);
	int r;

	if (!status)
		return err_nomem(m->c->err, "space map");
	f.has_range = true;
	for (uint64_t i = 0; i < x->nr; i++) {
		if (x->entry[i].present && !check_claim(m->c, x->entry[i].block, CLAIM_BITMAP))
			status[i] = x->entry[i].block < m->c->nr_blocks ? -EEXIST : -ENXIO;
		if (x->entry[i].present)
			continue;
		m->bad_bitmap = true;
		f.begin = f.count ? f.begin : i;
		f.last = i;
		f.count++;
		if (i + 1 == x->nr || x->entry[i + 1].present) {
			check_found(m->c, &f);
			f.count = 0;
		}
	}
	r = sm_read_bitmaps(&m->c->stream, x, take_bitmap, &s, m->c->err);
	for (uint64_t i = 0; i < x->nr; i++) {
		if (!status[i])
			continue;
		bad_bitmap(m, i, status[i]);
		x->entry[i].present = false; /* from here on treated as missing */
	}
	m->out->all_read = !m->bad_bitmap;
	return r;
}

/* --- the data map --- */

static int take_index_leaf(void *ctx, unsigned worker, mblock_t block, uint32_t attr,
			   const struct node *n)
{
	struct map_check *m = ctx;
	uint32_t beyond = sm_index_take(&m->out->index, n);

	(void)worker;
	(void)block;
	(void)attr;
	m->nr_extra += beyond;
	return 0;
}

/* The index tree: entries of different leaves are different places of the array. */
static int read_index_tree(struct map_check *m)
{
	struct walk_root r = { .block = m->root->bitmap_root };
	struct walk *w = check_walk(m->c, AREA_DATA_INDEX, sizeof(struct disk_index_entry),
				    take_index_leaf, m);
	int ret;

	if (!w)
		return -ENOMEM;
	ret = walk_add(w, &r, 1, m->c->err);
	if (!ret)
		check_walk_findings(m->c, w, AREA_DATA_INDEX, false);
	walk_free(w);
	return ret;
}

int check_data_map(struct check *c)
{
	struct map_check m;
	bool sound = true, was_lost = c->lost;
	int r = map_begin(c, &m, AREA_DATA_MAP);

	if (c->data_unknown) {
		c->lost = true;
		map_end(&m);
		return r;
	}
	if (!r)
		r = sm_index_init(&m.out->index, m.nr_blocks, c->err);
	if (!r)
		r = read_index_tree(&m);
	if (!r)
		r = read_bitmaps(&m, compare_bitmap);
	if (!r)
		r = check_walk_large(&m, &sound);
	if (!r) {
		/* damage of the map itself hides metadata blocks, but no data blocks */
		bool lost = c->lost || m.bad_bitmap;

		c->lost = was_lost;
		r = check_map_judge(&m, sound);
		c->lost = lost;
	}
	map_end(&m);
	if (!r) {
		c->out->data.counts = c->data;
		c->data = NULL;
	}
	return r;
}

/* --- the metadata map --- */

static int keep_bitmap(struct map_check *m, struct map_part *p, uint64_t index, const uint8_t *bits)
{
	uint64_t begin = index * ENTRIES_PER_BITMAP;

	refmap_from_bitmap(m->c->stored, index, bits);
	m->c->bitmap_known[index] = true;
	/* bits set beyond the end are counted here: the map in memory does not hold them */
	for (uint64_t i = m->root->nr_blocks - begin; i < ENTRIES_PER_BITMAP; i++)
		p->nr_past_end += bitmap_count(bits, (uint32_t)i) != 0;
	return 0;
}

static int read_index_block(struct map_check *m)
{
	CLEANUP(free_ptr) void *buf = io_alloc(MBLOCK_SIZE);
	struct finding f = check_map_finding(m, FOUND_INDEX_BLOCK);
	mblock_t at = m->root->bitmap_root;
	struct err err;

	if (!buf)
		return err_nomem(m->c->err, "index block");
	f.block = at;
	if (at >= m->c->nr_blocks)
		f.error = -ENXIO;
	else if (!check_claim(m->c, at, CLAIM_INDEX))
		f.error = -EEXIST;
	else
		f.error = io_read(m->c->io, buf, MBLOCK_SIZE, at * MBLOCK_SIZE, &err);
	if (!f.error)
		f.error = sm_index_decode(&m->out->index, buf, at);
	if (!f.error)
		return 0;
	m->bad_bitmap = true;
	m->c->lost = true;
	check_found(m->c, &f);
	return -ENODATA;
}

int check_metadata_bitmaps(struct check *c)
{
	struct map_check m;
	int r = map_begin(c, &m, AREA_METADATA_MAP);

	if (!r)
		r = sm_index_init(&m.out->index, m.nr_blocks, c->err);
	if (r)
		goto out;
	r = read_index_block(&m);
	if (r) {
		r = r == -ENODATA ? 0 : r;
		goto out;
	}
	c->stored = refmap_new(c->nr_blocks, false);
	c->bitmap_known = calloc(MAX_METADATA_BITMAPS + 1, sizeof(*c->bitmap_known));
	if (!c->stored || !c->bitmap_known) {
		r = err_nomem(c->err, "metadata space map");
		goto out;
	}
	r = read_bitmaps(&m, keep_bitmap);
	for (unsigned i = 0; i < m.nr_parts; i++)
		c->nr_past_end += m.part[i].nr_past_end;
out:
	map_end(&m);
	return r;
}

int check_metadata_map(struct check *c)
{
	CLEANUP(free_ptr) uint8_t *bits = malloc(MBLOCK_SIZE);
	bool sound = true;
	struct map_check m;
	int r = map_begin(c, &m, AREA_METADATA_MAP);

	if (!bits)
		r = err_nomem(c->err, "metadata space map");
	if (!r)
		r = check_walk_large(&m, &sound);
	for (uint64_t i = 0; !r && c->stored && i < m.out->index.nr; i++) {
		uint32_t used, first_free;

		if (!c->bitmap_known[i])
			continue;
		refmap_to_bitmap(c->stored, i, bits, &used, &first_free);
		if (compare_bitmap(&m, &m.part[0], i, bits))
			r = err_nomem(c->err, "metadata space map");
	}
	m.bad_bitmap = !m.out->all_read;
	if (!r && c->stored) {
		m.part[0].nr_past_end += c->nr_past_end;
		r = check_map_judge(&m, sound);
	}
	map_end(&m);
	if (!r) {
		m.out->counts = c->meta;
		c->meta = NULL;
	}
	return r;
}
