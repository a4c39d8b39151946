/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Each reader of a pool's trees, in which the first, second, ... read or request for memory fails: what is
 * missing is told, and nothing that was told is wrong.
 */
#include <errno.h>

#include "record.h" /* before the err of the other headers */
#include "failing.h"
#include "io_fault.h"
#include "old_pool.h"
#include "pool/emit/emit.h"
#include "pool/query/delta.h"
#include "pool/query/list.h"
#include "pool/query/usage.h"
#include "pool/rmap/rmap.h"

struct look {
	struct io *io;
	unsigned nr_jobs;
	struct jobs *jobs;
	struct stream stream;
	struct metadata md;
	struct outbuf out;
	unsigned nr_problems;
};

static void take_problem(void *ctx, const char *text)
{
	struct look *l = ctx;

	check(text[0]);
	l->nr_problems++;
}

/* --- readers --- */

static int count_usage(struct look *l)
{
	const struct usage_want want = { .exclusive = true };
	struct usage_row row[8] = { 0 };
	struct forest f;
	int r = forest_init(&f, &l->md, &l->stream, take_problem, l, &err);

	if (!r)
		r = usage_count(&f, l->md.nr_data_blocks, &want, row, &err);
	for (size_t i = 0; !r && i < f.nr_devs; i++)
		outbuf_printf(&l->out, "%llu %llu %llu\n", (unsigned long long)row[i].mapped,
			      (unsigned long long)row[i].exclusive,
			      (unsigned long long)row[i].highest);
	if (!r)
		r = forest_verdict(&f, &err);
	forest_fini(&f);
	return r;
}

static void render(const struct rmap_line *line, size_t nr, struct outbuf *out)
{
	for (size_t i = 0; i < nr; i++)
		outbuf_printf(out, "%llu-%llu %u %llu\n", (unsigned long long)line[i].begin,
			      (unsigned long long)line[i].end, line[i].dev_id,
			      (unsigned long long)line[i].vbegin);
}

static int take_text(void *ctx, const struct outbuf *text, struct err *e)
{
	struct look *l = ctx;

	(void)e;
	outbuf_add(&l->out, text->data, text->len);
	return 0;
}

static int reverse(struct look *l, uint64_t max_kept)
{
	const struct rmap_sink sink = { render, take_text, l };
	struct runs regions;
	struct forest f = { 0 };
	int r;

	runs_init(&regions);
	r = runs_add(&regions, 0, NR_DATA) ? err_nomem(&err, "regions") : 0;
	if (!r)
		r = forest_init(&f, &l->md, &l->stream, take_problem, l, &err);
	if (!r)
		r = rmap_tell(&f, &l->md, &regions, max_kept, &sink, &err);
	if (!r)
		r = forest_verdict(&f, &err);
	forest_fini(&f);
	runs_fini(&regions);
	return r;
}

static int reverse_at_once(struct look *l)
{
	return reverse(l, 0);
}

/* In many rounds. */
static int reverse_in_parts(struct look *l)
{
	return reverse(l, 1500);
}

static int take_ranges(void *ctx, const struct delta_range *run, size_t nr, struct err *e)
{
	struct look *l = ctx;

	(void)e;
	for (size_t i = 0; i < nr; i++)
		for (uint64_t k = 0; k < run[i].len; k++)
			outbuf_printf(&l->out, "%d %llu\n", run[i].kind,
				      (unsigned long long)(run[i].begin + k));
	return 0;
}

static int compare(struct look *l, bool skip_same)
{
	const struct delta_options opt = { .skip_same = skip_same,
					   .problem = take_problem,
					   .problem_ctx = l };
	struct metadata_devices d = { 0 };
	int r = metadata_devices_read(&l->md, &l->stream, &d, &err);

	l->nr_problems += (unsigned)d.nr_problems;
	if (!r && d.nr_problems)
		r = err_set(&err, -EIO, "the devices cannot be read");
	if (!r)
		r = delta_compare(&l->md, &l->stream, metadata_devices_find(&d, 2)->root,
				  metadata_devices_find(&d, 5)->root, &opt, take_ranges, l, &err);
	metadata_devices_fini(&d);
	return r;
}

