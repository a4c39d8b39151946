/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <string.h>

#include "pool/space/trim.h"
#include "io_fault.h"
#include "random.h"
#include "tap.h"

#define BLOCK_LEN 65536ull
#define NR 200

static struct err err;

static void add(void *ctx, uint64_t bytes)
{
	*(uint64_t *)ctx += bytes;
}

static void only_free(void)
{
	for (uint64_t s = 1; s < 40; s++) {
		rnd_begin(s);

		uint64_t nr = rnd(NR), used = 0, runs = 0, told = 0;
		struct trim_options opt = { .done = add, .ctx = &told };
		struct refmap *m = refmap_new(nr, false);
		struct io *io = io_mem_new("data", (NR + 1) * BLOCK_LEN);
		uint8_t *p = io_mem_data(io);
		struct trim_report rep;

		memset(p, 0x55, io->size);
		for (uint64_t b = 0; b < nr; b++)
			refmap_set(m, b, rnd(3) ? (uint32_t)rnd(5) : 0);
		check_eq(trim_run(m, 128, io, &opt, &rep, &err), 0);
		for (uint64_t b = 0; b <= NR; b++) {
			bool is_free = b < nr && !refmap_get(m, b);

			used += b < nr && !is_free;
			runs += is_free && (!b || refmap_get(m, b - 1));
			check_eq(p[b * BLOCK_LEN], is_free ? 0 : 0x55);
			check_eq(p[b * BLOCK_LEN + BLOCK_LEN - 1], is_free ? 0 : 0x55);
		}
		check_eq(rep.nr_blocks, nr);
		check_eq(rep.nr_free, nr - used);
		check_eq(rep.nr_runs, runs);
		check_eq(rep.bytes, rep.nr_free * BLOCK_LEN);
		check_eq(told, rep.bytes);
		io_free(io);
		refmap_free(m);
	}
}

static void dry_run(void)
{
	struct trim_options opt = { .dry_run = true };
	struct refmap *m = refmap_new(10, false);
	struct io *io = io_fault_new(io_mem_new("data", 10 * BLOCK_LEN));
	struct trim_report rep;

	refmap_set(m, 4, 1);
	check_eq(trim_run(m, 128, io, &opt, &rep, &err), 0);
	check_eq(rep.nr_runs, 2);
	check_eq(rep.bytes, 9 * BLOCK_LEN);
	check_eq(io_fault_nr_writes(io), 0);
	opt.dry_run = false;
	check_eq(trim_run(m, 128, io, &opt, &rep, &err), 0);
	check_eq(io_fault_nr_writes(io), 2);
	check_eq(io_fault_nr_flushes(io), 1);
	io_free(io);
	refmap_free(m);
}

static void failures(void)
{
	struct trim_options opt = { 0 };
	struct refmap *m = refmap_new(10, false);
	struct io *io = io_fault_new(io_mem_new("data", 10 * BLOCK_LEN));
	struct trim_report rep;

	refmap_set(m, 4, 1);
	io_fault_fail_write(io, 1, -EIO);
	check_eq(trim_run(m, 128, io, &opt, &rep, &err), -EIO);
	check_eq(rep.bytes, 4 * BLOCK_LEN); /* what had been done */
	io_free(io);
	io = io_mem_new("short", 10 * BLOCK_LEN - 1);
	check_eq(trim_run(m, 128, io, &opt, &rep, &err), -ERANGE);
	check_str(err.text, "short: unexpected data device size, wanted 655360 bytes, it has 655359");
	io_free(io);
	refmap_free(m);
}

static const struct test tests[] = {
	{ "every free block of the pool is given back, and nothing else", only_free },
	{ "a dry run counts the same and touches nothing", dry_run },
	{ "a failing or short device is an error that says how far it went", failures },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
