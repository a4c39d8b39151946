/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Copies from a device that is read directly: into a stream in order, with heads or without, and into a file. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "folder.h"
#include "made_io.h"
#include "volume/copy/copy.h"
#include "volume/copy/impl.h"

#define BS 65536u
#define BLOCKS 200u

static struct err err;

static uint8_t byte_at(uint64_t at)
{
	return (uint8_t)(1 + at / BS + at % 251);
}

static const struct io_ops ops = { .read = made_read, .free = made_free };
static struct io device = { .ops = &ops, .name = "device", .size = BLOCKS * BS, .align = 1, .direct = true, .fd = -1 };

/* Every fourth block is a hole; the others lie in the reverse order. */
static bool is_hole(uint64_t v)
{
	return v % 4 == 3;
}

static int walk(void *ctx, map_runs_fn *fn, void *fn_ctx, struct err *e)
{
	int r = 0;

	(void)ctx;
	for (uint64_t v = 0; v < BLOCKS && !r; v++) {
		const struct run run = { v, BLOCKS - 1 - v, 1, 0 };

		r = is_hole(v) ? 0 : fn(fn_ctx, &run, 1, e);
	}
	return r;
}

static const struct map map = { .source = { .walk = walk }, .block_len = BS, .size = BLOCKS * BS };

static uint8_t wanted(uint64_t at)
{
	return is_hole(at / BS) ? 0 : byte_at((BLOCKS - 1 - at / BS) * BS + at % BS);
}

/* What was shown is what is wanted, in order. */
static void look(void *ctx, const void *bytes, uint64_t len)
{
	uint64_t *at = ctx;

	for (uint64_t i = 0; i < len; i++, ++*at)
		check_eq(bytes ? ((const uint8_t *)bytes)[i] : 0, wanted(*at));
}

static size_t head(uint64_t at, uint64_t len, bool zero, uint8_t to[COPY_FRAME_MAX])
{
	return (size_t)sprintf((char *)to, "%c%010llu+%010llu", zero ? 'z' : 'w', (unsigned long long)at, (unsigned long long)len);
}

