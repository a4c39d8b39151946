/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_OPTION_H
#define POOL_SALVAGE_OPTION_H
/*
 * Places that lack nodes, nodes that lack a place, and the options: which node could go to which place?  A place
 * is a lost node, whose children are looked for, or a device whose root is.
 */
#include "pool/salvage/assign/gaps.h"
#include "pool/salvage/assign/heap.h"

struct candidate {
	uint32_t node;
	/* parents that it lacks; COUNT_UNKNOWN: its count is lost; COUNT_MANY: it has three, and may have had more */
	uint32_t refs;
};

struct place {
	uint64_t begin, last; /* keys */
	int height;	      /* of the lost node, -1: not known */
	bool one;	 /* takes one node: a device's root; else any number that do not overlap */
	bool unknown;	 /* may take nodes whose count is lost */
	uint32_t index;	 /* gap, or device when @one */
	uint32_t parent; /* block of the lost node, NONE: not known */
	uint32_t *devs;	 /* indices of the devices that reach it */
	uint32_t nr_devs;
	size_t cap_devs;
	uint32_t *taken; /* nodes in the order of keys */
	uint32_t nr_taken;
};

struct choice {
	uint32_t cand, place;
	uint32_t rank; /* among the options of its place, in the order of keys */
	int32_t score;
	uint16_t says;
	uint8_t taken;
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
	uint32_t *first_opt;   /* by candidate, and one more */
	uint32_t *of_place;    /* options by place, in the order of keys */
	uint32_t *first_of;    /* by place, and one more */
	uint32_t *next;	       /* by candidate: the next one of its chain or group, or NONE */
	uint32_t *head;	       /* and its first one */
	uint64_t *group_sum;   /* by first candidate: mappings of the group */
	uint8_t *grouped;      /* by candidate: its group goes where all of it has room */
	uint32_t *taken;       /* nodes, by place: each has room for all its options */
	uint32_t open;	       /* choices with too small a margin */
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

/* Is the candidate's option for that place taken? */
static inline bool has_taken(const struct assignment *a, uint32_t cand, uint32_t place)
{
	for (uint32_t o = a->first_opt[cand]; o < a->first_opt[cand + 1]; o++)
		if (a->opt[o].place == place)
			return a->opt[o].taken;
	return false;
}

static inline void assign_mark(const struct assignment *a, uint32_t cand, enum certainty c)
{
	a->assign->graph->node[a->cand[cand].node].certainty = (uint8_t)c;
}

/* May the option be taken in addition to those that are already taken? */
bool assign_may_take(const struct assignment *a, const struct choice *o);
/* Is it as good, but for @margin, when another node gets the place, and the node of @o the other's? */
bool assign_may_be_swapped(const struct assignment *a, const struct choice *o, int32_t margin);
/* Takes the option, or (@on false) gives it back. */
void assign_take(struct assignment *a, struct choice *o, bool on);

#endif
