/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The two bits of a block are those of the on-disk bitmap: the lower one has weight 2, the
 * higher one weight 1, so that a bitmap is compared or written by whole words.  Counting up
 * goes 00 -> 10 -> 01 -> 11.  With "high" and "low" for the bits of a pair:
 *
 *	high' = ~high | low		low' = high | low
 *
 * and 11 stays, which lets a word of 32 pairs be counted up in a few instructions.
 *
 * A pair of 11 is "3 and what the overflow says".  The overflow is a byte a block in pages of 256
 * blocks, made when first needed, and beyond 255 a list under a lock.  As it only counts references
 * after the third, going from 2 to 3 is one atomic step on one word, and nothing needs to be moved
 * from one place to another.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/overflow.h"
#include "pdata/block/impl.h"

static const uint8_t pair_count[4] = { 0, 2, 1, 3 }; /* by (high, low) */
static const uint8_t count_pair[4] = { 0, 2, 1, 3 };

#define HUGE ((size_t)2 << 20)

/*
 * The words, zeroed.  Large ones lie in huge pages where there are any: scattered blocks miss
 * the TLB as often as the cache, and there are fewer pages to be made.
 */
static bool words_new(struct refmap *m)
{
	size_t len;

	if (m->nr_words > SIZE_MAX / 16)
		return false;
	len = (m->nr_words + 1) * sizeof(*m->word);
	if (len < 2 * HUGE) {
		m->word = calloc(1, len);
		return m->word;
	}
	/* most of a huge page takes one, too: a page that is read before it is written is made twice */
	if (len % HUGE >= HUGE / 2)
		len = div_up(len, HUGE) * HUGE;
	m->mapped_len = len + HUGE;
	m->mapped = mmap(NULL, m->mapped_len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->mapped == MAP_FAILED) {
		m->mapped = NULL;
		return false;
	}
	m->word = (void *)(((uintptr_t)m->mapped + HUGE - 1) & ~(HUGE - 1));
	madvise(m->word, len, MADV_HUGEPAGE);
	return true;
}

__attribute__((cold)) struct refmap *refmap_new(uint64_t nr_blocks, bool shared)
{
	struct refmap *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->nr_blocks = nr_blocks;
	m->shared = shared;
	m->nr_words = div_up(nr_blocks, ENTRIES_PER_BITMAP) * BITMAP_WORDS;
	pthread_mutex_init(&m->lock, NULL);
	if (words_new(m))
		m->page = calloc((nr_blocks >> PAGE_SHIFT) + 1, sizeof(*m->page));
	if (!m->word || !m->page) {
		refmap_free(m);
		return NULL;
	}
	return m;
}

/*
 * Pages exist only where a pair is 11, so the bits say where to look; a map without
 * pages is not looked at (it may be large and never touched).
 */
static __attribute__((cold)) void free_pages(struct refmap *m)
{
	if (!m->has_pages)
		return;
	for (uint64_t i = 0; i < m->nr_words; i++) {
		if (m->word[i] & LOW & (m->word[i] >> 1)) {
			free(m->page[i * WORD_ENTRIES >> PAGE_SHIFT]);
			m->page[i * WORD_ENTRIES >> PAGE_SHIFT] = NULL;
		}
	}
}

