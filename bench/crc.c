/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* How fast each crc32c implementation is over 4 KiB blocks: in the cache, and from memory. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/sum/crc32c.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double gb_per_s(const struct crc32c_impl *impl, const char *data, size_t nr_blocks)
{
	volatile uint32_t sum = 0;
	double begin = now(), took;
	size_t done = 0, i;

	do {
		for (i = 0; i < nr_blocks; i++)
			sum = sum ^ impl->fn(~0u, data + i * 4096 + 4, 4092);
		done += nr_blocks;
		took = now() - begin;
	} while (took < 0.3);
	return (double)done * 4096 / took / 1e9;
}

int main(void)
{
	size_t nr = 65536;
	char *data = calloc(nr, 4096);
	const struct crc32c_impl *impl;
	size_t i;

	if (!data)
		return 1;
	for (i = 0; i < nr * 4096; i++)
		data[i] = (char)(i * 31);
	printf("%-10s %14s %14s\n", "crc32c", "64 KiB, GB/s", "256 MiB, GB/s");
	for (impl = crc32c_impls(); impl->name; impl++)
		printf("%-10s %14.1f %14.1f\n", impl->name, gb_per_s(impl, data, 16),
		       gb_per_s(impl, data, nr));
	free(data);
	return 0;
}
