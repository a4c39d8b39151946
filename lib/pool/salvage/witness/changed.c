/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * What a program, or a computer with a fault, changed before it wrote, with right numbers and checksums: the contents of two blocks were
 * exchanged, a key of an internal node is wrong, or a pointer.  Or a block was written to a wrong place, and its own has an older content.
 * Each change that would explain a misfit (misfits.c) is taken back and looked at.  If a few of them make all of the pool fit that the
 * superblock names, they stay taken back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pool/salvage/witness/datamap.h"
#include "pool/salvage/witness/misfits.h"

#define MAX_CHANGES 4
#define MAX_IDEAS   1000 /* of what may have been changed: with more of them nothing is sure */
#define MAX_ASKED   64   /* pointers for which another block is looked for */
/* All nodes are walked for an idea: with so many in all it takes seconds. */
#define MAX_WALKED ((uint64_t)200 << 20)

enum change_kind {
	CONTENTS, /* of blocks @a and @b */
	KEY,	  /* of child @b of node @a */
	POINTER,  /* to child @b of node @a: it should lead to @to */
	ROOT,	  /* the superblock's to the top level or, with @a, to the details: to @to */
	PLACE,	  /* of stray @a */
};

/* What a change may be. */
struct idea {
	enum change_kind kind;
	uint32_t a, b, to;
};

struct change {
	struct idea idea;
	uint64_t root;			  /* before: the superblock's; */
	uint16_t flags;			  /* the node's, */
	struct edge before[INTERNAL_MAX]; /* and its edges; */
	struct stray_undo stray;	  /* of a place */
};

static uint64_t *root_of(const struct trees *trees, const struct idea *i)
{
	return i->a ? &trees->super->sb.details_root : &trees->super->sb.mapping_root;
}

static int do_again(struct trees *trees, const struct change *c, struct err *err)
{
	const struct idea *i = &c->idea;
	struct graph *g = trees->graph;

	trees_forget_gaps(trees);
	if (i->kind == CONTENTS)
		return graph_exchange(g, i->a, i->b, err);
	if (i->kind == PLACE)
		return graph_leave_stray(g, &c->stray, err);
	if (i->kind == ROOT) {
		*root_of(trees, i) = c->root;
		return 0;
	}
	g->node[i->a].flags = c->flags;
	memcpy(g->edge + g->node[i->a].edge, c->before, g->node[i->a].nr_edges * sizeof(struct edge));
	return 0;
}

/* Takes the change back in the graph: 1, 0 where that cannot be, -errno. */
static int take_back(struct trees *trees, struct change *c, struct err *err)
{
	const struct idea *i = &c->idea;
	struct graph *g = trees->graph;
	struct snode *n = NULL;
	int r;

	trees_forget_gaps(trees);
	if (i->kind == KEY || i->kind == POINTER) {
		n = &g->node[i->a];
		c->flags = n->flags;
		memcpy(c->before, g->edge + n->edge, n->nr_edges * sizeof(struct edge));
	}
	switch (i->kind) {
	case CONTENTS:
		r = graph_exchange(g, i->a, i->b, err);
		return r < 0 ? r : 1;
	case KEY:
		return graph_mend_key(g, i->a, i->b) ? 1 : do_again(trees, c, err);
	case POINTER:
		n->flags |= SN_MENDED;
		g->edge[n->edge + i->b].block = i->to;
		break;
	case ROOT:
		c->root = *root_of(trees, i);
		*root_of(trees, i) = i->to;
		break;
	case PLACE:
		return graph_take_stray(g, (const struct stray *)g->strays.data + i->a, &c->stray, err);
	}
	return 1;
}

/* The change after which the fewest misfits are left: so many. */
struct best {
	struct change change;
	uint64_t left;
	bool any; /* false also where two leave as many: it is not known which */
};

struct search {
	struct counts *counts;
	struct trees *trees;
	struct best *best;
	struct vec ideas;    /* struct idea */
	uint64_t nr_walked;  /* nodes */
	uint32_t nr_asked;   /* for this list of ideas */
	struct older_details *older; /* by device; NULL: not read for this list */
};

static int try_change(struct search *s, const struct idea *idea, struct err *err)
{
	struct change c = { .idea = *idea };
	struct best *best = s->best;
	struct misfits now;
	int r = s->nr_walked < MAX_WALKED ? take_back(s->trees, &c, err) : 0;

	if (r <= 0)
		return r;
	s->nr_walked += s->trees->graph->nr_nodes;
	r = misfits_look(s->trees, &now, err);
	if (!r)
		r = do_again(s->trees, &c, err);
	if (r || now.nr > best->left)
		return r;
	best->any = now.nr < best->left;
	best->left = now.nr;
	best->change = c;
	return 0;
}

