/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Which device a list calls a snapshot of which, when their times leave several. */
#include "old_pool.h"
#include "pool/query/list.h"

static struct pool_edit *edit;

/* Maps @nr blocks of device @id from @v on, each to a new data block. */
static void map(uint32_t id, vblock_t v, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		check_eq(map_new(edit, id, v + i), 0);
}

/* What @of has is changed after the snapshot @id was taken. */
static void snap(uint32_t id, uint32_t of)
{
	commit(edit);
	check_eq(edit_create_snap(edit, id, of, &err), 0);
}

static void no_problem(void *ctx, const char *text)
{
	(void)ctx;
	printf("# %s\n", text);
	check(false);
}

/* "3:2" for a snapshot that can be of no other device, "3:2?" for one that could. */
static void origins_are(struct io *io, const char *want)
{
	const struct metadata_options opt = { 0 };
	struct jobs *jobs = jobs_new(1);
	struct stream s;
	struct metadata md;
	struct list l = { 0 };
	char got[200] = "";

	check(jobs);
	stream_init(&s, io, jobs);
	check_eq(metadata_open(io, &opt, &md, &err), 0);
	check_eq(list_read(&md, &s, LIST_ALL, no_problem, NULL, &l, &err), 0);
	for (size_t i = 0; i < l.nr; i++)
		if (l.row[i].snapshot_of != LIST_NO_ROW)
			sprintf(got + strlen(got), "%s%u:%u%s", *got ? " " : "", l.row[i].dev->info.dev_id,
				l.row[l.row[i].snapshot_of].dev->info.dev_id, l.row[i].snapshot_certain ? "" : "?");
	check_str(got, want);
	list_fini(&l);
	jobs_free(jobs);
}

/* A pool with device 1, which has ten blocks. */
static struct io *new_pool(void)
{
	struct io *io = io_mem_new("metadata", NR_META * MBLOCK_SIZE);

	check(io);
	check_eq(edit_format(io, 128, &edit, &err), 0);
	check_eq(edit_grow_data(edit, NR_DATA, &err), 0);
	check_eq(edit_create_thin(edit, 1, &err), 0);
	map(1, 0, 10);
	return io;
}

static void end_pool(struct io *io, const char *want)
{
	commit(edit);
	edit_free(edit);
	origins_are(io, want);
	io_free(io);
}

/*
 * Device 1 with ten blocks, its snapshot 2 with @more blocks of its own, 3 of 2; then 2 gets @changed
 * of its blocks anew.  Later snapshots of 1 and of 2 take away what the times say of 3.
 */
static void three_generations(unsigned more, unsigned changed, bool later_of_1, bool later_of_2, const char *want)
{
	struct io *io = new_pool();

	snap(2, 1);
	map(2, 100, more);
	snap(3, 2);
	map(2, 0, changed);
	if (later_of_1)
		snap(4, 1);
	if (later_of_2)
		snap(5, 2);
	end_pool(io, want);
}

static void times_decide(void)
{
	three_generations(0, 0, false, false, "2:1 3:2");
	three_generations(3, 0, true, false, "2:1? 3:2 4:1");
	three_generations(0, 8, true, false, "2:1? 3:2 4:1");
	three_generations(3, 0, false, true, "2:1 3:2? 5:2");
}

static void mappings_decide(void)
{
	three_generations(3, 0, true, true, "2:1? 3:2? 4:1 5:2");
	three_generations(0, 0, true, true, "2:1? 3:2? 4:1 5:2"); /* as many: the younger */
	three_generations(3, 8, true, true, "2:1? 3:1? 4:1 5:2"); /* 1 shares more */
}

/* Two devices that were made empty do not become kin by their times. */
static void strangers(void)
{
	struct io *io = new_pool();

	snap(2, 1);
	check_eq(edit_create_thin(edit, 3, &err), 0);
	map(3, 0, 10);
	check_eq(edit_delete(edit, 1, &err), 0);
	end_pool(io, "");
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "a snapshot is of the device whose time is its own", times_decide },
		{ "where times leave several devices, it is of the one that shares most, or the youngest", mappings_decide },
		{ "a snapshot whose origin is gone, and a device made empty, are of none", strangers },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
