/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Damages whole pools in every way that devices fail, rescues them, and compares with the truth.
 *
 *	harsh [-s SEED] [-n TRIALS] [-f FRESH] [-T TALL] [-H HERD] [-A ANEW] [-C CRASHED] [-x|-y|-z|-w] [-k KIND] [-t TRIAL] [-L LIES] [-W WRONG] [-B BACK]
 *	      [-D DOUBT] [-U UNNAMED] [-I] [-v] POOL...
 *
 * -x: other kinds of damage (kinds.c).  -y: those of devices below (devices.c).  -z: of programs, with the right
 * checksums (sealed.c).  -w: leaves as they were some commits before (kinds.c).  -I: the commits of version 1.0.0, see harsh.h.
 * Besides the pools in the files -f of them are made afresh from the seed, -T with a device of many
 * mappings, every second one with a tree of three levels, -H with many devices, most of which nobody writes to, -A that were
 * written anew in the end, and -C whose last commit was not completed.
 * One line a kind of damage:
 *
 *	back		of the mappings whose leaf is intact somewhere on the device, those that are back
 *			under their device
 *	decided		the same over the trials for which no other pool with this image is found (other.c)
 *	missed		intact mappings that are not back in those trials, and in how many of them
 *	of all		of all mappings, intact or not
 *	wrong		mappings that the pool did not have, and in how many trials
 *	unnamed		those of them, and of devices that it did not have, that are in no range which the report calls likely, open
 *			or lost, and in how many trials; but for status 0, and where it says that all may be as it was before
 *	named		mappings that it had, and that are in such a range
 *	new ids		mappings under an id that is told to be invented
 *	lies		trials called lossless although a mapping differs, but for images that are themselves another
 *			healthy pool
 *	doubt		trials called lossy though all is back
 *	needless	those of them for which no other pool with this image is found
 *
 * Exit status 1 with more lies than -L, more than -W wrong mappings in a million, less than -B per mille
 * back, more needless doubts than -D, or more unnamed mappings than -U.
 */
#include <err.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harsh.h"

/* Mappings in ascending order fill leaves with 248: so many leaves have room below one node, or have not. */
#define WIDE 45000
#define TALL 80000

struct sample {
	char name[64];
	struct pool pool;
	struct history history;
};

struct score {
	uint64_t trials, mappings, intact, back, back_all, wrong, wrong_trials, unnamed, unnamed_trials, named, renamed, lies,
		doubted, undecided, whole, decided_intact, decided_back, missed_trials;
	double seconds;
};

/* --- which mappings are intact: by content, wherever it is --- */

static uint64_t hash(const uint8_t *p)
{
	uint64_t h = 1469598103934665603u, x;

	for (size_t i = 0; i < 4096; i += 8) {
		memcpy(&x, p + i, 8);
		h = (h ^ x) * 1099511628211u;
		h ^= h >> 29;
	}
	return h;
}

static int by_hash(const void *pa, const void *pb)
{
	const uint64_t *a = pa, *b = pb;

	return *a < *b ? -1 : *a > *b;
}

/* By block: 0: its content is there, but for at most a byte; 2: it is gone. */
static uint8_t *find_lost(const struct pool *p, const struct harm *h)
{
	uint8_t *lost = calloc(p->nr_blocks, 1);
	uint64_t *moved = malloc(((size_t)h->nr_blocks + 1) * sizeof(*moved));
	size_t nr = 0;

	if (!lost || !moved)
		err(1, "memory");
	for (uint32_t b = 0; b < h->nr_blocks; b++)
		if (b >= p->nr_blocks ||
		    memcmp(h->image + (size_t)b * 4096, p->image + (size_t)b * 4096, 4096))
			moved[nr++] = hash(h->image + (size_t)b * 4096);
	qsort(moved, nr, sizeof(*moved), by_hash);
	for (uint32_t b = 0; b < p->nr_blocks; b++) {
		const uint8_t *was = p->image + (size_t)b * 4096, *is = h->image + (size_t)b * 4096;
		unsigned differ = 0;
		uint64_t key;

		if (!p->roles[b] || (b < h->nr_blocks && !memcmp(was, is, 4096)))
			continue;
		for (int i = 0; b < h->nr_blocks && i < 4096; i++)
			differ += was[i] != is[i];
		key = hash(was);
		if ((b >= h->nr_blocks || differ > 1) &&
		    !bsearch(&key, moved, nr, sizeof(key), by_hash))
			lost[b] = 1;
	}
	free(moved);
	return lost;
}

