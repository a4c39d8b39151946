/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Finds matches.  All places that begin with the same four bytes (their hash) are a chain, the last one
 * first; of three bytes the last place alone is known.  A match waits until it is known that the next
 * byte does not begin a better one.
 */
#include "volume/compress/deflate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/units.h"
#include "volume/compress/deflate_block.h"

#define WINDOW	     4096u
#define MAX_DISTANCE (WINDOW - 1)
#define HASH3_BITS   12
#define HASH4_BITS   13
#define NICE	     64 /* a match as long as this is taken at once */
#define DEPTH	     12 /* places looked at for a match */
#define LAZY_DEPTH   6
#define FAR_FOR_3    2048 /* a match of three bytes from farther away costs more than three literals */
#define CHUNK	     2048	  /* items after which it is asked whether a new block begins */
#define HEADER_COST  (600u * 256) /* what a block costs, in 256ths of a bit */
#define MAX_ITEMS    32768
#define BEFORE	     (2 * WINDOW) /* places are counted from here, so that 0 is too far away */

struct deflate {
	uint32_t last3[1 << HASH3_BITS], last4[1 << HASH4_BITS], before[WINDOW];
	deflate_item item[MAX_ITEMS];
	size_t nr;
	struct deflate_counts block, chunk;    /* of the items up to the last chunk; behind them */
	size_t block_nr, block_len, chunk_len; /* items; bytes that they stand for */
	uint64_t block_cost;
	uint32_t cost[1 << 11]; /* n * log2(n), in 256ths of a bit */
	struct deflate_bits out;
	const uint8_t *in; /* the block's first byte */
};

struct match {
	unsigned len, distance; /* len 0: none */
};

/* The bytes that are compressed. */
struct input {
	const uint8_t *bytes;
	uint32_t at, end;
};

static uint32_t word_at(const uint8_t *p)
{
	le32 v;

	memcpy(&v, p, sizeof(v));
	return le32_get(v);
}

static uint64_t long_at(const uint8_t *p)
{
	le64 v;

	memcpy(&v, p, sizeof(v));
	return le64_get(v);
}

static unsigned common(const uint8_t *a, const uint8_t *b, unsigned max)
{
	unsigned n = 0;

	for (; n + 8 <= max; n += 8) {
		uint64_t other = long_at(a + n) ^ long_at(b + n);

		if (other)
			return n + (unsigned)__builtin_ctzll(other) / 8;
	}
	while (n < max && a[n] == b[n])
		n++;
	return n;
}

/* Enters the place @at, four bytes before the end at least; *p3 and *p4 are the last ones before. */
static void enter(struct deflate *d, const uint8_t *bytes, uint32_t at, uint32_t *p3, uint32_t *p4)
{
	uint32_t word = word_at(bytes + at), h3 = (word << 8) * 0x9e3779b1u >> (32 - HASH3_BITS);
	uint32_t h4 = word * 0x9e3779b1u >> (32 - HASH4_BITS), place = at + BEFORE;

	*p3 = d->last3[h3];
	*p4 = d->last4[h4];
	d->last3[h3] = d->last4[h4] = place;
	d->before[at % WINDOW] = *p4;
}

static void enter_all(struct deflate *d, const struct input *in, uint32_t from, uint32_t to)
{
	uint32_t p3, p4;

	for (; from < to && from + 4 <= in->end; from++)
		enter(d, in->bytes, from, &p3, &p4);
}

/* Enters the place in->at and finds the longest match there that is longer than @than bytes, of which
 * there are more up to the end. */
static struct match find(struct deflate *d, const struct input *in, unsigned than, unsigned depth)
{
	const uint8_t *here = in->bytes + in->at;
	unsigned max = MIN(in->end - in->at, (uint32_t)DEFLATE_MAX_MATCH), len;
	uint32_t place = in->at + BEFORE, word, p3, p4;
	struct match m = { 0, 0 };

	if (max < 4)
		return m;
	word = word_at(here);
	enter(d, in->bytes, in->at, &p3, &p4);
	if (than < 3) {
		than = 2;
		if (place - p3 <= FAR_FOR_3 &&
		    !((word_at(here - (place - p3)) ^ word) & 0xffffff)) {
			m = (struct match) { 3, place - p3 };
			than = 3;
		}
	}
	than = MAX(than, 3u);
	for (; place - p4 <= MAX_DISTANCE && depth; depth--, p4 = d->before[p4 % WINDOW]) {
		const uint8_t *there = here - (place - p4);

		if (word_at(there) != word || word_at(there + than - 3) != word_at(here + than - 3))
			continue;
		len = 4 + common(here + 4, there + 4, max - 4);
		if (len <= than)
			continue;
		m = (struct match) { len, place - p4 };
		than = len;
		if (len >= NICE || len == max)
			break;
	}
	return m;
}

static uint64_t cost_of(const struct deflate *d, uint32_t n)
{
	unsigned shift = 0;

	if (n < ARRAY_SIZE(d->cost))
		return d->cost[n];
	while (n >> shift >= ARRAY_SIZE(d->cost))
		shift++;
	return ((uint64_t)d->cost[n >> shift] << shift) + (uint64_t)n * 256 * shift;
}

