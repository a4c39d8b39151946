/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Damages copies of healthy pools by chance (seeded), rescues them and compares with the truth:
 * every mapping whose leaf is intact must come back under its device, nothing may come back that
 * was not there, and "lossless" must be said exactly when nothing is missing or different.
 *
 *	rescue [-s SEED] [-n TRIALS] [-t TRIAL] [-r ROLE] [-l] [-c] [-v] POOL...
 *
 * Prints a score by kind of damage; "doubted" are those that came back whole without knowing it.
 * Exit status 1 when a trial fell short; with -l only when less than 99.9 % came back, more than
 * 0.1 % were invented, or a trial gave a wrong status: of two or three damages some leave nothing
 * to decide by.  With -c the claim of the status alone counts.
 */
#include "rescue.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sum/crc32c.h"

enum damage { DAMAGE_ZERO, DAMAGE_RANDOM, DAMAGE_FLIP, DAMAGE_BYTE, DAMAGE_SECTOR, DAMAGE_SWAP, NR_DAMAGES };
static const char *const damage_name[NR_DAMAGES] = { "zeroed", "overwritten", "bit flipped",
						     "byte changed", "sector lost", "swapped" };

/* --- damages --- */

struct trial {
	struct rng rng;
	uint8_t *image;
	uint32_t nr_blocks;
	int nr_damages;
	struct {
		int kind, role;
		uint32_t block;
	} done[8];
	uint32_t *content; /* by place: the block whose content is there */
	uint8_t *hit;	   /* by block: its content was changed in one byte (1), or is gone (2) */
};

static void damage_block(struct trial *t, uint32_t b, enum damage kind)
{
	uint8_t *p = t->image + (size_t)b * 4096;

	switch (kind) {
	case DAMAGE_ZERO:
		memset(p, 0, 4096);
		break;
	case DAMAGE_RANDOM:
		for (int i = 0; i < 4096; i++)
			p[i] = (uint8_t)rnd(&t->rng);
		break;
	case DAMAGE_FLIP: {
		uint32_t bit = below(&t->rng, 4096 * 8);

		p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		break;
	}
	case DAMAGE_BYTE:
		p[below(&t->rng, 4096)] ^= (uint8_t)(1 + below(&t->rng, 255));
		break;
	default: {
		uint32_t at = below(&t->rng, 8) * 512;

		for (uint32_t i = at; i < at + 512; i++)
			p[i] = (uint8_t)rnd(&t->rng);
	}
	}
	b = t->content[b];
	t->hit[b] = kind == DAMAGE_FLIP || kind == DAMAGE_BYTE ? t->hit[b] + 1 : 2;
}

static int pick_role(struct trial *t, const struct pool *p, int wanted)
{
	int role = wanted;

	for (int i = 0; i < 100 && (role < 0 || !p->nr_of_role[role]); i++)
		role = (int)below(&t->rng, NR_ROLES);
	return role;
}

static void damage_once(struct trial *t, const struct pool *p, int wanted)
{
	int role = pick_role(t, p, wanted);
	enum damage kind = (enum damage)below(&t->rng, NR_DAMAGES);
	uint32_t b = p->of_role[role][below(&t->rng, p->nr_of_role[role])];

	if (kind == DAMAGE_SWAP) {
		int other = pick_role(t, p, -1);
		uint32_t o = p->of_role[other][below(&t->rng, p->nr_of_role[other])];
		uint32_t c = t->content[b];
		uint8_t tmp[4096];

		memcpy(tmp, t->image + (size_t)b * 4096, 4096);
		memcpy(t->image + (size_t)b * 4096, t->image + (size_t)o * 4096, 4096);
		memcpy(t->image + (size_t)o * 4096, tmp, 4096);
		t->content[b] = t->content[o];
		t->content[o] = c;
	} else {
		damage_block(t, b, kind);
	}
	t->done[t->nr_damages].kind = kind;
	t->done[t->nr_damages].role = role;
	t->done[t->nr_damages++].block = b;
}

/* --- comparing --- */

struct verdict {
	uint64_t intact, back, invented, extra_back;
	bool complete; /* result equals the truth, details and header too */
	bool said;     /* the rescue said so */
	bool lucky;    /* complete by luck, or with invented details: the rescue need not call it complete */
	bool broken;
};

static bool same_details(const struct details *a, const struct details *b)
{
	return a->dev == b->dev && a->mapped == b->mapped && a->transaction == b->transaction &&
	       a->created == b->created && a->snapped == b->snapped;
}

