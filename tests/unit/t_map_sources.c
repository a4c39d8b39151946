/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Where the mappings of a device come from: its tree, or a file of XML. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failing.h"
#include "folder.h"
#include "io_fault.h"
#include "pool/edit/edit.h"
#include "pool/format/metadata.h"
#include "volume/map/map.h"
#include "volume/map/source.h"

#define NR_META 200u

static struct err err;

/* --- a pool --- */

static void map_next(struct pool_edit *p, vblock_t v, dblock_t expected)
{
	dblock_t b;

	check_eq(edit_alloc_data(p, &b, &err), 0);
	check_eq(b, expected);
	check_eq(edit_map(p, 1, v, b, &err), 0);
}

/* Device 1: what goes on in both, what has another time, another place, and more than one leaf. */
static struct io *make_pool(void)
{
	struct io *io = io_mem_new("metadata", NR_META * MBLOCK_SIZE);
	struct pool_edit *p;
	bool unsure;

	check(io);
	check_eq(edit_format(io, 128, &p, &err), 0);
	check_eq(edit_grow_data(p, 5000, &err), 0);
	check_eq(edit_create_thin(p, 1, &err), 0);
	for (uint64_t i = 0; i < 10; i++)
		map_next(p, i, i);
	check_eq(edit_commit(p, &unsure, &err), 0);
	check_eq(edit_create_snap(p, 2, 1, &err), 0);
	map_next(p, 10, 10); /* goes on with a later time */
	map_next(p, 11, 11);
	map_next(p, 20, 12);
	for (uint64_t i = 0; i < 1000; i++) /* places go on, blocks do not */
		map_next(p, 100 + 2 * i, 13 + i);
	check_eq(edit_commit(p, &unsure, &err), 0);
	edit_free(p);
	return io;
}

struct list {
	struct run run[1200];
	size_t nr;
};

/* Runs that a leaf's end cut are one. */
static int take_runs(void *ctx, const struct run *run, size_t nr, struct err *e)
{
	struct list *l = ctx;

	(void)e;
	for (size_t i = 0; i < nr; i++) {
		check(l->nr < ARRAY_SIZE(l->run));
		l->run[l->nr++] = run[i];
	}
	return 0;
}

static void check_runs(const struct list *l, bool through)
{
	static const struct run first[] = { { 0, 0, 10, 0 }, { 10, 10, 2, 1 }, { 20, 12, 1, 1 } };

	check_eq(l->nr, 1003);
	for (size_t i = 0; i < l->nr; i++) {
		struct run want =
			i < 3 ? first[i] : (struct run) { 100 + 2 * (i - 3), 13 + (i - 3), 1, 1 };

		check_eq(l->run[i].vbegin, want.vbegin);
		check_eq(l->run[i].dbegin, through ? want.vbegin : want.dbegin);
		check_eq(l->run[i].len, want.len);
		check_eq(l->run[i].time, want.time);
	}
}

static int walk_tree(struct io *io, bool through, struct list *l)
{
	const struct metadata_options opt = { 0 };
	struct metadata_devices d = { 0 };
	struct map_source s = { 0 };
	struct stream stream;
	struct metadata md;
	int r;

	l->nr = 0;
	stream_init(&stream, io, NULL);
	r = metadata_open(io, &opt, &md, &err);
	if (!r)
		r = metadata_devices_read(&md, &stream, &d, &err);
	if (!r && d.nr_problems)
		r = err_set(&err, -EIO, "the list of devices");
	if (!r)
		r = map_source_tree(&stream, metadata_devices_find(&d, 1)->root, &s, &err);
	metadata_devices_fini(&d);
	if (!r && through)
		r = map_source_through(&s, &err);
	if (!r)
		r = s.walk(s.ctx, take_runs, l, &err);
	if (s.free)
		s.free(s.ctx);
	return r;
}

static void trees(void)
{
	struct io *io = make_pool();
	struct list l;

	check_eq(walk_tree(io, false, &l), 0);
	check_runs(&l, false);
	check_eq(walk_tree(io, true, &l), 0);
	check_runs(&l, true);
	check_each_request_failing(walk_tree(io, false, &l), &err);
	check_each_request_failing(walk_tree(io, true, &l), &err);
	io_free(io);
}

