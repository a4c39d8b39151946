/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The details of each device.  They are joined with the top level by id, never by position. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/order.h"
#include "base/search.h"
#include "pool/salvage/trees/trees.h"

#define MAX_COMPARED 10000 /* devices, each with each: there are more only on a disk that was made to cost time */

static int take_details(void *out, const struct view *v)
{
	for (uint32_t i = 0; i < v->nr; i++) {
		struct device_info *info;
		uint64_t id = view_key(v, i);

		if (id > MAX_DEV_ID)
			continue;
		info = vec_push(out, sizeof(*info));
		if (!info)
			return -ENOMEM;
		device_info_decode(info, (uint32_t)id,
				   v->values + (size_t)i * sizeof(struct disk_details));
	}
	return 0;
}

int details_read(struct graph *g, uint32_t node, struct vec *out, struct err *err)
{
	int r = graph_each_leaf(g, node, sizeof(struct disk_details), take_details, out, err);

	if (r == -ENOMEM) {
		g->no_memory = true;
		err_nomem(err, "salvage: device details");
	}
	vec_sort(out, sizeof(struct device_info), order_u32); /* by id */
	return r;
}

static void sum_up(const struct vec *details, struct details_sum *sum)
{
	const struct device_info *d = details->data;

	for (size_t i = 0; i < details->nr; i++) {
		sum->devices++;
		sum->mappings += MIN(d[i].mapped_blocks, MAX_DATA_BLOCK);
		sum->most = MAX(sum->most, d[i].mapped_blocks);
		sum->transaction = MAX(sum->transaction, d[i].transaction);
		sum->time = MAX(sum->time, MAX(d[i].snap_time, d[i].creation_time));
	}
}

int details_add(struct graph *g, uint32_t node, struct details_sum *sum, struct err *err)
{
	CLEANUP(free_vec) struct vec details = { 0 };
	int r = details_read(g, node, &details, err);

	if (r >= 0)
		sum_up(&details, sum);
	return r;
}

/* Joins what the details say with the devices of the top level. */
static int merge(struct trees *trees, const struct vec *details, struct err *err)
{
	const struct device_info *info = details->data;
	const size_t nr = trees->nr_devs;

	for (size_t k = 0; k < details->nr; k++) {
		const size_t at = search_first(i, nr, trees->dev[i].info.dev_id >= info[k].dev_id);
		struct sdevice *d;

		if (k && info[k - 1].dev_id == info[k].dev_id)
			continue; /* the same id twice: the details tree was put together from pieces */
		if (at < nr && trees->dev[at].info.dev_id == info[k].dev_id) {
			trees->dev[at].info = info[k];
			trees->dev[at].source = DETAILS_LIVE;
			continue;
		}
		d = vec_add(trees->dev, trees->nr_devs, trees->cap_devs);
		if (!d)
			return err_nomem(err, "salvage: list of devices");
		*d = (struct sdevice){ .info = info[k], .root_block = NONE, .root = NONE, .source = DETAILS_LIVE };
	}
	if (trees->nr_devs > nr)
		qsort(trees->dev, trees->nr_devs, sizeof(*trees->dev), order_u32); /* by id */
	return 0;
}

/* Does the device of the top level lack details, and has its tree so many mappings? */
static bool lacks_details(const struct graph *g, const struct sdevice *d, uint64_t nr_mappings)
{
	return d->source == DETAILS_INVENTED && d->root != NONE && g->node[d->root].nr_mappings == nr_mappings;
}

/* Does the top level not name the device of which the details say so many mappings? */
static bool lacks_tree(const struct graph *g, const struct sdevice *d, uint64_t nr_mappings)
{
	(void)g;
	return !d->in_top && d->root == NONE && d->info.mapped_blocks == nr_mappings;
}

/* The device that @lacks something, NULL: none does, or several. */
static struct sdevice *find_only(const struct trees *trees, bool (*lacks)(const struct graph *, const struct sdevice *, uint64_t),
				 uint64_t nr_mappings)
{
	struct sdevice *found = NULL;

	for (size_t i = 0; i < trees->nr_devs; i++) {
		if (!lacks(trees->graph, &trees->dev[i], nr_mappings))
			continue;
		if (found)
			return NULL;
		found = &trees->dev[i];
	}
	return found;
}

/* Details under an impossible id are those of the device that lacks just them. */
static int take_impossible(void *ctx, const struct view *v)
{
	for (uint32_t i = 0; i < v->nr; i++) {
		struct device_info info;
		struct sdevice *d;

		if (view_key(v, i) <= MAX_DEV_ID)
			continue;
		device_info_decode(&info, 0, v->values + (size_t)i * sizeof(struct disk_details));
		d = find_only(ctx, lacks_details, info.mapped_blocks);
		if (!d)
			continue;
		info.dev_id = d->info.dev_id;
		d->info = info;
		d->source = DETAILS_LIVE;
		d->has_other_id = true;
		d->other_id = view_key(v, i);
	}
	return 0;
}

