/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <stdatomic.h>

#include "dev/stream.h"
#include "io_fault.h"
#include "tap.h"
#include "tasks.h"

#define NR 5000 /* blocks of the device */

/* A device on which each block holds its own number all over. */
static struct io *device(void)
{
	struct io *io = io_mem_new("device", NR * MBLOCK_SIZE);
	uint64_t *p, i;

	check(io);
	p = io_mem_data(io);
	for (i = 0; i < NR * (MBLOCK_SIZE / 8); i++)
		p[i] = i / (MBLOCK_SIZE / 8);
	return io_fault_new(io);
}

struct seen {
	const mblock_t *list;
	size_t nr;
	_Atomic unsigned char hits[NR + 100];
	_Atomic uint64_t workers; /* bits */
	int status[NR + 100];
	_Atomic bool bad;
	mblock_t stop_at;
};

static int note(void *ctx, unsigned worker, size_t i, mblock_t block, const void *data, int status)
{
	const uint64_t *p = data;
	struct seen *s = ctx;

	if (i >= s->nr || s->list[i] != block || (status < 0) != !data)
		s->bad = true;
	if (data && ((uintptr_t)data % MBLOCK_SIZE || p[0] != block || p[511] != block))
		s->bad = true;
	s->hits[i]++;
	s->status[i] = status;
	s->workers |= 1ull << worker;
	return block == s->stop_at ? -ECANCELED : 0;
}

static struct seen *watch(const mblock_t *list, size_t nr)
{
	struct seen *s = calloc(1, sizeof(*s));

	check(s);
	s->list = list;
	s->nr = nr;
	s->stop_at = UINT64_MAX - 1;
	return s;
}

static void all_seen(const struct seen *s, int but_last)
{
	size_t i;

	check(!s->bad);
	for (i = 0; i < s->nr; i++)
		check(s->hits[i] == 1);
	for (i = 0; i < s->nr - (size_t)but_last; i++)
		check(s->status[i] == 0);
}

static size_t make_list(mblock_t *list, size_t nr, mblock_t from, mblock_t step)
{
	size_t i;

	for (i = 0; i < nr; i++)
		list[i] = from + i * step;
	return nr;
}

static mblock_t list[NR + 100];

/* Any list on any number of workers, buffered and direct. */
static void each_once(void)
{
	static const struct {
		size_t nr;
		mblock_t from, step;
	} lists[] = { { 1, 0, 1 },     { 64, 100, 1 },	 { 129, 1, 1 },	 { NR, 0, 1 },
		      { NR / 2, 0, 2 }, { NR / 40, 3, 40 }, { 1, NR - 1, 1 } };
	unsigned nr, direct;
	size_t k;

	for (nr = 1; nr <= 5; nr += 2)
		for (direct = 0; direct < 2; direct++)
			for (k = 0; k < ARRAY_SIZE(lists); k++) {
				struct jobs *jobs = jobs_new(nr);
				struct io *io = device();
				struct stream s;
				struct seen *seen;

				io->direct = direct;
				make_list(list, lists[k].nr, lists[k].from, lists[k].step);
				seen = watch(list, lists[k].nr);
				stream_init(&s, io, jobs);
				check(!stream_read(&s, list, seen->nr, note, seen, NULL));
				all_seen(seen, 0);
				check(seen->workers >> stream_nr_workers(&s) == 0);
				check_eq(s.nr_blocks_read, seen->nr);
				check_eq(s.nr_requests, io_fault_nr_reads(io));
				free(seen);
				io_free(io);
				jobs_free(jobs);
			}
}

static void merged(void)
{
	struct io *io = device();
	struct stream s;
	struct seen *seen;

	make_list(list, 640, 10, 1);
	seen = watch(list, 640);
	stream_init(&s, io, NULL);
	check(!stream_read(&s, list, 640, note, seen, NULL));
	check_eq(io_fault_nr_reads(io), 10);
	free(seen);
	io_free(io);
}

static bool not_25(void *ctx, mblock_t b)
{
	(void)ctx;
	return b != 25;
}

