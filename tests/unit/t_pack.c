/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <libdeflate.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/le.h"
#include "dev/io.h"
#include "pdata/block/format.h"
#include "pool/pack/pack.h"
#include "pool/pack/impl.h"
#include "pool/format/superblock.h"
#include "io_fault.h"
#include "like_node.h"
#include "tap.h"
#include "random.h"

/* Metadata of @nr blocks: some zero, some nodes, some noise. */
static struct io *make_metadata(uint64_t nr)
{
	struct io *io = io_mem_new("meta", nr * MBLOCK_SIZE);
	struct superblock sb = { .version = 2, .metadata_sm = { .nr_blocks = nr } };
	uint64_t seed = 5, b, k;
	uint8_t *data;

	check(io);
	data = io_mem_data(io);
	for (b = 1; b < nr; b++) {
		uint8_t *block = data + b * MBLOCK_SIZE;

		if (b % 7 == 3)
			continue;
		for (k = 0; k < MBLOCK_SIZE / 8; k++) {
			uint64_t v = b % 5 ? (b * 252 + k) << 24 : random_next(&seed);

			memcpy(block + k * 8, &v, 8);
		}
		if (b % 5)
			node_header(block, 1 + b % 2, 252, 8);
	}
	superblock_seal(&sb, data, 0);
	return io;
}

struct packed {
	int fd;
	struct io *io;
};

static struct packed pack_up(struct io *in, unsigned nr_jobs)
{
	struct packed p = { .fd = memfd_create("packed", 0) };
	struct jobs *jobs = jobs_new(nr_jobs);
	struct err err = { 0 };

	check(p.fd >= 0 && jobs);
	check_eq(pack_file(in, p.fd, "packed", jobs, &err), 0);
	jobs_free(jobs);
	p.io = io_file_new(p.fd, "packed", (uint64_t)lseek(p.fd, 0, SEEK_END), false);
	check(p.io);
	return p;
}

static int unpack_onto(struct io *in, struct io *out, bool zeroed, unsigned nr_jobs,
		       struct unpack_stats *st, struct err *err)
{
	struct jobs *jobs = jobs_new(nr_jobs);
	struct pack_header h;
	int e = pack_read_header(in, &h, err);

	if (!e && h.nr_blocks * MBLOCK_SIZE > out->size)
		e = -ERANGE;
	if (!e)
		e = unpack_file(in, &h, &(struct unpack_output){ out, .zeroed = zeroed }, jobs, st, err);
	jobs_free(jobs);
	return e;
}

static void round_trip(void)
{
	static const uint64_t sizes[] = { 1, 2, 12, 127, 128, 255, 256, 257, 1000, 5000 };
	struct unpack_stats st;
	struct err err = { 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct io *in = make_metadata(sizes[i]);
		struct packed one = pack_up(in, 1), four = pack_up(in, 4);
		struct io *out = io_mem_new("out", in->size);
		void *a = malloc(one.io->size), *b = malloc(one.io->size);

		check_eq(one.io->size, four.io->size);
		check(a && b && !io_read(one.io, a, one.io->size, 0, &err));
		check(!io_read(four.io, b, one.io->size, 0, &err));
		check(!memcmp(a, b, one.io->size));
		memset(io_mem_data(out), 0xee, out->size);
		check_eq(unpack_onto(one.io, out, false, 1 + i % 3, &st, &err), 0);
		check(!memcmp(io_mem_data(in), io_mem_data(out), in->size));
		check(st.has_superblock);
		io_free(in);
		io_free(out);
		io_free(one.io);
		io_free(four.io);
		free(a);
		free(b);
	}
}

static void input_that_became_shorter(void)
{
	int fd = memfd_create("meta", 0), out = memfd_create("packed", 0);
	struct io *in = io_file_new(fd, "meta", 5000 * MBLOCK_SIZE, false);
	struct jobs *jobs = jobs_new(1);
	struct err err = { 0 };

	check(in && jobs && out >= 0 && !ftruncate(fd, 64 * MBLOCK_SIZE));
	check_eq(pack_file(in, out, "packed", jobs, &err), -EIO);
	check(strstr(err.text, "the file ends at"));
	jobs_free(jobs);
	io_free(in);
	close(out);
}

static void cut_off_anywhere(void)
{
	struct io *in = make_metadata(60);
	struct packed p = pack_up(in, 1);
	uint64_t whole = p.io->size, n;
	struct superblock sb;

	for (n = 0; n < whole; n += n < 60 ? 1 : 37) {
		struct io *out = io_mem_new("out", in->size);
		struct unpack_stats st;
		struct err err = { 0 };
		int e;

		p.io->size = n;
		e = unpack_onto(p.io, out, true, 1, &st, &err);
		if (n == PACK_HEADER_LEN) {
			check_eq(e, 0);
			check(!st.has_superblock && !st.nr_blocks);
		} else {
			check(e == -EBADMSG || e == -EINVAL);
			check(err.text[0]);
			check(superblock_open(&sb, io_mem_data(out), 0) != SB_OK);
		}
		io_free(out);
	}
	io_free(in);
	io_free(p.io);
}

/* A packed file with one stream of @coded. */
static struct io *one_stream(uint64_t nr_blocks, const void *coded, size_t len)
{
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
	struct io *io = io_mem_new("packed", 1 << 20);
	uint8_t *p = io_mem_data(io);
	le64 h[5] = { le64_make(PACK_MAGIC), le64_make(PACK_VERSION), le64_make(MBLOCK_SIZE),
		      le64_make(nr_blocks) };
	size_t n = libdeflate_zlib_compress(c, coded, len, p + sizeof(h), (1 << 20) - sizeof(h));

