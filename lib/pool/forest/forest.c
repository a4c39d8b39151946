/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/forest/forest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/pages.h"
#include "base/vec.h"

#define NAMED_DEVICES 4 /* at most in one sentence */
#define LEAVES_AT_ONCE ((uint64_t)32 << 10) /* their list takes 256 KiB */

struct forest_worker {
	struct forest_leaf_fault *fault;
	size_t nr, cap;
} __attribute__((aligned(128)));

void forest_fault_text(char *text, size_t len, const char *who, mblock_t block,
		       enum node_fault fault, uint64_t first, uint64_t last)
{
	char lost[120];

	if (first > last)
		snprintf(lost, sizeof(lost), "no block of the device fits into it, because its parents contradict each other");
	else if (last == UINT64_MAX && !first)
		snprintf(lost, sizeof(lost), "all blocks of the device cannot be read");
	else if (last == UINT64_MAX)
		snprintf(lost, sizeof(lost), "blocks from %" PRIu64 " on of the device cannot be read", first);
	else
		snprintf(lost, sizeof(lost), "blocks %" PRIu64 "-%" PRIu64 " of the device cannot be read", first, last);
	snprintf(text, len, "%s: node at block %" PRIu64 " %s: %s", who, block, node_fault_text(fault), lost);
}

void forest_problem(struct forest *f, bool io_error, const char *text)
{
	f->nr_problems++;
	f->not_only_io |= !io_error;
	if (f->problem)
		f->problem(f->problem_ctx, text);
}

static bool wanted(const uint32_t *ids, size_t nr_ids, uint32_t id)
{
	for (size_t i = 0; i < nr_ids; i++)
		if (ids[i] == id)
			return true;
	return !nr_ids;
}

/* Those that can be walked; says what is wrong with the others and with the trees. */
static int choose_devices(struct forest *f, const uint32_t *ids, size_t nr_ids, struct err *err)
{
	char text[200];

	f->dev = calloc(f->devices.nr + 1, sizeof(*f->dev));
	if (!f->dev)
		return err_nomem(err, "the list of devices");
	for (size_t i = 0; i < f->devices.nr_tree_problems; i++)
		forest_problem(f, !f->devices.damage, f->devices.problem[i]);
	for (size_t i = 0; i < f->devices.nr; i++) {
		const struct metadata_device *d = &f->devices.dev[i];

		if (!wanted(ids, nr_ids, d->info.dev_id))
			continue;
		if (metadata_device_problem(d, text, sizeof(text)))
			forest_problem(f, !f->devices.damage, text);
		else
			f->dev[f->nr_devs++] = d;
	}
	return 0;
}

/* A device that is asked for and not there is a mistake, or was lost. */
static int check_wanted(const struct forest *f, const uint32_t *ids, size_t nr_ids, struct err *err)
{
	for (size_t i = 0; i < nr_ids; i++)
		if (!metadata_devices_find(&f->devices, ids[i]))
			return err_set(err, -ENODATA, "device %" PRIu32 " is not in this pool%s",
				       ids[i],
				       f->devices.nr_tree_problems
					       ? ", or is in a part of the list that cannot be read (run thin_check "
						 "for details: 'thin_check POOL')"
					       : "; 'thin_ls POOL' lists its devices");
	return 0;
}

int forest_list(struct forest *f, const struct metadata *md, struct stream *s, const uint32_t *ids,
		size_t nr_ids, forest_problem_fn *fn, void *ctx, struct err *err)
{
	int r;

	*f = (struct forest){
		.s = s, .nr_blocks = md->nr_blocks, .problem = fn, .problem_ctx = ctx
	};
	r = metadata_devices_read(md, s, &f->devices, err);
	if (!r)
		r = choose_devices(f, ids, nr_ids, err);
	return r ? r : check_wanted(f, ids, nr_ids, err);
}

int forest_walk(struct forest *f, bool numbered, struct err *err)
{
	struct walk_setup setup = {
		.stream = f->s,
		.nr_blocks = f->nr_blocks,
		.leaf_value_size = sizeof(le64),
	};
	CLEANUP(free_ptr) struct walk_root *roots = calloc(f->nr_devs + 1, sizeof(*roots));

	f->worker = aligned_alloc(128, stream_nr_workers(f->s) * sizeof(*f->worker));
	if (f->worker) /* before anything fails: forest_fini() frees what stands there */
		memset(f->worker, 0, stream_nr_workers(f->s) * sizeof(*f->worker));
	if (!roots || !f->worker)
		return err_nomem(err, "the devices' trees");
	for (size_t i = 0; i < f->nr_devs; i++)
		/* the greatest attr is what costs the walk no memory at the leaves */
		roots[i] = (struct walk_root){ f->dev[i]->root, numbered ? (uint32_t)i : UINT32_MAX };
	f->walk = walk_new(&setup, err);
	return f->walk ? walk_add(f->walk, roots, f->nr_devs, err) : -ENOMEM;
}

