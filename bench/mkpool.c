/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * mkpool KIND SCALE FILE [xml]: made-up pools for measuring, as metadata or as XML.
 *
 *   frag   one device, 20 M mappings, each to a block somewhere else
 *   dense  one device, 100 M mappings in runs of some ten thousand
 *   snap   a device of 1 M blocks and 100 snapshots of its history, 1.5 % of it changed
 *          between one and the next, in runs of some ten blocks; snapl: of 10 M blocks
 *   small  three devices, some thousand mappings
 *   copy   one device of 16 K blocks (1 GiB) in runs of some hundred, for copying; copyfrag: each
 *          block somewhere else
 *   full   two devices that fill the largest metadata device there can be, over 2^31 blocks
 *
 * SCALE multiplies the blocks of a device.  The same KIND and SCALE give the same bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "pool/build/build.h"
#include "pool/format/format.h"
#include "pool/text/text.h"

#define BATCH 1024
#define LEAF 252		/* mappings */
#define PART (4 * (uint64_t)LEAF) /* blocks of a device that change together */

struct shape {
	const char *name;
	uint64_t nr_blocks; /* of each device */
	unsigned nr_devices;
	unsigned run_len; /* mean; 0: shuffled single blocks */
	bool history;
};

static const struct shape shapes[] = {
	{ "frag", 20000000, 1, 0, false },	{ "dense", 100000000, 1, 10000, false },
	{ "snap", 1000000, 101, 10, true },	{ "snapl", 10000000, 101, 10, true },
	{ "copy", 16384, 1, 200, false },	{ "copyfrag", 16384, 1, 0, false },
	{ "small", 2000, 3, 8, false },		{ "full", 505400000, 2, 300, false },
};

