/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What a rescue takes a block for: a node of which a field is wrong, and a bad checksum that one byte explains, or bytes that are not used. */
#include "pdata/block/csum.h"
#include "pool/salvage/graph/graph.h"
#include "tap.h"

static struct disk_node block;

/* Entries with ascending keys.  @small: their values may be numbers of metadata blocks, else they are mappings. */
static void make_node(uint32_t flags, uint32_t value_size, uint32_t max, uint32_t nr, bool small)
{
	uint8_t *values = (uint8_t *)&block + 32 + (size_t)max * 8;

	memset(&block, 0, sizeof(block));
	block.h.flags = le32_make(flags);
	block.h.value_size = le32_make(value_size);
	block.h.max_entries = le32_make(max);
	block.h.nr_entries = le32_make(nr);
	for (uint32_t i = 0; i < nr; i++) {
		le64 value = le64_make(small ? 100 + i : (uint64_t)(100 + i) << 24 | 5);

		block.keys[i] = le64_make(10 + i);
		memcpy(values + (size_t)i * (value_size < 8 ? 8 : value_size), &value, sizeof(value));
	}
}

static void headers(void)
{
	enum { I = NODE_INTERNAL, L = NODE_LEAF };
	static const struct {
		uint32_t flags, value_size, max, nr;
		bool small;
		/* what the fields are changed to */
		uint32_t bad_flags, bad_value_size, bad_max;
		bool usable, leaf, mended;
	} cases[] = {
		{ L, 8, 252, 20, false, L, 8, 252, true, true, false },
		{ L, 8, 252, 0, false, L, 8, 252, true, true, false },
		{ I, 8, 252, 20, true, I, 8, 252, true, false, false },
		{ L, 24, 126, 20, false, L, 24, 126, true, true, false },
		/* one field is wrong: the two others say what it was */
		{ L, 8, 252, 20, false, L, 7, 252, true, true, true },
		{ L, 24, 126, 20, false, L, 0, 126, true, true, true },
		{ L, 16, 168, 20, false, L, 5, 168, true, true, true },
		{ L, 8, 252, 20, false, L, 8, 9, true, true, true },
		{ I, 8, 252, 20, true, I, 24, 252, true, false, true },
		{ I, 8, 252, 20, true, I, 8, 9, true, false, true },
		{ I, 8, 252, 20, true, L | I, 8, 252, true, false, true },
		{ L, 8, 252, 20, false, L | I, 8, 252, true, true, true },
		{ L, 8, 252, 20, false, 0, 8, 252, true, true, true },
		{ L, 8, 252, 20, false, I, 8, 252, true, true, true },
		{ L, 24, 126, 20, false, 0, 24, 126, true, true, true },
		/* no two agree, or there are more entries than fit */
		{ L, 8, 252, 20, false, L, 7, 9, false, false, false },
		{ L, 24, 126, 20, false, I, 24, 126, false, false, false },
		{ L, 24, 126, 20, false, L, 24, 252, true, true, true },
		{ I, 8, 252, 253, true, I, 8, 252, false, false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct view v;
		bool ok;

		make_node(cases[i].flags, cases[i].value_size, cases[i].max,
			  cases[i].nr > 252 ? 252 : cases[i].nr, cases[i].small);
		block.h.flags = le32_make(cases[i].bad_flags);
		block.h.value_size = le32_make(cases[i].bad_value_size);
		block.h.max_entries = le32_make(cases[i].bad_max);
		block.h.nr_entries = le32_make(cases[i].nr);
		ok = view_open(&v, &block);
		if (ok != cases[i].usable)
			printf("# case %zu\n", i);
		check_eq(ok, cases[i].usable);
		if (!ok)
			continue;
		check_eq(v.leaf, cases[i].leaf);
		check_eq(v.mended, cases[i].mended);
		check_eq(v.value_size, cases[i].value_size);
		check_eq(v.nr, cases[i].nr);
		for (uint32_t k = 0; k < v.nr; k++) {
			check_eq(view_key(&v, k), 10 + k);
			check_eq(view_value(&v, k),
				 cases[i].small ? 100 + k : (uint64_t)(100 + k) << 24 | 5);
		}
	}
}

/* Keys 10, 11, 30, 13, 14, 15: 30 or one of those behind it is in the wrong place. */
static void unsorted_runs(void)
{
	struct run run[INTERNAL_MAX];
	struct view v;

	make_node(NODE_LEAF, 8, 252, 6, false);
	block.keys[2] = le64_make(30);
	check(view_open(&v, &block) && v.unsorted);
	check_eq(view_runs(&v, UINT64_MAX, run), 1);
	check_eq(run[0].vbegin, 10);
	check_eq(run[0].len, 2);
	/* the last key is above all others: it can only be right */
	block.keys[5] = le64_make(40);
	check(view_open(&v, &block) && v.unsorted);
	check_eq(view_runs(&v, UINT64_MAX, run), 2);
	check_eq(run[1].vbegin, 40);
	check_eq(run[1].len, 1);
	/* of 100 to 105 the data device has only the first two */
	check_eq(view_runs(&v, 102, run), 1);
	check_eq(run[0].vbegin, 10);
	check_eq(run[0].len, 2);
	check_eq(view_runs(&v, 101, run), 1);
	check_eq(run[0].len, 1);
	block.keys[2] = le64_make(12);
	check(view_open(&v, &block) && !v.unsorted);
	check_eq(view_runs(&v, 101, run), 1);
	check_eq(run[0].len, 1);
}

/* --- one changed byte --- */

#define AT 77u

static uint8_t *byte_of(uint32_t i)
{
	return (uint8_t *)&block + i;
}

static struct graph graph = { .nr_blocks = 2003, .nr_counted = 2003, .nr_data_blocks = UINT64_MAX };

static void sound_leaf(void)
{
	make_node(NODE_LEAF, 8, 252, 100, false);
	csum_seal(&block, AT, SALT_NODE);
}

/* What the block is before and after the byte is put right; it is left as it was. */
static void refused(void)
{
	const struct disk_node before = block;
	struct mend m;

	check(!mend_block(&graph, (uint8_t *)&block, AT, &m));
	check(!memcmp(&block, &before, sizeof(block)));
}

static void mends_any_byte(void)
{
	static const uint16_t places[] = { 0, 3, 4, 8, 12, 16, 20, 24, 40, 2000, 2100, 4095 };
	struct disk_node good;
	struct mend m;

	sound_leaf();
	good = block;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		for (unsigned mask = 1; mask < 256; mask += 43) {
			block = good;
			*byte_of(places[i]) ^= (uint8_t)mask;
			check(mend_block(&graph, (uint8_t *)&block, AT, &m));
			check_eq(m.byte, places[i]);
			check_eq(m.mask, mask);
			check_eq(m.bit, mask == 1);
			check(!memcmp(&block, &good, sizeof(block)));
		}
}

/* Damage of any length, between the keys and the values and behind them. */
static void mends_what_is_not_used(void)
{
	struct disk_node good;
	struct mend m;

	sound_leaf();
	good = block;
	memset(byte_of(32 + 8 * 100), 0x5a, 300);
	memset(byte_of(4096 - 700), 0xa5, 700);
	check(mend_block(&graph, (uint8_t *)&block, AT, &m));
	check_eq(m.unused, BLOCK_NODE);
	check(!memcmp(&block, &good, sizeof(block)));
	/* also where a key is wrong, or the number of the block */
	memset(byte_of(32 + 8 * 99), 0x5a, 16);
	refused();
	block = good;
	memset(byte_of(32 + 8 * 100), 0x5a, 16);
	block.h.blocknr = le64_make(AT + 1);
	refused();
}

/* Of a space map of so many blocks as the graph has. */
static void mends_the_end_of_a_map(void)
{
	struct disk_bitmap *map = (struct disk_bitmap *)&block;
	struct disk_index *index = (struct disk_index *)&block;
	struct disk_node good;
	struct mend m;

	memset(&block, 0, sizeof(block));
	map->bits[0] = 0x29;
	map->bits[2000 / 4] = 0x02; /* entry 2000, the last but two */
	csum_seal(&block, AT, SALT_BITMAP);
	good = block;
	map->bits[2003 / 4] |= 0x80;
	memset(&map->bits[600], 7, 400);
	check(mend_block(&graph, (uint8_t *)&block, AT, &m));
	check_eq(m.unused, BLOCK_BITMAP);
	check(!memcmp(&block, &good, sizeof(block)));
	map->bits[2002 / 4] |= 0x20; /* the last entry */
	memset(&map->bits[600], 7, 400);
	refused();
	memset(&block, 0, sizeof(block));
	index->entry[0].blocknr = le64_make(3);
	csum_seal(&block, AT, SALT_INDEX);
	good = block;
	memset(&index->entry[1], 7, 400);
	check(mend_block(&graph, (uint8_t *)&block, AT, &m));
	check_eq(m.unused, BLOCK_INDEX);
	check(!memcmp(&block, &good, sizeof(block)));
	memset((uint8_t *)&index->entry[0] + 14, 7, 400);
	refused();
}

static void mends_nothing_else(void)
{
	/* a sound block has nothing to be mended */
	sound_leaf();
	refused();
	/* two bytes */
	sound_leaf();
	*byte_of(50) ^= 1;
	*byte_of(3000) ^= 16;
	refused();
	/* one byte of a node that no program would have written: flags, order of keys, padding */
	sound_leaf();
	block.h.flags = le32_make(NODE_LEAF | NODE_INTERNAL);
	csum_seal(&block, AT, SALT_NODE);
	*byte_of(50) ^= 1;
	refused();
	sound_leaf();
	block.keys[7] = block.keys[3];
	csum_seal(&block, AT, SALT_NODE);
	*byte_of(2050) ^= 1;
	refused();
	sound_leaf();
	block.h.padding = le32_make(9);
	csum_seal(&block, AT, SALT_NODE);
	*byte_of(50) ^= 1;
	refused();
	sound_leaf();
	block.h.nr_entries = le32_make(253);
	csum_seal(&block, AT, SALT_NODE);
	*byte_of(50) ^= 1;
	refused();
	/* one byte, but the number of the block is wrong in another one, too: impossible, though a byte explains it */
	sound_leaf();
	csum_seal(&block, AT | (uint64_t)1 << 40, SALT_NODE);
	*byte_of(50) ^= 1;
	refused();
	/* in more than one */
	csum_seal(&block, (uint64_t)3 << 39, SALT_NODE);
	*byte_of(50) ^= 1;
	refused();
}

/* Of another place the content may still be used: its number is possible. */
static void mends_a_stray(void)
{
	struct mend m;

	sound_leaf();
	csum_seal(&block, AT + 1000, SALT_NODE);
	*byte_of(50) ^= 4;
	check(mend_block(&graph, (uint8_t *)&block, AT, &m));
	check_eq(m.byte, 50);
	check_eq(m.mask, 4);
}

/* Nodes without a tree may follow each other, as many as there are blocks. */
static void marks_a_chain(void)
{
	enum { LEN = 1 << 20 };
	struct snode *node = calloc(LEN, sizeof(*node));
	struct edge *edge = calloc(LEN, sizeof(*edge));
	struct graph g = { .node = node, .edge = edge, .nr_nodes = LEN };

	check(node && edge);
	for (uint32_t i = 0; i < LEN; i++) {
		node[i] = (struct snode){ .edge = i, .nr_edges = 1 };
		edge[i].node = i + 1 < LEN ? i + 1 : NONE;
	}
	graph_mark(&g, 0, SN_HELD);
	check(node[0].flags == SN_HELD && node[1].flags == SN_HELD);
	check(node[2 * BTREE_MAX_DEPTH].flags == SN_HELD && !node[LEN - 1].flags);
	graph_unmark(&g, SN_HELD);
	check(!node[0].flags && !node[1].flags);
	free(node);
	free(edge);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "of flags, size of values and room one may be wrong: the others say what it was", headers },
		{ "of keys out of order those are used that are in order with all others", unsorted_runs },
		{ "a changed byte is found by the checksum, wherever it is", mends_any_byte },
		{ "a block that one byte does not explain, or that makes no sense then, is left as it is",
		  mends_nothing_else },
		{ "a byte of a block in the wrong place is put right, too", mends_a_stray },
		{ "any damage is put right between the entries of a node and behind them", mends_what_is_not_used },
		{ "so it is behind the end of a space map", mends_the_end_of_a_map },
		{ "a chain of nodes, however long, is followed as deep as two trees are", marks_a_chain },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