static void unreadable_trees(void)
{
	unsigned nr_told = 0;
	bool hit = true;
	uint64_t n;

	for (n = 0; hit; n++) {
		struct io *io = io_fault_new(make_pool());
		struct list l;
		uint64_t before;
		int r;

		check(io);
		before = io_fault_nr_reads(io);
		io_fault_fail_read(io, before + n, -EIO);
		err.text[0] = 0;
		r = walk_tree(io, false, &l);
		hit = io_fault_nr_reads(io) > before + n;
		nr_told += r != 0;
		if (!r) /* a read of several blocks that fails is made again block by block */
			check_runs(&l, false);
		check(!r || hit);
		check(!r || (r == -EIO && err.text[0]));
		io_free(io);
	}
	check(nr_told > 4);
}

/* --- XML --- */

static const char text[] =
	"<superblock uuid=\"\" time=\"1\" transaction=\"7\" data_block_size=\"128\" "
	"nr_data_blocks=\"100\">\n"
	"<def name=\"3\"><range_mapping origin_begin=\"5\" data_begin=\"60\" length=\"4\" "
	"time=\"0\"/></def>\n"
	"<def name=\"4\"><range_mapping origin_begin=\"50\" data_begin=\"70\" length=\"4\" "
	"time=\"0\"/></def>\n"
	"<device dev_id=\"1\" mapped_blocks=\"1\" transaction=\"0\" creation_time=\"0\" "
	"snap_time=\"0\">\n"
	"<single_mapping origin_block=\"1\" data_block=\"9\" time=\"1\"/></device>\n"
	"<device dev_id=\"2\" mapped_blocks=\"5\" transaction=\"0\" creation_time=\"0\" "
	"snap_time=\"0\">\n"
	"<ref name=\"3\"/><single_mapping origin_block=\"30\" data_block=\"31\" "
	"time=\"1\"/></device>\n"
	"</superblock>\n";

static int walk_xml(uint32_t id, struct list *l)
{
	struct map_events_info info;
	struct map_source s = { 0 };
	int r = map_source_xml(file_name("xml"), id, &info, &s, &err);

	l->nr = 0;
	check(r || (info.pool.transaction == 7 && info.device.dev_id == id));
	for (unsigned i = 0; !r && i < 2; i++) { /* the file is read anew each time */
		l->nr = 0;
		r = s.walk(s.ctx, take_runs, l, &err);
	}
	if (s.free)
		s.free(s.ctx);
	return r;
}

static void from_xml(void)
{
	struct list l;

	put("xml", text, sizeof(text) - 1);
	check_eq(walk_xml(2, &l), 0);
	check_eq(l.nr, 2);
	check(l.run[0].vbegin == 5 && l.run[0].dbegin == 60 && l.run[0].len == 4);
	check(l.run[1].vbegin == 30 && l.run[1].dbegin == 31 && l.run[1].len == 1);
	check_eq(walk_xml(1, &l), 0);
	check_eq(l.nr, 1);
	check_eq(l.run[0].dbegin, 9);
	check_eq(-walk_xml(3, &l), ENODATA);
	check_str(err.text, "no device 3: it has 2 devices: 1 2");
	check_each_request_failing(walk_xml(2, &l), &err);
	put("xml", text, sizeof(text) / 2);
	err.text[0] = 0;
	check(walk_xml(2, &l) < 0);
	check(err.text[0]);
}

/* It would be read twice. */
static void a_pipe(void)
{
	const char *path = file_name("pipe");
	struct map_events_info info;
	struct map_source s;
	pid_t child;

	check_eq(mkfifo(path, 0600), 0);
	child = fork();
	check(child >= 0);
	if (!child) {
		int fd = open(path, O_WRONLY);

		_exit(write(fd, text, sizeof(text) - 1) < 0);
	}
	check_eq(-map_source_xml(path, 1, &info, &s, &err), ESPIPE);
	check(strstr(err.text, "pipe"));
	check_eq(waitpid(child, NULL, 0), child);
}

static void no_xml(void)
{
	struct map_events_info info;
	struct map_source s;

	check_eq(-map_source_xml(file_name("none"), 1, &info, &s, &err), ENOENT);
	check(strstr(err.text, "none"));
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "entries that go on in blocks, places and time are one run", trees },
		{ "a tree that cannot be read is told", unreadable_trees },
		{ "a file of XML is read for one device, as often as is asked", from_xml },
		{ "a pipe, which cannot be read twice, is refused", a_pipe },
		{ "a file that is not there is named", no_xml },
		{ 0 },
	};

	return folder_main(tests, argc, argv);
}
