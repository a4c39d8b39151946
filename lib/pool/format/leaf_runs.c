/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/format/leaf_runs.h"

#include "base/cpu.h"
#include "base/overflow.h"
#include "base/u64x4.h"
#include "pool/format/format.h"

#define MAPPING_BLOCKS ((dblock_t)1 << 40) /* that a value can name */
#define NR_WORDS       (sizeof(((struct leaf_runs *)0)->begins) / sizeof(uint64_t))

/*
 * Bit i: entry i + 1 does not go on where entry i ends.  @look_at_keys: false when all keys follow one
 * another.  @one_time: the times have to be the same.  Then one subtraction tells both, but not at the greatest
 * block, behind which block 0 seems to follow: false is returned where there is a block with the top bit.  Up to 3
 * entries behind the last are looked at, which lie in the block as well.
 */
#define DEFINE_BREAKS(name, attributes, bits_of, look_at_keys, one_time)                \
	static attributes bool name(uint64_t *bit, const struct node *n)                \
	{                                                                               \
		const uint8_t *key = (const uint8_t *)n->raw->keys, *value = n->values; \
		u64x4 any = { 0 };                                                      \
                                                                                        \
		for (uint32_t from = 0, end; from + 1 < n->nr; from += 64) {            \
			uint64_t goes_on = 0;                                           \
                                                                                        \
			end = MIN(n->nr - 1 - from, 64u);                               \
			for (uint32_t i = 0; i < end; i += 4, key += 32, value += 32) { \
				u64x4 k, next_k, v, next_v;                             \
				i64x4 yes;                                              \
                                                                                        \
				u64x4_load(&v, value);                                  \
				u64x4_load(&next_v, value + 8);                         \
				if (one_time) {                                         \
					yes = next_v - v == mapping_pack(1, 0);         \
					any |= v;                                       \
				} else {                                                \
					yes = (next_v >> 24) - (v >> 24) == 1;          \
				}                                                       \
				if (look_at_keys) {                                     \
					u64x4_load(&k, key);                            \
					u64x4_load(&next_k, key + 8);                   \
					yes &= next_k - k == 1;                         \
				}                                                       \
				goes_on |= (uint64_t)(bits_of(yes)) << i;               \
			}                                                               \
			bit[from / 64] = ~goes_on;                                      \
		}                                                                       \
		return !((any[0] | any[1] | any[2] | any[3]) >> 63);                    \
	}

DEFINE_BREAKS(breaks, , I64X4_BITS, true, false)
DEFINE_BREAKS(timed_breaks, , I64X4_BITS, true, true)

#ifdef __x86_64__
#define AVX2 __attribute__((target("avx2")))
DEFINE_BREAKS(breaks_avx2, AVX2, I64X4_BITS_AVX2, true, false)
DEFINE_BREAKS(timed_breaks_avx2, AVX2, I64X4_BITS_AVX2, true, true)
DEFINE_BREAKS(value_breaks_avx2, AVX2, I64X4_BITS_AVX2, false, false)
DEFINE_BREAKS(timed_value_breaks_avx2, AVX2, I64X4_BITS_AVX2, false, true)
#endif

static bool find_breaks(uint64_t *bit, const struct node *n, bool timed)
{
#ifdef __x86_64__
	/* keys ascend */
	const bool follow = n->nr && node_key(n, n->nr - 1) - node_key(n, 0) == n->nr - 1;

	if (cpu_has(CPU_HAS_AVX2)) {
		if (follow)
			return (timed ? timed_value_breaks_avx2 : value_breaks_avx2)(bit, n);
		return (timed ? timed_breaks_avx2 : breaks_avx2)(bit, n);
	}
#endif
	return (timed ? timed_breaks : breaks)(bit, n);
}

/* Ends runs where block 0 follows the greatest one. */
static __attribute__((cold, noinline)) void break_at_end(uint64_t *bit, const struct node *n)
{
	for (uint32_t i = 0; i + 1 < n->nr; i++)
		if (mapping_block(node_value64(n, i)) == MAPPING_BLOCKS - 1)
			bit[i / 64] |= 1ull << i % 64;
}

