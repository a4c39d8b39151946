/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * One node, read leniently.  node_open() refuses what the kernel would misread; here a node with a
 * right checksum is used as far as its fields agree: of flags, value_size and max_entries one may
 * be wrong, because any two determine the third.
 */
#include "base/zero.h"
#include "pool/format/leaf_runs.h"
#include "pool/salvage/graph/graph.h"

static bool value_size_ok(uint32_t v)
{
	return v == 4 || v == 8 || v == 16 || v == 24;
}

static uint32_t value_size_of_max(uint32_t max)
{
	static const uint32_t sizes[] = { 8, 24, 16, 4 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		if (max == NODE_MAX_ENTRIES(sizes[i]))
			return sizes[i];
	return 0;
}

/* Block numbers are small, mappings carry the data block in the upper 40 bits. */
static bool looks_internal(const struct view *v)
{
	return count_of(i, v->nr, view_value(v, i) < MAX_METADATA_BLOCKS) * 2 > v->nr;
}

/* Does the last entry hold nothing?  Its key follows none, so there are fewer entries than the header says. */
static bool ends_in_nothing(const struct view *v)
{
	return v->nr > 1 && !view_key(v, v->nr - 1) && all_zero(v->values + (size_t)(v->nr - 1) * v->value_size, v->value_size);
}

bool view_open(struct view *v, const void *block)
{
	const struct disk_node *raw = block;
	uint32_t flags = le32_get(raw->h.flags) & (NODE_INTERNAL | NODE_LEAF);
	uint32_t max = le32_get(raw->h.max_entries);

	*v = (struct view){ .raw = raw,
			    .nr = le32_get(raw->h.nr_entries),
			    .value_size = le32_get(raw->h.value_size) };
	if (!value_size_ok(v->value_size)) {
		v->value_size = value_size_of_max(max);
		v->mended = true;
	} else if (max != NODE_MAX_ENTRIES(v->value_size)) {
		/* flags decide which of the two is believed: an internal node's values are 8 bytes */
		if (flags == NODE_INTERNAL)
			v->value_size = 8;
		v->mended = true;
	}
	if (!v->value_size || v->nr > NODE_MAX_ENTRIES(v->value_size))
		return false;
	v->values = (const uint8_t *)raw->keys + (size_t)8 * NODE_MAX_ENTRIES(v->value_size);
	if (flags == NODE_INTERNAL || flags == NODE_LEAF) {
		v->leaf = flags == NODE_LEAF || (v->value_size == 8 && !looks_internal(v));
		v->mended |= v->leaf != (flags == NODE_LEAF);
	} else {
		v->leaf = v->value_size != 8 || !looks_internal(v);
		v->mended = true;
	}
	if (!v->leaf && v->value_size != 8)
		return false; /* without entries it is a leaf */
	for (; ends_in_nothing(v); v->nr--)
		v->mended = true;
	for (uint32_t i = 1; i < v->nr; i++)
		if (view_key(v, i - 1) >= view_key(v, i))
			v->unsorted = true;
	return true;
}

uint32_t view_nr_common(const struct view *a, const struct view *b)
{
	uint32_t i = 0, k = 0, same = 0;

	while (a->value_size == b->value_size && i < a->nr && k < b->nr) {
		uint64_t ka = view_key(a, i), kb = view_key(b, k);

		same += ka == kb && !memcmp(a->values + (size_t)i * a->value_size,
					    b->values + (size_t)k * b->value_size, a->value_size);
		i += ka <= kb;
		k += kb <= ka;
	}
	return same;
}

static uint32_t add_run(struct run *run, uint32_t nr, uint64_t key, uint64_t value)
{
	struct run *last = nr ? &run[nr - 1] : NULL;

	if (last && last->vbegin + last->len == key &&
	    last->dbegin + last->len == mapping_block(value) && last->time == mapping_time(value)) {
		last->len++;
		return nr;
	}
	run[nr] = (struct run){ key, mapping_block(value), 1, mapping_time(value) };
	return nr + 1;
}

/*
 * Where keys are out of order it is not known whether the key or the value is in the wrong place:
 * of such a leaf only those entries are used whose key is above all keys before and below all keys
 * after.
 */
static uint32_t runs_in_order(const struct view *v, uint64_t nr_data_blocks, struct run *run)
{
	uint64_t least_after[INTERNAL_MAX + 1], most_before = 0;
	uint32_t nr = 0;

	least_after[v->nr] = UINT64_MAX;
	for (uint32_t i = v->nr; i-- > 0;)
		least_after[i] = MIN(least_after[i + 1], view_key(v, i));
	for (uint32_t i = 0; i < v->nr; i++) {
		uint64_t key = view_key(v, i), value = view_value(v, i);

		if ((!i || key > most_before) && (i + 1 == v->nr || key < least_after[i + 1]) &&
		    mapping_block(value) < nr_data_blocks)
			nr = add_run(run, nr, key, value);
		most_before = MAX(most_before, key);
	}
	return nr;
}

uint32_t view_runs(const struct view *v, uint64_t nr_data_blocks, struct run *run)
{
	const struct node n = { v->raw, v->values, v->nr, v->value_size, true };
	struct leaf_runs runs;
	uint32_t nr = 0, all;

	if (v->unsorted)
		return runs_in_order(v, nr_data_blocks, run);
	if (!v->nr)
		return 0;
	leaf_runs_find(&runs, &n, RUNS_ONE_TIME);
	all = leaf_runs_nr(&runs);
	leaf_runs_list(&runs, &n, all, run);
	for (uint32_t i = 0; i < all; i++) {
		if (run[i].dbegin >= nr_data_blocks)
			continue;
		run[nr] = run[i];
		run[nr].len = MIN(run[nr].len, nr_data_blocks - run[nr].dbegin);
		nr++;
	}
	return nr;
}

void view_add_refs(const struct view *v, struct refmap *refs)
{
	uint64_t list[INTERNAL_MAX];
	size_t nr = 0;

	for (uint32_t k = 0; k < v->nr; k++) {
		uint64_t b = mapping_block(view_value(v, k));

		if (b < refmap_nr_blocks(refs))
			list[nr++] = b;
	}
	refmap_inc_list(refs, list, nr);
}
