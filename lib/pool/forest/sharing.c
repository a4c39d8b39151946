/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Leaves x and y belong to one def when y follows x wherever x occurs, and x precedes y wherever y
 * occurs.  All pairs of adjacent leaves are found by visiting each internal node once: between two
 * neighbouring children, the last leaf under the left one meets the first leaf under the right one;
 * the outermost leaves of a root have no neighbour.  So for each shared leaf two words suffice: the
 * next and the previous leaf, or that these vary.
 */
#include "pool/forest/sharing.h"

#include <stdlib.h>

#include "base/units.h"

#define VARIES UINT32_MAX /* more than one neighbour, or none; 0: none seen so far */

enum {		  /* of a node */
       SEEN = 1,  /* its neighbourhoods are known */
       FIRST = 2, /* a leaf that begins a def */
       EMPTY = 4,
       QUIET_KNOWN = 8,
       QUIET = 16,
       LISTED = 32, /* the defs that begin in it are in the list */
};

struct sharing {
	struct tree_nodes nodes;
	uint8_t *state;
	uint32_t *next, *prev; /* of shared leaves; prev of a def's first leaf: the next def */
	mblock_t begin, end; /* shared leaves are in between */
	mblock_t first_def, last_def;
};

/* --- nodes that were walked --- */

static int walked_height(void *w, mblock_t node)
{
	return walk_height(w, node);
}

static bool walked_shared(void *w, mblock_t node)
{
	return walk_shared(w, node);
}

static bool walked_sound(void *w, mblock_t node)
{
	return walk_fault_of(w, node) == NODE_OK;
}

static const uint32_t *walked_children(void *w, mblock_t node, uint32_t room[INTERNAL_MAX], uint32_t *nr)
{
	return walk_children(w, node, room, nr);
}

static mblock_t walked_child(void *w, mblock_t node, const uint32_t *children, uint32_t i)
{
	mblock_t c = children[i];

	if (c == WALK_NONE || walk_height(w, c) + 1 != walk_height(w, node))
		return 0;
	return c;
}

struct tree_nodes sharing_nodes(struct walk *w, mblock_t nr_blocks)
{
	return (struct tree_nodes){ .ctx = w,
				    .nr = nr_blocks,
				    .height = walked_height,
				    .shared = walked_shared,
				    .sound = walked_sound,
				    .children = walked_children,
				    .child = walked_child };
}

/* --- who stands beside whom --- */

static int height(const struct sharing *s, mblock_t node)
{
	return node ? s->nodes.height(s->nodes.ctx, node) : -1; /* 0: none */
}

static bool is_shared(const struct sharing *s, mblock_t node)
{
	return s->nodes.shared(s->nodes.ctx, node);
}

/* @neighbour (0: none) stands beside the shared leaf @leaf, on the side of which @word is. */
static void set_neighbour(struct sharing *s, mblock_t leaf, uint32_t *word, mblock_t neighbour)
{
	uint32_t v = neighbour ? (uint32_t)neighbour : VARIES;

	s->begin = MIN(s->begin, leaf);
	s->end = MAX(s->end, leaf + 1);
	if (!*word)
		*word = v;
	else if (*word != v)
		*word = VARIES;
}

/* The leaves @a and @b (0: nothing, or something that cannot be read) stand side by side. */
static void meet(struct sharing *s, mblock_t a, mblock_t b)
{
	if (a && is_shared(s, a))
		set_neighbour(s, a, &s->next[a], b);
	if (b && is_shared(s, b))
		set_neighbour(s, b, &s->prev[b], a);
}

/* The first or last leaf under @node, or 0 when it cannot be reached. */
static mblock_t outermost(struct sharing *s, mblock_t node, bool first)
{
	while (node && height(s, node) > 0) {
		uint32_t room[INTERNAL_MAX], nr;
		const uint32_t *child = s->nodes.children(s->nodes.ctx, node, room, &nr);

		if (!child || !nr)
			return 0;
		node = s->nodes.child(s->nodes.ctx, node, child, first ? 0 : nr - 1);
	}
	return node;
}

/* @node: an internal one. */
static void visit(struct sharing *s, mblock_t node)
{
	mblock_t before = 0;
	const uint32_t *child;
	uint32_t room[INTERNAL_MAX], nr;

	if (s->state[node] & SEEN)
		return;
	s->state[node] |= SEEN;
	child = s->nodes.children(s->nodes.ctx, node, room, &nr);
	for (uint32_t i = 0; child && i < nr; i++) {
		mblock_t c = s->nodes.child(s->nodes.ctx, node, child, i);
		bool is_internal = c && height(s, c) > 0;

		if (i)
			meet(s, before, is_internal ? outermost(s, c, true) : c);
		before = is_internal ? outermost(s, c, false) : c;
		if (is_internal)
			visit(s, c);
	}
}