/*
 * Where could the pointer @at have led, to keys from @begin to @last?  To nodes that lack a parent by the metadata map.  @nr_mappings: so many are
 * below; UINT64_MAX: that is not known.
 */
static int add_pointers(struct search *s, const struct idea *at, uint8_t tree, int height, uint64_t begin, uint64_t last, uint64_t nr_mappings)
{
	const struct graph *g = s->trees->graph;
	int r = 0;

	if (s->nr_asked++ >= MAX_ASKED)
		return 0;
	for (uint32_t i = 0; i < g->nr_nodes && !r; i++) {
		const struct snode *n = &g->node[i];

		if (n->flags & (SN_VIRTUAL | SN_BROKEN) || !tree_fits(n->tree, tree) || (height >= 0 && n->height != height) ||
		    (n->nr && (n->first < begin || n->last > last)) || (nr_mappings != UINT64_MAX && n->nr_mappings != nr_mappings) ||
		    !counts_lack(s->counts, n->block))
			continue;
		r = vec_put(&s->ideas, (struct idea){ at->kind, at->a, at->b, n->block });
	}
	return r;
}

/* Of an internal node in use: its keys, if a child does not fit, and the pointer to that. */
static int add_of_node(struct search *s, uint32_t node)
{
	const struct graph *g = s->trees->graph;
	const struct snode *n = &g->node[node];
	bool fits = true;
	int r = 0;

	for (uint32_t k = 0; k < n->nr_edges && !r; k++) {
		const uint32_t block = g->edge[n->edge + k].block, c = graph_child(g, n, k);

		if (c == NONE || !(g->node[c].flags & SN_VIRTUAL))
			continue;
		fits &= block >= g->nr_blocks || g->kind[block] < BLOCK_NODE;
		r = add_pointers(s, &(struct idea){ .kind = POINTER, .a = node, .b = k }, n->tree, n->height - 1, g->node[c].first,
				 g->node[c].last, UINT64_MAX);
	}
	for (uint32_t k = 0; k < n->nr_edges && !fits && !r; k++)
		r = vec_put(&s->ideas, (struct idea){ .kind = KEY, .a = node, .b = k });
	return r;
}

/* Of a leaf of the top level in use: pointers to trees with another number of mappings than the details say, or to none. */
static int add_of_top(struct search *s, uint32_t node)
{
	const struct graph *g = s->trees->graph;
	const struct snode *n = &g->node[node];
	int r = 0;

	for (uint32_t k = 0; k < n->nr_edges && !r; k++) {
		const struct sdevice *d = trees_find_device(s->trees, g->edge[n->edge + k].key);

		if (d && d->source == DETAILS_LIVE && d->root != NONE && (g->node[d->root].flags & SN_VIRTUAL || misfits_has_other_count(g, d)))
			r = add_pointers(s, &(struct idea){ .kind = POINTER, .a = node, .b = k }, TREE_MAPPING, -1, 0, UINT64_MAX,
					 d->info.mapped_blocks);
	}
	return r;
}

/*
 * Only the numbers of mappings in the details tell that the trees at @a and @b were exchanged.  Or were the details?  Older copies of them show
 * that the devices were created when they say.
 */
static bool details_are_right(const struct search *s, uint32_t a, uint32_t b)
{
	const struct sdevice *of_a = NULL, *of_b = NULL;

	for (size_t i = 0; i < s->trees->nr_devs; i++) {
		const struct sdevice *d = &s->trees->dev[i];

		if ((d->root_block != a && d->root_block != b) || !s->older[i].known)
			continue;
		if (!same_creation(&s->older[i].info, &d->info))
			return false;
		*(d->root_block == a ? &of_a : &of_b) = d;
	}
	return of_a && of_b && !same_creation(&of_a->info, &of_b->info);
}

/* Is the block the root of a whole tree, whose number of mappings alone does not fit? */
static bool is_other_by_count(const struct trees *trees, uint32_t block)
{
	for (size_t i = 0; i < trees->nr_devs; i++)
		if (trees->dev[i].root_block == block)
			return misfits_has_other_count(trees->graph, &trees->dev[i]);
	return false;
}

