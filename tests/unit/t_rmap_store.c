/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <stdlib.h>

#include "pool/rmap/impl.h"
#include "random.h"
#include "tap.h"

#define NR_BUCKETS 7
#define NR_RECORDS 20000

/* A number of any width up to @bits bits. */
static uint64_t any_width(uint64_t *seed, unsigned bits)
{
	return random_next(seed) >> (64 - bits) >> random_below(seed, bits);
}

/* Lengths and sets around the greatest that are kept in few bytes are frequent. */
static struct rmap_record any_record(const struct rmap *m, uint64_t *seed)
{
	static const uint32_t len[] = { 1, 1, 1, 2, 254, 255, 256, UINT32_MAX };
	static const uint32_t set[] = { 0, 1, 65534, 65535, 65536, UINT32_MAX };
	const uint64_t span = (uint64_t)NR_BUCKETS << m->shift;
	struct rmap_record r;

	r.d = m->begin + (random_below(seed, 50) ? random_below(seed, span) : any_width(seed, 40));
	r.v = any_width(seed, 64);
	r.len = random_below(seed, 2) ? len[random_below(seed, ARRAY_SIZE(len))]
				      : 1 + (uint32_t)any_width(seed, 31);
	r.set = random_below(seed, 2) ? set[random_below(seed, ARRAY_SIZE(set))]
				      : (uint32_t)any_width(seed, 32);
	return r;
}

/* Bytes that the records take, or would take: at most @max_kept are kept, and if all are they are compared. */
static uint64_t gives_back(uint64_t seed, unsigned shift, uint64_t max_kept)
{
	static struct rmap_record want[NR_BUCKETS][NR_RECORDS];
	size_t nr[NR_BUCKETS] = { 0 };
	struct rmap_store store = { 0 };
	struct rmap m = { .shift = shift,
			  .nr_buckets = NR_BUCKETS,
			  .begin = 12345,
			  .bucket_end = NR_BUCKETS,
			  .store = &store,
			  .nr_workers = 1,
			  .max_kept = max_kept };
	struct rmap_records got = { 0 };
	uint64_t bytes = 0;

	check(!rmap_store_init(&m, &store));
	for (size_t i = 0; i < NR_RECORDS; i++) {
		const struct rmap_record r = any_record(&m, &seed);
		const uint32_t b = rmap_bucket(&m, r.d);

		check(!rmap_store_put(&m, &store, &r));
		want[b][nr[b]++] = r;
	}
	for (uint32_t b = 0; b < NR_BUCKETS; b++) {
		bytes += rmap_bucket_bytes(&m, b);
		if (m.nr_kept > max_kept)
			continue;
		check(!rmap_bucket_get(&m, b, &got));
		check_eq(got.nr, nr[b]);
		for (size_t i = 0; i < nr[b]; i++)
			check(got.rec[i].d == want[b][i].d && got.rec[i].v == want[b][i].v &&
			      got.rec[i].len == want[b][i].len && got.rec[i].set == want[b][i].set);
	}
	check_eq(bytes, m.nr_kept);
	free(got.rec);
	rmap_store_fini(&store);
	return bytes;
}

static uint64_t a_seed(void)
{
	const uint64_t seed = env("SEED", (uint64_t)time(NULL) | 1);

	printf("# SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static void any_records(void)
{
	const uint64_t seed = a_seed();

	for (unsigned shift = RMAP_SHIFT_MIN; shift < 30; shift++)
		gives_back(seed, shift, UINT64_MAX);
}

static void no_room(void)
{
	const uint64_t seed = a_seed(), bytes = gives_back(seed, RMAP_SHIFT_MIN, UINT64_MAX);

	check(bytes > NR_RECORDS);
	check_eq(gives_back(seed, RMAP_SHIFT_MIN, 0), bytes);
	check_eq(gives_back(seed, RMAP_SHIFT_MIN, 100000), bytes);
}

/* Few records of each bucket take little of the memory that is got at once. */
static void few_records(void)
{
	struct rmap_store store = { 0 };
	struct rmap m = { .shift = RMAP_SHIFT_MIN,
			  .nr_buckets = NR_BUCKETS,
			  .bucket_end = NR_BUCKETS,
			  .store = &store,
			  .nr_workers = 1,
			  .max_kept = UINT64_MAX };

	check(!rmap_store_init(&m, &store));
	for (dblock_t d = 0; d < (uint64_t)NR_BUCKETS << m.shift; d += 50)
		check(!rmap_store_put(&m, &store, &(struct rmap_record) { d, d, 50, 1 }));
	check_eq(m.nr_kept, NR_BUCKETS * 64);
	rmap_store_fini(&store);
}

static const struct test tests[] = {
	{ "any records come back by bucket, in the order in which they came", any_records },
	{ "records that are not kept count as if they were", no_room },
	{ "a record or two of a bucket take 64 bytes", few_records },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
