/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Decides what the numbers alone determine.  Each node must get as many parents as it lacks, and
 * each device as many mappings as it lacks.  Often only one way of placing the nodes does both:
 * then it is proved, and no evidence is weighed.  Of several ways the one with the strongest
 * evidence is taken; where another way differs, the result is a choice.  Nodes whose keys adjoin
 * each other stay together (chains), unless there is no such way.  If there is none at all, a lost root may have been
 * a leaf, whose device gets nothing; then a node may be the held metadata snapshot's, which lost a part.
 *
 * Independent groups of nodes and devices are solved separately.  The search gives up after a
 * limited number of steps, and leaves the group to the margins (assign.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pool/salvage/assign/impl.h"

#define MAX_STEPS   8000000  /* of one part */
#define MAX_TOTAL   40000000 /* of all */
#define MAX_OPTIONS 2000     /* of one group: the search is as deep as this */
#define MAX_WAYS    64
#define MAX_WORDS   ((size_t)4 << 20) /* of sums */

struct solved_device {
	uint32_t part; /* that it is in, as a tree of indices */
	uint32_t at;   /* its first word in a row of @sums */
	uint64_t want; /* what it lacked when the search began */
};

struct solver {
	struct assignment *a;
	struct solved_device *dev;
	struct choice **list; /* options that are open, by part; then by candidate */
	uint32_t nr, end;     /* the part that is searched: list[begin..end) */
	uint64_t steps, total;
	uint32_t ways;
	bool chained; /* a chain stays together */
	bool leaves;  /* a lost root may have been a leaf */
	bool spare;   /* a node may have its place in the held metadata snapshot */
	bool complete;	/* no lost block lacks a parent */
	int64_t score, best_score;
	bool gave_up;
	uint64_t *sums; /* find_sums(): a row an option */
	size_t row;	/* words */
};

static const struct place *place_of(const struct solver *v, const struct choice *o)
{
	return &v->a->place[o->place];
}

static uint64_t nr_mappings(const struct solver *v, const struct choice *o)
{
	return assign_node(v->a, o->cand)->nr_mappings;
}

static uint32_t part_of(const struct solver *v, uint32_t dev)
{
	while (v->dev[dev].part != dev)
		dev = v->dev[dev].part = v->dev[v->dev[dev].part].part;
	return dev;
}

static uint32_t part_of_option(const struct solver *v, const struct choice *o)
{
	return part_of(v, place_of(v, o)->devs[0]);
}

/* --- the parts --- */

/* Devices that the options of one candidate reach are one part. */
static void join_devices(struct solver *v)
{
	for (uint32_t k = 0; k < v->nr; k++) {
		const struct choice *o = v->list[k];
		const struct place *p = place_of(v, o);

		if (k && v->list[k - 1]->cand == o->cand)
			v->dev[part_of_option(v, o)].part = part_of_option(v, v->list[k - 1]);
		for (uint32_t d = 1; d < p->nr_devs; d++)
			v->dev[part_of(v, p->devs[d])].part = part_of_option(v, o);
	}
}

static int by_part(const void *pa, const void *pb, void *ctx)
{
	const struct solver *v = ctx;
	const struct choice *x = *(struct choice *const *)pa, *y = *(struct choice *const *)pb;
	uint32_t part_x = part_of_option(v, x), part_y = part_of_option(v, y);
	uint32_t chain_x = v->a->cand[x->cand].head, chain_y = v->a->cand[y->cand].head;

	/* at last by candidate, and the best first */
	return ORDER(part_x, part_y) ?: ORDER(chain_x, chain_y) ?: ORDER(x, y);
}

static int solver_init(struct solver *v, struct assignment *a)
{
	size_t nr_devs = a->assign->trees->nr_devs + 1, nr_opts = (size_t)a->nr_opts + 1;

	*v = (struct solver) { .a = a };
	v->dev = calloc(nr_devs, sizeof(*v->dev));
	v->list = calloc(nr_opts, sizeof(*v->list));
	if (!v->dev || !v->list)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr_devs; i++)
		v->dev[i] = (struct solved_device){ .part = i, .at = NONE };
	v->complete = counts_are_exact(a->assign->counts) && !counts_lost_lack(a->assign->counts);
	for (uint32_t i = 0; i < a->nr_opts; i++) {
		struct choice *o = &a->opt[i];
		const uint32_t refs = a->cand[o->cand].refs;

		o->best = o->other = false;
		if (refs && refs != COUNT_UNKNOWN && a->place[o->place].nr_devs && assign_may_take(a, o))
			v->list[v->nr++] = o;
	}
	join_devices(v);
	qsort_r(v->list, v->nr, sizeof(*v->list), by_part, v);
	return 0;
}

