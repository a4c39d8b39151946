/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The dumb reader: nothing of the library but the layout of a superblock. */
#include "rescue.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const role_name[NR_ROLES] = {
	"superblock", "top level", "details", "device root", "internal", "leaf",
	"metadata index", "metadata bitmap", "data space map", "overflow", "held snapshot", "free",
};

static const uint8_t *block(const struct pool *p, uint64_t b)
{
	if (b >= p->nr_blocks)
		errx(1, "block %llu is outside of the image", (unsigned long long)b);
	return p->image + b * 4096;
}

static void *more(void *data, size_t nr, size_t *cap, size_t size)
{
	if (nr < *cap)
		return data;
	*cap = *cap ? *cap * 2 : 1024;
	data = realloc(data, *cap * size);
	if (!data)
		err(1, "memory");
	return data;
}

struct visit {
	struct pool *p;
	int leaf_role, internal_role, root_role; /* root_role < 0: none */
	void (*leaf)(struct visit *v, uint32_t b);
	uint32_t dev;
	uint32_t nr; /* nodes so far */
};

static void mark(struct pool *p, uint32_t b, int role)
{
	if (b < p->nr_blocks) /* a changed image, looked at as a pool of its own, may name any */
		p->roles[b] |= (uint16_t)(1 << role);
}

static void visit_tree(struct visit *v, uint64_t b, bool root)
{
	const uint8_t *n = block(v->p, b);

	if (v->nr++ == v->p->nr_blocks) /* older roots may lead to what was written since, and so round in circles */
		v->p->no_tree = true;
	if (v->p->no_tree)
		return;
	if (root && v->root_role >= 0)
		mark(v->p, (uint32_t)b, v->root_role);
	if (u32(n, 4) & 1) {
		mark(v->p, (uint32_t)b, v->internal_role);
		for (uint32_t i = 0; i < u32(n, 16); i++)
			visit_tree(v, u64(n, 2048 + 8 * i), false);
		return;
	}
	mark(v->p, (uint32_t)b, v->leaf_role);
	if (v->leaf)
		v->leaf(v, (uint32_t)b);
}

static void add_mappings(struct visit *v, uint32_t b)
{
	struct pool *p = v->p;
	const uint8_t *n = block(p, b);

	for (uint32_t i = 0; i < u32(n, 16); i++) {
		p->map = more(p->map, p->nr_maps, &p->cap_maps, sizeof(*p->map));
		p->map[p->nr_maps++] = (struct mapped){ v->dev, b, u64(n, 32 + 8 * i),
							 u64(n, 2048 + 8 * i) };
	}
}

static void each_device(struct visit *v, uint32_t b)
{
	const uint8_t *n = block(v->p, b);

	for (uint32_t i = 0; i < u32(n, 16); i++) {
		struct visit dev = { .p = v->p, .leaf_role = ROLE_LEAF,
				     .internal_role = ROLE_INTERNAL,
				     .root_role = ROLE_DEVICE_ROOT, .leaf = add_mappings,
				     .dev = (uint32_t)u64(n, 32 + 8 * i) };

		if (v->leaf_role == ROLE_HELD) {
			dev.leaf_role = dev.internal_role = dev.root_role = ROLE_HELD;
			dev.leaf = NULL;
		}
		visit_tree(&dev, u64(n, 2048 + 8 * i), true);
	}
}

static void add_details(struct visit *v, uint32_t b)
{
	struct pool *p = v->p;
	const uint8_t *n = block(p, b);

	for (uint32_t i = 0; i < u32(n, 16); i++) {
		size_t at = 1040 + 24 * (size_t)i;

		p->details = more(p->details, p->nr_details, &p->cap_details, sizeof(*p->details));
		p->details[p->nr_details++] =
			(struct details){ (uint32_t)u64(n, 32 + 8 * i), u64(n, at), u64(n, at + 8),
					  u32(n, at + 16), u32(n, at + 20) };
	}
}

static void add_data_bitmaps(struct visit *v, uint32_t b)
{
	const uint8_t *n = block(v->p, b);

	for (uint32_t i = 0; i < u32(n, 16) && i < 168; i++)
		mark(v->p, (uint32_t)u64(n, 1376 + 16 * i), ROLE_DATA_SM);
}

