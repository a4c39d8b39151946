/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/compress/huffman.h"

#include <string.h>

/* A symbol or an inner node of the tree. */
struct leaf {
	uint32_t count;
	uint16_t symbol;
};

/* Sorts by ascending count: two passes over its two bytes. */
static void sort(struct leaf *leaf, unsigned nr)
{
	struct leaf other[HUFFMAN_MAX], *from = leaf, *to = other, *swap;

	for (unsigned shift = 0; shift < 16; shift += 8) {
		unsigned start[257] = { 0 };

		for (unsigned i = 0; i < nr; i++)
			start[(from[i].count >> shift & 255) + 1]++;
		for (unsigned i = 0; i < 256; i++)
			start[i + 1] += start[i];
		for (unsigned i = 0; i < nr; i++)
			to[start[from[i].count >> shift & 255]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
}

/*
 * Joins the two lightest nodes until one is left.  Inner nodes come into being in ascending order, so
 * both kinds are queues.  Puts the number of leaves of each depth, no deeper than @max, in @nr_of.
 */
static void depths(const struct leaf *leaf, unsigned nr, unsigned max, unsigned *nr_of)
{
	uint32_t weight[HUFFMAN_MAX];
	uint16_t parent_of_leaf[HUFFMAN_MAX], parent[HUFFMAN_MAX];
	uint8_t depth[HUFFMAN_MAX];
	unsigned l = 0, n = 0;

	for (unsigned made = 0; made + 1 < nr; made++) {
		weight[made] = 0;
		for (int k = 0; k < 2; k++) {
			if (l < nr && (n == made || leaf[l].count <= weight[n])) {
				weight[made] += leaf[l].count;
				parent_of_leaf[l++] = (uint16_t)made;
			} else {
				weight[made] += weight[n];
				parent[n++] = (uint16_t)made;
			}
		}
	}
	depth[nr - 2] = 0;
	for (unsigned i = nr - 2; i-- > 0;)
		depth[i] = depth[parent[i]] + 1;
	for (unsigned i = 0; i < nr; i++) {
		unsigned d = depth[parent_of_leaf[i]] + 1u;

		nr_of[d < max ? d : max]++;
	}
}

/* Leaves that were cut to @max bits take too much of the code: others become longer until all fit. */
static void fit(unsigned *nr_of, unsigned max)
{
	uint32_t used = 0;

	for (unsigned d = 1; d <= max; d++)
		used += nr_of[d] << (max - d);
	for (; used > 1u << max; used--) {
		unsigned d = max - 1;

		while (!nr_of[d])
			d--;
		/* one leaf of the greatest length goes beside a leaf of length d, both one longer */
		nr_of[d]--;
		nr_of[d + 1] += 2;
		nr_of[max]--;
	}
}

static uint16_t reversed(unsigned bits, unsigned length)
{
	unsigned r = 0;

	for (; length; length--, bits >>= 1)
		r = r << 1 | (bits & 1);
	return (uint16_t)r;
}

/* Codes of one length follow each other in the order of the symbols. */
static void assign(struct huffman_code *code, unsigned nr, const unsigned *nr_of, unsigned max)
{
	unsigned next[HUFFMAN_MAX_LENGTH + 1] = { 0 };

	for (unsigned d = 1; d < max; d++)
		next[d + 1] = (next[d] + nr_of[d]) << 1;
	for (unsigned i = 0; i < nr; i++)
		if (code->length[i])
			code->bits[i] = reversed(next[code->length[i]]++, code->length[i]);
}

void huffman_make(struct huffman_code *code, const uint32_t *count, unsigned nr,
		  unsigned max_length)
{
	struct leaf leaf[HUFFMAN_MAX];
	unsigned nr_of[HUFFMAN_MAX_LENGTH + 1] = { 0 }, used = 0, i = 0;

	memset(code->length, 0, sizeof(code->length));
	for (unsigned s = 0; s < nr; s++)
		if (count[s])
			leaf[used++] = (struct leaf) { count[s], (uint16_t)s };
	for (unsigned s = 0; used < 2; s++)
		if (!count[s])
			leaf[used++] = (struct leaf) { 0, (uint16_t)s };
	sort(leaf, used);
	depths(leaf, used, max_length, nr_of);
	fit(nr_of, max_length);
	for (unsigned d = max_length; d; d--) /* the rarest first */
		for (unsigned k = 0; k < nr_of[d]; k++)
			code->length[leaf[i++].symbol] = (uint8_t)d;
	assign(code, nr, nr_of, max_length);
}