/* --- the search --- */

/* Options of one candidate, or of one chain. */
static bool is_one_group(const struct solver *v, uint32_t k, uint32_t l)
{
	uint32_t x = v->list[k]->cand, y = v->list[l]->cand;

	return x == y || (v->chained && v->a->cand[x].head == v->a->cand[y].head);
}

/* Adds the sums that are @nr higher. */
static void add_sums(uint64_t *sums, size_t words, uint64_t nr)
{
	for (size_t i = words; i-- > nr / 64;) {
		const uint64_t *from = &sums[i - nr / 64];

		sums[i] |= *from << nr % 64;
		if (nr % 64 && from > sums)
			sums[i] |= from[-1] >> (64 - nr % 64);
	}
}

/* What the options [k, end) of one group may bring to each device, each place all of it or nothing. */
static void add_group(struct solver *v, uint64_t *row, uint32_t k, uint32_t end)
{
	for (uint32_t i = k; i < end; i++) {
		const struct place *p = place_of(v, v->list[i]);
		uint64_t nr = 0;
		bool first = true;

		for (uint32_t l = k; l < end; l++)
			if (place_of(v, v->list[l]) == p) {
				first &= l >= i;
				nr += nr_mappings(v, v->list[l]);
			}
		for (uint32_t d = 0; first && d < p->nr_devs; d++)
			add_sums(row + v->dev[p->devs[d]].at, v->a->need[p->devs[d]] / 64 + 1, nr);
	}
}

/* By first option of a group: a bit for each number of mappings that it and those behind it can bring to a device. */
static void find_sums(struct solver *v, uint32_t begin)
{
	uint64_t *row = v->sums + (v->end - begin) * v->row;

	memset(row, 0, v->row * sizeof(*row));
	for (uint32_t k = begin; k < v->end; k++) {
		const struct place *p = place_of(v, v->list[k]);

		for (uint32_t d = 0; d < p->nr_devs; d++)
			row[v->dev[p->devs[d]].at] = 1;
	}
	for (uint32_t k = v->end, end; k > begin;) {
		const uint64_t *behind = row;

		for (end = k; k > begin && is_one_group(v, k - 1, end - 1); k--)
			;
		row = v->sums + (k - begin) * v->row;
		memcpy(row, behind, v->row * sizeof(*row));
		add_group(v, row, k, end);
	}
}

/* Room for the sums of all devices of the part.  False: there are too many, or it is not known of one how much it lacks. */
static bool begin_sums(struct solver *v, uint32_t begin)
{
	const size_t nr = (size_t)(v->end - begin) + 1;

	v->row = 0;
	for (uint32_t k = begin; k < v->end; k++) {
		const struct place *p = place_of(v, v->list[k]);

		for (uint32_t d = 0; d < p->nr_devs; d++) {
			struct solved_device *dev = &v->dev[p->devs[d]];

			if (dev->at != NONE)
				continue;
			dev->at = (uint32_t)v->row;
			dev->want = v->a->need[p->devs[d]];
			v->row += MIN(dev->want / 64, MAX_WORDS) + 1;
			if (dev->want == UINT64_MAX || v->row > MAX_WORDS / nr)
				return false;
		}
	}
	free(v->sums);
	v->sums = graph_noted(v->a->assign->graph, malloc(nr * v->row * sizeof(*v->sums)));
	return v->sums;
}

/* Can the devices of the group before option @k still get just what they lack from the groups behind it? */
static bool is_possible(const struct solver *v, uint32_t begin, uint32_t k)
{
	const uint64_t *row = v->sums + (k - begin) * v->row;

	if (k < v->end && k > begin && is_one_group(v, k - 1, k))
		return true;
	for (uint32_t i = k; i-- > begin && is_one_group(v, i, k - 1);) {
		const struct place *p = place_of(v, v->list[i]);

		for (uint32_t d = 0; d < p->nr_devs; d++) {
			const uint64_t need = v->a->need[p->devs[d]];
			const bool none = v->leaves && p->leaf && need == v->dev[p->devs[d]].want;

			if (!none && !(row[v->dev[p->devs[d]].at + need / 64] >> need % 64 & 1))
				return false;
		}
	}
	return true;
}