void leaf_runs_find(struct leaf_runs *r, const struct node *n, enum leaf_runs_by by)
{
	const uint32_t end = n->nr;
	uint64_t bit[NR_WORDS] = { 0 };

	if (unlikely(!find_breaks(bit, n, by == RUNS_ONE_TIME)))
		break_at_end(bit, n);
	/* the first entry begins a run; behind the last there is nothing */
	for (size_t i = NR_WORDS - 1; i; i--)
		r->begins[i] = bit[i] << 1 | bit[i - 1] >> 63;
	r->begins[0] = bit[0] << 1 | 1;
	r->begins[end / 64] &= (1ull << end % 64) - 1;
	for (size_t i = end / 64 + 1; i < NR_WORDS; i++)
		r->begins[i] = 0;
	r->begins[end / 64] |= 1ull << end % 64;
}

#define DEFINE_COUNT(name, attributes)                              \
	static attributes uint32_t name(const struct leaf_runs *r) \
	{                                                           \
		uint32_t nr = 0;                                    \
                                                                    \
		for (size_t i = 0; i < NR_WORDS; i++)               \
			nr += (uint32_t)__builtin_popcountll(r->begins[i]); \
		return nr - 1;                                      \
	}

DEFINE_COUNT(count, )
#ifdef __x86_64__
DEFINE_COUNT(count_avx2, __attribute__((target("avx2,popcnt")))) /* who has the one has the other */
#endif

uint32_t leaf_runs_nr(const struct leaf_runs *r)
{
#ifdef __x86_64__
	if (cpu_has(CPU_HAS_AVX2))
		return count_avx2(r);
#endif
	return count(r);
}

/* The sign is clear in the result when a block of an entry is neither below @first nor above @last. */
#define DEFINE_MISSES(name, attributes)                                                      \
	static attributes uint64_t name(const struct node *n, dblock_t first, dblock_t last) \
	{                                                                                    \
		u64x4 miss = { 0 }, v;                                                       \
		uint32_t i = 0;                                                              \
                                                                                             \
		miss = ~miss;                                                                \
		for (; i + 4 <= n->nr; i += 4) {                                             \
			u64x4_load(&v, n->values + (size_t)i * 8);                           \
			v >>= 24;                                                            \
			miss &= (v - first) | (last - v);                                    \
		}                                                                            \
		for (; i < n->nr; i++) {                                                     \
			const dblock_t b = mapping_block(node_value64(n, i));                \
                                                                                             \
			miss[0] &= (b - first) | (last - b);                                 \
		}                                                                            \
		return miss[0] & miss[1] & miss[2] & miss[3];                                \
	}

DEFINE_MISSES(misses, )
#ifdef __x86_64__
DEFINE_MISSES(misses_avx2, AVX2)
#endif

bool leaf_maps_any(const struct node *n, dblock_t begin, dblock_t end)
{
	const dblock_t first = MIN(begin, MAPPING_BLOCKS), last = MIN(end, MAPPING_BLOCKS) - 1;
	uint64_t miss;

	if (begin >= end)
		return false;
#ifdef __x86_64__
	if (cpu_has(CPU_HAS_AVX2))
		miss = misses_avx2(n, first, last);
	else
#endif
		miss = misses(n, first, last);
	return !(miss >> 63);
}

static inline struct run run_of(const struct node *n, uint32_t i, uint32_t end)
{
	uint64_t v = node_value64(n, i);

	return (struct run) { node_key(n, i), mapping_block(v), end - i, mapping_time(v) };
}

void leaf_runs_list(const struct leaf_runs *r, const struct node *n, uint32_t nr, struct run *run)
{
	if (nr == n->nr) { /* scattered blocks: each entry is a run */
		for (uint32_t i = 0; i < nr; i++)
			run[i] = run_of(n, i, i + 1);
		return;
	}
	for (uint32_t i = 0, end; i < n->nr; i = end) {
		end = leaf_runs_end(r, i);
		*run++ = run_of(n, i, end);
	}
}
