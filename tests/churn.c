/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * churn TABLE NAME SEED CHANGES: random writes, zeros and discards to a device of an inactive pool,
 * as a guest makes them.  For tests of what differs afterwards.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/dev.h"
#include "volume/open/origin.h"
#include "volume/open/pool_arg.h"
#include "volume/target/target.h"

static uint64_t seed;

static uint64_t rnd(uint64_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 20) % n;
}

static int fail(const struct err *err)
{
	fprintf(stderr, "churn: %s\n", err->text);
	return 1;
}

static int change(struct target_dev *d, uint8_t *buf, uint64_t block, struct err *err)
{
	uint64_t size = target_size(d), at, len;

	/* some whole blocks, some that cross them, some small */
	len = rnd(3) ? (1 + rnd(3)) * block : (1 + rnd(200)) * 512;
	at = rnd(2) ? rnd(size / block + 1) * block : rnd(size / 512 + 1) * 512;
	if (at >= size)
		return 0;
	len = MIN(len, size - at);
	switch (rnd(6)) {
	case 0: return target_discard(d, len, at, err);
	case 1: return target_zero(d, len, at, rnd(2), err);
	}
	memset(buf, 0, len);
	for (uint64_t i = 0; i < len; i += 1 + rnd(rnd(4) ? 700 : 9000))
		buf[i] = (uint8_t)rnd(256);
	return target_write(d, buf, len, at, err);
}

int main(int argc, char **argv)
{
	const struct table_thin *line = NULL;
	struct err err = { 0 };
	struct io *origin = NULL;
	struct target_dev *d;
	struct pool_arg arg;
	struct target *t;
	uint64_t block;
	uint8_t *buf;
	long n;
	int r;

	if (argc != 5)
		return 64;
	seed = strtoull(argv[3], NULL, 10);
	if (pool_arg_open(argv[1], NULL, &arg, &err))
		return fail(&err);
	line = table_find(arg.table, argv[2]);
	if (!line || (line->origin.path && origin_open(line->origin.path, 0, true, &origin, &err)) ||
	    target_open(&arg, NULL, DEV_WRITE, false, &t, &err) ||
	    target_device(t, line->dev_id, line->length << SECTOR_SHIFT, origin, &d, &err))
		return fail(&err);
	block = (uint64_t)arg.table->pool->data_block_size << SECTOR_SHIFT;
	buf = malloc(4 * block + 200 * 512);
	r = buf ? 0 : -1;
	for (n = strtol(argv[4], NULL, 10); n > 0 && !r; n--)
		r = change(d, buf, block, &err);
	free(buf);
	if (r || target_close(t, &err))
		return fail(&err);
	io_free(origin);
	pool_arg_fini(&arg);
	return 0;
}