/* The cost of the items with a code of their own, in 256ths of a bit, but for the code. */
static uint64_t cost(const struct deflate *d, const struct deflate_counts *a,
		     const struct deflate_counts *b)
{
	uint64_t n = 0, bits = 0, sum;

	for (unsigned i = 0; i < DEFLATE_NR_LENGTHS; i++) {
		sum = a->length[i] + (b ? b->length[i] : 0);
		n += sum;
		bits += cost_of(d, (uint32_t)sum);
	}
	bits = cost_of(d, (uint32_t)n) - bits;
	n = 0;
	for (unsigned i = 0; i < DEFLATE_NR_DISTANCES; i++) {
		sum = a->distance[i] + (b ? b->distance[i] : 0);
		n += sum;
		bits -= cost_of(d, (uint32_t)sum);
	}
	return bits + cost_of(d, (uint32_t)n);
}

/* The items up to the last chunk become a block. */
static bool put_block(struct deflate *d, bool last)
{
	bool fits =
		deflate_block(&d->out, &d->block, d->item, d->block_nr, d->in, d->block_len, last);

	d->in += d->block_len;
	d->nr -= d->block_nr;
	memmove(d->item, d->item + d->block_nr, d->nr * sizeof(*d->item));
	d->block_nr = d->block_len = 0;
	d->block_cost = 0;
	memset(&d->block, 0, sizeof(d->block));
	return fits;
}

static void join(struct deflate *d, uint64_t joined)
{
	for (unsigned i = 0; i < DEFLATE_NR_LENGTHS; i++)
		d->block.length[i] += d->chunk.length[i];
	for (unsigned i = 0; i < DEFLATE_NR_DISTANCES; i++)
		d->block.distance[i] += d->chunk.distance[i];
	d->block_nr = d->nr;
	d->block_len += d->chunk_len;
	d->block_cost = joined;
	d->chunk_len = 0;
	memset(&d->chunk, 0, sizeof(d->chunk));
}

/* A chunk is complete: it joins the block before, or, where that costs more, begins one. */
static bool end_chunk(struct deflate *d)
{
	uint64_t alone, joined;
	bool fits = true;

	deflate_count(&d->chunk, d->item + d->block_nr, d->nr - d->block_nr);
	alone = cost(d, &d->chunk, NULL);
	joined = cost(d, &d->block, &d->chunk);
	if (d->block_nr &&
	    (joined > d->block_cost + alone + HEADER_COST || d->nr + CHUNK > MAX_ITEMS)) {
		fits = put_block(d, false);
		joined = alone;
	}
	join(d, joined);
	return fits;
}

static bool add(struct deflate *d, deflate_item item, unsigned len)
{
	d->item[d->nr++] = item;
	d->chunk_len += len;
	return d->nr - d->block_nr < CHUNK || end_chunk(d);
}

static unsigned log2_of(unsigned v)
{
	return 31u - (unsigned)__builtin_clz(v);
}

/* Is @b, one byte later, so much better than @a that a literal goes before it? */
static bool better(const struct match *a, const struct match *b)
{
	return 4 * b->len + log2_of(a->distance) > 4 * a->len + log2_of(b->distance) + 2;
}

/* The match at in->at or, where that is better, one behind some literals.  False: no room. */
static bool step(struct deflate *d, struct input *in)
{
	struct match m = find(d, in, 0, DEPTH), next;
	uint32_t entered = in->at + 1;

	while (m.len && m.len < NICE && in->at + m.len < in->end) {
		in->at++;
		next = find(d, in, m.len - 1, LAZY_DEPTH);
		entered++;
		if (!next.len || !better(&m, &next)) {
			in->at--;
			break;
		}
		if (!add(d, in->bytes[in->at - 1], 1))
			return false;
		m = next;
	}
	if (!m.len)
		return add(d, in->bytes[in->at++], 1);
	enter_all(d, in, entered, in->at + m.len);
	in->at += m.len;
	return add(d, m.len << 16 | m.distance, m.len);
}

size_t deflate_compress(struct deflate *d, const void *bytes, size_t len, void *out, size_t room)
{
	struct input in = { .bytes = bytes, .end = (uint32_t)len };

	memset(d->last3, 0, sizeof(d->last3));
	memset(d->last4, 0, sizeof(d->last4));
	memset(&d->block, 0, sizeof(d->block));
	memset(&d->chunk, 0, sizeof(d->chunk));
	d->nr = d->block_nr = d->block_len = d->chunk_len = 0;
	d->block_cost = 0;
	d->in = bytes;
	d->out = (struct deflate_bits) { .at = out, .end = (uint8_t *)out + room };
	while (in.at < in.end)
		if (!step(d, &in))
			return 0;
	if (d->nr > d->block_nr && !end_chunk(d))
		return 0;
	if (!put_block(d, true) || !deflate_end(&d->out))
		return 0;
	return (size_t)(d->out.at - (uint8_t *)out);
}

/* n * log2(n) without floating point: the fraction of log2 by squaring. */
static void fill_costs(struct deflate *d)
{
	d->cost[0] = 0;
	for (uint32_t n = 1; n < ARRAY_SIZE(d->cost); n++) {
		uint32_t whole = log2_of(n), bits = whole;
		uint64_t x =
			((uint64_t)n << 24) >> whole; /* 1 to 2, with 24 bits behind the point */

		for (unsigned i = 0; i < 12; i++) {
			x = x * x >> 24;
			bits = bits << 1 | (x >> 25 & 1);
			x >>= x >> 25 & 1;
		}
		d->cost[n] = (uint32_t)((uint64_t)n * bits >> 4);
	}
}

struct deflate *deflate_new(void)
{
	struct deflate *d = malloc(sizeof(*d));

	_Static_assert(sizeof(*d) <= DEFLATE_MEMORY, "contract");
	if (d)
		fill_costs(d);
	return d;
}

void deflate_free(struct deflate *d)
{
	free(d);
}
