/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/compress/deflate_block.h"

#include <string.h>

#include "base/le.h"
#include "base/units.h"
#include "volume/compress/huffman.h"

#define END_OF_BLOCK 256
#define FIRST_LENGTH 257
#define MAX_STORED   65535
#define SLACK	     16 /* bits go out eight bytes at a time */

enum { BLOCK_STORED, BLOCK_FIXED, BLOCK_OWN };

/* The code lengths of a block's codes, with runs, are coded by a third code. */
#define NR_LENGTH_SYMBOLS 19
#define MAX_LENGTH_BITS	  7
enum { REPEAT = 16, ZEROS = 17, MANY_ZEROS = 18 };

struct header {
	struct huffman_code length, distance, lengths;
	unsigned nr_lengths, nr_distances, nr_order;
	uint16_t symbol[DEFLATE_NR_LENGTHS +
			DEFLATE_NR_DISTANCES]; /* and its extra bits above the low 5 */
	unsigned nr_symbols;
	uint64_t bits; /* of the whole block */
};

static const uint8_t order[NR_LENGTH_SYMBOLS] = { 16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
						  11, 4,  12, 3, 13, 2, 14, 1, 15 };

static unsigned log2_of(unsigned v)
{
	return 31u - (unsigned)__builtin_clz(v);
}

/* Symbol and extra bits of a value from 0 on, of which 2^k values have as many bits each. */
static unsigned slot_of(unsigned v, unsigned k, unsigned *extra)
{
	unsigned n;

	*extra = 0;
	if (v < 2u << k)
		return v;
	n = log2_of(v);
	*extra = n - k;
	return ((n - k) << k) + (v >> (n - k));
}

static unsigned length_symbol(unsigned len, unsigned *extra)
{
	if (len == DEFLATE_MAX_MATCH) {
		*extra = 0;
		return DEFLATE_NR_LENGTHS - 1;
	}
	return FIRST_LENGTH + slot_of(len - DEFLATE_MIN_MATCH, 2, extra);
}

static unsigned distance_symbol(unsigned distance, unsigned *extra)
{
	return slot_of(distance - 1, 1, extra);
}

void deflate_count(struct deflate_counts *c, const deflate_item *item, size_t nr)
{
	unsigned extra;

	for (; nr; nr--, item++) {
		if (*item >> 16) {
			c->length[length_symbol(*item >> 16, &extra)]++;
			c->distance[distance_symbol(*item & 0xffff, &extra)]++;
		} else {
			c->length[*item]++;
		}
	}
}

static void put(struct deflate_bits *b, uint64_t bits, unsigned nr)
{
	b->held |= bits << b->nr;
	b->nr += nr;
}

/* Afterwards fewer than 8 bits are held. */
static void flush(struct deflate_bits *b)
{
	le64 v = le64_make(b->held);

	memcpy(b->at, &v, sizeof(v));
	b->at += b->nr / 8;
	b->held >>= b->nr & ~7u;
	b->nr &= 7;
}

static void add_symbol(struct header *h, uint32_t *count, unsigned symbol, unsigned extra)
{
	h->symbol[h->nr_symbols++] = (uint16_t)(symbol | extra << 5);
	count[symbol]++;
}

/* @nr codes in a row of @length bits. */
static void add_run(struct header *h, uint32_t *count, unsigned length, unsigned nr)
{
	unsigned n;

	for (; !length && nr >= 11; nr -= n) {
		n = MIN(nr, 138u);
		add_symbol(h, count, MANY_ZEROS, n - 11);
	}
	if (!length && nr >= 3) {
		add_symbol(h, count, ZEROS, nr - 3);
		return;
	}
	if (nr) {
		add_symbol(h, count, length, 0);
		nr--;
	}
	for (; length && nr >= 3; nr -= n) {
		n = MIN(nr, 6u);
		add_symbol(h, count, REPEAT, n - 3);
	}
	for (; nr; nr--)
		add_symbol(h, count, length, 0);
}

static const uint8_t symbol_extra[NR_LENGTH_SYMBOLS] = {
	[REPEAT] = 2, [ZEROS] = 3, [MANY_ZEROS] = 7
};

