/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Who owns which nodes and which leaves stand together, compared with dumb models, in
 * random pools that share nodes of all heights and are damaged at random.  SEED=n replays one pool.
 */
#include "base/text/outbuf.h"
#include "failing.h"
#include "owners_world.h"
#include "pool/forest/forest.h"
#include "pool/forest/sharing.h"

/* --- what is read --- */

struct look {
	struct jobs *jobs;
	struct stream stream;
	struct metadata md;
	struct forest f;
	_Atomic unsigned char leaf[NR_BLOCKS]; /* how often each was given */
	struct outbuf text;
};

static int take_leaf(void *ctx, unsigned worker, mblock_t block, const struct node *n)
{
	struct look *l = ctx;

	(void)worker;
	(void)n;
	l->leaf[block]++;
	return 0;
}

static void take_problem(void *ctx, const char *text)
{
	struct look *l = ctx;

	outbuf_printf(&l->text, "\n%s", text);
}

static int look_begin(struct look *l, struct io *io, unsigned nr_jobs)
{
	struct metadata_options opt = { 0 };

	memset(l, 0, sizeof(*l));
	outbuf_init(&l->text);
	l->jobs = jobs_new(nr_jobs);
	if (!l->jobs)
		return err_nomem(&err, "jobs");
	stream_init(&l->stream, io, l->jobs);
	return metadata_open(io, &opt, &l->md, &err);
}

static void look_end(struct look *l)
{
	forest_fini(&l->f);
	jobs_free(l->jobs);
	outbuf_fini(&l->text);
}

static int look_forest(struct look *l, struct io *io, unsigned nr_jobs)
{
	int r = look_begin(l, io, nr_jobs);

	return r ? r : forest_init(&l->f, &l->md, &l->stream, take_problem, l, &err);
}

/* --- owners --- */

/* The owners of a node as a map of bits. */
static uint64_t owners_mask(const struct owners *o, mblock_t node, struct owners_list *list)
{
	uint32_t set = owners_of(o, node);
	uint64_t mask = 0;

	check(set < owners_nr_sets(o));
	check_eq(owners_devices(o, set, list), 0);
	check_eq(owners_count(o, set), list->nr);
	for (size_t i = 0; i < list->nr; i++) {
		check(!i || list->dev[i - 1] < list->dev[i]);
		mask |= 1ull << (list->dev[i] - 1);
	}
	return mask;
}

static void owners_of_pool(uint64_t the_seed)
{
	struct world *w = world_new(the_seed);
	struct owners_list list = { 0 };
	struct owners *all, *marked;
	static struct look l;

	reach_all(w);
	if (the_seed % 4)
		damage_some(w, false, false);
	check_eq(look_forest(&l, &w->io, the_seed % 2 ? 1 : 4), 0);
	for (mblock_t b = FIRST_NODE; b < NR_BLOCKS; b++)
		if (w->owners[b] && !rnd(10))
			walk_mark(l.f.walk, b);
	all = forest_owners(&l.f, false, &err);
	marked = forest_owners(&l.f, true, &err);
	check(all && marked);
	for (mblock_t b = FIRST_NODE; b < NR_BLOCKS; b++) {
		check_eq(owners_mask(all, b, &list), w->owners[b]);
		if (w->owners[b] && walk_has_marked(l.f.walk, b))
			check_eq(owners_mask(marked, b, &list), w->owners[b]);
	}
	check_eq(owners_of(all, NR_BLOCKS), 0);
	check_eq(owners_of(all, UINT32_MAX), 0);
	for (size_t i = 0; i < NR_DEVS; i++) {
		uint32_t set = owners_of_root(all, w->root[i]);

		check_eq(owners_devices(all, set, &list), 0);
		for (size_t k = 0; k < list.nr; k++)
			check_eq(w->root[list.dev[k] - 1], w->root[i]);
		for (size_t k = 0; k < NR_DEVS; k++)
			check(w->root[k] != w->root[i] || owners_of_root(all, w->root[k]) == set);
	}
	owners_free(all);
	owners_free(marked);
	owners_list_fini(&list);
	look_end(&l);
	world_free(w);
}

