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

#define VARIES UINT32_MAX /* more than one neighbour, or none; 0: none seen so far */

enum {		  /* of a metadata block */
       SEEN = 1,  /* its neighbourhoods are known */
       FIRST = 2, /* a leaf that begins a def */
       EMPTY = 4,
       QUIET_KNOWN = 8,
       QUIET = 16,
       LISTED = 32, /* the defs that begin in it are in the list */
};

struct sharing {
	struct walk *w;
	mblock_t nr_blocks;
	uint8_t *state;
	uint32_t *next, *prev; /* of shared leaves; prev of a def's first leaf: the next def */
	mblock_t first_def, last_def;
};

mblock_t sharing_child(const struct walk *w, mblock_t node, const uint32_t *children, uint32_t i)
{
	mblock_t c = children[i];

	if (c == WALK_NONE || walk_height(w, c) + 1 != walk_height(w, node))
		return 0;
	return c;
}

static void set_neighbour(uint32_t *word, mblock_t leaf)
{
	uint32_t v = leaf ? (uint32_t)leaf : VARIES;

	if (!*word)
		*word = v;
	else if (*word != v)
		*word = VARIES;
}

/* The leaves @a and @b (0: nothing, or something that cannot be read) stand side by side. */
static void meet(struct sharing *s, mblock_t a, mblock_t b)
{
	if (a && walk_shared(s->w, a))
		set_neighbour(&s->next[a], b);
	if (b && walk_shared(s->w, b))
		set_neighbour(&s->prev[b], a);
}

/* The first or last leaf under @node, or 0 when it cannot be reached. */
static mblock_t outermost(struct sharing *s, mblock_t node, bool first)
{
	while (node && walk_height(s->w, node) > 0) {
		uint32_t room[INTERNAL_MAX], nr;
		const uint32_t *child = walk_children(s->w, node, room, &nr);

		if (!child || !nr)
			return 0;
		node = sharing_child(s->w, node, child, first ? 0 : nr - 1);
	}
	return node;
}

static void visit(struct sharing *s, mblock_t node)
{
	mblock_t before = 0;
	const uint32_t *child;
	uint32_t room[INTERNAL_MAX], nr;

	if (walk_height(s->w, node) <= 0 || (s->state[node] & SEEN))
		return;
	s->state[node] |= SEEN;
	child = walk_children(s->w, node, room, &nr);
	for (uint32_t i = 0; child && i < nr; i++) {
		mblock_t c = sharing_child(s->w, node, child, i);

		if (i)
			meet(s, before, c ? outermost(s, c, true) : 0);
		before = c ? outermost(s, c, false) : 0;
		if (c)
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
	if (walk_height(s->w, node) <= 0)
		return;
	child = walk_children(s->w, node, room, &nr);
	for (uint32_t i = 0; child && i < nr; i++) {
		mblock_t c = sharing_child(s->w, node, child, i);

		if (c)
			list_defs(s, c);
	}
}

int sharing_new(struct walk *w, const mblock_t *roots, size_t nr, mblock_t nr_blocks,
		struct sharing **out, struct err *err)
{
	struct sharing *s = calloc(1, sizeof(*s));

	if (s) {
		s->w = w;
		s->nr_blocks = nr_blocks;
		s->state = calloc(nr_blocks, 1);
		s->next = calloc(nr_blocks, sizeof(*s->next));
		s->prev = calloc(nr_blocks, sizeof(*s->prev));
	}
	if (!s || !s->state || !s->next || !s->prev) {
		sharing_free(s);
		return err_nomem(err, "shared leaves");
	}
	for (size_t i = 0; i < nr; i++) {
		if (roots[i] >= nr_blocks || walk_height(w, roots[i]) < 0)
			continue;
		visit(s, roots[i]);
		meet(s, 0, outermost(s, roots[i], true));
		meet(s, outermost(s, roots[i], false), 0);
	}
	/* Every shared leaf has noted a neighbour; the words of other leaves are untouched. */
	for (mblock_t b = 0; b < nr_blocks; b++)
		if (walk_height(w, b) == 0 && walk_shared(w, b) && begins_def(s, b))
			s->state[b] |= FIRST;
	for (size_t i = 0; i < nr; i++)
		if (roots[i] < nr_blocks && walk_height(w, roots[i]) >= 0)
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
	return walk_shared(s->w, leaf) ? SHARE_NEXT : SHARE_NONE;
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

	if (walk_fault_of(s->w, node) != NODE_OK)
		return false;
	if (walk_height(s->w, node) == 0)
		return sharing_of(s, node) == SHARE_NEXT;
	child = walk_children(s->w, node, room, &nr);
	for (uint32_t i = 0; child && i < nr; i++) {
		mblock_t c = sharing_child(s->w, node, child, i);

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
