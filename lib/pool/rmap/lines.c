/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Lines come by data block, end, device and virtual block.  All lines that begin at a data block are
 * made and sorted together where they are few.  There may be billions of them, as any number of
 * entries may map a block in any number of devices: then they are made for some devices at a time.
 */
#include "pool/rmap/lines.h"

#include <errno.h>
#include <stdlib.h>

#include "base/search.h"
#include "base/vec.h"

#define COUNTED_SPAN 8192 /* a bucket of at most so many data blocks is sorted by counting */
#define RENDER_LINES 1024
#define WINDOW_LINES 65536	/* so many lines are made at a time */
#define TEXT_LEN     (1u << 20) /* so much text is written at a time */

int rmap_lines_init(struct rmap_lines *l)
{
	outbuf_init(&l->text);
	l->count = calloc(COUNTED_SPAN, sizeof(*l->count));
	return l->count ? 0 : -ENOMEM;
}

void rmap_lines_fini(struct rmap_lines *l)
{
	outbuf_fini(&l->text);
	owners_list_fini(&l->owners);
	free(l->found.rec);
	free(l->sorted.rec);
	free(l->count);
	free(l->line);
}

static int by_block(const void *va, const void *vb)
{
	const struct rmap_record *a = va, *b = vb;

	return a->d < b->d ? -1 : a->d > b->d;
}

/* The bucket's records by data block, in l->sorted. */
static int sort_bucket(const struct rmap *m, struct rmap_lines *l, uint32_t b)
{
	const dblock_t base = rmap_bucket_begin(m, b);
	const size_t span = (size_t)1 << m->shift;
	const struct rmap_record *rec;
	struct rmap_records swap;
	uint32_t at = 0;

	if (rmap_bucket_get(m, b, &l->found))
		return -ENOMEM;
	l->sorted.nr = 0;
	if (!l->found.nr)
		return 0;
	rec = l->found.rec;
	if (span > COUNTED_SPAN || b == m->nr_buckets - 1 || l->found.nr < 16) {
		qsort(l->found.rec, l->found.nr, sizeof(*rec), by_block);
		swap = l->sorted;
		l->sorted = l->found;
		l->found = swap;
		return 0;
	}
	if (rmap_records_reserve(&l->sorted, l->found.nr))
		return -ENOMEM;
	memset(l->count, 0, span * sizeof(*l->count));
	for (size_t i = 0; i < l->found.nr; i++)
		l->count[rec[i].d - base]++;
	for (size_t i = 0; i < span; i++) {
		uint32_t n = l->count[i];

		l->count[i] = at;
		at += n;
	}
	for (size_t i = 0; i < l->found.nr; i++)
		l->sorted.rec[l->count[rec[i].d - base]++] = rec[i];
	l->sorted.nr = l->found.nr;
	return 0;
}

int rmap_lines_count(const struct rmap *m, struct rmap_lines *l, uint32_t bucket, uint64_t *nr,
		     struct err *err)
{
	*nr = 0;
	if (rmap_bucket_get(m, bucket, &l->found))
		return err_nomem(err, "lines");
	for (size_t i = 0; i < l->found.nr; i++)
		*nr += owners_count(m->owners, l->found.rec[i].set);
	return 0;
}

/* --- text --- */

static int by_line(const void *va, const void *vb)
{
	const struct rmap_line *a = va, *b = vb;

	if (a->end != b->end)
		return a->end < b->end ? -1 : 1;
	if (a->dev_id != b->dev_id)
		return a->dev_id < b->dev_id ? -1 : 1;
	return a->vbegin < b->vbegin ? -1 : a->vbegin > b->vbegin;
}

/* The lines of one record come sorted, and those of several often do. */
static void sort_lines(struct rmap_line *line, size_t nr)
{
	for (size_t i = 1; i < nr; i++) {
		if (by_line(&line[i - 1], &line[i]) > 0) {
			qsort(line, nr, sizeof(*line), by_line);
			return;
		}
	}
}

static int render(const struct rmap *m, struct rmap_lines *l, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < l->nr && !r; i += RENDER_LINES) {
		m->sink->render(l->line + i, MIN(l->nr - i, (size_t)RENDER_LINES), &l->text);
		if (l->text.error)
			return err_nomem(err, "text");
		if (l->write && l->text.len >= TEXT_LEN) {
			r = m->sink->write(m->sink->ctx, &l->text, err);
			outbuf_reset(&l->text);
		}
	}
	l->nr = 0;
	return r;
}