/* --- one trial --- */

struct verdict {
	uint64_t mappings, intact, back, back_all, wrong, unnamed, named;
	uint64_t renamed; /* under an id that the pool did not have: told, and not counted as wrong */
	bool same; /* the mappings are just those of the pool, under its devices */
	bool said, broken;
};

/* Mappings of devices that the pool did not have. */
static uint64_t count_renamed(const struct pool *p, const struct result *r)
{
	uint64_t nr = 0;
	size_t k = 0;

	for (size_t i = 0; i < r->nr; i++) {
		while (k < p->nr_details && p->details[k].dev < r->map[i].dev)
			k++;
		nr += k == p->nr_details || p->details[k].dev != r->map[i].dev;
	}
	return nr;
}

static void count_wrong(const struct mapped *m, struct verdict *v)
{
	v->wrong++;
	v->unnamed += m->leaf == NOT_NAMED;
}

static void compare(const struct pool *p, const struct harm *h, struct result *r, struct verdict *v)
{
	uint8_t *lost = find_lost(p, h);
	size_t k = 0;

	*v = (struct verdict) { .mappings = p->nr_maps, .same = r->nr_dev == p->nr_details };
	for (size_t i = 0; v->same && i < r->nr_dev; i++)
		v->same = r->dev[i].dev == p->details[i].dev;
	for (size_t i = 0; i < p->nr_maps; i++) {
		bool same;

		while (k < r->nr && by_dev_key(&r->map[k], &p->map[i]) < 0)
			count_wrong(&r->map[k++], v);
		same = k < r->nr && !by_dev_key(&r->map[k], &p->map[i]);
		k += same;
		if (same && r->map[k - 1].value != p->map[i].value) {
			count_wrong(&r->map[k - 1], v);
			same = false;
		}
		v->named += same && r->map[k - 1].leaf == IN_RANGE;
		v->intact += !lost[p->map[i].leaf];
		v->back += same && !lost[p->map[i].leaf];
		v->back_all += same;
	}
	while (k < r->nr)
		count_wrong(&r->map[k++], v);
	v->renamed = count_renamed(p, r);
	v->wrong -= v->renamed;
	v->same &= !v->wrong && !v->renamed && v->back_all == v->mappings;
	free(lost);
}

/* Is state @i of the history right as well: because the damage brought it back, or left or put its superblock there? */
static bool is_right(const struct harm *h, uint32_t i)
{
	return h->older == i + 1 || (i + 1 < h->history->nr && !memcmp(h->image, h->history->state[i], 4096));
}

/* Compares with the pool, and with the older states that are right as well: the best one counts. */
static void judge(struct harm *h, struct result *r, struct verdict *v)
{
	compare(h->pool, h, r, v);
	for (uint32_t i = 0; i < h->history->nr && !v->same; i++) {
		struct verdict other;
		struct pool older;

		if (!is_right(h, i))
			continue;
		pool_take(&older, h->history->state[i], h->history->nr_blocks);
		compare(&older, h, r, &other);
		if (other.same || other.wrong < v->wrong ||
		    (other.wrong == v->wrong && other.back_all > v->back_all))
			*v = other;
		pool_free(&older);
	}
}