static int compare_all(struct look *l)
{
	return compare(l, false);
}

static int compare_other(struct look *l)
{
	return compare(l, true);
}

static int emit(struct look *l, bool no_shared)
{
	const struct emit_options opt = { .no_shared = no_shared,
					  .problem = take_problem,
					  .ctx = l };
	struct record rec = { 0 };
	const struct events e = { &record_ops, &rec };
	int r;

	outbuf_init(&rec.out);
	r = emit_pool(&l->md, &l->stream, &opt, &e, &err);
	outbuf_add(&l->out, rec.out.data, rec.out.len);
	if (!r && rec.out.error)
		r = err_nomem(&err, "the record");
	outbuf_fini(&rec.out);
	return r;
}

static int dump(struct look *l)
{
	return emit(l, false);
}

static int dump_each(struct look *l)
{
	return emit(l, true);
}

static int list_all(struct look *l)
{
	struct list list = { 0 };
	int r = list_read(&l->md, &l->stream, LIST_ALL, take_problem, l, &list, &err);

	for (size_t i = 0; !r && i < list.nr; i++)
		outbuf_printf(&l->out, "%u of %zu, %llu extents\n", list.row[i].dev->info.dev_id, list.row[i].snapshot_of,
			      (unsigned long long)list.row[i].nr_extents);
	list_fini(&list);
	return r;
}

static const struct reader {
	const char *name;
	int (*run)(struct look *l);
} readers[] = {
	{ "usage", count_usage },
	{ "reverse map", reverse_at_once },
	{ "reverse map in parts", reverse_in_parts },
	{ "delta", compare_all },
	{ "delta without what is the same", compare_other },
	{ "dump", dump },
	{ "dump without sharing", dump_each },
	{ "list", list_all },
};

/* --- failing --- */

static int look_at(struct look *l, const struct reader *reader)
{
	const struct metadata_options opt = { 0 };
	int r;

	outbuf_init(&l->out);
	l->nr_problems = 0;
	l->jobs = jobs_new(l->nr_jobs);
	if (!l->jobs)
		return err_nomem(&err, "jobs");
	stream_init(&l->stream, l->io, l->jobs);
	r = metadata_open(l->io, &opt, &l->md, &err);
	if (!r)
		r = reader->run(l);
	if (!r && l->out.error)
		r = err_nomem(&err, "the result");
	jobs_free(l->jobs);
	return r;
}

static void fail_each(bool memory, unsigned nr_jobs)
{
	make_old(env("SEED", 1));
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
		struct look good = { .io = old_pool(), .nr_jobs = nr_jobs };
		bool hit = true;

		check_eq(look_at(&good, &readers[i]), 0);
		check(good.out.len > 30 && !good.nr_problems);
		for (uint64_t n = 0; hit; n++) {
			struct look l = { .io = io_fault_new(old_pool()), .nr_jobs = nr_jobs };
			int r, code = memory ? -ENOMEM : -EIO;

			check(l.io);
			err.text[0] = 0;
			if (memory)
				failing_begin("memory", (long)n + 1, ENOMEM);
			else
				io_fault_fail_read(l.io, n, -EIO);
			r = look_at(&l, &readers[i]);
			hit = memory ? failing_end() : io_fault_nr_reads(l.io) > n;
			if (r && (r != code || !err.text[0]))
				printf("# %s, request %llu: %d, '%s'\n", readers[i].name,
				       (unsigned long long)n, r, err.text);
			check(!r || (hit && r == code && err.text[0]));
			check(r || (!l.nr_problems && l.out.len == good.out.len &&
				    !memcmp(l.out.data, good.out.data, good.out.len)));
			outbuf_fini(&l.out);
			io_free(l.io);
		}
		outbuf_fini(&good.out);
		io_free(good.io);
	}
}

static void reads(void)
{
	fail_each(false, 1);
}

static void memory(void)
{
	fail_each(true, 1);
}

static void memory_of_workers(void)
{
	fail_each(true, 2);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "a read that fails in a listing, a comparison or a dump is told", reads },
		{ "what has no memory for a listing, a comparison or a dump says so", memory },
		{ "several workers say so, too, when there is no memory", memory_of_workers },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