static void read_space_maps(struct pool *p)
{
	const uint8_t *sb = p->image;
	struct visit data = { .p = p, .leaf_role = ROLE_DATA_SM, .internal_role = ROLE_DATA_SM,
			      .root_role = -1, .leaf = add_data_bitmaps };
	struct visit over = { .p = p, .leaf_role = ROLE_OVERFLOW, .internal_role = ROLE_OVERFLOW,
			      .root_role = -1 };
	uint64_t nr = u64(sb, 192), index = u64(sb, 208);

	visit_tree(&data, u64(sb, 80), true);
	data.leaf = NULL;
	visit_tree(&data, u64(sb, 88), true);
	visit_tree(&over, u64(sb, 216), true);
	mark(p, (uint32_t)index, ROLE_INDEX);
	for (uint64_t i = 0; i * 16320 < nr && i < 255; i++)
		mark(p, (uint32_t)u64(block(p, index), 16 + 16 * i), ROLE_BITMAP);
}

static void read_trees(struct pool *p, const uint8_t *sb, bool held)
{
	struct visit top = { .p = p, .leaf_role = ROLE_TOP, .internal_role = ROLE_TOP,
			     .root_role = -1, .leaf = each_device };
	struct visit details = { .p = p, .leaf_role = ROLE_DETAILS, .internal_role = ROLE_DETAILS,
				 .root_role = -1, .leaf = add_details };

	if (held) {
		top.leaf_role = top.internal_role = ROLE_HELD;
		details.leaf_role = details.internal_role = ROLE_HELD;
		details.leaf = NULL;
	}
	visit_tree(&top, u64(sb, 320), true);
	visit_tree(&details, u64(sb, 328), true);
}

static void list_roles(struct pool *p)
{
	for (int r = 0; r < NR_ROLES; r++) {
		p->of_role[r] = calloc(p->nr_blocks, sizeof(uint32_t));
		if (!p->of_role[r])
			err(1, "memory");
	}
	for (uint32_t b = 0; b < p->nr_blocks; b++) {
		const uint64_t *w = (const void *)(p->image + (size_t)b * 4096);

		/* of the free blocks, those that hold something old */
		if (!p->roles[b] && w[0] | w[1])
			mark(p, b, ROLE_FREE);
		for (int r = 0; r < NR_ROLES; r++)
			if (p->roles[b] & 1 << r)
				p->of_role[r][p->nr_of_role[r]++] = b;
	}
}

static void read_pool(struct pool *p)
{
	uint64_t held;

	p->roles = calloc(p->nr_blocks, sizeof(*p->roles));
	if (!p->roles)
		err(1, "memory");
	p->time = u32(p->image, 44);
	p->transaction = u64(p->image, 48);
	p->data_block_size = u32(p->image, 336);
	p->nr_data_blocks = u64(p->image, 64);
	mark(p, 0, ROLE_SUPER);
	read_trees(p, p->image, false);
	read_space_maps(p);
	held = u64(p->image, 56);
	if (held) {
		mark(p, (uint32_t)held, ROLE_HELD);
		read_trees(p, block(p, held), true);
	}
	list_roles(p);
}

void pool_take_with(struct pool *p, const void *super, const void *image, uint32_t nr_blocks)
{
	*p = (struct pool){ .nr_blocks = nr_blocks, .image = malloc((size_t)nr_blocks * 4096) };
	if (!p->image)
		err(1, "memory");
	memcpy(p->image, image, (size_t)nr_blocks * 4096);
	memcpy(p->image, super, 4096);
	read_pool(p);
}

void pool_take(struct pool *p, const void *image, uint32_t nr_blocks)
{
	pool_take_with(p, image, image, nr_blocks);
}

void pool_read(struct pool *p, const char *path)
{
	FILE *f = fopen(path, "rb");
	long size;

	memset(p, 0, sizeof(*p));
	if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 4096 || fseek(f, 0, SEEK_SET))
		err(1, "%s", path);
	p->nr_blocks = (uint32_t)(size / 4096);
	p->image = malloc((size_t)p->nr_blocks * 4096);
	if (!p->image)
		err(1, "memory");
	if (fread(p->image, 4096, p->nr_blocks, f) != p->nr_blocks)
		err(1, "%s", path);
	fclose(f);
	read_pool(p);
}

void pool_free(struct pool *p)
{
	free(p->image);
	free(p->map);
	free(p->details);
	free(p->roles);
	for (int r = 0; r < NR_ROLES; r++)
		free(p->of_role[r]);
}
