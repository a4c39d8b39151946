/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A thin device of a table, whose data and external origin consist of pieces, is opened, made an image of each
 * form and compared, while each request for memory, each read and each write fails once.
 */
#include <errno.h>
#include <unistd.h>

#include "folder.h"

#include "failing.h"
#include "old_pool.h"
#include "volume/image/make.h"
#include "volume/open/thin_io.h"
#include "volume/open/volume.h"

#define SIZE (80 * 65536ull)

enum form { NONE, COPY, RAW, QCOW2, OVERLAY };

static char pool_path[500], image_path[500], backing_path[500];

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
		 "ext: 0 3000 linear base 128\next: 3000 4000 zero\next: 7000 2000 linear base 20000\n"
		 "old: 0 10240 thin pool 1 ext\nnew: 0 10240 thin pool 2 ext\n"
		 "web: 0 10240 thin pool 5 old\n");
	put("table", text, strlen(text));
	strcpy(pool_path, file_name("table"));
	strcpy(image_path, file_name("image"));
	strcpy(backing_path, file_name("backing"));
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

static struct meter *no_meter(void *ctx, const char *title, uint64_t total)
{
	(void)ctx, (void)title, (void)total;
	return NULL;
}

/* By lib/volume/image, as thin_materialize does it; an overlay stands on the image of device "old". */
static int make(enum form form, struct volume *v, const struct volume_options *from, struct jobs *jobs, struct err *e)
{
	const struct make_options opt = { .format = form == RAW ? MAKE_RAW : MAKE_QCOW2,
					  .backing = form == OVERLAY ? backing_path : NULL,
					  .compress = form == QCOW2 ? COMPRESS_DEFLATE : COMPRESS_NONE,
					  .verify = true,
					  .digest = true,
					  .output.force = 1,
					  .step = no_meter };
	const struct since_options so = { .base = form == OVERLAY ? "old" : NULL };
	const char *path = form == RAW && !strcmp(from->device, "old") ? backing_path : image_path;
	struct since since;
	struct make m;
	int r = since_open(&since, v, from, &so, jobs, e);

	if (r)
		return r;
	r = make_open(&m, path, from->pool, from->device, v, &since, &opt, jobs, e);
	if (!r)
		r = make_run(&m, jobs, e);
	check(r || strlen(m.sha256) == 64);
	make_close(&m);
	since_close(&since);
	return r;
}

static int open_and_make(const char *device, enum form form, struct err *e)
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
	if (!r) {
		if (form != NONE)
			r = form == COPY ? copy(&v, jobs, e) : make(form, &v, &opt, jobs, e);
		volume_close(&v);
	}
	jobs_free(jobs);
	return r;
}

static void each_call(const char *class, int code, const char *device, enum form form)
{
	struct err e = { 0 };
	bool hit = true;
	int r;

	make_pool();
	if (form == OVERLAY)
		check(!open_and_make("old", RAW, &e));
	if (open_and_make(device, form, &e))
		printf("# %s\n", e.text);
	check(form == NONE || !access(image_path, F_OK));
	for (long n = 1; hit; n++) {
		e.text[0] = 0;
		unlink(image_path);
		failing_begin(class, n, code);
		r = open_and_make(device, form, &e);
		hit = failing_end();
		if (r && (!hit || r != -code || !e.text[0] || !access(image_path, F_OK)))
			printf("# form %d, %s %ld: %d, '%s'\n", form, class, n, r, e.text);
		check(!r || (hit && r == -code && e.text[0]));
		check(r || form == NONE || !access(image_path, F_OK));
		check(!r || access(image_path, F_OK));
	}
}

static void memory(void)
{
	each_call("memory", ENOMEM, "old", COPY);
}

static void memory_for_a_thin_origin(void)
{
	each_call("memory", ENOMEM, "web", NONE);
}

static void reads(void)
{
	each_call("read", EIO, "old", COPY);
}

static void writes(void)
{
	each_call("write", ENOSPC, "old", COPY);
}

static void refused(const struct volume_options *opt, int code, const char *words)
{
	struct jobs *jobs = jobs_new(1);
	struct err e = { 0 };
	struct volume v;
	int r;

	check(jobs);
	r = volume_open(&v, opt, jobs, &e);
	if (r != code || !strstr(e.text, words))
		printf("# %d: %s\n", r, e.text);
	check(r == code && strstr(e.text, words));
	jobs_free(jobs);
}

/* The external origin is a thin device of another pool, of which the table says @lines. */
static void origin_refused(const char *lines, int code, const char *words)
{
	const struct volume_options opt = { .pool = pool_path, .device = "web",
					    .want.table = { .tell = note, .open_thin = thin_io_open } };
	char text[1000];

	snprintf(text, sizeof(text), "pool: 0 384000 thin-pool meta d1 128 0\nweb: 0 10240 thin pool 5 far\n%s", lines);
	put("table", text, strlen(text));
	refused(&opt, code, words);
}

static void what_cannot_be(void)
{
	struct volume_options opt = { .pool = pool_path, .device = "old", .repair = true, .snap = true,
				      .want.table = { .tell = note, .open_thin = thin_io_open } };

	make_pool();
	refused(&opt, -EINVAL, "--repair cannot read the metadata snapshot");
	opt.repair = opt.snap = false;
	opt.has_size = true;
	opt.size = UINT64_MAX;
	refused(&opt, -EDOM, "18446744073709551615 bytes are too large a size for a device");
	put("meta2", old_image, sizeof(old_image));
	origin_refused("p2: 0 384000 thin-pool meta2 d0 256 0\nfar: 0 10240 thin p2 1\n", -EINVAL, "256");
	origin_refused("p2: 0 384000 thin-pool meta2 d0 128 0\nfar: 0 10240 thin p2 99\n", -ENODATA,
		       "no device 99 in ");
	origin_refused("p2: 0 384000 thin-pool meta2 d0 128 0\nfar: 0 10240 thin p3 1\n", -EINVAL,
		       "'p3': no thin-pool line of the file has that name");
}

static void images(void)
{
	static const struct {
		const char *class;
		int code;
	} calls[] = { { "memory", ENOMEM }, { "read", EIO }, { "write", ENOSPC } };

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		each_call(calls[i].class, calls[i].code, "new", RAW);
		each_call(calls[i].class, calls[i].code, "new", QCOW2);
		each_call(calls[i].class, calls[i].code, "new", OVERLAY);
	}
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "a copy for which there is no memory is told, and leaves no image", memory },
		{ "a device on another thin device for which there is no memory is not opened", memory_for_a_thin_origin },
		{ "a read that fails ends the copy with words, and leaves no image", reads },
		{ "a write that fails ends the copy with words, and leaves no image", writes },
		{ "an image of any form for which a call fails is told, and is not there", images },
		{ "a device whose origin or size cannot be is refused with the reason", what_cannot_be },
		{ 0 },
	};

	return folder_main(tests, argc, argv);
}