/* Is there a leaf of the tree, in use, whose ids do not ascend?  Then one of them is wrong. */
static bool has_wrong_id(const struct graph *g, uint8_t tree)
{
	return any_of(i, g->nr_nodes, g->node[i].tree == tree && g->node[i].flags & SN_LIVE && g->node[i].flags & SN_UNSORTED);
}

/* How many top levels on the device, older ones as well, name the device? */
static uint32_t nr_naming(const struct graph *g, uint32_t id)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < g->nr_nodes; i++)
		if (g->node[i].tree == TREE_TOP && g->node[i].flags & SN_LEAF)
			nr += count_of(k, g->node[i].nr_edges, g->edge[g->node[i].edge + k].key == id);
	return nr;
}

/*
 * A tree under an id that the details, which are whole, do not have is that of the only device of theirs without a tree that has as many
 * mappings.  One of the two has a wrong id: the one among ids that do not ascend.  Where this does not tell, or of several, it is not sure: then it
 * is the one that older top levels do not name.
 */
static void take_misnamed(struct trees *trees)
{
	const struct graph *g = trees->graph;
	const bool top = has_wrong_id(g, TREE_TOP), details = has_wrong_id(g, TREE_DETAILS);

	for (size_t i = 0; i < trees->nr_devs; i++) {
		struct sdevice *d = &trees->dev[i], *own;

		if (d->source != DETAILS_INVENTED || d->root == NONE || g->node[d->root].flags & (SN_BROKEN | SN_VIRTUAL) ||
		    find_only(trees, lacks_details, g->node[d->root].nr_mappings) != d)
			continue;
		own = find_only(trees, lacks_tree, g->node[d->root].nr_mappings);
		if (!own)
			continue;
		own->has_other_id = true;
		own->other_id = d->info.dev_id;
		if (top == details ? nr_naming(g, own->info.dev_id) < nr_naming(g, d->info.dev_id) : details) {
			own->other_id = own->info.dev_id;
			own->info.dev_id = d->info.dev_id;
		}
		trees->uncertain |= top == details;
		own->in_top = true;
		own->root = d->root;
		own->root_block = d->root_block;
		memmove(d, d + 1, (--trees->nr_devs - i--) * sizeof(*d));
		qsort(trees->dev, trees->nr_devs, sizeof(*trees->dev), order_u32); /* by id */
	}
	trees->uncertain |= count_of(i, trees->nr_devs, trees->dev[i].has_other_id) > 1;
}

int trees_join_details(struct trees *trees, bool whole, struct err *err)
{
	CLEANUP(free_vec) struct vec details = { 0 };
	int r = details_read(trees->graph, trees->details_root, &details, err);

	if (!r)
		r = merge(trees, &details, err);
	if (!r && trees->nr_devs <= MAX_COMPARED)
		r = graph_each_leaf(trees->graph, trees->details_root, sizeof(struct disk_details), take_impossible, trees, err);
	if (!r && whole && trees->nr_devs <= MAX_COMPARED)
		take_misnamed(trees);
	return r;
}

struct sdevice *trees_find_device(const struct trees *trees, uint64_t id)
{
	size_t at = search_first(i, trees->nr_devs, trees->dev[i].info.dev_id >= id);

	return at < trees->nr_devs && trees->dev[at].info.dev_id == id ? &trees->dev[at] : NULL;
}

int trees_insert_device(struct trees *trees, const struct sdevice *device, struct err *err)
{
	struct sdevice *end = vec_add(trees->dev, trees->nr_devs, trees->cap_devs);
	size_t i = trees->nr_devs - 1;

	if (!end)
		return err_nomem(err, "salvage: list of devices");
	for (; i && trees->dev[i - 1].info.dev_id > device->info.dev_id; i--)
		trees->dev[i] = trees->dev[i - 1];
	trees->dev[i] = *device;
	return 0;
}

int trees_take_given(struct trees *trees, struct err *err)
{
	int r = 0;

	for (size_t k = 0; k < trees->super->opt.nr_take && !r; k++) {
		const struct salvage_take *t = &trees->super->opt.take[k];
		const struct sdevice none = { .info = { .dev_id = t->dev_id },
					      .root = NONE,
					      .source = DETAILS_INVENTED };
		struct sdevice *d = trees_find_device(trees, t->dev_id);

		if (!d) {
			r = trees_insert_device(trees, &none, err);
			d = trees_find_device(trees, t->dev_id);
		}
		if (!r) {
			d->root_block = (uint32_t)MIN(t->block, NONE);
			d->root_given = d->root_found = true;
		}
	}
	return r;
}

int trees_each_older(struct trees *trees, older_details_fn *fn, void *ctx, struct err *err)
{
	struct graph *g = trees->graph;
	CLEANUP(free_vec) struct vec details = { 0 };
	int r = 0;

	for (uint32_t i = 0; i < g->nr_nodes && !r; i++) {
		const struct device_info *info;

		if (g->node[i].tree != TREE_DETAILS || !(g->node[i].flags & SN_LEAF) || g->node[i].flags & SN_LIVE)
			continue;
		details.nr = 0;
		r = details_read(g, i, &details, err);
		info = details.data;
		for (size_t k = 0; k < details.nr; k++) {
			struct sdevice *d = trees_find_device(trees, info[k].dev_id);

			if (d)
				fn(ctx, d, &info[k], block_age(trees->super, g->node[i].block));
		}
	}
	return r;
}

