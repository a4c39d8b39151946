/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * crowd KIND DEVICES LEAVES FLAW SEED FILE: a small file in which many devices share many leaves, so
 * that pairs of a device and a leaf are far more than there are blocks.  It has no space maps.
 *
 *   one    all devices have the same root
 *   own    each device has a root of its own, over all leaves (at most 252)
 *   deep   each device has a root of its own, over inner nodes that devices share by chance, each
 *          of them over leaves chosen by chance
 *
 * FLAW is what each leaf has: none, time (not below the devices' snap_time), late (after
 * the superblock's time), outside (beyond the data device), csum (a bad checksum), same (all entries
 * map one data block).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pdata/block/csum.h"
#include "pdata/block/node.h"
#include "pool/format/format.h"

#define GROUP	 126u /* leaves below an inner node, at most */
#define VARIANTS 8u
#define TIME	 7u

static struct {
	uint8_t *p;
	mblock_t next; /* the next free block */
	mblock_t *leaf;
	unsigned nr_leaves, nr_devices;
	mblock_t *inner;    /* VARIANTS for each group */
	unsigned *inner_nr; /* leaves below each */
	const char *flaw;
	uint64_t seed, nr_data;
} g;

static uint64_t draw(uint64_t below)
{
	g.seed = g.seed * 6364136223846793005 + 1442695040888963407;
	return (g.seed >> 33) % below;
}

static struct disk_node *new_node(bool leaf, uint32_t value_size, mblock_t *at)
{
	struct disk_node *n = (void *)(g.p + MBLOCK_SIZE * (*at = g.next++));

	node_init(n, leaf, value_size);
	return n;
}

static void add_entry(struct disk_node *n, uint64_t key, const void *value)
{
	uint32_t nr = le32_get(n->h.nr_entries), size = le32_get(n->h.value_size);
	uint8_t *values = (uint8_t *)n->keys + (size_t)8 * le32_get(n->h.max_entries);

	n->keys[nr] = le64_make(key);
	memcpy(values + (size_t)nr * size, value, size);
	n->h.nr_entries = le32_make(nr + 1);
}

static void add_child(struct disk_node *n, uint64_t key, mblock_t child)
{
	le64 v = le64_make(child);

	add_entry(n, key, &v);
}

static void seal(mblock_t at)
{
	csum_seal(g.p + MBLOCK_SIZE * at, at, SALT_NODE);
}

/* A tree of @nr entries with keys from 1 on; returns its root. */
static mblock_t make_tree(const void *values, uint32_t size, uint32_t nr)
{
	uint32_t max = NODE_MAX_ENTRIES(size), nr_nodes = (nr + max - 1) / max;
	mblock_t *node = calloc(nr_nodes, sizeof(*node));
	uint64_t span = max;
	mblock_t root;

	for (uint32_t i = 0; i < nr; i++) {
		struct disk_node *n = i % max ? (void *)(g.p + MBLOCK_SIZE * node[i / max])
					      : new_node(true, size, &node[i / max]);

		add_entry(n, i + 1, (const uint8_t *)values + (size_t)i * size);
	}
	for (uint32_t i = 0; i < nr_nodes; i++)
		seal(node[i]);
	for (; nr_nodes > 1; nr_nodes = (nr_nodes + INTERNAL_MAX - 1) / INTERNAL_MAX) {
		for (uint32_t i = 0, to; i < nr_nodes; i++) {
			mblock_t child = node[i];
			struct disk_node *n;

			to = i / INTERNAL_MAX;
			n = i % INTERNAL_MAX ? (void *)(g.p + MBLOCK_SIZE * node[to])
					     : new_node(false, 8, &node[to]);
			add_child(n, i * span + 1, child);
			if (i % INTERNAL_MAX == INTERNAL_MAX - 1 || i + 1 == nr_nodes)
				seal(node[to]);
		}
		span *= INTERNAL_MAX;
	}
	root = node[0];
	free(node);
	return root;
}

static bool flaw(const char *name)
{
	return !strcmp(g.flaw, name);
}

static uint64_t first_key(unsigned leaf)
{
	return (uint64_t)leaf * INTERNAL_MAX;
}

static void make_leaves(void)
{
	uint32_t time = flaw("late") ? TIME + 1 : flaw("time") ? TIME - 1 : 0;
	dblock_t d = 0;

	for (unsigned i = 0; i < g.nr_leaves; i++) {
		struct disk_node *n = new_node(true, 8, &g.leaf[i]);

		for (unsigned k = 0; k < INTERNAL_MAX; k++) {
			d += draw(5) ? 1 : 2; /* runs, also over the ends of leaves */
			add_child(n, first_key(i) + k,
				  mapping_pack(flaw("same")	 ? 5
					       : flaw("outside") ? g.nr_data + d
								 : d,
					       time));
		}
		seal(g.leaf[i]);
		if (flaw("csum"))
			n->h.csum = le32_make(le32_get(n->h.csum) ^ 1);
	}
}

