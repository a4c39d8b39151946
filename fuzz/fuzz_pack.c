/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Packed metadata.  The first byte chooses: a whole file, or records as they are when
 * inflated (deflate is hard to get through).  What unpacks, packs again to the same blocks.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "pdata/block/format.h"
#include "pool/pack/pack.h"
#include "pool/pack/impl.h"

#define BLOCKS_MAX 512

static void records(const uint8_t *p, const uint8_t *end)
{
	uint8_t block[MBLOCK_SIZE], again[MBLOCK_SIZE], record[PACK_RECORD_MAX];
	const uint8_t *q;
	mblock_t nr, nr2;
	size_t len;

	while (p < end && !pack_decode(&p, end, &nr, block)) {
		len = pack_encode(nr, block, record);
		MUST(len <= sizeof(record));
		q = record;
		MUST(!pack_decode(&q, record + len, &nr2, again));
		MUST(q == record + len && nr2 == nr && !memcmp(block, again, MBLOCK_SIZE));
	}
}

static struct io *unpack_all(struct io *in)
{
	struct unpack_stats st;
	struct pack_header h;
	struct err err = { 0 };
	struct jobs *jobs;
	struct io *out;
	int e;

	if (pack_read_header(in, &h, &err) < 0 || h.nr_blocks > BLOCKS_MAX)
		return NULL;
	jobs = jobs_new(1);
	out = io_mem_new("out", h.nr_blocks * MBLOCK_SIZE);
	MUST(jobs && out);
	e = unpack_file(in, &h, &(struct unpack_output){ out, .zeroed = true }, jobs, &st, &err);
	jobs_free(jobs);
	if (!e)
		return out;
	MUST(err.text[0]);
	io_free(out);
	return NULL;
}

static void file(const uint8_t *data, size_t len)
{
	struct io *in = io_mem_new("packed", len ? len : 1), *out, *again, *packed;
	struct jobs *jobs = jobs_new(1);
	struct err err = { 0 };
	int fd;

	MUST(in && jobs);
	memcpy(io_mem_data(in), data, len);
	out = unpack_all(in);
	if (out) {
		fd = memfd_create("packed", 0);
		MUST(fd >= 0 && !pack_file(out, fd, "packed", jobs, &err));
		packed = io_file_new(fd, "packed", (uint64_t)lseek(fd, 0, SEEK_END), false);
		again = unpack_all(packed);
		MUST(again && again->size == out->size);
		MUST(!memcmp(io_mem_data(out), io_mem_data(again), out->size));
		io_free(again);
		io_free(packed);
	}
	io_free(out);
	io_free(in);
	jobs_free(jobs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!len)
		return 0;
	if (data[0] % 2)
		records(data + 1, data + len);
	else
		file(data + 1, len - 1);
	return 0;
}
