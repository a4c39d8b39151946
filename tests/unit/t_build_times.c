/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* snap_time is raised where it does not protect blocks that devices share. */
#include "base/err.h"
#include "dumb.h"
#include "pool/build/build.h"
#include "story.h"
#include "tap.h"

static unsigned nr_notes;
static char last_note[300];

static void take_note(void *ctx, const char *text)
{
	(void)ctx;
	nr_notes++;
	snprintf(last_note, sizeof(last_note), "%s", text);
}

/* 13 devices share blocks of time 3 that their own times do not protect. */
static void many_raised(void)
{
	const struct build_options opt = { .note = take_note };
	struct io *io = io_mem_new("mem", 100 * 4096);
	struct events e = { 0 };
	struct dumb d;

	check_eq(build_new(io, &opt, &e, &err), 0);
	check_eq(begin(&e) ?: one_def(&e, 1, 100, 700), 0);
	for (uint32_t id = 0; id < 13; id++) {
		struct device_info dev = { .dev_id = id, .snap_time = 1 };

		check_eq(e.ops->begin_device(e.ctx, &dev, &err) ?: e.ops->ref(e.ctx, 1, &err), 0);
		check_eq(run(&e, 2000, 2000, 0) ?: e.ops->end_device(e.ctx, &err), 0);
	}
	nr_notes = 0;
	check_eq(e.ops->end_pool(e.ctx, &err), 0);
	build_free(&e);
	check_eq(nr_notes, 11);
	check_str(last_note, "snap_time is raised for 3 more devices");
	dumb_read(&d, io_mem_data(io), io->size);
	check_str(d.why, "");
	for (size_t i = 0; i < d.nr_dev; i++) {
		check(d.dev[i].snapped > 3);
		check_eq(d.dev[i].mapped, 700);
	}
	dumb_fini(&d);
	io_free(io);
}

/* Shared leaves stand between those of devices: each device gets the time that its own need. */
static void raised_between_devices(void)
{
	static const uint64_t def_of[] = { 1, 2, 2, 1 };
	struct io *io = io_mem_new("mem", 100 * 4096);
	struct events e = sink(io);
	struct dumb d;

	check_eq(begin(&e) ?: one_def(&e, 1, 100, 700), 0);
	for (uint32_t id = 0; id < 4; id++) {
		struct device_info dev = { .dev_id = id, .snap_time = 1 };

		check_eq(id == 1 ? one_def(&e, 2, 2000, 500) : 0, 0);
		check_eq(e.ops->begin_device(e.ctx, &dev, &err) ?: e.ops->ref(e.ctx, def_of[id], &err), 0);
		check_eq(run(&e, 5000, 5000 + id * 1000, 600) ?: e.ops->end_device(e.ctx, &err), 0);
	}
	check_eq(e.ops->end_pool(e.ctx, &err), 0);
	build_free(&e);
	dumb_read(&d, io_mem_data(io), io->size);
	check_str(d.why, "");
	check_eq(d.nr_dev, 4);
	for (size_t i = 0; i < d.nr_dev; i++)
		check(d.dev[i].snapped > 3);
	dumb_fini(&d);
	io_free(io);
}

static const struct test tests[] = {
	{ "a device gets the time that its shared leaves need, wherever they stand", raised_between_devices },
	{ "each of many devices with unprotected blocks is raised; the first ten are named", many_raised },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