static void keep_way(struct solver *v, uint32_t begin)
{
	bool better = !v->ways || v->score > v->best_score;

	for (uint32_t k = begin; k < v->end; k++) {
		struct choice *o = v->list[k];

		o->other |= v->ways && o->best != o->taken;
		if (better)
			o->best = o->taken;
	}
	if (better)
		v->best_score = v->score;
	v->gave_up |= ++v->ways == MAX_WAYS;
}

/* Decides option @k and those behind it in each possible way. */
static void search(struct solver *v, uint32_t begin, uint32_t k)
{
	struct choice *o = k < v->end ? v->list[k] : NULL;
	uint32_t left = 0;
	const struct candidate *c = o ? &v->a->cand[o->cand] : NULL;
	bool tied = o && v->chained && c->head != o->cand, there;

	v->gave_up |= ++v->steps > MAX_STEPS || ++v->total > MAX_TOTAL;
	if (v->gave_up)
		return;
	if (!is_possible(v, begin, k))
		return;
	if (!o) {
		keep_way(v, begin);
		return;
	}
	there = tied && has_taken(v->a, c->head, o->place); /* its chain's first node */
	for (uint32_t i = k + 1; i < v->end && v->list[i]->cand == o->cand; i++)
		left++;
	if ((!tied || there) && c->refs && assign_may_take(v->a, o)) {
		assign_take(v->a, o, true);
		v->score += o->score;
		search(v, begin, k + 1);
		v->score -= o->score;
		assign_take(v->a, o, false);
	}
	if (there || (!v->spare && is_counted(v->a, o->cand) && c->refs > left))
		return;
	search(v, begin, k + 1);
}

/* --- the result --- */

/* Does an option of the best solution differ from another solution's that is nearly as good? */
static bool is_choice(const struct solver *v, uint32_t begin, uint32_t end)
{
	int32_t worst = INT32_MAX, rival = INT32_MIN;
	bool differs = false;

	for (uint32_t k = begin; k < end; k++) {
		const struct choice *o = v->list[k];
		bool other = o->other || v->gave_up;

		differs |= other;
		if (other && v->spare && o->best) /* the other way is to leave it out */
			return true;
		if (o->best)
			worst = MIN(worst, o->score);
		else if (other)
			rival = MAX(rival, o->score);
	}
	return differs && (int64_t)worst - rival < SURE_MARGIN;
}

/* Is the candidate placed in the same way in all solutions? */
static bool is_one_way(const struct solver *v, uint32_t begin, uint32_t end)
{
	return !v->gave_up && !v->chained && !v->leaves && !v->spare && !any_of(k, end - begin, v->list[begin + k]->other);
}

static void take_best(struct solver *v, uint32_t begin)
{
	for (uint32_t k = begin, end; k < v->end; k = end) {
		uint32_t cand = v->list[k]->cand;

		for (end = k; end < v->end && v->list[end]->cand == cand; end++)
			if (v->list[end]->best)
				assign_take(v->a, v->list[end], true);
		if (assign_node(v->a, cand)->nr_mappings && is_choice(v, k, end))
			assign_mark(v->a, cand, CERTAINTY_OPEN);
		else
			assign_mark(v->a, cand, is_one_way(v, k, end) ? CERTAINTY_PROVED : CERTAINTY_LIKELY);
	}
}

/* Searches for ways, first of those in which chains stay together. */
static void search_ways(struct solver *v, uint32_t begin)
{
	for (int again = 0; again < 2 && !v->ways; again++) {
		v->chained = !again;
		v->steps = 0;
		v->score = 0;
		v->gave_up = false;
		find_sums(v, begin);
		search(v, begin, begin);
	}
}

static void solve_part(struct solver *v, uint32_t begin)
{
	if (v->end - begin > MAX_OPTIONS || !begin_sums(v, begin))
		return;
	v->ways = 0;
	v->leaves = v->spare = false;
	search_ways(v, begin);
	v->leaves = !v->ways && v->complete;
	if (v->leaves)
		search_ways(v, begin);
	v->leaves &= v->ways > 0;
	v->spare = !v->ways && v->a->held_short;
	if (v->spare)
		search_ways(v, begin);
	if (v->ways)
		take_best(v, begin);
}

int assign_solve(struct assignment *a)
{
	struct solver v;
	int r = solver_init(&v, a);

	for (uint32_t begin = 0; !r && begin < v.nr; begin = v.end) {
		const uint32_t part = part_of_option(&v, v.list[begin]);

		for (v.end = begin; v.end < v.nr && part_of_option(&v, v.list[v.end]) == part; v.end++)
			;
		solve_part(&v, begin);
	}
	a->assign->work += v.total;
	free(v.dev);
	free(v.sums);
	free(v.list);
	return r;
}