static void rescue(struct harm *h, struct jobs *jobs, bool verbose, struct verdict *v)
{
	struct io *io = io_mem_new("pool", (uint64_t)h->nr_blocks * 4096);
	struct salvage_options opt = { 0 };
	struct salvage_totals totals = { 0 };
	struct result result = { 0 };
	struct events to = { &result_ops, &result };
	struct salvage *s = NULL;
	struct err e = { 0 };
	int r;

	if (!io)
		err(1, "memory");
	opt.hint = (struct pool_overrides) { true,
					     true,
					     true,
					     h->pool->transaction,
					     h->pool->data_block_size,
					     h->pool->nr_data_blocks };
	memcpy(io_mem_data(io), h->image, (size_t)h->nr_blocks * 4096);
	r = salvage_new(io, jobs, &opt, &s, &e);
	if (!r)
		r = salvage_emit(s, NULL, &to, &e);
	if (!r)
		salvage_totals(s, &totals);
	if (result.nr)
		qsort(result.map, result.nr, sizeof(*result.map), by_dev_key);
	if (!r)
		result_note_named(&result, s);
	judge(h, &result, v);
	v->said = totals.mappings_back;
	v->broken = result.broken;
	if (verbose)
		print_report(s, r ? e.text : "");
	salvage_free(s);
	io_free(io);
	result_free(&result);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void keep_image(const struct harm *h, const struct pool *p, const char *path)
{
	char name[200];
	FILE *f;

	snprintf(name, sizeof(name), "%s.damaged", path);
	f = fopen(name, "wb");
	if (!f || fwrite(h->image, 4096, h->nr_blocks, f) != h->nr_blocks || fclose(f))
		err(1, "%s", name);
	snprintf(name, sizeof(name), "%s.before", path);
	f = fopen(name, "wb");
	if (!f || fwrite(p->image, 4096, p->nr_blocks, f) != p->nr_blocks || fclose(f))
		err(1, "%s", name);
}

static void run_trial(const struct sample *s, const struct sample *rests, uint64_t seed,
		      uint64_t nr, const struct kind *kind, struct jobs *jobs, const char *keep, bool verbose,
		      struct score *score)
{
	struct harm h = { .rng = { seed * 1000003 + nr * 7 },
			  .pool = &s->pool,
			  .other = &rests->pool,
			  .history = &s->history,
			  .nr_blocks = s->pool.nr_blocks };
	struct verdict v;
	const char *other;
	double begin;

	h.image = malloc((size_t)h.nr_blocks * 4096);
	if (!h.image)
		err(1, "memory");
	memcpy(h.image, s->pool.image, (size_t)h.nr_blocks * 4096);
	if (kind->harm(&h)) {
		if (keep)
			keep_image(&h, &s->pool, keep);
		begin = now();
		rescue(&h, jobs, verbose, &v);
		score->seconds += now() - begin;
		score->trials++;
		score->mappings += v.mappings;
		score->intact += v.intact;
		score->back += v.back;
		score->back_all += v.back_all;
		score->wrong += v.wrong;
		score->wrong_trials += v.wrong > 0;
		if (v.said)
			v.unnamed = v.named = 0;
		score->unnamed += v.unnamed;
		score->unnamed_trials += v.unnamed > 0;
		score->named += v.named;
		score->renamed += v.renamed;
		other = v.same ? NULL : is_other_pool(&h) ? "mappings" : NULL;
		score->lies += v.said && !v.same && !other;
		score->whole += v.same;
		score->doubted += v.same && !v.said;
		other = other || v.said ? other : other_pool(&h);
		score->undecided += v.same && other != NULL;
		if (!other) {
			score->decided_intact += v.intact;
			score->decided_back += v.back;
			score->missed_trials += v.back < v.intact;
		}
		if (v.broken || (v.said && !v.same) || v.wrong || v.back < v.intact || verbose || (v.same && !v.said && !other))
			printf("# trial %" PRIu64 " %s %s: back %" PRIu64 " of %" PRIu64
			       " intact, %" PRIu64 " wrong, %" PRIu64 " unnamed%s%s%s%s\n",
			       nr, kind->name, s->name, v.back, v.intact, v.wrong, v.unnamed,
			       v.said && !v.same && !other ? ", LIE" : "",
			       v.said && !other ? ""
			       : v.same		? ", doubted; another pool has other "
						: ", another pool has other ",
			       other ? other : v.said ? "" : "... none",
			       v.broken ? ", BROKEN EVENTS" : "");
	}
	free(h.image);
}

static double percent(uint64_t a, uint64_t of)
{
	return of ? 100.0 * (double)a / (double)of : 100.0;
}

static void print_score(const char *name, const struct score *s)
{
	if (s->trials)
		printf("%-21s %6" PRIu64 " %8.2f %8.2f %7" PRIu64 " (%2" PRIu64 ") %8.2f %8" PRIu64
		       " (%3" PRIu64 ") %7" PRIu64 " (%2" PRIu64 ") %8" PRIu64 " %8" PRIu64 " %5" PRIu64 " %5" PRIu64 " %5" PRIu64 " of %5" PRIu64
		       " %8.2f\n",
		       name, s->trials, percent(s->back, s->intact),
		       percent(s->decided_back, s->decided_intact),
		       s->decided_intact - s->decided_back, s->missed_trials,
		       percent(s->back_all, s->mappings), s->wrong, s->wrong_trials, s->unnamed, s->unnamed_trials, s->named, s->renamed,
		       s->lies, s->doubted, s->doubted - s->undecided, s->whole,
		       1000 * s->seconds / (double)s->trials);
}

struct config {
	uint64_t seed, trials, fresh, tall, herd, anew, crash, only, lies, wrong, back, needless, unnamed;
	int kind;
	const char *keep;
	const struct kind *list;
	int nr_list;
	bool verbose, index_first;
};

/* The number that option @o sets, NULL: it sets none. */
static uint64_t *number(struct config *c, int o)
{
	static const char name[] = "snfTHACtLWBDU";
	uint64_t *const to[] = { &c->seed, &c->trials, &c->fresh, &c->tall, &c->herd, &c->anew, &c->crash, &c->only, &c->lies, &c->wrong, &c->back, &c->needless, &c->unnamed };
	const char *at = strchr(name, o);

	return at ? to[at - name] : NULL;
}

static void parse(struct config *c, int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "s:n:f:T:H:A:C:k:t:L:W:B:D:U:o:vxyzwI")) != -1) {
		uint64_t *to = number(c, o);

		if (to)
			*to = strtoull(optarg, NULL, 10);
		else if (o == 'k')
			c->kind = atoi(optarg);
		else if (o == 'o')
			c->keep = optarg;
		else if (o == 'v')
			c->verbose = true;
		else if (o == 'I')
			c->index_first = true;
		else if (o == 'x' || o == 'y') {
			c->list = o == 'x' ? more_kinds : device_kinds;
			c->nr_list = o == 'x' ? nr_more_kinds : nr_device_kinds;
		} else if (o == 'z' || o == 'w') {
			c->list = o == 'z' ? sealed_kinds : stale_kinds;
			c->nr_list = o == 'z' ? nr_sealed_kinds : nr_stale_kinds;
		} else
			exit(64);
	}
}