int forest_init(struct forest *f, const struct metadata *md, struct stream *s,
		forest_problem_fn *fn, void *ctx, struct err *err)
{
	int r = forest_list(f, md, s, NULL, 0, fn, ctx, err);

	return r ? r : forest_walk(f, true, err);
}

void forest_fini(struct forest *f)
{
	for (unsigned i = 0; f->worker && i < stream_nr_workers(f->s); i++)
		free(f->worker[i].fault);
	free(f->worker);
	free(f->fault);
	walk_free(f->walk);
	free(f->dev);
	metadata_devices_fini(&f->devices);
}

struct leaf_pass {
	struct forest *f;
	forest_leaf_fn *fn;
	void *ctx;
};

static int add_fault(struct forest_worker *me, mblock_t block, enum node_fault fault)
{
	struct forest_leaf_fault *f = vec_add(me->fault, me->nr, me->cap);

	if (!f)
		return -ENOMEM;
	*f = (struct forest_leaf_fault){ block, fault };
	return 0;
}

static int take_leaf(void *ctx, unsigned worker, size_t i, mblock_t block, const void *data,
		     int status)
{
	struct leaf_pass *p = ctx;
	enum node_fault fault;
	uint64_t first, last;
	struct node n;

	(void)i;
	if (status < 0) {
		fault = node_read_fault(status);
	} else {
		fault = node_open(&n, data, block, sizeof(le64));
		walk_range(p->f->walk, block, &first, &last);
		if (!fault && !n.leaf)
			fault = NODE_BAD_DEPTH;
		if (!fault)
			fault = node_check_range(&n, first, last);
	}
	return fault ? add_fault(&p->f->worker[worker], block, fault) :
		       p->fn(p->ctx, worker, block, &n);
}

static int by_block(const void *va, const void *vb)
{
	const struct forest_leaf_fault *a = va, *b = vb;

	return a->block < b->block ? -1 : a->block > b->block;
}

/* Brings the workers' faults together and marks the leaves in the walk. */
static int gather_faults(struct forest *f, struct err *err)
{
	size_t nr = f->nr_faults, k = 0;
	struct forest_leaf_fault *all;

	for (unsigned i = 0; i < stream_nr_workers(f->s); i++)
		nr += f->worker[i].nr;
	if (nr == f->nr_faults)
		return 0;
	all = realloc(f->fault, nr * sizeof(*all));
	if (!all)
		return err_nomem(err, "damaged leaves");
	f->fault = all;
	for (unsigned i = 0; i < stream_nr_workers(f->s); i++) {
		struct forest_worker *me = &f->worker[i];

		if (me->nr)
			memcpy(all + f->nr_faults, me->fault, me->nr * sizeof(*all));
		f->nr_faults += me->nr;
		me->nr = 0;
	}
	qsort(all, f->nr_faults, sizeof(*all), by_block);
	for (size_t i = 0; i < f->nr_faults; i++) /* a leaf that was read twice counts once */
		if (!k || all[k - 1].block != all[i].block)
			all[k++] = all[i];
	f->nr_faults = k;
	return 0;
}

int forest_read_leaves(struct forest *f, forest_leaf_fn *fn, void *ctx, struct err *err)
{
	const size_t most = MIN(f->nr_blocks + 1, LEAVES_AT_ONCE);
	mblock_t *list = pages_new(most * sizeof(*list)); /* given back at once, unlike from free() */
	struct leaf_pass p = { f, fn, ctx };
	mblock_t from = 0;
	size_t nr;
	int r = list ? 0 : err_nomem(err, "list of leaves");

	while (!r && (nr = walk_leaves_from(f->walk, &from, list, most)) > 0)
		r = stream_read(f->s, list, nr, take_leaf, &p, err);
	pages_free(list, most * sizeof(*list));
	return r;
}

/* --- what is missing --- */

struct loss {
	uint32_t device, set; /* the first of those that have it, and all of them */
	mblock_t block;
	enum node_fault fault;
	uint64_t first, last;
};

struct losses {
	struct owners *owners;
	struct owners_list list;
	struct loss *loss;
	size_t nr, cap;
};

static int by_device(const void *va, const void *vb)
{
	const struct loss *a = va, *b = vb;

	if (a->device != b->device)
		return a->device < b->device ? -1 : 1;
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return a->block < b->block ? -1 : a->block > b->block;
}