static bool begins_def(const struct sharing *s, mblock_t leaf)
{
	uint32_t before = s->prev[leaf];

	return before == VARIES || !before || s->next[before] != leaf;
}

/* Adds the defs that begin under @node, in the order of keys, to the list. */
static void list_defs(struct sharing *s, mblock_t node)
{
	const uint32_t *child;
	uint32_t room[INTERNAL_MAX], nr;

	if (s->state[node] & LISTED)
		return;
	s->state[node] |= LISTED;
	if (s->state[node] & FIRST) {
		s->prev[node] = 0;
		if (s->last_def)
			s->prev[s->last_def] = (uint32_t)node;
		else
			s->first_def = node;
		s->last_def = node;
		return;
	}
	if (height(s, node) <= 0)
		return;
	child = s->nodes.children(s->nodes.ctx, node, room, &nr);
	for (uint32_t i = 0; child && i < nr; i++) {
		mblock_t c = s->nodes.child(s->nodes.ctx, node, child, i);

		if (c)
			list_defs(s, c);
	}
}

int sharing_new(const struct tree_nodes *nodes, const mblock_t *roots, size_t nr, struct sharing **out,
		struct err *err)
{
	const mblock_t nr_nodes = nodes->nr;
	struct sharing *s = calloc(1, sizeof(*s));

	if (s) {
		s->nodes = *nodes;
		s->begin = nr_nodes;
		s->state = calloc(nr_nodes, 1);
		s->next = calloc(nr_nodes, sizeof(*s->next));
		s->prev = calloc(nr_nodes, sizeof(*s->prev));
	}
	if (!s || !s->state || !s->next || !s->prev) {
		sharing_free(s);
		return err_nomem(err, "shared leaves");
	}
	for (size_t i = 0; i < nr; i++) {
		if (roots[i] >= nr_nodes || height(s, roots[i]) < 0)
			continue;
		if (height(s, roots[i]) > 0)
			visit(s, roots[i]);
		meet(s, 0, outermost(s, roots[i], true));
		meet(s, outermost(s, roots[i], false), 0);
	}
	/* Every shared leaf has noted a neighbour; the words of other leaves are untouched. */
	for (mblock_t b = s->begin; b < s->end; b++)
		if (height(s, b) == 0 && is_shared(s, b) && begins_def(s, b))
			s->state[b] |= FIRST;
	for (size_t i = 0; i < nr; i++)
		if (roots[i] < nr_nodes && height(s, roots[i]) >= 0)
			list_defs(s, roots[i]);
	*out = s;
	return 0;
}

void sharing_free(struct sharing *s)
{
	if (!s)
		return;
	free(s->state);
	free(s->next);
	free(s->prev);
	free(s);
}

enum share sharing_of(const struct sharing *s, mblock_t leaf)
{
	if (s->state[leaf] & FIRST)
		return SHARE_FIRST;
	return is_shared(s, leaf) ? SHARE_NEXT : SHARE_NONE;
}

mblock_t sharing_next_def(const struct sharing *s, mblock_t def)
{
	return def ? s->prev[def] : s->first_def;
}

mblock_t sharing_next(const struct sharing *s, mblock_t leaf)
{
	uint32_t n = s->next[leaf];

	return n && n != VARIES && !(s->state[n] & FIRST) && s->prev[n] == leaf ? n : 0;
}

void sharing_set_empty(struct sharing *s, mblock_t def)
{
	s->state[def] |= EMPTY;
}

bool sharing_empty(const struct sharing *s, mblock_t def)
{
	return s->state[def] & EMPTY;
}

static bool find_quiet(struct sharing *s, mblock_t node)
{
	const uint32_t *child;
	uint32_t room[INTERNAL_MAX], nr;

	if (!s->nodes.sound(s->nodes.ctx, node))
		return false;
	if (height(s, node) == 0)
		return sharing_of(s, node) == SHARE_NEXT;
	child = s->nodes.children(s->nodes.ctx, node, room, &nr);
	for (uint32_t i = 0; child && i < nr; i++) {
		mblock_t c = s->nodes.child(s->nodes.ctx, node, child, i);

		if (!c || !sharing_quiet(s, c))
			return false;
	}
	return child;
}

bool sharing_quiet(struct sharing *s, mblock_t node)
{
	if (!(s->state[node] & QUIET_KNOWN))
		s->state[node] |= QUIET_KNOWN | (find_quiet(s, node) ? QUIET : 0);
	return s->state[node] & QUIET;
}