	check(n);
	h[4] = le64_make(n);
	memcpy(p, h, sizeof(h));
	io->size = sizeof(h) + n;
	libdeflate_free_compressor(c);
	return io;
}

static void expect_refused(struct io *in, const char *text)
{
	struct io *out = io_mem_new("out", 100 * MBLOCK_SIZE);
	struct unpack_stats st;
	struct err err = { 0 };

	check(unpack_onto(in, out, true, 1, &st, &err) < 0);
	check_str(err.text, text);
	io_free(in);
	io_free(out);
}

static void bad_files(void)
{
	uint8_t coded[2 * (8 + 3)] = { 3 };
	struct io *io;
	le64 *h;

	coded[8] = 0x01, coded[9] = 0, coded[10] = 0x51;
	expect_refused(one_stream(100, coded, 11), "packed: the stream at byte 32 is damaged: the "
						   "record ends too early");
	{
		uint8_t twice[2 * 12] = { 3, [8] = 0x01, 0, 0x61, 0xff };

		memcpy(twice + 12, twice, 12);
		expect_refused(one_stream(100, twice, 24), "packed: the stream at byte 32 is "
							   "damaged: block 3 occurs twice");
		twice[0] = 100;
		expect_refused(one_stream(100, twice, 12),
			       "packed: the stream at byte 32 is damaged: block 100 is beyond the "
			       "end of the metadata");
	}
	io = one_stream(100, "", 0);
	h = io_mem_data(io);
	h[0] = le64_make(1);
	expect_refused(io, "Not a pack file: packed");
	expect_refused(one_stream(100, coded, 5), "packed: the stream at byte 32 is damaged: the record ends too early");
	io = one_stream(100, "", 0);
	((le64 *)io_mem_data(io))[1] = le64_make(2);
	expect_refused(io, "packed: unsupported pack file version (2).");
	io = one_stream(100, "", 0);
	h = io_mem_data(io);
	h[2] = le64_make(512);
	expect_refused(io, "packed: block size is not 4096");
	expect_refused(one_stream(0, "", 0), "packed: 0 blocks is not a possible metadata size");
	expect_refused(one_stream(UINT64_MAX, "", 0),
		       "packed: 18446744073709551615 blocks is not a possible metadata size");
	io = one_stream(100, "", 0);
	h = io_mem_data(io);
	h[4] = le64_make(UINT64_MAX);
	expect_refused(io, "packed: the stream at byte 32 is damaged: its length is impossible");
	io = one_stream(100, "", 0);
	h = io_mem_data(io);
	h[4] = le64_make(0);
	expect_refused(io, "packed: the stream at byte 32 is damaged: its length is impossible");
	io = one_stream(100, "", 0);
	((uint8_t *)io_mem_data(io))[41] ^= 0xff;
	expect_refused(io, "packed: the stream at byte 32 is damaged: it cannot be inflated");
	io = one_stream(100, coded, 11);
	((le64 *)io_mem_data(io))[4] = le64_make(++io->size - 40); /* a byte behind the stream's end is said to be of it */
	expect_refused(io, "packed: the stream at byte 32 is damaged: it cannot be inflated");
}

static void bomb(void)
{
	size_t len = 40 << 20;
	uint8_t *coded = calloc(1, len);
	struct io *in;

	check(coded);
	memset(coded + 8, 0x90, len - 8); /* literals of no bytes: a record without end */
	in = one_stream(100, coded, len);
	free(coded);
	expect_refused(in, "packed: the stream at byte 32 is damaged: it inflates to more than a "
			   "stream may hold");
}

static void power_cut(void)
{
	struct io *in = make_metadata(300);
	struct packed p = pack_up(in, 1);
	struct superblock sb;
	uint64_t n;
	int e;

	for (n = 0;; n++) {
		struct io *mem = io_mem_new("out", in->size), *out;
		struct unpack_stats st;
		struct err err = { 0 };
		bool valid;

		superblock_seal(&(struct superblock){ .version = 2 }, io_mem_data(mem), 0);
		out = io_fault_new(mem);
		io_fault_cut_at(out, n);
		e = unpack_onto(p.io, out, false, 1, &st, &err);
		valid = superblock_open(&sb, io_mem_data(mem), 0) == SB_OK;
		/* before the first write the old pool is there, after the last the new one */
		check(valid == (n == 0 || !e));
		if (!e)
			check(!memcmp(io_mem_data(mem), io_mem_data(in), in->size));
		io_free(out);
		if (!e)
			break;
	}
	check(n > 3);
	io_free(in);
	io_free(p.io);
}

static void losses_are_counted(void)
{
	struct superblock sb = { .version = 2, .metadata_sm = { .nr_blocks = 50,
								.nr_allocated = 40 } };
	struct io *in = io_mem_new("meta", 50 * MBLOCK_SIZE), *out = io_mem_new("out", in->size);
	struct unpack_stats st;
	struct err err = { 0 };
	struct packed p;

	superblock_seal(&sb, io_mem_data(in), 0);
	p = pack_up(in, 1);
	check_eq(unpack_onto(p.io, out, true, 1, &st, &err), 0);
	check_eq(st.nr_blocks, 1);
	check_eq(st.nr_allocated, 40);
	io_free(in);
	io_free(out);
	io_free(p.io);
}

static const struct test tests[] = {
	{ "metadata of any size comes back bit for bit, the same for any number of jobs",
	  round_trip },
	{ "metadata that became shorter meanwhile is refused", input_that_became_shorter },
	{ "a file cut off anywhere is refused and block 0 stays invalid", cut_off_anywhere },
	{ "damaged files are refused by name", bad_files },
	{ "a stream that inflates without end is refused", bomb },
	{ "a power cut leaves the old pool, nothing valid, or the new one", power_cut },
	{ "what a packed file lacks is counted", losses_are_counted },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