/* Adds a fault that concerns the owners of @node. */
static int add_loss(struct losses *ls, mblock_t node, const struct loss *loss)
{
	uint32_t set = owners_of(ls->owners, node);
	struct loss *to;

	if (!set)
		return 0;
	to = vec_add(ls->loss, ls->nr, ls->cap);
	if (!to || owners_devices(ls->owners, set, &ls->list))
		return -ENOMEM;
	*to = *loss;
	to->set = set;
	to->device = ls->list.dev[0];
	return 0;
}

static int find_losses(struct forest *f, struct losses *ls)
{
	const struct walk_fault *w;
	size_t nr;
	int r = 0;

	for (size_t i = 0; i < f->nr_faults && !r; i++) {
		struct loss l = { .block = f->fault[i].block, .fault = f->fault[i].fault };

		if (walk_fault_of(f->walk, l.block) != NODE_OK) /* it comes with the walk's */
			continue;
		walk_range(f->walk, l.block, &l.first, &l.last);
		r = add_loss(ls, l.block, &l);
	}
	w = walk_faults(f->walk, &nr);
	for (size_t i = 0; i < nr && !r; i++) {
		struct loss l = { .block = w[i].block, .fault = w[i].fault,
				  .first = w[i].begin, .last = w[i].last };

		r = add_loss(ls, w[i].parent == WALK_NONE ? w[i].block : w[i].parent, &l);
	}
	if (ls->nr)
		qsort(ls->loss, ls->nr, sizeof(*ls->loss), by_device);
	return r;
}

static int tell_loss(struct forest *f, struct losses *ls, const struct loss *loss)
{
	char who[100], text[400];
	size_t len, nr;

	if (owners_devices(ls->owners, loss->set, &ls->list))
		return -ENOMEM;
	nr = MIN(ls->list.nr, (size_t)NAMED_DEVICES);
	len = (size_t)snprintf(who, sizeof(who), ls->list.nr > 1 ? "devices" : "device");
	for (size_t i = 0; i < nr; i++)
		len += (size_t)snprintf(who + len, sizeof(who) - len, "%s %" PRIu32, i ? "," : "",
					f->dev[ls->list.dev[i] - 1]->info.dev_id);
	if (ls->list.nr > nr)
		snprintf(who + len, sizeof(who) - len, " and %zu more", ls->list.nr - nr);
	forest_fault_text(text, sizeof(text), who, loss->block, loss->fault, loss->first,
			  loss->last);
	forest_problem(f, loss->fault == NODE_UNREADABLE, text);
	return 0;
}

struct owners *forest_owners(struct forest *f, bool marked, struct err *err)
{
	CLEANUP(free_ptr) struct owners_root *root = calloc(f->nr_devs + 1, sizeof(*root));

	if (!root) {
		err_nomem(err, "the devices' trees");
		return NULL;
	}
	for (size_t i = 0; i < f->nr_devs; i++)
		root[i] = (struct owners_root){ f->dev[i]->root, (uint32_t)i + 1 };
	return owners_new(f->walk, root, f->nr_devs, (uint32_t)f->nr_devs, f->nr_blocks, marked,
			  err);
}

int forest_add_fault(struct forest *f, mblock_t block, enum node_fault fault, struct err *err)
{
	return add_fault(&f->worker[0], block, fault) ? err_nomem(err, "damaged leaves") : 0;
}

int forest_tell_damage(struct forest *f, struct err *err)
{
	struct losses ls = { 0 };
	size_t nr_walk;
	int r;

	r = gather_faults(f, err);
	if (r)
		return r;
	walk_faults(f->walk, &nr_walk);
	if (!nr_walk && !f->nr_faults)
		return 0;
	for (size_t i = 0; i < f->nr_faults; i++)
		walk_mark(f->walk, f->fault[i].block);
	ls.owners = forest_owners(f, true, err);
	r = ls.owners ? find_losses(f, &ls) : -ENOMEM;
	for (size_t i = 0; i < ls.nr && !r; i++)
		r = tell_loss(f, &ls, &ls.loss[i]);
	owners_free(ls.owners);
	owners_list_fini(&ls.list);
	free(ls.loss);
	return r < 0 ? err_nomem(err, "the damage in the mapping trees") : 0;
}

int forest_verdict(const struct forest *f, struct err *err)
{
	if (!f->nr_problems)
		return 0;
	return err_set(err, f->not_only_io ? -EUCLEAN : -EIO,
		       "metadata contains errors (run thin_check for details: 'thin_check POOL')");
}