static void gaps(void)
{
	static const mblock_t blocks[] = { 10, 12, 20, 37, 55, 73 };
	struct io *io = device();
	struct stream s;
	struct seen *seen = watch(blocks, 6);

	stream_init(&s, io, NULL);
	check(!stream_read(&s, blocks, 6, note, seen, NULL));
	check_eq(s.nr_requests, 6);
	check_eq(s.nr_blocks_read, 6);
	stream_init(&s, io, NULL);
	s.may_skip = not_25;
	check(!stream_read(&s, blocks, 6, note, seen, NULL));
	check_eq(s.nr_requests, 4); /* 10-20, 37, 55, 73: block 25 and gaps of 17 part them */
	check_eq(s.nr_blocks_read, 11 + 3);
	check(!seen->bad && seen->hits[1] == 2);
	free(seen);
	io_free(io);
}

static void bad_block_alone(void)
{
	struct io *io = device();
	struct jobs *jobs = jobs_new(2);
	struct stream s;
	struct seen *seen;
	size_t i;

	make_list(list, 60, 0, 1);
	seen = watch(list, 60);
	stream_init(&s, io, jobs);
	/* the merged request, then the sixth block of it */
	io_fault_fail_read(io, 0, -EIO);
	io_fault_fail_read(io, 6, -EIO);
	check(!stream_read(&s, list, 60, note, seen, NULL));
	check(!seen->bad);
	for (i = 0; i < 60; i++)
		check(seen->hits[i] == 1 && seen->status[i] == (i == 5 ? -EIO : 0));
	free(seen);
	io_free(io);
	jobs_free(jobs);
}

static void past_the_end(void)
{
	struct io *io = device();
	struct stream s;
	struct seen *seen;
	size_t nr = make_list(list, 12, NR - 10, 1);

	list[nr++] = UINT64_MAX / MBLOCK_SIZE + 5;
	list[nr++] = UINT64_MAX;
	seen = watch(list, nr);
	stream_init(&s, io, NULL);
	check(!stream_read(&s, list, nr, note, seen, NULL));
	all_seen(seen, 4);
	check(seen->status[9] == 0 && seen->status[10] == -ENXIO && seen->status[13] == -ENXIO);
	check_eq(s.nr_blocks_read, 10);
	check(!stream_read(&s, list, 0, note, seen, NULL));
	free(seen);
	io_free(io);
}

static void callback_stops(void)
{
	struct io *io = device();
	struct jobs *jobs = jobs_new(3);
	struct err err = { 0 };
	struct stream s;
	struct seen *seen;
	unsigned direct;

	make_list(list, NR, 0, 1);
	for (direct = 0; direct < 2; direct++) {
		io->direct = direct;
		seen = watch(list, NR);
		seen->stop_at = 70;
		stream_init(&s, io, jobs);
		check(stream_read(&s, list, NR, note, seen, &err) == -ECANCELED);
		check(seen->hits[70] == 1 && seen->hits[71] == 0);
		check(strstr(err.text, "device"));
		free(seen);
	}
	io_free(io);
	jobs_free(jobs);
}

static void short_list_no_thread(void)
{
	struct io *io = device();
	struct jobs *jobs = jobs_new(4);
	unsigned before = nr_tasks();
	struct stream s;
	struct seen *seen;

	make_list(list, 100, 0, 3);
	seen = watch(list, 100);
	stream_init(&s, io, jobs);
	check(!stream_read(&s, list, 100, note, seen, NULL));
	all_seen(seen, 0);
	check_eq(seen->workers, 1);
	io->direct = true; /* one request */
	make_list(list, 100, 0, 1);
	check(!stream_read(&s, list, 100, note, seen, NULL));
	check_eq(nr_tasks(), before);
	make_list(list, 100, 0, 3); /* one hundred: worth having many in flight */
	check(!stream_read(&s, list, 100, note, seen, NULL));
	check(nr_tasks() > before);
	free(seen);
	io_free(io);
	jobs_free(jobs);
}

static const struct test tests[] = {
	{ "each block of the list arrives once with its contents", each_once },
	{ "neighbours are read with one request", merged },
	{ "short gaps are read through where that is allowed", gaps },
	{ "when a merged request fails only the bad block is bad", bad_block_alone },
	{ "blocks past the end arrive with an error, and no read is tried", past_the_end },
	{ "a negative return of the callback stops the stream and is returned", callback_stops },
	{ "a short list starts no thread", short_list_no_thread },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
