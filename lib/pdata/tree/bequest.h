/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_TREE_BEQUEST_H
#define PDATA_TREE_BEQUEST_H
/* Pointers that tell the walk nothing new, one by one and in runs.  Private to wave.c. */
#include "base/cpu.h"
#include "base/u64x4.h"
#include "pdata/tree/impl.h"

/* What a node passes on to a child, besides the child's keys; and bytes of it four times. */
struct bequest {
	uint32_t nattr;
	uint8_t height, flags;
	uint32_t four_heights, four_flags, four_looked_at;
};

/*
 * Does one more pointer to @b change nothing but its number of references?  So it is with most
 * pointers where snapshots share their nodes.  What is looked at only ever grows, so a false answer
 * is never wrong: it costs the long way.  A block that was reached is claimed for these trees, too.
 */
static inline bool adds_nothing(const struct walk *w, uint32_t b, const struct bequest *q,
				uint64_t first, uint64_t last)
{
	uint8_t flag = __atomic_load_n(&w->flag[b], __ATOMIC_RELAXED);

	return (flag & (q->flags | WALK_DONE | WALK_LOST)) == q->flags &&
	       __atomic_load_n(&w->height[b], __ATOMIC_RELAXED) == q->height &&
	       __atomic_load_n(&w->nattr[b], __ATOMIC_RELAXED) >= q->nattr &&
	       __atomic_load_n(&w->first[b], __ATOMIC_RELAXED) >= first &&
	       __atomic_load_n(&w->nlast[b], __ATOMIC_RELAXED) >= ~last;
}

#ifdef __x86_64__
typedef uint32_t u32x4 __attribute__((vector_size(16)));
typedef float f32x4 __attribute__((vector_size(16)));

/* Other workers may change what is read here, as above.  Each number is read whole. */
#define AVX2_RACY __attribute__((target("avx2"), no_sanitize("thread")))

static inline AVX2_RACY bool four_follow(const uint32_t *c, uint32_t b)
{
	u32x4 four;

	memcpy(&four, c, sizeof(four));
	return __builtin_ia32_movmskps((f32x4)(four == b + (u32x4) { 0, 1, 2, 3 })) == 15;
}

/*
 * The same for the children @b to @b + 3, with @keys as first keys and a fifth key behind them.
 * Signs tell, as keys are below 2^63 in a sound pool.
 */
static inline AVX2_RACY bool four_add_nothing(const struct walk *w, uint32_t b,
					      const struct bequest *q, const le64 *keys)
{
	u64x4 key, next, first, nlast;
	uint32_t flag, height;
	u32x4 nattr;

	memcpy(&flag, w->flag + b, sizeof(flag));
	memcpy(&height, w->height + b, sizeof(height));
	if ((flag & q->four_looked_at) != q->four_flags || height != q->four_heights)
		return false;
	u64x4_load(&key, keys);
	u64x4_load(&next, keys + 1);
	memcpy(&first, w->first + b, sizeof(first));
	memcpy(&nlast, w->nlast + b, sizeof(nlast));
	memcpy(&nattr, w->nattr + b, sizeof(nattr));
	/* first >= key, ~nlast <= next - 1, nattr >= q->nattr */
	return !I64X4_BITS_AVX2((first - key) | (next + nlast) |
				(__builtin_convertvector(nattr, u64x4) - q->nattr) | key | first |
				next | ~nlast);
}

/*
 * How many of the pointers from @c on, of @nr, go to blocks that follow one another and add
 * nothing?  A multiple of four.
 */
static __attribute__((noinline)) AVX2_RACY uint32_t run_adds_nothing(const struct walk *w,
								     const uint32_t *c,
								     const struct bequest *q,
								     const le64 *keys, uint32_t nr)
{
	uint32_t i = 0;

	while (i + 4 < nr && four_follow(c + i, *c + i) && four_add_nothing(w, *c + i, q, keys + i))
		i += 4;
	return i;
}

#endif

/* @i is the number of the pointer @c of @nr.  How many from it on were passed on in one go? */
static inline uint32_t expand_run(const struct walk *w, const uint32_t *c, const struct bequest *q,
				  const le64 *keys, uint32_t i, uint32_t nr)
{
	uint32_t run = 0;

#ifdef __x86_64__
	if (i + 4 < nr && c[1] - *c == 1 && cpu_has(CPU_HAS_AVX2))
		run = run_adds_nothing(w, c, q, keys + i, nr - i);
#else
	(void)q, (void)keys, (void)i, (void)nr;
#endif
	if (run && w->s.refs)
		refmap_inc_run(w->s.refs, *c, run);
	return run;
}

static inline struct bequest bequest_of(const struct walk *w, uint32_t b, int level, bool shared)
{
	const uint32_t ones = 0x01010101;
	struct bequest q = { .nattr = w->nattr[b],
			     .height = (uint8_t)level,
			     .flags = WALK_REACHED | WALK_MULTI | (shared ? WALK_INHERIT : 0) };

	q.four_heights = q.height * ones;
	q.four_flags = q.flags * ones;
	q.four_looked_at = (q.flags | WALK_DONE | WALK_LOST) * ones;
	return q;
}

#endif
