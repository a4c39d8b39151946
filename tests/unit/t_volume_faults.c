/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A thin device of a table, whose data and external origin consist of pieces, is opened, copied into a file and
 * compared, while each request for memory, each read and each write fails once.
 */
#include <errno.h>
#include <unistd.h>

#include "folder.h"

#include "failing.h"
#include "old_pool.h"
#include "volume/copy/copy.h"
#include "volume/open/thin_io.h"
#include "volume/open/volume.h"

#define SIZE (300 * 65536ull)

static char pool_path[500], image_path[500];

static void note(void *ctx, const char *text)
{
	(void)ctx;
	check(text[0]);
}

/* A file of @len bytes, with something in every 64th block of 64 KiB. */
static void put_sparse(const char *name, uint64_t len)
{
	FILE *f = fopen(file_name(name), "w");

	check(f);
	for (uint64_t at = 0; at < len; at += 64 << 16)
		check(!fseek(f, (long)at, SEEK_SET) && fwrite(name, 1, strlen(name), f));
	check(!fflush(f) && !ftruncate(fileno(f), (off_t)len) && !fclose(f));
}

static void make_pool(void)
{
	char text[2000];

	make_old(env("SEED", 3));
	put("meta", old_image, sizeof(old_image));
	put_sparse("d0", 1000 << 16);
	put_sparse("d1", 2000 << 16);
	put_sparse("base", 3000 << 16);
	snprintf(text, sizeof(text),
		 "data: 0 128000 linear d0 0\ndata: 128000 256000 linear d1 0\n"
		 "pool: 0 384000 thin-pool meta data 128 0\n"
		 "ext: 0 10000 linear base 128\next: 10000 20000 zero\next: 30000 4000 linear base 20000\n"
		 "old: 0 38400 thin pool 1 ext\nweb: 0 38400 thin pool 5 old\n");
	put("table", text, strlen(text));
	strcpy(pool_path, file_name("table"));
	strcpy(image_path, file_name("image"));
	unlink(image_path);
}

static int copy(struct volume *v, struct jobs *jobs, struct err *e)
{
	const struct copy_options opt = { .data = v->data, .origin = v->origin, .sparse = SPARSE_AUTO };
	const struct output_options to = { .size = v->map.size, .force = 1 };
	struct output out;
	int r = output_open(image_path, &to, &out, e);

	if (r)
		return r;
	r = copy_map(&v->map, &out, &opt, jobs, e);
	if (!r)
		r = output_sync(&out, e);
	if (!r)
		r = copy_verify(&v->map, &out, &opt, jobs, e);
	if (!r)
		r = output_commit(&out, e);
	output_discard(&out);
	return r;
}

static int open_and_copy(const char *device, bool whole, struct err *e)
{
	const struct volume_options opt = { .pool = pool_path, .device = device,
					    .want.table = { .tell = note, .open_thin = thin_io_open } };
	struct jobs *jobs = jobs_new(1);
	struct volume v;
	int r;

	if (!jobs)
		return err_nomem(e, "jobs");
	r = volume_open(&v, &opt, jobs, e);
	check(r || (v.map.size == SIZE && v.data && v.origin));
	if (!r && whole)
		r = copy(&v, jobs, e);
	if (!r)
		volume_close(&v);
	jobs_free(jobs);
	return r;
}

static void each_call(const char *class, int code, const char *device, bool whole)
{
	struct err e = { 0 };
	bool hit = true;
	int r;

	make_pool();
	check(!open_and_copy(device, whole, &e));
	for (long n = 1; hit; n++) {
		e.text[0] = 0;
		unlink(image_path);
		failing_begin(class, n, code);
		r = open_and_copy(device, whole, &e);
		hit = failing_end();
		if (r && (!hit || r != -code || !e.text[0]))
			printf("# %s %ld: %d, '%s'\n", class, n, r, e.text);
		check(!r || (hit && r == -code && e.text[0]));
		check(r || !whole || !access(image_path, F_OK));
		check(!r || access(image_path, F_OK));
	}
}

static void memory(void)
{
	each_call("memory", ENOMEM, "old", true);
}

static void memory_for_a_thin_origin(void)
{
	each_call("memory", ENOMEM, "web", false);
}

static void reads(void)
{
	each_call("read", EIO, "old", true);
}

static void writes(void)
{
	each_call("write", ENOSPC, "old", true);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "a copy for which there is no memory is told, and leaves no image", memory },
		{ "a device on another thin device for which there is no memory is not opened", memory_for_a_thin_origin },
		{ "a read that fails ends the copy with words, and leaves no image", reads },
		{ "a write that fails ends the copy with words, and leaves no image", writes },
		{ 0 },
	};

	return folder_main(tests, argc, argv);
}
