/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* A write that went to a wrong place: the block that it was for keeps something older, which is intact. */
#include "old_pool.h"
#include "pdata/block/csum.h"
#include "pool/salvage/graph/graph.h"
#include "pool/salvage/salvage.h"

static uint8_t *block_of(struct io *io, uint64_t b)
{
	return (uint8_t *)io_mem_data(io) + b * MBLOCK_SIZE;
}

static uint64_t value_of(const uint8_t *node, uint32_t i)
{
	le64 v;

	memcpy(&v, node + 32 + (size_t)INTERNAL_MAX * 8 + (size_t)i * 8, sizeof(v));
	return le64_get(v);
}

static uint64_t nr_mappings(struct io *io, bool *back)
{
	const struct salvage_options opt = { 0 };
	struct salvage_totals totals = { 0 };
	struct salvage *s;
	struct jobs *jobs = jobs_new(1);

	check(jobs);
	check_eq(salvage_new(io, jobs, &opt, &s, &err), 0);
	salvage_totals(s, &totals);
	*back = totals.mappings_back;
	salvage_free(s);
	jobs_free(jobs);
	return totals.nr_mappings;
}

/* Leaf @leaf of device 1, or the details, are written over the large counts of the data map, and another leaf stands in their place. */
static void misdirect(uint32_t leaf, bool is_root)
{
	struct io *io = old_pool();
	struct superblock sb;
	const uint8_t *root;
	uint64_t all, own, other;
	bool back;

	check_eq(superblock_open(&sb, block_of(io, 0), 0), SB_OK);
	all = nr_mappings(io, &back);
	check(back && all > 3000);
	root = block_of(io, value_of(block_of(io, sb.mapping_root), 0));
	own = is_root ? sb.details_root : value_of(root, leaf);
	other = value_of(root, (leaf + 1) % 3);
	memcpy(block_of(io, sb.data_sm.ref_count_root), block_of(io, own), MBLOCK_SIZE);
	memcpy(block_of(io, own), block_of(io, other), MBLOCK_SIZE);
	csum_seal(block_of(io, own), own, SALT_NODE);
	check_eq(nr_mappings(io, &back), all);
	check(back);
	io_free(io);
}

static void of_a_leaf(void)
{
	for (uint64_t seed = 1; seed < 6; seed++) {
		make_old(seed);
		for (uint32_t leaf = 0; leaf < 3; leaf++)
			misdirect(leaf, false);
	}
}

static void of_the_details(void)
{
	for (uint64_t seed = 1; seed < 6; seed++) {
		make_old(seed);
		misdirect(0, true);
	}
}

/* A leaf is lost that stands in two other places: the one is used, the other one is tried and left again. */
static void of_two_copies(void)
{
	struct io *io;
	struct superblock sb;
	struct graph g = { 0 };
	uint32_t leaf, where, nr, tried = 0;

	make_old(1);
	io = old_pool();
	nr = (uint32_t)(io->size / MBLOCK_SIZE);
	check_eq(superblock_open(&sb, block_of(io, 0), 0), SB_OK);
	leaf = (uint32_t)value_of(block_of(io, value_of(block_of(io, sb.mapping_root), 0)), 0);
	for (uint32_t at = nr - 2; at < nr; at++)
		memcpy(block_of(io, at), block_of(io, leaf), MBLOCK_SIZE);
	memset(block_of(io, leaf), 0x55, MBLOCK_SIZE);
	check_eq(graph_init(&g, io, NULL) ?: graph_scan_all(&g, &err), 0);
	where = graph_where(&g, leaf);
	check(where != leaf);
	for (size_t i = 0; i < g.strays.nr; i++) {
		const struct stray st = ((struct stray *)g.strays.data)[i];
		struct stray_undo undo;

		if (st.own != leaf || st.at == where)
			continue;
		tried++;
		check(graph_take_stray(&g, &st, &undo, &err) > 0);
		check_eq(graph_where(&g, leaf), st.at);
		check_eq(graph_leave_stray(&g, &undo, &err), 0);
		check_eq(graph_where(&g, leaf), where);
	}
	check_eq(tried, 1);
	graph_fini(&g);
	io_free(io);
}

static const struct test tests[] = {
	{ "a leaf that was written to a wrong place is found by its number, though something intact is in its own", of_a_leaf },
	{ "and so are the details", of_the_details },
	{ "a leaf that was found in two wrong places is read from the one that is used, also after the other one was tried", of_two_copies },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