/* Which of @nr pools trial @t damages. */
static size_t pool_of(uint64_t t, size_t nr)
{
	return (t * 2654435761u >> 7) % nr;
}

/* And the one whose leftovers stand in its free blocks. */
static size_t rests_of(uint64_t t, size_t nr)
{
	return (pool_of(t, nr) + 1 + t % 3) % nr;
}

/*
 * The pools of the command line, and the new ones; returns how many there are.  For a single trial only its own
 * two are made.
 */
static size_t read_samples(struct sample *sample, const struct config *c, int argc, char **argv)
{
	size_t nr = 0, made = c->fresh + c->tall + c->herd + c->anew + c->crash, all = (size_t)(argc - optind) + made;

	for (int i = optind; i < argc; i++, nr++) {
		snprintf(sample[nr].name, sizeof(sample[nr].name), "%s", argv[i]);
		pool_read(&sample[nr].pool, argv[i]);
	}
	for (uint64_t i = 0; i < made; i++, nr++) {
		const uint64_t herd = c->fresh + c->tall, anew = herd + c->herd, crash = anew + c->anew;

		if (c->only != UINT64_MAX && nr != pool_of(c->only, all) && nr != rests_of(c->only, all))
			continue;
		snprintf(sample[nr].name, sizeof(sample[nr].name), "fresh-%" PRIu64,
			 c->seed * 1000 + i);
		fresh_pool(&sample[nr].pool, &sample[nr].history, c->seed * 1000 + i,
			   i < c->fresh || i >= herd ? 0 : i % 2 ? WIDE : TALL,
			   i >= crash ? STORY_CRASH : i >= anew ? STORY_ANEW : i >= herd ? STORY_HERD : STORY_USUAL, c->index_first);
	}
	return nr;
}