static void owners(void)
{
	each_seed(owners_of_pool);
}

/* --- damage --- */

/* "device 1" or "devices 1, 4, 7, 10 and 2 more" */
static void name_owners(uint64_t mask, char *who, size_t len)
{
	int nr = __builtin_popcountll(mask), k = 0;
	size_t at = (size_t)snprintf(who, len, nr > 1 ? "devices" : "device");

	for (size_t i = 0; i < NR_DEVS; i++)
		if (mask >> i & 1 && k++ < 4)
			at += (size_t)snprintf(who + at, len - at, "%s %u", k > 1 ? "," : "",
					       DEV_ID(i));
	if (k > 4)
		snprintf(who + at, len - at, " and %d more", k - 4);
}

static const char *text_of(struct look *l)
{
	outbuf_add(&l->text, "\n", 2);
	check(!l->text.error);
	return l->text.data;
}

/* Each damaged node that a device reaches is named once, with its owners; sound leaves are given once. */
static void compare_with_model(const struct world *w, const struct look *l, const char *text)
{
	char who[100], word[200];

	for (mblock_t b = FIRST_NODE; b < NR_BLOCKS; b++) {
		const struct model_node *m = &w->node[b];
		bool reached = w->owners[b] != 0, lost = reached && m->bad;
		const char *at;

		if (!m->height && reached)
			check_eq(l->leaf[b], !m->bad);
		snprintf(word, sizeof(word), "node at block %llu ", (unsigned long long)b);
		at = strstr(text, word);
		check_eq(at != NULL, lost);
		if (!lost)
			continue;
		check(!strstr(at + 1, word));
		name_owners(w->owners[b], who, sizeof(who));
		snprintf(word, sizeof(word), "\n%s: node at block %llu ", who,
			 (unsigned long long)b);
		check(strstr(text, word));
	}
}

static bool any_lost(const struct world *w)
{
	for (mblock_t b = FIRST_NODE; b < NR_BLOCKS; b++)
		for (unsigned i = 0; w->owners[b] && i < w->node[b].nr; i++)
			if (!w->node[b].child[i])
				return true;
	for (mblock_t b = FIRST_NODE; b < NR_BLOCKS; b++)
		if (w->owners[b] && w->node[b].bad)
			return true;
	for (size_t i = 0; i < NR_DEVS; i++)
		if (w->root[i] >= NR_BLOCKS)
			return true;
	return false;
}

static void read_leaves(struct look *l)
{
	for (mblock_t b = 0; b < NR_BLOCKS; b++)
		l->leaf[b] = 0;
	check_eq(forest_read_leaves(&l->f, take_leaf, l, &err), 0);
}

static void tell_pool(uint64_t the_seed, bool first, bool only_io)
{
	struct world *w = world_new(the_seed);
	static struct look one, four;
	const char *text;
	int verdict;

	damage_some(w, first, only_io);
	check_eq(look_forest(&one, &w->io, 1), 0);
	check_eq(look_forest(&four, &w->io, 4), 0);
	for (uint64_t round = the_seed % 3 / 2; round < 2;
	     round++) { /* what is seen twice is told once */
		read_leaves(&one);
		read_leaves(&four);
	}
	check_eq(forest_tell_damage(&one.f, &err), 0);
	check_eq(forest_tell_damage(&four.f, &err), 0);
	verdict = forest_verdict(&one.f, &err);
	check_eq(verdict, !any_lost(w) ? 0 : only_io ? -EIO : verdict == -EIO ? -EIO : -EUCLEAN);
	check_eq(forest_verdict(&four.f, &err), verdict);
	text = text_of(&one);
	check_str(text_of(&four), text);
	for (mblock_t b = 0; b < NR_BLOCKS; b++)
		check_eq(one.leaf[b], four.leaf[b]);
	if (!w->first_damaged)
		compare_with_model(w, &one, text);
	look_end(&one);
	look_end(&four);
	world_free(w);
}

static void tell_pools(uint64_t the_seed)
{
	tell_pool(the_seed, false, false);
	tell_pool(the_seed, true, false);
	tell_pool(the_seed, false, true);
	tell_pool(the_seed, true, true);
}