struct older_list {
	const struct trees *trees;
	struct older_details *of; /* by device */
};

static void note_youngest(void *ctx, struct sdevice *d, const struct device_info *then, uint32_t age)
{
	const struct older_list *list = ctx;
	struct older_details *o = &list->of[d - list->trees->dev];

	if (!o->known || age < o->age) {
		o->known = true;
		o->age = age;
		o->info = *then;
	}
	if (d->source == DETAILS_LIVE && !same_creation(then, &d->info))
		o->other_age = MIN(o->other_age, age);
}

int trees_youngest_older(struct trees *trees, struct older_details **of, struct err *err)
{
	struct older_list list = { trees, calloc(trees->nr_devs + 1, sizeof(*list.of)) };

	*of = list.of;
	if (!list.of)
		return err_nomem(err, "salvage: older details");
	for (size_t i = 0; i < trees->nr_devs; i++)
		list.of[i].other_age = UINT32_MAX;
	return trees_each_older(trees, note_youngest, &list, err);
}

uint64_t trees_nr_mappings(const struct trees *trees)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < trees->nr_devs; i++)
		nr += trees->dev[i].nr_mappings;
	return nr;
}

bool trees_differ_from_details(const struct trees *trees)
{
	const struct sdevice *d = trees->dev;

	return any_of(i, trees->nr_devs, d[i].source == DETAILS_LIVE && d[i].info.mapped_blocks != d[i].nr_mappings);
}

bool trees_have_details(const struct trees *trees)
{
	return !any_of(i, trees->nr_devs, trees->dev[i].source != DETAILS_LIVE);
}

bool trees_fit_details(const struct trees *trees)
{
	return !any_of(i, trees->nr_devs, !has_its_count(trees->graph, &trees->dev[i]));
}

uint32_t trees_newest_time(const struct trees *trees)
{
	uint32_t time = 0;

	for (size_t i = 0; i < trees->nr_devs; i++)
		if (trees->dev[i].source == DETAILS_LIVE)
			time = MAX(time, MAX(trees->dev[i].info.creation_time,
					     trees->dev[i].info.snap_time));
	return time;
}

const struct device_info *details_find(const struct vec *details, uint64_t id)
{
	const struct device_info *d = details->data;
	size_t at = search_first(i, details->nr, d[i].dev_id >= id);

	return at < details->nr && d[at].dev_id == id ? &d[at] : NULL;
}

/* Of a device @d: @same is the one with its id in the other details, NULL: there is none; @all sums those up. */
typedef bool device_test(const struct device_info *d, const struct device_info *same, const struct details_sum *all);

/* Does a device of the details at @a pass the @test with those at @b?  False also where a part of them cannot be read. */
static bool any_device(struct graph *g, uint32_t a, uint32_t b, device_test *test)
{
	CLEANUP(free_vec) struct vec of_a = { 0 };
	CLEANUP(free_vec) struct vec of_b = { 0 };
	struct details_sum all = { 0 };
	const struct device_info *d;

	if (details_read(g, a, &of_a, NULL) || details_read(g, b, &of_b, NULL))
		return false;
	sum_up(&of_b, &all);
	d = of_a.data;
	return any_of(i, of_a.nr, test(&d[i], details_find(&of_b, d[i].dev_id), &all));
}

static bool is_in_both(const struct device_info *d, const struct device_info *same, const struct details_sum *all)
{
	(void)all;
	return same && same_creation(d, same);
}

static bool is_in_both_later(const struct device_info *d, const struct device_info *same, const struct details_sum *all)
{
	return (d->transaction || d->creation_time) && is_in_both(d, same, all);
}

bool details_share_device(struct graph *g, uint32_t a, uint32_t b, bool later)
{
	return any_device(g, a, b, later ? is_in_both_later : is_in_both);
}

/* Was the device there before the other pool's clock was where it is, or is it the same one, in an earlier state? */
static bool was_before(const struct device_info *d, const struct device_info *same, const struct details_sum *all)
{
	if (same && same_creation(d, same))
		return d->snap_time < same->snap_time;
	return d->creation_time < all->time || d->transaction < all->transaction;
}

bool details_precede(struct graph *g, uint32_t a, uint32_t b)
{
	return any_device(g, a, b, was_before);
}

bool trees_are_exchanged(const struct trees *trees)
{
	const struct sdevice *d = trees->dev;
	const bool more = any_of(i, trees->nr_devs, d[i].source == DETAILS_LIVE && d[i].nr_mappings > d[i].info.mapped_blocks);
	const bool fewer = any_of(i, trees->nr_devs, d[i].source == DETAILS_LIVE && d[i].nr_mappings < d[i].info.mapped_blocks);

	return (more && fewer) || (trees->super->sb.held_root && (more || fewer));
}