static void make_lengths(struct header *h)
{
	uint8_t all[DEFLATE_NR_LENGTHS + DEFLATE_NR_DISTANCES];
	uint32_t count[NR_LENGTH_SYMBOLS] = { 0 };
	unsigned nr, run;

	for (h->nr_lengths = DEFLATE_NR_LENGTHS; !h->length.length[h->nr_lengths - 1];)
		h->nr_lengths--;
	for (h->nr_distances = DEFLATE_NR_DISTANCES; !h->distance.length[h->nr_distances - 1];)
		h->nr_distances--;
	memcpy(all, h->length.length, h->nr_lengths);
	memcpy(all + h->nr_lengths, h->distance.length, h->nr_distances);
	nr = h->nr_lengths + h->nr_distances;
	h->nr_symbols = 0;
	for (unsigned i = 0; i < nr; i += run) {
		for (run = 1; i + run < nr && all[i + run] == all[i];)
			run++;
		add_run(h, count, all[i], run);
	}
	huffman_make(&h->lengths, count, NR_LENGTH_SYMBOLS, MAX_LENGTH_BITS);
	for (h->nr_order = NR_LENGTH_SYMBOLS;
	     h->nr_order > 4 && !h->lengths.length[order[h->nr_order - 1]];)
		h->nr_order--;
	h->bits = 3 + 14 + 3 * h->nr_order;
	for (unsigned i = 0; i < NR_LENGTH_SYMBOLS; i++)
		h->bits += count[i] * (h->lengths.length[i] + symbol_extra[i]);
}

static void make_header(struct header *h, const struct deflate_counts *c)
{
	huffman_make(&h->length, c->length, DEFLATE_NR_LENGTHS, HUFFMAN_MAX_LENGTH);
	huffman_make(&h->distance, c->distance, DEFLATE_NR_DISTANCES, HUFFMAN_MAX_LENGTH);
	make_lengths(h);
	for (unsigned i = 0; i < DEFLATE_NR_LENGTHS; i++) {
		unsigned extra = i < FIRST_LENGTH + 8 || i == DEFLATE_NR_LENGTHS - 1
					 ? 0
					 : (i - FIRST_LENGTH - 4) / 4;

		h->bits += (uint64_t)c->length[i] * (h->length.length[i] + extra);
	}
	for (unsigned i = 0; i < DEFLATE_NR_DISTANCES; i++)
		h->bits += (uint64_t)c->distance[i] *
			   (h->distance.length[i] + (i < 4 ? 0 : i / 2 - 1));
}

static void put_header(struct deflate_bits *b, const struct header *h, bool last)
{
	put(b, last | BLOCK_OWN << 1, 3);
	put(b, h->nr_lengths - 257, 5);
	put(b, h->nr_distances - 1, 5);
	put(b, h->nr_order - 4, 4);
	for (unsigned i = 0; i < h->nr_order; i++) {
		flush(b);
		put(b, h->lengths.length[order[i]], 3);
	}
	for (unsigned i = 0; i < h->nr_symbols; i++) {
		unsigned s = h->symbol[i] & 31;

		flush(b);
		put(b, h->lengths.bits[s], h->lengths.length[s]);
		put(b, h->symbol[i] >> 5, symbol_extra[s]);
	}
	flush(b);
}

static void put_match(struct deflate_bits *b, const struct header *h, deflate_item item)
{
	unsigned len = item >> 16, distance = item & 0xffff, extra, s = length_symbol(len, &extra);

	put(b, h->length.bits[s], h->length.length[s]);
	put(b, (len - DEFLATE_MIN_MATCH) & ((1u << extra) - 1), extra);
	s = distance_symbol(distance, &extra);
	put(b, h->distance.bits[s], h->distance.length[s]);
	put(b, (distance - 1) & ((1u << extra) - 1), extra);
}

/* Bytes as they are. */
static bool put_stored(struct deflate_bits *b, const uint8_t *raw, size_t len, bool last)
{
	size_t n;

	do {
		n = MIN(len, (size_t)MAX_STORED);
		if ((size_t)(b->end - b->at) < n + SLACK)
			return false;
		put(b, (last && n == len) | BLOCK_STORED << 1, 3);
		b->nr = (b->nr + 7) & ~7u;
		put(b, n | (~n & MAX_STORED) << 16, 32);
		flush(b);
		memcpy(b->at, raw, n);
		b->at += n;
		raw += n;
		len -= n;
	} while (len);
	return true;
}

bool deflate_block(struct deflate_bits *b, struct deflate_counts *c, const deflate_item *item,
		   size_t nr, const uint8_t *raw, size_t len, bool last)
{
	struct header h;

	c->length[END_OF_BLOCK] = 1;
	make_header(&h, c);
	if (h.bits >= (len + 5) * 8)
		return put_stored(b, raw, len, last);
	if ((uint64_t)(b->end - b->at) < h.bits / 8 + SLACK)
		return false;
	put_header(b, &h, last);
	for (; nr; nr--, item++) {
		if (*item >> 16)
			put_match(b, &h, *item);
		else
			put(b, h.length.bits[*item], h.length.length[*item]);
		flush(b);
	}
	put(b, h.length.bits[END_OF_BLOCK], h.length.length[END_OF_BLOCK]);
	flush(b);
	return true;
}

bool deflate_end(struct deflate_bits *b)
{
	if (b->end - b->at < SLACK)
		return false;
	b->nr = (b->nr + 7) & ~7u;
	flush(b);
	return true;
}