static void telling(void)
{
	each_seed(tell_pools);
}

/* --- the list of devices --- */

static int list_devices(struct look *l, struct world *w, const uint32_t *ids, size_t nr)
{
	int r = look_begin(l, &w->io, 1);

	return r ? r : forest_list(&l->f, &l->md, &l->stream, ids, nr, take_problem, l, &err);
}

static void lists(void)
{
	const uint32_t two[] = { DEV_ID(20), DEV_ID(3) }, other[] = { DEV_ID(3), 5 };
	struct world *w = world_new(1);
	const struct disk_superblock *sb = (const void *)node_at(w, 0);
	static struct look l;

	check_eq(list_devices(&l, w, two, 2), 0);
	check_eq(l.f.nr_devs, 2);
	check_eq(l.f.dev[0]->info.dev_id, DEV_ID(3));
	check_eq(forest_verdict(&l.f, &err), 0);
	look_end(&l);
	check_eq(list_devices(&l, w, other, 2), -ENODATA);
	check_str(err.text, "device 5 is not in this pool; 'thin_ls POOL' lists its devices");
	look_end(&l);
	damage_node(node_at(w, le64_get(sb->details_root)), 0, 1);
	check_eq(list_devices(&l, w, other, 2), -ENODATA);
	check_str(err.text,
		  "device 5 is not in this pool, or is in a part of the list that cannot be read (run thin_check "
		  "for details: 'thin_check POOL')");
	look_end(&l);
	check_eq(list_devices(&l, w, two, 2), 0);
	check_eq(l.f.nr_devs, 0);
	check_eq(l.f.nr_problems, 3); /* of the tree and of two devices */
	check_eq(forest_verdict(&l.f, &err), -EUCLEAN);
	look_end(&l);
	w->unreadable[le64_get(sb->mapping_root)] = true;
	check_eq(look_forest(&l, &w->io, 1), 0);
	check_eq(l.f.nr_devs, 0);
	check_eq(forest_read_leaves(&l.f, take_leaf, &l, &err), 0);
	check_eq(forest_tell_damage(&l.f, &err), 0);
	look_end(&l);
	world_free(w);
}

/* --- shared runs of leaves --- */

#define MAX_PARTS 100 /* of a device: 64 leaves at most */
#define VARIES	  UINT64_MAX

struct parts {
	const struct walk *walk;
	mblock_t leaf[MAX_PARTS]; /* also a faulty one; 0: another part that cannot be read */
	size_t nr;
	bool faulty;
};

static int take_part(void *ctx, const struct walk_part *part)
{
	struct parts *p = ctx;

	check(p->nr < MAX_PARTS);
	p->faulty |= part->fault != NODE_OK;
	p->leaf[p->nr++] = walk_height(p->walk, part->block) ? 0 : part->block;
	return 0;
}

struct neighbours {
	mblock_t next[NR_BLOCKS], prev[NR_BLOCKS]; /* 0: none seen; else a leaf, or VARIES */
};

static void meet(mblock_t *word, mblock_t leaf)
{
	*word = leaf && (!*word || *word == leaf) ? leaf : VARIES;
}

static bool goes_on(const struct walk *w, const struct neighbours *n, mblock_t leaf)
{
	mblock_t before = n->prev[leaf];

	return before != VARIES && walk_shared(w, before) && n->next[before] == leaf;
}

