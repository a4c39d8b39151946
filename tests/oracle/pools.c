/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* pools SEED COUNT DIR: writes the metadata of COUNT pools with random histories to DIR/0.img, ... */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>

#include "rescue/harsh.h"

static void write_pool(const struct history *h, const char *dir, uint64_t nr)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%llu.img", dir, (unsigned long long)nr);
	f = fopen(path, "wb");
	if (!f || fwrite(h->state[h->nr - 1], 4096, h->nr_blocks, f) != h->nr_blocks || fclose(f))
		err(1, "%s", path);
}

int main(int argc, char **argv)
{
	uint64_t seed, count;

	if (argc != 4)
		errx(64, "usage: pools SEED COUNT DIR");
	seed = strtoull(argv[1], NULL, 10);
	count = strtoull(argv[2], NULL, 10);
	for (uint64_t i = 0; i < count; i++) {
		struct pool pool;
		struct history h;

		fresh_pool(&pool, &h, seed * 100003 + i, 0, i % 3 == 2 ? STORY_HERD : STORY_USUAL, i % 2);
		write_pool(&h, argv[3], i);
		history_free(&h);
		pool_free(&pool);
	}
	return 0;
}