struct maker {
	const struct shape *shape;
	uint64_t nr_blocks; /* of each device, scaled */
	uint64_t nr_data_blocks;
	struct events sink;
	uint64_t next_data, seed;
	struct run run[BATCH];
	size_t nr;
	struct err err;
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t draw(struct maker *m, uint64_t below)
{
	return mix(m->seed++) % below;
}

/* A permutation of [0, n): a small Feistel network over the next even power of two. */
static uint64_t shuffle(uint64_t i, uint64_t n)
{
	unsigned half = 1, round;
	uint64_t mask;

	while ((uint64_t)1 << 2 * half < n)
		half++;
	mask = ((uint64_t)1 << half) - 1;
	do {
		for (round = 0; round < 4; round++)
			i = (i & mask) << half | ((i >> half) ^ (mix((i & mask) * 4 + round) & mask));
	} while (i >= n);
	return i;
}

static int flush_runs(struct maker *m)
{
	size_t nr = m->nr;

	m->nr = 0;
	return nr ? m->sink.ops->runs(m->sink.ctx, m->run, nr, &m->err) : 0;
}

static int add_run(struct maker *m, vblock_t v, dblock_t d, uint64_t len, uint32_t time)
{
	m->run[m->nr++] = (struct run){ v, d, len, time };
	return m->nr == BATCH ? flush_runs(m) : 0;
}

/* Maps [@v, @end) anew. */
static int map_range(struct maker *m, vblock_t v, vblock_t end, uint32_t time)
{
	uint64_t len;
	int r = 0;

	for (; v < end && r == 0; v += len) {
		if (!m->shape->run_len) {
			len = 1;
			r = add_run(m, v, shuffle(v, m->nr_data_blocks), 1, time);
			continue;
		}
		len = 1 + draw(m, 2 * m->shape->run_len);
		len = MIN(len, end - v);
		r = add_run(m, v, m->next_data, len, time);
		m->next_data += len + 1; /* so that no two runs join */
	}
	return r < 0 ? r : flush_runs(m);
}

/* Data blocks with which map_range() never runs out of free ones. */
static uint64_t data_blocks_needed(const struct maker *m, uint64_t mapped)
{
	if (!m->shape->run_len)
		return mapped + mapped / 4;
	return mapped + 5 * (mapped / (2 * m->shape->run_len)) + mapped / PART * 2 + 100;
}

static int begin_pool(struct maker *m, uint64_t mapped)
{
	struct pool_info p = { .time = m->shape->history ? m->shape->nr_devices : 0,
			       .transaction = m->shape->nr_devices,
			       .version = THIN_VERSION,
			       .has_version = true,
			       .data_block_size = 128 };

	if (!strcmp(m->shape->name, "full") && m->nr_data_blocks <= (uint64_t)1 << 31)
		m->nr_data_blocks = (uint64_t)1 << 31;
	p.nr_data_blocks = m->nr_data_blocks = MAX(m->nr_data_blocks, data_blocks_needed(m, mapped));
	return m->sink.ops->begin_pool(m->sink.ctx, &p, &m->err);
}

static int begin_device(struct maker *m, uint32_t id, uint32_t time)
{
	struct device_info d = { .dev_id = id,
				 .mapped_blocks = m->nr_blocks,
				 .transaction = id,
				 .creation_time = time,
				 .snap_time = time };

	return m->sink.ops->begin_device(m->sink.ctx, &d, &m->err);
}

static int make_plain(struct maker *m)
{
	unsigned id;
	int r = begin_pool(m, m->nr_blocks * m->shape->nr_devices);

	for (id = 1; id <= m->shape->nr_devices && r == 0; id++) {
		r = begin_device(m, id, 0);
		if (r == 0)
			r = map_range(m, 0, m->nr_blocks, 0);
		if (r == 0)
			r = m->sink.ops->end_device(m->sink.ctx, &m->err);
	}
	return r;
}

/* Parts of the origin rewritten between snapshot @step - 1 and @step; all of them before the first. */
static bool rewritten(uint64_t part, unsigned step)
{
	return step == 0 || mix(part * 1000003 + step) % 1000 < 15;
}

static int make_def(struct maker *m, uint64_t part, unsigned step)
{
	int r = m->sink.ops->begin_def(m->sink.ctx, part * 1000 + step, &m->err);

	if (r == 0)
		r = map_range(m, part * PART, MIN((part + 1) * PART, m->nr_blocks), step);
	return r == 0 ? m->sink.ops->end_def(m->sink.ctx, &m->err) : r;
}

/*
 * Device @step + 1 is the snapshot taken after step @step, so that it shares what was
 * written at time @step or before; the last one is the origin itself.
 */
static int make_history(struct maker *m)
{
	uint64_t nr_parts = div_up(m->nr_blocks, PART), part;
	CLEANUP(free_ptr) uint16_t *newest = calloc(nr_parts, sizeof(*newest));
	unsigned step;
	int r;

	if (!newest)
		return err_nomem(&m->err, "parts");
	r = begin_pool(m, m->nr_blocks * 5 / 2 + m->nr_blocks / 20);
	for (step = 0; step < m->shape->nr_devices && r == 0; step++) {
		for (part = 0; part < nr_parts && r == 0; part++)
			if (rewritten(part, step)) {
				newest[part] = (uint16_t)step;
				r = make_def(m, part, step);
			}
		if (r == 0)
			r = begin_device(m, step + 1, step + 1);
		for (part = 0; part < nr_parts && r == 0; part++)
			r = m->sink.ops->ref(m->sink.ctx, part * 1000 + newest[part], &m->err);
		if (r == 0)
			r = m->sink.ops->end_device(m->sink.ctx, &m->err);
	}
	return r;
}

static int make(struct maker *m)
{
	int r = m->shape->history ? make_history(m) : make_plain(m);

	return r == 0 ? m->sink.ops->end_pool(m->sink.ctx, &m->err) : r;
}

static uint64_t metadata_blocks(const struct maker *m)
{
	uint64_t mapped = m->nr_blocks * m->shape->nr_devices;
	uint64_t leaves;

	if (!strcmp(m->shape->name, "full") && m->nr_blocks >= 505400000)
		return MAX_METADATA_BLOCKS;
	if (m->shape->history) /* leaves of all versions, and the internals of each device */
		mapped = m->nr_blocks * 5 / 2 + m->nr_blocks / 10 +
			 m->nr_blocks / 200 * m->shape->nr_devices;
	leaves = mapped / LEAF + data_blocks_needed(m, mapped) / ENTRIES_PER_BITMAP;
	return leaves + leaves / 50 + 200;
}

static int make_metadata(struct maker *m, const char *path, int fd)
{
	CLEANUP(close_fd) int owned = fd;
	struct io *out;
	int r;

	if (ftruncate(fd, (off_t)(metadata_blocks(m) * MBLOCK_SIZE)) < 0)
		return err_sys(&m->err, -errno, "%s", path);
	out = io_file_new(fd, path, metadata_blocks(m) * MBLOCK_SIZE, false);
	if (!out)
		return err_nomem(&m->err, path);
	owned = -1;
	r = build_new(out, NULL, &m->sink, &m->err);
	if (r == 0) {
		r = make(m);
		build_free(&m->sink);
	}
	io_free(out);
	return r;
}

static int make_xml(struct maker *m, const char *path, int fd)
{
	CLEANUP(close_fd) int owned = fd;
	int r = text_sink_new(TEXT_XML, owned, path, &m->sink, &m->err);

	if (r == 0) {
		r = make(m);
		text_sink_free(&m->sink);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct maker m = { .seed = 1 };
	double scale = argc >= 4 ? atof(argv[2]) : 0;
	size_t i;
	int fd, r;

	for (i = 0; i < ARRAY_SIZE(shapes) && argc >= 4; i++)
		if (!strcmp(shapes[i].name, argv[1]))
			m.shape = &shapes[i];
	if (!m.shape || scale <= 0 || argc > 5 || (argc == 5 && strcmp(argv[4], "xml"))) {
		fprintf(stderr, "usage: mkpool KIND SCALE FILE [xml]\n");
		return 64;
	}
	m.nr_blocks = (uint64_t)((double)m.shape->nr_blocks * scale);
	if (!m.shape->run_len)
		m.nr_data_blocks = m.nr_blocks + m.nr_blocks / 4;
	fd = open(argv[3], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0) {
		perror(argv[3]);
		return 74;
	}
	r = argc == 5 ? make_xml(&m, argv[3], fd) : make_metadata(&m, argv[3], fd);
	if (r < 0)
		fprintf(stderr, "mkpool: %s\n", m.err.text);
	return r < 0;
}