int main(int argc, char **argv)
{
	struct config c = { .seed = 1,
			    .trials = 200,
			    .fresh = 20,
			    .only = UINT64_MAX,
			    .lies = UINT64_MAX,
			    .wrong = UINT64_MAX,
			    .needless = UINT64_MAX,
			    .unnamed = UINT64_MAX,
			    .list = kinds,
			    .nr_list = nr_kinds,
			    .kind = -1 };
	struct jobs *jobs = jobs_new(1);
	struct score *score, all = { 0 };
	struct sample *sample;
	size_t nr;

	parse(&c, argc, argv);
	sample = calloc((size_t)(argc - optind) + c.fresh + c.tall + c.herd + c.anew + c.crash + 1, sizeof(*sample));
	score = calloc((size_t)c.nr_list, sizeof(*score));
	if (!sample || !score || !jobs)
		err(1, "memory");
	nr = read_samples(sample, &c, argc, argv);
	if (!nr)
		errx(64, "no pools");
	printf("# seed %" PRIu64 ", %zu pools\n", c.seed, nr);
	for (uint64_t t = 0; t < c.trials; t++) {
		int kind = (int)(t % (uint64_t)c.nr_list);

		if ((c.only == UINT64_MAX || c.only == t) && (c.kind < 0 || c.kind == kind))
			run_trial(&sample[pool_of(t, nr)], &sample[rests_of(t, nr)], c.seed, t, &c.list[kind], jobs,
				  c.keep, c.verbose, &score[kind]);
	}
	printf("%-21s %6s %8s %8s %7s %4s %8s %8s %5s %7s %4s %8s %8s %5s %5s %14s %8s\n", "damage", "trials",
	       "back %", "decided", "missed", "in", "of all %", "wrong", "in", "unnamed", "in", "named", "new ids", "lies",
	       "doubt", "needless", "ms");
	for (int k = 0; k < c.nr_list; k++) {
		const uint64_t *from = (const uint64_t *)&score[k];
		uint64_t *to = (uint64_t *)&all;

		for (size_t i = 0; i < offsetof(struct score, seconds) / 8; i++)
			to[i] += from[i];
		all.seconds += score[k].seconds;
		print_score(c.list[k].name, &score[k]);
	}
	print_score("all", &all);
	for (size_t i = 0; i < nr; i++) {
		pool_free(&sample[i].pool);
		history_free(&sample[i].history);
	}
	free(sample);
	free(score);
	jobs_free(jobs);
	return all.lies > c.lies || all.back * 1000 < all.intact * c.back ||
	       all.doubted - all.undecided > c.needless || all.unnamed > c.unnamed ||
	       (c.wrong != UINT64_MAX && all.wrong * 1000000 > all.mappings * c.wrong);
}
