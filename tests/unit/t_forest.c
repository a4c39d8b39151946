/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Random pools with deep sharing whose leaves are damaged at random: each sound leaf is given once,
 * each damaged one is named once, and the sentences are the same for one thread and for four.
 * SEED=n replays one pool.
 */
#include <stdatomic.h>

#include "base/text/outbuf.h"
#include "node_damage.h"
#include "pool/forest/forest.h"
#include "story.h"
#include "tap.h"

#define POOL_BLOCKS 3000

struct seen {
	_Atomic unsigned char leaf[POOL_BLOCKS]; /* how often each block was given */
	struct outbuf text;
	uint64_t nr_lines;
	int verdict;
};

static int take_leaf(void *ctx, unsigned worker, mblock_t block, const struct node *n)
{
	struct seen *s = ctx;

	(void)worker;
	check(n->nr <= 252);
	s->leaf[block]++;
	return 0;
}

static void take_problem(void *ctx, const char *text)
{
	struct seen *s = ctx;

	outbuf_printf(&s->text, "%s\n", text);
	s->nr_lines++;
}

static void look(struct io *io, unsigned nr_jobs, struct seen *s)
{
	struct jobs *jobs = jobs_new(nr_jobs);
	struct metadata_options opt = { 0 };
	struct metadata md;
	struct stream stream;
	struct forest f = { 0 };

	memset(s, 0, sizeof(*s));
	outbuf_init(&s->text);
	check_eq(metadata_open(io, &opt, &md, &err), 0);
	stream_init(&stream, io, jobs);
	check_eq(forest_init(&f, &md, &stream, take_problem, s, &err), 0);
	check_eq(forest_read_leaves(&f, take_leaf, s, &err), 0);
	check_eq(forest_tell_damage(&f, &err), 0);
	s->verdict = forest_verdict(&f, &err);
	forest_fini(&f);
	jobs_free(jobs);
	outbuf_add(&s->text, "", 1); /* a text for strstr() */
	check(!s->text.error);
}

static void one_pool(uint64_t the_seed)
{
	static struct seen sound, one, four;
	struct io *io = io_mem_new("mem", (uint64_t)POOL_BLOCKS * 4096);
	struct model m = new_model();
	bool bad[POOL_BLOCKS] = { 0 };
	struct events e = sink(io);
	uint64_t nr_bad = 0;
	char word[40];

	check_eq(tell(&e, the_seed, &m), 0);
	build_free(&e);
	look(io, 1, &sound);
	check_eq(sound.nr_lines, 0);
	check_eq(sound.verdict, 0);
	for (mblock_t b = 1; b < POOL_BLOCKS; b++) {
		check(sound.leaf[b] <= 1);
		if (!sound.leaf[b] || rnd(6))
			continue;
		bad[b] = true;
		damage_node((uint8_t *)io_mem_data(io) + b * 4096, b, random_next(&rnd_state));
		nr_bad++;
	}
	look(io, 1, &one);
	look(io, 4, &four);
	check_eq(one.verdict, nr_bad ? -EUCLEAN : 0);
	check_eq(four.verdict, one.verdict);
	check_str(four.text.data, one.text.data);
	for (mblock_t b = 1; b < POOL_BLOCKS; b++) {
		const char *at;

		if (!bad[b]) {
			check_eq(one.leaf[b], sound.leaf[b]);
			check_eq(four.leaf[b], sound.leaf[b]);
			continue;
		}
		check(!one.leaf[b] && !four.leaf[b]);
		snprintf(word, sizeof(word), "at block %llu ", (unsigned long long)b);
		at = strstr(one.text.data, word);
		check(at && !strstr(at + 1, word));
	}
	check(one.nr_lines >= nr_bad);
	outbuf_fini(&sound.text);
	outbuf_fini(&one.text);
	outbuf_fini(&four.text);
	free(m.map);
	io_free(io);
}

static void damaged_leaves(void)
{
	each_seed(one_pool);
}

static const struct test tests[] = {
	{ "damaged leaves are named once each, and all others are given, for any number of jobs",
	  damaged_leaves },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