__attribute__((cold)) void refmap_free(struct refmap *m)
{
	if (!m)
		return;
	if (m->word && m->page)
		free_pages(m);
	if (m->mapped)
		munmap(m->mapped, m->mapped_len);
	else
		free(m->word);
	free(m->page);
	umap_fini(&m->large);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

void refmap_set_shared(struct refmap *m, bool shared)
{
	m->shared = shared;
}

/* A page that is read before it is written is made twice, and the second time other CPUs are interrupted. */
__attribute__((cold)) void refmap_make_pages(struct refmap *m)
{
	for (uint64_t i = m->mapped ? m->nr_words & -(HUGE / 8) : 0; i < m->nr_words; i += 512)
		__atomic_fetch_or(&m->word[i], 0, __ATOMIC_RELAXED);
}

uint64_t refmap_nr_blocks(const struct refmap *m)
{
	return m->nr_blocks;
}

bool refmap_failed(const struct refmap *m)
{
	return m->failed;
}

static __attribute__((cold)) void large_add(struct refmap *m, uint64_t b, uint32_t n)
{
	uint64_t more;

	pthread_mutex_lock(&m->lock);
	more = MIN(umap_get(&m->large, b) + n, (uint64_t)UINT32_MAX - PAGE_TOP);
	if (umap_put(&m->large, b, more))
		m->failed = true;
	pthread_mutex_unlock(&m->lock);
}

static __attribute__((cold)) uint32_t large_get(struct refmap *m, uint64_t b)
{
	uint64_t more;

	pthread_mutex_lock(&m->lock);
	more = umap_get(&m->large, b);
	pthread_mutex_unlock(&m->lock);
	return (uint32_t)more;
}

static __attribute__((noinline)) uint8_t *new_page(struct refmap *m, uint64_t b)
{
	uint8_t **slot = &m->page[b >> PAGE_SHIFT], *p = NULL, *mine;

	m->has_pages = true;
	mine = calloc(1, PAGE_LEN);
	if (!mine) {
		m->failed = true;
		return NULL;
	}
	if (__atomic_compare_exchange_n(slot, &p, mine, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return mine;
	free(mine);
	return p;
}

static inline uint8_t *page_at(struct refmap *m, uint64_t b)
{
	uint8_t *p = __atomic_load_n(&m->page[b >> PAGE_SHIFT], __ATOMIC_ACQUIRE);

	return p ? p : new_page(m, b);
}

/* @n more references to a block whose pair is 11 already. */
static __attribute__((noinline)) void overflow_add(struct refmap *m, uint64_t b, uint32_t n)
{
	uint8_t *p = n ? page_at(m, b) : NULL, old;
	uint32_t fits;

	if (!p)
		return;
	p += b & (PAGE_LEN - 1);
	old = __atomic_load_n(p, __ATOMIC_RELAXED);
	do {
		fits = MIN(n, (uint32_t)UINT8_MAX - old);
		if (!m->shared) {
			*p = (uint8_t)(old + fits);
			break;
		}
	} while (!__atomic_compare_exchange_n(p, &old, (uint8_t)(old + fits), true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	if (n > fits)
		large_add(m, b, n - fits);
}

/* Counts up the pairs of @w of which @low has the lower bit, all but those that are 11. */
static inline uint64_t word_up(uint64_t w, uint64_t low)
{
	const uint64_t high = w >> 1, full = high & w & low;

	return w ^ (low ^ full) << 1 ^ (high & ~w & low);
}

/* The same in word @i; returns the word as it was. */
static inline uint64_t word_inc(struct refmap *m, uint64_t i, uint64_t low, bool shared)
{
	uint64_t *p = &m->word[i], old, new;

	if (!shared) {
		old = *p;
		*p = word_up(old, low);
		return old;
	}
	old = __atomic_load_n(p, __ATOMIC_RELAXED);
	do {
		new = word_up(old, low); /* pairs of 11 stay */
	} while (new != old && !__atomic_compare_exchange_n(p, &old, new, true, __ATOMIC_RELAXED,
							    __ATOMIC_RELAXED));
	return old;
}

/* Going up, the pairs 00, 01, 10, 11 change by 10, 10, 11, 00. */
#define PAIR_CHANGES 0x3A

static inline __attribute__((always_inline)) unsigned inc_one_alone(struct refmap *m, uint64_t b)
{
	unsigned shift = 2 * (unsigned)(b % WORD_ENTRIES);
	uint64_t *p = &m->word[b / WORD_ENTRIES];
	unsigned pair = *p >> shift & 3;

	*p ^= (uint64_t)(PAIR_CHANGES >> 2 * pair & 3) << shift;
	if (unlikely(pair == 3))
		overflow_add(m, b, 1);
	return pair_count[pair];
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* A byte of four pairs with one of them counted up, by that pair and the byte as it was. */
static uint8_t byte_up[4][256];

static __attribute__((cold, constructor)) void make_byte_up(void)
{
	for (unsigned i = 0; i < 4 * 256; i++)
		byte_up[i / 256][i % 256] =
			(uint8_t)(i ^ (PAIR_CHANGES >> 2 * (i % 256 >> 2 * (i / 256) & 3) & 3)
					      << 2 * (i / 256));
}

/* The same as inc_one_alone() in fewer instructions: nothing is shifted by a number that varies. */
static inline __attribute__((always_inline)) void inc_listed_alone(struct refmap *m, uint8_t *bytes,
								   uint64_t b)
{
	uint8_t old = bytes[b / 4], new = byte_up[b % 4][old];

	bytes[b / 4] = new;
	if (unlikely(new == old))
		overflow_add(m, b, 1);
}
#else
#define inc_listed_alone(m, bytes, b) inc_one_alone(m, b)
#endif

/* A call for each block costs check a fifth of its time. */
static inline __attribute__((always_inline)) unsigned inc_one(struct refmap *m, uint64_t b,
							      bool shared)
{
	unsigned shift = 2 * (unsigned)(b % WORD_ENTRIES), pair;
	uint64_t *word = &m->word[b / WORD_ENTRIES];

	if (!shared)
		return inc_one_alone(m, b);
	/* a pair of 11 stays: nothing is to be changed there */
	if ((__atomic_load_n(word, __ATOMIC_RELAXED) >> shift & 3) == 3) {
		overflow_add(m, b, 1);
		return 3;
	}
	pair = word_inc(m, b / WORD_ENTRIES, 1ull << shift, true) >> shift & 3;

	if (unlikely(pair == 3))
		overflow_add(m, b, 1);
	return pair_count[pair];
}

unsigned refmap_inc(struct refmap *m, uint64_t b)
{
	return inc_one(m, b, m->shared);
}

void refmap_add(struct refmap *m, uint64_t b, uint32_t n)
{
	while (n && n-- && refmap_inc(m, b) < 3)
		;
	overflow_add(m, b, n);
}

/* A bit in each second place becomes one in each byte, in the order of the CPU's memory. */
static inline uint64_t bits_to_bytes(uint64_t bits)
{
	bits = (bits & 0x55) | (bits & 0x5500) << 24;
	bits = (bits & 0x0000000500000005) | (bits & 0x0000005000000050) << 12;
	bits = (bits & 0x0001000100010001) | (bits & 0x0004000400040004) << 6;
	return htole64(bits);
}

/* Adds @add, which is 0 or 1 in each byte, to eight bytes.  False: one of them is full. */
static inline bool bytes_add(const struct refmap *m, uint64_t *p, uint64_t add)
{
	const uint64_t tops = 0x8080808080808080;
	uint64_t old = __atomic_load_n(p, __ATOMIC_RELAXED);

	do {
		if (unlikely(((old & ~tops) + add) & old & tops))
			return false;
		if (!m->shared) {
			*p = old + add;
			return true;
		}
	} while (!__atomic_compare_exchange_n(p, &old, old + add, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return true;
}

/* One more reference to the blocks of word @i of which the pair is 11, with its lower bit in @full. */
static __attribute__((noinline)) void overflow_word(struct refmap *m, uint64_t i, uint64_t full)
{
	uint64_t b = i * WORD_ENTRIES, eight;
	uint8_t *p = page_at(m, b);

	for (; p && full; full >>= 16, b += 8) {
		eight = full & 0xFFFF;
		if (!eight || bytes_add(m, (void *)&p[b & (PAGE_LEN - 1)], bits_to_bytes(eight)))
			continue;
		for (; eight; eight &= eight - 1)
			overflow_add(m, b + (unsigned)__builtin_ctzll(eight) / 2, 1);
	}
}

static __attribute__((noinline)) void inc_words(struct refmap *m, uint64_t b, uint64_t len)
{
	uint64_t i = b / WORD_ENTRIES, low, full;
	unsigned from = b % WORD_ENTRIES, nr;

	for (; len; len -= nr, from = 0, i++) {
		nr = (unsigned)MIN((uint64_t)(WORD_ENTRIES - from), len);
		low = LOW >> (64 - 2 * nr) << 2 * from;
		full = word_inc(m, i, low, m->shared);
		full &= full >> 1 & low;
		if (unlikely(full))
			overflow_word(m, i, full);
	}
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* The pairs that are 11, with their lower bits in @full, of the 32 blocks from @b on, a multiple of four. */
static __attribute__((noinline)) void overflow_across(struct refmap *m, uint64_t b, uint64_t full)
{
	const unsigned from = 2 * (b % WORD_ENTRIES);

	if (full << from)
		overflow_word(m, b / WORD_ENTRIES, full << from);
	if (from && full >> (64 - from))
		overflow_word(m, b / WORD_ENTRIES + 1, full >> (64 - from));
}

/* A run that lies in 64 bits of some bytes, wherever these begin: most runs do. */
static inline void inc_short(struct refmap *m, uint64_t b, uint64_t len)
{
	uint8_t *const p = (uint8_t *)m->word + b / 4;
	const uint64_t low = LOW >> (64 - 2 * len) << 2 * (b % 4);
	uint64_t old, new, full;

	memcpy(&old, p, sizeof(old));
	new = word_up(old, low);
	memcpy(p, &new, sizeof(new));
	full = old & old >> 1 & low;
	if (full)
		overflow_across(m, b & ~3ull, full);
}
#endif

void refmap_inc_run(struct refmap *m, uint64_t b, uint64_t len)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	if (!m->shared && len - 1 < WORD_ENTRIES - 3) {
		inc_short(m, b, len);
		return;
	}
#endif
	inc_words(m, b, len);
}

/*
 * Random blocks miss the cache.  An atomic operation waits for its cache line and no other
 * operation overtakes it; plain operations overtake each other less than expected.  So the lines
 * are prefetched.
 */
#define PREFETCH_AHEAD 64 /* measured: 24 is slower by a fifth, a whole leaf too */

void refmap_inc_list(struct refmap *m, const uint64_t *b, size_t nr)
{
	uint8_t *const bytes = (uint8_t *)m->word;
	const bool shared = m->shared;
	size_t i;

	for (i = 0; i < MIN(nr, (size_t)PREFETCH_AHEAD); i++)
		__builtin_prefetch(&bytes[b[i] / 4], 1);
	for (i = 0; i < nr; i++) {
		if (i + PREFETCH_AHEAD < nr)
			__builtin_prefetch(&bytes[b[i + PREFETCH_AHEAD] / 4], 1);
		if (shared)
			refmap_inc(m, b[i]);
		else
			inc_listed_alone(m, bytes, b[i]);
	}
}

static void merge_word(struct refmap *to, const struct refmap *from, uint64_t i)
{
	uint64_t a = to->word[i], b = from->word[i];
	uint64_t a1 = a >> 1 & LOW, a2 = a & LOW, b1 = b >> 1 & LOW, b2 = b & LOW;
	uint64_t c = a1 & b1, carry = (a2 & b2) | (a2 & c) | (b2 & c), slow = carry | (b1 & b2);

	to->word[i] = (a1 ^ b1) << 1 | (a2 ^ b2 ^ c) | carry | carry << 1;
	/* four and more: pairs are 11 now, the rest goes to the overflow */
	for (; slow; slow &= slow - 1) {
		unsigned shift = (unsigned)__builtin_ctzll(slow);
		uint64_t at = i * WORD_ENTRIES + shift / 2;
		uint32_t sum = pair_count[a >> shift & 3] + refmap_get(from, at);

		overflow_add(to, at, sum - 3);
	}
}

void refmap_merge(struct refmap *to, const struct refmap *from, uint64_t begin, uint64_t end)
{
	uint64_t last = MIN(div_up(end, WORD_ENTRIES), to->nr_words);

	for (uint64_t i = begin / WORD_ENTRIES; i < last; i++)
		if (from->word[i])
			merge_word(to, from, i);
}

static unsigned pair_of(const struct refmap *m, uint64_t b)
{
	return m->word[b / WORD_ENTRIES] >> 2 * (b % WORD_ENTRIES) & 3;
}

uint32_t refmap_get(const struct refmap *m, uint64_t b)
{
	unsigned pair = pair_of(m, b);
	const uint8_t *p;

	if (pair != 3)
		return pair_count[pair];
	p = m->page[b >> PAGE_SHIFT];
	if (!p || p[b & (PAGE_LEN - 1)] < UINT8_MAX)
		return 3 + (p ? p[b & (PAGE_LEN - 1)] : 0);
	/* taking the lock changes nothing that a reader sees, so casting away const is right */
	return PAGE_TOP + large_get((struct refmap *)(uintptr_t)m, b);
}

void refmap_set(struct refmap *m, uint64_t b, uint32_t count)
{
	uint64_t *w = &m->word[b / WORD_ENTRIES];
	unsigned shift = 2 * (unsigned)(b % WORD_ENTRIES);
	uint8_t *p = m->page[b >> PAGE_SHIFT];

	if (p && p[b & (PAGE_LEN - 1)] == UINT8_MAX)
		umap_del(&m->large, b);
	if (count > 3 && !p)
		p = page_at(m, b);
	if (p)
		p[b & (PAGE_LEN - 1)] = count <= 3 ? 0 : (uint8_t)MIN(count - 3, 255u);
	if (p && count > PAGE_TOP)
		large_add(m, b, count - PAGE_TOP);
	*w = (*w & ~(3ull << shift)) | (uint64_t)count_pair[MIN(count, 3u)] << shift;
	/* A page must be found by free_pages(): keep it only under a pair of 11. */
	if (p && count < 3) {
		uint64_t first = b & ~(uint64_t)(PAGE_LEN - 1), k;

		for (k = first; k < MIN(first + PAGE_LEN, m->nr_blocks) && pair_of(m, k) != 3; k++)
			;
		if (k == MIN(first + PAGE_LEN, m->nr_blocks)) {
			free(p);
			m->page[b >> PAGE_SHIFT] = NULL;
		}
	}
}