/* Adds the lines that @rec has for the devices from number @begin to before @end. */
static int add_lines(const struct rmap *m, struct rmap_lines *l, const struct rmap_record *rec,
		     uint32_t begin, uint32_t end)
{
	size_t from = 0;

	if (owners_devices(m->owners, rec->set, &l->owners))
		return -ENOMEM;
	if (begin)
		from = search_first(i, l->owners.nr, l->owners.dev[i] >= begin);
	if (vec_reserve(l->line, l->cap, l->nr + MIN(l->owners.nr - from, (size_t)end - begin)))
		return -ENOMEM;
	for (size_t i = from; i < l->owners.nr && l->owners.dev[i] < end; i++)
		l->line[l->nr++] =
			(struct rmap_line) { rec->d, rec->d + rec->len,
					     m->f->dev[l->owners.dev[i] - 1]->info.dev_id, rec->v };
	return 0;
}

static int by_len_and_set(const void *va, const void *vb)
{
	const struct rmap_record *a = va, *b = vb;

	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return a->set < b->set ? -1 : a->set > b->set;
}

/*
 * The lines of @nr records that begin at one data block and end at one, for some devices at a time.
 * The records are sorted by set: those of a single device come first, in the order of devices.
 */
static int add_crowd(const struct rmap *m, struct rmap_lines *l, const struct rmap_record *rec,
		     size_t nr, struct err *err)
{
	const uint32_t nr_devs = (uint32_t)m->f->nr_devs;
	const size_t single = search_first(i, nr, rec[i].set > nr_devs);
	const uint32_t step = (uint32_t)MAX((size_t)1, WINDOW_LINES / MAX((size_t)1, nr - single));
	size_t at = 0;
	int r = 0;

	for (uint32_t begin = 1, end; begin <= nr_devs && !r; begin = end) {
		end = begin + step;
		if (single - at > WINDOW_LINES) /* a whole device at least */
			end = MIN(end, MAX(rec[at + WINDOW_LINES].set, begin + 1));
		for (; at < single && rec[at].set < end; at++)
			if (add_lines(m, l, &rec[at], 0, UINT32_MAX))
				return err_nomem(err, "lines");
		for (size_t i = single; i < nr; i++)
			if (add_lines(m, l, &rec[i], begin, end))
				return err_nomem(err, "lines");
		sort_lines(l->line, l->nr);
		r = render(m, l, err);
	}
	return r;
}

/* The lines of @nr records that begin at one data block. */
static int add_group(const struct rmap *m, struct rmap_lines *l, struct rmap_record *rec, size_t nr,
		     struct err *err)
{
	size_t before = l->nr, end;
	uint64_t lines = 0;
	int r;

	for (size_t i = 0; i < nr; i++)
		lines += owners_count(m->owners, rec[i].set);
	if (lines <= WINDOW_LINES) {
		for (size_t i = 0; i < nr; i++)
			if (add_lines(m, l, &rec[i], 0, UINT32_MAX))
				return err_nomem(err, "lines");
		if (nr > 1)
			sort_lines(l->line + before, l->nr - before);
		return l->nr >= RENDER_LINES ? render(m, l, err) : 0;
	}
	r = render(m, l, err);
	qsort(rec, nr, sizeof(*rec), by_len_and_set);
	for (size_t i = 0; i < nr && !r; i = end) {
		for (end = i; end < nr && rec[end].len == rec[i].len; end++)
			;
		r = add_crowd(m, l, rec + i, end - i, err);
	}
	return r;
}

int rmap_lines_add(const struct rmap *m, struct rmap_lines *l, uint32_t bucket, struct err *err)
{
	struct rmap_record *rec;
	size_t end, nr;
	int r = 0;

	if (sort_bucket(m, l, bucket))
		return err_nomem(err, "lines");
	rec = l->sorted.rec;
	nr = l->sorted.nr;
	for (size_t i = 0; i < nr && !r; i = end) {
		for (end = i; end < nr && rec[end].d == rec[i].d; end++)
			;
		r = add_group(m, l, rec + i, end - i, err);
	}
	return r ? r : render(m, l, err);
}
