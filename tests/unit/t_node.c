/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>

#include "base/cpu.h"
#include "base/sum/crc32c.h"
#include "pdata/block/csum.h"
#include "pdata/block/node.h"
#include "pool/format/superblock.h"
#include "tap.h"

static struct disk_node block;

static void good_leaf(void)
{
	node_init(&block, true, 8);
	for (uint32_t i = 0; i < 100; i++)
		block.keys[i] = le64_make(i * 3);
	block.h.nr_entries = le32_make(100);
	csum_seal(&block, 7, SALT_NODE);
}

static enum node_fault reopened(void)
{
	struct node n;

	csum_seal(&block, 7, SALT_NODE);
	return node_open(&n, &block, 7, 8);
}

/* The same on any CPU. */
static enum node_fault reopened_anywhere(void)
{
	const unsigned has = cpu_features;
	const enum node_fault fault = reopened();

	cpu_features = 0;
	check_eq(reopened(), fault);
	cpu_features = has;
	return fault;
}

static void opens(void)
{
	struct node n;

	good_leaf();
	check_eq(node_open(&n, &block, 7, 8), NODE_OK);
	check(n.leaf);
	check_eq(n.nr, 100);
}

/* The leaf has the keys 0, 3, ... 297. */
static void range(void)
{
	struct node n;

	good_leaf();
	check_eq(node_open(&n, &block, 7, 8), NODE_OK);
	check_eq(node_check_range(&n, 0, 297), NODE_OK);
	check_eq(node_check_range(&n, 0, UINT64_MAX), NODE_OK);
	check_eq(node_check_range(&n, 1, 297), NODE_BAD_RANGE);
	check_eq(node_check_range(&n, 0, 296), NODE_BAD_RANGE);
	check_eq(node_check_range(&n, 298, UINT64_MAX), NODE_BAD_RANGE);
	n.nr = 1;
	check_eq(node_check_range(&n, 0, 0), NODE_OK);
	n.nr = 0;
	check_eq(node_check_range(&n, 5, 4), NODE_OK);
	check_eq(node_read_fault(-ENXIO), NODE_OUTSIDE);
	check_eq(node_read_fault(-EIO), NODE_UNREADABLE);
}

static void faults(void)
{
	struct node n;

	good_leaf();
	check_eq(node_open(&n, &block, 8, 8), NODE_WRONG_PLACE);
	((uint8_t *)&block)[4095] ^= 1;
	check_eq(node_open(&n, &block, 7, 8), NODE_BAD_CSUM);
	good_leaf();
	check_eq(node_open(&n, &block, 7, 24), NODE_BAD_VALUE_SIZE);
	block.h.flags = le32_make(3);
	check_eq(reopened(), NODE_BAD_FLAGS);
	block.h.flags = le32_make(0);
	check_eq(reopened(), NODE_BAD_FLAGS);
	good_leaf();
	block.h.max_entries = le32_make(251);
	check_eq(reopened(), NODE_BAD_MAX);
	good_leaf();
	block.h.nr_entries = le32_make(253);
	check_eq(reopened(), NODE_BAD_NR);
	good_leaf();
	block.keys[50] = block.keys[49];
	check_eq(reopened(), NODE_BAD_ORDER);
	node_init(&block, false, 8);
	check_eq(reopened(), NODE_BAD_NR);
	node_init(&block, true, 8);
	check_eq(reopened(), NODE_OK);
}

/* Every pair of neighbours is compared, whatever the number of entries; key 0 and 2^63 too. */
static void order(void)
{
	static const uint64_t wrong[] = { 0, 1, 1000000, UINT64_MAX, (uint64_t)1 << 63 };

	for (uint32_t nr = 2; nr <= 252; nr += nr < 20 ? 1 : 29) {
		for (uint32_t i = 0; i < nr; i++) {
			for (size_t k = 0; k < ARRAY_SIZE(wrong); k++) {
				bool bad = (i && wrong[k] <= 1000 + i - 1) ||
					   (i + 1 < nr && wrong[k] >= 1000 + i + 1);

				node_init(&block, true, 8);
				for (uint32_t j = 0; j < nr; j++)
					block.keys[j] = le64_make(j == i ? wrong[k] : 1000 + j);
				block.h.nr_entries = le32_make(nr);
				check_eq(reopened_anywhere(), bad ? NODE_BAD_ORDER : NODE_OK);
			}
		}
	}
}

