/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_ASSIGN_IMPL_H
#define POOL_SALVAGE_ASSIGN_IMPL_H
/*
 * Places that lack nodes, nodes that lack a place, and the options: which node could go to which place?  A place
 * is a lost node, whose children are looked for, or a device whose root is.
 */
#include "pool/salvage/assign/gaps.h"

struct candidate {
	uint32_t node;
	/* parents that it lacks; COUNT_UNKNOWN: its count is lost; COUNT_MANY: it has three, and may have had more */
	uint32_t refs;
	struct choice *opt, *end; /* its options, the best first */
	uint32_t twin;	    /* of devices' roots: the next one with the same content, in a circle */
	uint32_t head;	    /* the first one of its chain or group */
	uint32_t next;	    /* the next one, or NONE */
	bool grouped;	    /* its group goes where all of it has room */
	bool may_cover;	    /* cover.c: it is still a candidate */
	uint64_t group_sum; /* of the first one: mappings of the group */
};

struct place {
	uint64_t begin, last; /* keys */
	int height;	      /* of the lost node, -1: not known */
	bool one;	 /* takes one node: a device's root; else any number that do not overlap */
	bool leaf;	 /* it was a leaf: takes no node whose count is lost */
	uint32_t index;	 /* gap, or device when @one */
	uint32_t parent; /* block of the lost node, NONE: not known */
	uint32_t *devs;	 /* indices of the devices that reach it */
	uint32_t nr_devs;
	size_t cap_devs;
	uint32_t *opt;	 /* its options in the order of keys */
	uint32_t nr_opts;
	uint32_t *taken; /* nodes in the order of keys; there is room for all options */
	uint32_t nr_taken;
};

struct choice {
	uint32_t cand, place;
	uint32_t rank; /* among the options of its place, in the order of keys */
	int32_t score;
	uint32_t says;
	bool taken;
	/* solve.c: taken in the best way; in a way that is not the best, or not in all */
	bool best, other;
};

struct assignment {
	struct assign *assign;
	struct candidate *cand; /* sorted by first key */
	uint32_t nr_cands;
	struct place *place;
	uint32_t nr_places;
	uint64_t *room;	    /* by node: graph_room() */
	uint64_t *need;	    /* by device: mappings that are missing; UINT64_MAX: not known */
	struct choice *opt; /* by candidate */
	uint32_t nr_opts;
	uint32_t *of_place; /* options, by place */
	uint32_t *taken;    /* nodes, by place */
	uint32_t looks;	    /* at options, for exchanges */
	bool held_short;    /* a node may be the held metadata snapshot's, which lost a part */
};

#define SURE_MARGIN  60 /* margin from which a choice is believed */
#define SAYS_CERTAIN (1 << EV_NAMED | 1 << EV_HERE)
#define SAYS_DENIED  (1 << EV_GONE | 1 << EV_YOUNGER)

static inline const struct snode *assign_node(const struct assignment *a, uint32_t cand)
{
	return &a->assign->graph->node[a->cand[cand].node];
}

/* Is it known how many parents the node lacks? */
static inline bool is_counted(const struct assignment *a, uint32_t cand)
{
	return a->cand[cand].refs < COUNT_MANY;
}

/* The candidate's option for that place, NULL: it has none. */
static inline struct choice *find_option(const struct assignment *a, uint32_t cand, uint32_t place)
{
	for (struct choice *o = a->cand[cand].opt; o < a->cand[cand].end; o++)
		if (o->place == place)
			return o;
	return NULL;
}

static inline bool has_taken(const struct assignment *a, uint32_t cand, uint32_t place)
{
	const struct choice *o = find_option(a, cand, place);

	return o && o->taken;
}

static inline void assign_mark(const struct assignment *a, uint32_t cand, enum certainty c)
{
	a->assign->graph->node[a->cand[cand].node].certainty = (uint8_t)c;
	a->assign->trees->uncertain |= c == CERTAINTY_OPEN;
}

/* May the option be taken in addition to those that are already taken? */
bool assign_may_take(const struct assignment *a, const struct choice *o);
/*
 * Would another tree do in the place, which takes one?  One that a device has already, if it is better, or (@again: all others are
 * gone) nearly as good; or one that none has, if the node of @o can go to its place, and both together are nearly as good.  Also
 * true if there are too many to look at.
 */
bool assign_is_contested(struct assignment *a, const struct choice *o, bool again);
/*
 * Is there another option that was taken, whose node has as many mappings, and would it be nearly as good if each of
 * the two nodes had the other's place?  Also true if there are too many to look at.
 */
bool assign_may_be_exchanged(struct assignment *a, struct choice *o);
/* Takes the option, or (@on false) gives it back. */
void assign_take(struct assignment *a, struct choice *o, bool on);
/* Takes the option of a node whose count is lost. */
void assign_take_unknown(struct assignment *a, struct choice *o, enum certainty c);

/* --- assign.c: which node goes to which place? --- */
/* Fills in @taken of each place.  0 or -ENOMEM. */
int assign(struct assignment *a);
void assign_fini(struct assignment *a);

/* --- chain.c: candidates that belong together --- */
/* Joins the circles of roots with the same content, as a snapshot and its origin may have. */
void twins_find(struct assignment *a);
/* How many parents do the candidate and its twins lack together?  It does not matter which of them goes where. */
uint32_t twins_refs(const struct assignment *a, uint32_t cand);
/* Links the candidates to chains, and those that are @grouped to groups. */
void chain_link(struct assignment *a);
/*
 * Once the numbers have been asked: groups.  Besides chains, nodes that lack two parents or more, and as many, when
 * only so many places have room for all of them: trees that share a node share others.  Nodes with keys in common are
 * of different groups.
 */
void chain_group(struct assignment *a);
/* The same as assign_may_take(), for the node's whole group. */
bool chain_may_take(const struct assignment *a, const struct choice *o);

/* --- cover.c: leaves whose counts are lost, and that alone account for a data block --- */
/* 0 or -ENOMEM. */
int assign_cover(struct assignment *a);
/*
 * Where the data map decides, it does not tell which device has a leaf: two that could be exchanged are a choice.  Nor does it
 * tell whether a node that has three parents, and so is in trees already, has a fourth: where one
 * was taken and another one fits instead, either may be right.
 */
void assign_doubt(struct assignment *a);

/* --- solve.c --- */
/* Places the nodes for which the numbers of mappings and of parents leave only some ways.  0 or -ENOMEM. */
int assign_solve(struct assignment *a);

/* --- explain.c --- */
/* For each node that had several possible places, writes the choice, the alternatives and the reasons to @explained. */
void explain_assignment(const struct assignment *a);

/* --- heap.c --- */
struct heap_entry {
	int32_t margin;
	uint32_t cand;
};

/* The largest margin first, of equal ones the first candidate.  All zero: empty; free(e). */
struct heap {
	struct heap_entry *e;
	size_t nr, cap;
};

int heap_push(struct heap *h, struct heap_entry e); /* 0 or -ENOMEM */
struct heap_entry heap_pop(struct heap *h); /* not of an empty one */

#endif