/* The inner nodes of the kind deep: the leaves of a group, each by chance, but never none. */
static void make_inner(void)
{
	for (unsigned i = 0; i * GROUP < g.nr_leaves; i++)
		for (unsigned v = 0; v < VARIANTS; v++) {
			unsigned at = i * VARIANTS + v, end = (i + 1) * GROUP;
			struct disk_node *n = new_node(false, 8, &g.inner[at]);

			for (unsigned k = i * GROUP; k < end && k < g.nr_leaves; k++) {
				if (!draw(2) && (g.inner_nr[at] || k + 1 < end))
					continue;
				add_child(n, first_key(k), g.leaf[k]);
				g.inner_nr[at]++;
			}
			if (!g.inner_nr[at]++)
				add_child(n, first_key(i * GROUP), g.leaf[i * GROUP]);
			else
				g.inner_nr[at]--;
			seal(g.inner[at]);
		}
}

/* A root over inner nodes; *nr gets the number of leaves below it. */
static mblock_t make_root(bool deep, unsigned *nr)
{
	mblock_t at;
	struct disk_node *n = new_node(false, 8, &at);

	*nr = 0;
	for (unsigned i = 0; !deep && i < g.nr_leaves; i++) {
		add_child(n, first_key(i), g.leaf[i]);
		++*nr;
	}
	for (unsigned i = 0; deep && i * GROUP < g.nr_leaves; i++) {
		unsigned v = i * VARIANTS + (unsigned)draw(VARIANTS);

		add_child(n, first_key(i * GROUP), g.inner[v]);
		*nr += g.inner_nr[v];
	}
	seal(at);
	return at;
}

static void make_devices(const char *kind)
{
	le64 *root = calloc(g.nr_devices, sizeof(*root));
	struct disk_details *details = calloc(g.nr_devices, sizeof(*details));
	struct disk_superblock *sb = (void *)g.p;
	unsigned nr = 0;
	mblock_t at = 0;

	for (unsigned i = 0; i < g.nr_devices; i++) {
		if (!at || strcmp(kind, "one"))
			at = make_root(strcmp(kind, "own") &&
					       (strcmp(kind, "one") || g.nr_leaves > INTERNAL_MAX),
				       &nr);
		root[i] = le64_make(at);
		details[i].mapped_blocks = le64_make((uint64_t)nr * INTERNAL_MAX);
		details[i].snapshotted_time = le32_make(flaw("time") ? TIME - 1 : TIME);
	}
	sb->mapping_root = le64_make(make_tree(root, 8, g.nr_devices));
	sb->details_root = le64_make(make_tree(details, sizeof(*details), g.nr_devices));
	sb->magic = le64_make(THIN_MAGIC);
	sb->version = le32_make(THIN_VERSION);
	sb->time = le32_make(TIME);
	sb->data_sm.nr_blocks = le64_make(g.nr_data);
	sb->metadata_sm.nr_blocks = sb->metadata_nr_blocks = le64_make(g.next);
	sb->data_block_size = le32_make(128);
	sb->metadata_block_size = le32_make(MBLOCK_SIZE / 512);
	csum_seal(g.p, 0, SALT_SUPERBLOCK);
	free(root);
	free(details);
}

int main(int argc, char **argv)
{
	size_t len;
	int fd;

	if (argc != 7) {
		fprintf(stderr, "usage: crowd one|own|deep DEVICES LEAVES FLAW SEED FILE\n");
		return 64;
	}
	g.nr_devices = (unsigned)atoi(argv[2]);
	g.nr_leaves = (unsigned)atoi(argv[3]);
	g.flaw = argv[4];
	g.seed = (uint64_t)atoi(argv[5]);
	g.nr_data = (uint64_t)g.nr_leaves * INTERNAL_MAX * 2 + 10;
	g.next = 1;
	g.leaf = calloc(g.nr_leaves, sizeof(*g.leaf));
	g.inner = calloc((g.nr_leaves / GROUP + 1) * VARIANTS, sizeof(*g.inner));
	g.inner_nr = calloc((g.nr_leaves / GROUP + 1) * VARIANTS, sizeof(*g.inner_nr));
	len = ((size_t)g.nr_devices * 2 + g.nr_leaves * 2 + 1000) * MBLOCK_SIZE;
	fd = open(argv[6], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0 || ftruncate(fd, (off_t)len)) {
		perror(argv[6]);
		return 74;
	}
	g.p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (g.p == MAP_FAILED) {
		perror(argv[6]);
		return 74;
	}
	make_leaves();
	make_inner();
	make_devices(argv[1]);
	if (ftruncate(fd, (off_t)(g.next * MBLOCK_SIZE))) {
		perror(argv[6]);
		return 74;
	}
	printf("%llu blocks\n", (unsigned long long)g.next);
	return 0;
}