static int add_exchanges(struct search *s, const struct misfits *m)
{
	int r = 0;

	free(s->older);
	s->older = NULL;
	for (uint32_t a = 0; a < m->nr_places && !r; a++)
		for (uint32_t b = a + 1; b < m->nr_places && !r; b++) {
			const bool by_count = is_other_by_count(s->trees, m->block[a]) && is_other_by_count(s->trees, m->block[b]);

			if (by_count && !s->older)
				r = trees_youngest_older(s->trees, &s->older, NULL) == -ENOMEM ? -ENOMEM : 0;
			if (!r && (!by_count || details_are_right(s, m->block[a], m->block[b])))
				r = vec_put(&s->ideas, (struct idea){ .kind = CONTENTS, .a = m->block[a], .b = m->block[b] });
		}
	return r;
}

/* Blocks whose number is another's, which holds something else that is intact. */
static int add_places(struct search *s)
{
	const struct graph *g = s->trees->graph;
	const struct stray *st = g->strays.data;
	int r = 0;

	for (uint32_t i = 0; i < g->strays.nr && i < MAX_ASKED && !r; i++)
		if (!st[i].used && st[i].own && st[i].own != NONE && g->kind[st[i].own] >= BLOCK_NODE)
			r = vec_put(&s->ideas, (struct idea){ .kind = PLACE, .a = i });
	return r;
}

static int list_ideas(struct search *s, const struct misfits *m)
{
	const struct graph *g = s->trees->graph;
	const uint32_t root[] = { s->trees->map_root, s->trees->details_root };
	int r = 0;

	s->ideas.nr = s->nr_asked = 0;
	for (uint32_t i = 0; i < 2 && !r; i++)
		if (!i || g->node[root[i]].flags & SN_VIRTUAL)
			r = add_pointers(s, &(struct idea){ .kind = ROOT, .a = i }, i ? TREE_DETAILS : TREE_TOP, -1, 0, MAX_DEV_ID, UINT64_MAX);
	for (uint32_t i = 0; i < g->nr_nodes && !r; i++)
		if ((g->node[i].flags & (SN_LIVE | SN_VIRTUAL)) == SN_LIVE)
			r = !(g->node[i].flags & SN_LEAF) ? add_of_node(s, i) : g->node[i].tree == TREE_TOP ? add_of_top(s, i) : 0;
	if (!r)
		r = add_places(s);
	return r ? r : add_exchanges(s, m);
}

static int find_change(struct search *s, const struct misfits *before, struct err *err)
{
	int r = list_ideas(s, before) ? err_nomem(err, "salvage: witnesses") : 0;

	s->best->left = before->nr;
	s->best->any = false;
	for (size_t i = 0; i < s->ideas.nr && s->ideas.nr <= MAX_IDEAS && !r; i++)
		r = try_change(s, (const struct idea *)s->ideas.data + i, err);
	return r;
}

static bool is_explicable(const struct misfits *m)
{
	return m->nr && m->nr <= MAX_PLACES;
}

/* Reads the metadata map for the trees, before what the look marked is in use, too. */
static int count_parents(struct counts *counts, struct misfits *m, struct err *err)
{
	int r = trees_walk(counts->trees, err);

	if (!r)
		r = counts_read(counts, err);
	return r ? r : misfits_look(counts->trees, m, err);
}

int witness_take_changes_back(struct counts *counts, struct err *err)
{
	struct trees *trees = counts->trees;
	struct best best[MAX_CHANGES];
	struct search s = { .counts = counts, .trees = trees };
	struct misfits m = { 0 };
	uint32_t nr = 0;
	int r = misfits_look(trees, &m, err);

	if (!r && is_explicable(&m))
		r = count_parents(counts, &m, err);
	while (!r && is_explicable(&m) && nr < MAX_CHANGES) {
		s.best = &best[nr];
		r = find_change(&s, &m, err);
		if (r || !best[nr].any)
			break;
		r = take_back(trees, &best[nr++].change, err);
		if (r >= 0)
			r = misfits_look(trees, &m, err);
	}
	while (!r && m.nr > m.nr_nowhere && nr)
		r = do_again(trees, &best[--nr].change, err);
	for (uint32_t i = 0; i < nr; i++)
		trees->super->other_root |= best[i].change.idea.kind == ROOT;
	trees_forget_gaps(trees);
	trees->nr_devs = 0; /* they named what was in the gaps */
	free(s.older);
	free(s.ideas.data);
	return r;
}