static void far_apart(void)
{
	static const uint64_t first[] = {
		0, 1, (uint64_t)1 << 54, INT64_MAX, (uint64_t)1 << 63, UINT64_MAX - 300
	};

	for (unsigned i = 0; i < ARRAY_SIZE(first) * 64; i++) {
		for (uint32_t nr = 2; nr <= 252; nr += nr < 12 ? 1 : 40) {
			uint64_t key = first[i / 64];
			bool bad = false;

			node_init(&block, true, 8);
			for (uint32_t j = 0; j < nr; j++) {
				block.keys[j] = le64_make(key);
				bad |= j + 1 < nr && key + ((uint64_t)1 << i % 64) < key;
				key += (uint64_t)1 << i % 64;
			}
			block.h.nr_entries = le32_make(nr);
			check_eq(reopened_anywhere(), bad ? NODE_BAD_ORDER : NODE_OK);
		}
	}
}

static void max_entries(void)
{
	check_eq(NODE_MAX_ENTRIES(8), 252);
	check_eq(NODE_MAX_ENTRIES(24), 126);
	check_eq(NODE_MAX_ENTRIES(16), 168);
	check_eq(NODE_MAX_ENTRIES(4), 336);
}

static void kinds(void)
{
	const char *name;

	good_leaf();
	check_eq(csum_classify(&block, &name), CSUM_IS_NODE);
	csum_seal(&block, 0, SALT_SUPERBLOCK);
	check_eq(csum_classify(&block, &name), CSUM_IS_SUPERBLOCK);
	block.h.csum = le32_make(csum_compute(&block, 0) ^ 9031977);
	check_eq(csum_classify(&block, &name), CSUM_FOREIGN);
	check_str(name, "cache superblock");
	((uint8_t *)&block)[100] ^= 4;
	check_eq(csum_classify(&block, NULL), CSUM_NONE);
}

static void superblock_round_trip(void)
{
	struct superblock a = { .version = 2, .time = 3, .transaction_id = 1ull << 40, .mapping_root = 5,
				.data_sm.nr_blocks = 77, .metadata_sm.ref_count_root = 9,
				.data_block_size = 128, .uuid = { 1, 2, 3 } },
			  b;
	static uint8_t sb[MBLOCK_SIZE];
	struct io *io;

	superblock_seal(&a, sb, 0);
	check_eq(superblock_open(&b, sb, 0), SB_OK);
	check(!memcmp(&a, &b, sizeof(a)));
	check_eq(superblock_open(&b, sb, 1), SB_WRONG_PLACE);
	sb[200] ^= 1;
	check_eq(superblock_open(&b, sb, 0), SB_BAD_CSUM);
	memset(sb, 0, sizeof(sb));
	check_eq(superblock_open(&b, sb, 0), SB_ALL_ZERO);
	io = io_mem_new("pool", sizeof(sb));
	check(io && !superblock_invalidate(io, &(struct superblock_mark){ 0 }, NULL));
	check_eq(superblock_open(&b, io_mem_data(io), 0), SB_UNFINISHED);
	io_free(io);
}

static const struct test tests[] = {
	{ "a key out of order is seen at any place in a node of any size", order },
	{ "keys that are far apart are in order until they pass 2^64", far_apart },
	{ "a good leaf opens and is searched", opens },
	{ "keys before or past the parent's range are a fault, no keys are none", range },
	{ "each fault of a node has its name", faults },
	{ "the maximum of entries is that of the format", max_entries },
	{ "a block's kind is told by its checksum", kinds },
	{ "a superblock survives sealing and opening; the placeholder is never valid nor zero",
	  superblock_round_trip },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