static void stream_to(const char *name, const struct copy_options *opt, unsigned jobs)
{
	struct jobs *j = jobs_new(jobs);
	struct output out = { .kind = OUTPUT_STREAM, .path = (char[]){ "stream" }, .size = map.size };

	out.fd = open(file_name(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	check(j && out.fd >= 0);
	check_eq(copy_map(&map, &out, opt, j, &err), 0);
	close(out.fd);
	jobs_free(j);
}

static uint8_t *read_file(const char *name, size_t *len)
{
	uint8_t *p = malloc(2 * map.size);
	FILE *f = fopen(file_name(name), "r");

	check(p && f);
	*len = fread(p, 1, 2 * map.size, f);
	fclose(f);
	return p;
}

static void streams_in_order(void)
{
	for (unsigned jobs = 1; jobs <= COPY_WIDE + 4; jobs += COPY_WIDE + 3) {
		struct copy_counts counts = { 0 };
		uint64_t at = 0;
		const struct copy_options opt = { .data = &device, .counts = &counts, .seen = look, .seen_ctx = &at };
		uint8_t *got;
		size_t len;

		stream_to("raw", &opt, jobs);
		check_eq(at, map.size);
		got = read_file("raw", &len);
		check_eq(len, map.size);
		for (uint64_t i = 0; i < len; i++)
			check_eq(got[i], wanted(i));
		free(got);
		check_eq(counts.zeroed, map.size / 4);
		check_eq(counts.copied, map.size - map.size / 4);
	}
}

#define MANY 40
static _Atomic unsigned nr_others;

/* The block that the stream begins with arrives when many others have been read, or after ten seconds. */
static int read_first_late(struct io *io, void *buf, size_t len, uint64_t at, struct err *e)
{
	if (at / BS != BLOCKS - 1)
		nr_others++;
	for (int ms = 0; at / BS == BLOCKS - 1 && nr_others < MANY && ms < 10000; ms++)
		usleep(1000);
	return made_read(io, buf, len, at, e);
}

static void streams_past_a_late_block(void)
{
	static const struct io_ops late_ops = { .read = read_first_late, .free = made_free };
	struct io late = device;
	const struct copy_options opt = { .data = &late };
	uint8_t *got;
	size_t len;

	late.ops = &late_ops;
	stream_to("late", &opt, 1);
	check(nr_others >= MANY);
	got = read_file("late", &len);
	check_eq(len, map.size);
	for (uint64_t i = 0; i < len; i++)
		check_eq(got[i], wanted(i));
	free(got);
}

static void streams_with_heads(void)
{
	const struct copy_options opt = { .data = &device, .frame = head };
	uint8_t *got;
	size_t len, p = 0;
	uint64_t at = 0, said, n;
	char kind;

	stream_to("framed", &opt, 3);
	got = read_file("framed", &len);
	for (; p < len; at += n) {
		check(sscanf((const char *)got + p, "%c%10llu+%10llu", &kind, (unsigned long long *)&said, (unsigned long long *)&n) == 3);
		p += 22;
		check_eq(said, at);
		for (uint64_t i = 0; i < n; i++)
			check_eq(kind == 'z' ? 0 : got[p + i], wanted(at + i));
		p += kind == 'z' ? 0 : n;
	}
	check_eq(at, map.size);
	free(got);
}

static void a_file_in_its_order_for_who_looks(void)
{
	uint64_t at = 0;
	struct copy_options opt = { .data = &device, .seen = look, .seen_ctx = &at };
	const struct output_options to = { .size = map.size };
	struct jobs *j = jobs_new(COPY_WIDE + 4);
	struct output out;

	check_eq(output_open(file_name("file"), &to, &out, &err), 0);
	check_eq(copy_map(&map, &out, &opt, j, &err), 0);
	check_eq(at, map.size);
	check_eq(copy_verify(&map, &out, &opt, j, &err), 0);
	output_discard(&out);
	jobs_free(j);
}

/* What a device holds where it should have read as zeros is its user's mistake, not the disk's. */
static void a_wrong_byte_has_its_cause(void)
{
	const struct copy_options opt = { .data = &device };
	const struct output_options to = { .size = map.size };
	struct jobs *j = jobs_new(1);
	struct output out;

	check_eq(output_open(file_name("image"), &to, &out, &err), 0);
	check_eq(copy_map(&map, &out, &opt, j, &err), 0);
	check_eq(io_write(out.io, "x", 1, 3 * BS + 7, &err), 0);
	out.kind = OUTPUT_DEVICE;
	check(copy_verify(&map, &out, &opt, j, &err) == -EBADMSG);
	check(strstr(err.text, "offset 196615: 0x78 instead of 0x00") && strstr(err.text, "--target-is-zero was given"));
	out.reads_zero = false;
	check(copy_verify(&map, &out, &opt, j, &err) == -EBADMSG);
	check(strstr(err.text, "returns other data than was written"));
	out.kind = OUTPUT_FILE;
	output_discard(&out);
	jobs_free(j);
}

static void only_files_share(void)
{
	const struct copy_options opt = { .data = &device, .reflink = REFLINK_ALWAYS };
	struct output out = { .kind = OUTPUT_STREAM, .path = (char[]){ "stream" }, .fd = -1, .size = map.size };
	struct jobs *j = jobs_new(1);

	check(copy_map(&map, &out, &opt, j, &err) == -ENOTSUP);
	check(strstr(err.text, "only a file shares extents"));
	check(!copy_may_share(&device, &out));
	out.kind = OUTPUT_FILE; /* of a dry run */
	check(!copy_may_share(&device, &out));
	jobs_free(j);
}

static const struct test tests[] = {
	{ "a stream gets all bytes in order, with few jobs and with many", streams_in_order },
	{ "a stream's blocks are read on while one of them takes long", streams_past_a_late_block },
	{ "a stream of records has each once, and no bytes of zeros", streams_with_heads },
	{ "who looks at a copy into a file sees it in the file's order", a_file_in_its_order_for_who_looks },
	{ "a byte where a device should have read as zeros is told as that", a_wrong_byte_has_its_cause },
	{ "what is no file shares nothing, and says so where it must", only_files_share },
	{ 0 }
};

int main(int argc, char **argv)
{
	return folder_main(tests, argc, argv);
}
