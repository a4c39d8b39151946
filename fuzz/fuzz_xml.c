/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * XML: the fast lane on and off, and any size of reads, give the same events and the same
 * words.  The samples of xml/ are its corpus too.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "pool/text/text.h"

static int hash(void *ctx, const void *p, size_t len)
{
	uint64_t *h = ctx;
	const uint8_t *b = p;
	size_t i;

	for (i = 0; i < len; i++)
		*h = (*h ^ b[i]) * UINT64_C(0x100000001b3);
	return 0;
}

static int hash_pool(void *ctx, const struct pool_info *p, struct err *err)
{
	(void)err;
	MUST(p->data_block_size >= 128 && p->data_block_size % 128 == 0);
	return hash(ctx, "p", 1) | hash(ctx, p, sizeof(*p));
}

static int hash_device(void *ctx, const struct device_info *d, struct err *err)
{
	(void)err;
	MUST(d->dev_id < 1 << 24);
	return hash(ctx, "d", 1) | hash(ctx, &d->dev_id, 4) | hash(ctx, &d->mapped_blocks, 8) |
	       hash(ctx, &d->transaction, 8) | hash(ctx, &d->creation_time, 8);
}

static int hash_runs(void *ctx, const struct run *run, size_t nr, struct err *err)
{
	size_t i;

	(void)err;
	for (i = 0; i < nr; i++) {
		MUST(run[i].len && run[i].vbegin + run[i].len > run[i].vbegin);
		MUST(!i || run[i].vbegin >= run[i - 1].vbegin + run[i - 1].len);
		hash(ctx, &run[i].vbegin, 24);
		hash(ctx, &run[i].time, 4);
	}
	return hash(ctx, "r", 1);
}

static int hash_name(void *ctx, uint64_t name, struct err *err)
{
	(void)err;
	return hash(ctx, "n", 1) | hash(ctx, &name, 8);
}

static int hash_end(void *ctx, struct err *err)
{
	(void)err;
	return hash(ctx, "e", 1);
}

static const struct events_ops hash_ops = {
	.begin_pool = hash_pool,
	.begin_def = hash_name,
	.end_def = hash_end,
	.begin_device = hash_device,
	.runs = hash_runs,
	.ref = hash_name,
	.end_device = hash_end,
	.end_pool = hash_end,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct xml_options lane = { 0 }, slow = { .no_fast_lane = true };
	uint64_t h1 = 0, h2 = 0;
	struct events e1 = { &hash_ops, &h1 }, e2 = { &hash_ops, &h2 };
	struct err err1 = { 0 }, err2 = { 0 };
	struct xml_claims claims;
	int fd = memfd_create("xml", 0), r1, r2;

	MUST(fd >= 0);
	lane.read_len = len % 300;
	MUST(write(fd, data, len) == (ssize_t)len);
	MUST(!lseek(fd, 0, SEEK_SET));
	r1 = xml_read(fd, "x", &lane, &e1, &err1);
	MUST(!lseek(fd, 0, SEEK_SET));
	r2 = xml_read(fd, "x", &slow, &e2, &err2);
	MUST(!xml_scan(fd, &claims, &err1) || !claims.nr_devices);
	close(fd);
	if (r1 != r2 || h1 != h2 || (r1 && strcmp(err1.text, err2.text) != 0))
		fprintf(stderr, "lane: %d %s\nexpat: %d %s\n", r1, err1.text, r2, err2.text);
	MUST(r1 == r2 && h1 == h2 && (!r1 || !strcmp(err1.text, err2.text)));
	return 0;
}