/* A mapping is intact when its leaf's content is somewhere on the device, but for one byte. */
static void compare(const struct pool *p, const struct trial *t, struct result *r, struct verdict *v)
{
	size_t k = 0;

	v->complete = r->nr == p->nr_maps && r->nr_dev == p->nr_details &&
		      r->info.transaction == p->transaction && r->info.time == p->time &&
		      r->info.data_block_size == p->data_block_size &&
		      r->info.nr_data_blocks == p->nr_data_blocks;
	for (size_t i = 0; v->complete && i < r->nr_dev; i++)
		v->complete = same_details(&r->dev[i], &p->details[i]);
	if (r->nr)
		qsort(r->map, r->nr, sizeof(*r->map), by_dev_key);
	for (size_t i = 0; i < p->nr_maps; i++) {
		bool intact = t->hit[p->map[i].leaf] < 2, same;

		while (k < r->nr && by_dev_key(&r->map[k], &p->map[i]) < 0) {
			v->invented++;
			k++;
		}
		same = k < r->nr && !by_dev_key(&r->map[k], &p->map[i]);
		if (same && r->map[k].value != p->map[i].value) {
			v->invented++;
			v->complete = false;
			same = false;
			k++;
		} else if (same) {
			k++;
		}
		v->complete &= same;
		v->intact += intact;
		v->back += intact && same;
		v->extra_back += !intact && same;
	}
	v->invented += r->nr - k;
	v->lucky = t->hit[0] > 1;
	for (uint32_t i = 0; i < p->nr_of_role[ROLE_DETAILS]; i++)
		v->lucky |= t->hit[p->of_role[ROLE_DETAILS][i]] > 1;
	v->lucky &= v->complete;
	v->broken = r->broken;
}

static struct salvage_options options(const struct pool *p)
{
	struct salvage_options o = { 0 };

	o.hint = (struct pool_overrides){ true, true, true, p->transaction, p->data_block_size,
					  p->nr_data_blocks };
	return o;
}

static void rescue(const struct pool *p, struct trial *t, struct jobs *jobs, bool verbose,
		   struct verdict *v)
{
	struct io *io = io_mem_new("pool", (uint64_t)p->nr_blocks * 4096);
	struct salvage_options opt = options(p);
	struct events to = { &result_ops, NULL };
	struct result result = { 0 };
	struct salvage *s = NULL;
	struct salvage_totals totals = { 0 };
	struct err e = { 0 };
	int r;

	if (!io)
		err(1, "memory");
	memcpy(io_mem_data(io), t->image, (size_t)p->nr_blocks * 4096);
	to.ctx = &result;
	r = salvage_new(io, jobs, &opt, &s, &e);
	if (!r)
		r = salvage_emit(s, NULL, &to, &e);
	if (!r)
		salvage_totals(s, &totals);
	compare(p, t, &result, v);
	v->said = totals.lossless;
	v->lucky |= v->complete && totals.uncertain;
	if (verbose)
		print_report(s, r ? e.text : "");
	salvage_free(s);
	io_free(io);
	result_free(&result);
}

/* --- scoring --- */

struct score {
	uint64_t trials, short_trials, wrong_status, doubted, intact, back, invented;
};

static void add_score(struct score *s, const struct verdict *v)
{
	s->trials++;
	s->short_trials += v->back < v->intact || v->invented || v->broken;
	s->wrong_status += v->said != v->complete && !v->lucky;
	s->doubted += v->complete && !v->said;
	s->intact += v->intact;
	s->back += v->back;
	s->invented += v->invented;
}

static void print_score(const char *name, const struct score *s)
{
	if (s->trials)
		printf("%-18s %6" PRIu64 " %6" PRIu64 " %8" PRIu64 " %8" PRIu64 " %10.2f %9" PRIu64
		       "\n",
		       name, s->trials, s->short_trials, s->wrong_status, s->doubted,
		       s->intact ? 100.0 * (double)s->back / (double)s->intact : 100.0, s->invented);
}

static bool run_trial(const struct pool *p, const char *name, uint64_t seed, uint64_t nr, int role,
		      struct jobs *jobs, bool verbose, struct score *by_role,
		      struct score *by_damage, struct score *all)
{
	struct trial t = { .rng = { seed * 1000003 + nr }, .nr_blocks = p->nr_blocks };
	struct verdict v = { 0 };
	int want = 1;
	bool good;