/* Compares the defs, in the order of the devices, and which of them are quiet. */
static void compare_sharing(struct walk *walk, struct sharing *s, const struct world *w,
			    const struct parts *part, const struct neighbours *n)
{
	bool listed[NR_BLOCKS] = { 0 };
	mblock_t def = 0;

	for (size_t i = 0; i < NR_DEVS; i++) {
		bool quiet = !part[i].faulty;

		for (size_t k = 0; k < part[i].nr; k++) {
			mblock_t b = part[i].leaf[k];
			enum share share = !walk_shared(walk, b) ? SHARE_NONE
					   : goes_on(walk, n, b) ? SHARE_NEXT
								 : SHARE_FIRST;

			quiet &= b && share == SHARE_NEXT;
			if (!b)
				continue;
			check_eq(sharing_of(s, b), share);
			if (share == SHARE_NEXT)
				check_eq(sharing_next(s, n->prev[b]), b);
			else if (k && part[i].leaf[k - 1])
				check_eq(sharing_next(s, part[i].leaf[k - 1]), 0);
			if (share != SHARE_FIRST || listed[b])
				continue;
			listed[b] = true;
			def = sharing_next_def(s, def);
			check_eq(def, b);
			check(!sharing_empty(s, def));
			sharing_set_empty(s, def);
			check(sharing_empty(s, def));
		}
		if (w->root[i] < NR_BLOCKS)
			check_eq(sharing_quiet(s, w->root[i]), quiet && part[i].nr);
	}
	check_eq(sharing_next_def(s, def), 0);
}

/* 0 stands for no node. */
static int height_of_node(void *walk, mblock_t node)
{
	check(node);
	return walk_height(walk, node);
}

static void share_pool(uint64_t the_seed)
{
	static struct parts part[NR_DEVS];
	static struct neighbours n;
	struct world *w = world_new(the_seed);
	static struct look l;
	struct tree_nodes nodes;
	struct sharing *s;

	w->keep_ranges = true; /* else runs end where nobody reads on */
	if (the_seed % 4)
		damage_some(w, the_seed % 2, false);
	memset(part, 0, sizeof(part));
	memset(&n, 0, sizeof(n));
	check_eq(look_forest(&l, &w->io, the_seed % 2 ? 1 : 4), 0);
	for (size_t i = 0; i < NR_DEVS; i++) {
		struct parts *p = &part[i];

		p->walk = l.f.walk;
		check_eq(walk_each(l.f.walk, w->root[i], take_part, p), 0);
		for (size_t k = 0; k < p->nr; k++) {
			meet(&n.next[p->leaf[k]], k + 1 < p->nr ? p->leaf[k + 1] : 0);
			meet(&n.prev[p->leaf[k]], k ? p->leaf[k - 1] : 0);
		}
	}
	nodes = sharing_nodes(l.f.walk, NR_BLOCKS);
	nodes.height = height_of_node;
	check_eq(sharing_new(&nodes, w->root, NR_DEVS, &s, &err), 0);
	compare_sharing(l.f.walk, s, w, part, &n);
	sharing_free(s);
	look_end(&l);
	world_free(w);
}

static void shared_runs(void)
{
	each_seed(share_pool);
}

/* --- no memory --- */

static int look_at_all(struct world *w, unsigned nr_jobs)
{
	struct owners *o = NULL;
	struct tree_nodes nodes;
	struct sharing *s = NULL;
	static struct look l;
	int r = look_forest(&l, &w->io, nr_jobs);

	nodes = sharing_nodes(l.f.walk, NR_BLOCKS);
	if (!r)
		r = sharing_new(&nodes, w->root, NR_DEVS, &s, &err);
	if (!r)
		r = forest_read_leaves(&l.f, take_leaf, &l, &err);
	if (!r)
		r = forest_add_fault(&l.f, FIRST_NODE, NODE_BAD_CSUM, &err);
	if (!r)
		r = forest_tell_damage(&l.f, &err);
	if (!r) {
		o = forest_owners(&l.f, false, &err);
		r = o ? 0 : -ENOMEM;
	}
	owners_free(o);
	sharing_free(s);
	look_end(&l);
	return r;
}

static void no_memory(void)
{
	struct world *w = world_new(env("SEED", 3));

	damage_some(w, true, false);
	check_each_request_failing(look_at_all(w, 1), &err);
	check_each_request_failing(look_at_all(w, 3), &err);
	world_free(w);
}

static const struct test tests[] = {
	{ "each node has the owners that reach it by sound nodes, wherever damage lies", owners },
	{ "each damaged node is named once with its owners and each sound leaf given once",
	  telling },
	{ "devices are chosen by number, and lost lists are told", lists },
	{ "leaves that always stand together are one shared run", shared_runs },
	{ "owners and shared runs give back what they had when there is no memory", no_memory },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