	t.image = malloc((size_t)p->nr_blocks * 4096);
	t.hit = calloc(p->nr_blocks, 1);
	t.content = malloc(p->nr_blocks * sizeof(*t.content));
	if (!t.image || !t.hit || !t.content)
		err(1, "memory");
	for (uint32_t i = 0; i < p->nr_blocks; i++)
		t.content[i] = i;
	memcpy(t.image, p->image, (size_t)p->nr_blocks * 4096);
	want += (int)below(&t.rng, 3);
	while (t.nr_damages < want)
		damage_once(&t, p, t.nr_damages ? -1 : role);
	rescue(p, &t, jobs, verbose, &v);
	good = v.back == v.intact && !v.invented && (v.said == v.complete || v.lucky) && !v.broken;
	if (!good || verbose) {
		printf("# trial %" PRIu64 " %s:", nr, name);
		for (int i = 0; i < t.nr_damages; i++)
			printf(" %s %s %u;", damage_name[t.done[i].kind],
			       role_name[t.done[i].role], t.done[i].block);
		printf(" back %" PRIu64 "/%" PRIu64 " invented %" PRIu64 " said %s is %s%s\n", v.back,
		       v.intact, v.invented, v.said ? "lossless" : "lossy",
		       v.complete ? "complete" : "not complete", v.broken ? " BROKEN EVENTS" : "");
	}
	for (int i = 0; i < t.nr_damages; i++) {
		add_score(&by_role[t.done[i].role], &v);
		add_score(&by_damage[t.done[i].kind], &v);
	}
	add_score(all, &v);
	free(t.image);
	free(t.hit);
	free(t.content);
	return good;
}

static int find_role(const char *name)
{
	for (int i = 0; i < NR_ROLES; i++)
		if (!strcmp(name, role_name[i]))
			return i;
	errx(64, "unknown role %s", name);
}

struct config {
	uint64_t seed, trials, only;
	int role;
	bool verbose, lenient, claims;
};

static void parse(struct config *c, int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "s:n:t:r:lcv")) != -1) {
		switch (o) {
		case 's':
			c->seed = strtoull(optarg, NULL, 10);
			break;
		case 'n':
			c->trials = strtoull(optarg, NULL, 10);
			break;
		case 't':
			c->only = strtoull(optarg, NULL, 10);
			break;
		case 'r':
			c->role = find_role(optarg);
			break;
		case 'l':
			c->lenient = true;
			break;
		case 'c':
			c->claims = true;
			break;
		case 'v':
			c->verbose = true;
			break;
		default:
			exit(64);
		}
	}
}

int main(int argc, char **argv)
{
	struct score by_role[NR_ROLES] = { 0 }, by_damage[NR_DAMAGES] = { 0 }, all = { 0 };
	struct config c = { .seed = 1, .trials = 100, .only = UINT64_MAX, .role = -1 };
	struct jobs *jobs = jobs_new(1);
	bool good = true;

	parse(&c, argc, argv);
	if (optind == argc || !jobs)
		errx(64, "usage: rescue [-s SEED] [-n TRIALS] [-t TRIAL] [-r ROLE] [-l] [-c] [-v] POOL...");
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = optind; i < argc; i++) {
		struct pool p;

		pool_read(&p, argv[i]);
		for (uint64_t nr = (uint64_t)(i - optind); nr < c.trials;
		     nr += (uint64_t)(argc - optind))
			if (c.only == UINT64_MAX || c.only == nr)
				good &= run_trial(&p, argv[i], c.seed, nr, c.role, jobs, c.verbose,
						  by_role, by_damage, &all);
		pool_free(&p);
	}
	printf("%-18s %6s %6s %8s %8s %10s %9s\n", "damage", "trials", "short", "status?",
	       "doubted", "back %", "invented");
	for (int i = 0; i < NR_ROLES; i++)
		print_score(role_name[i], &by_role[i]);
	for (int i = 0; i < NR_DAMAGES; i++)
		print_score(damage_name[i], &by_damage[i]);
	print_score("all", &all);
	jobs_free(jobs);
	if (c.lenient)
		good = all.back * 1000 >= all.intact * 999 && all.invented * 1000 <= all.intact &&
		       !all.wrong_status;
	if (c.claims)
		good = all.trials && !all.wrong_status;
	return good ? 0 : 1;
}
