/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Sound metadata as a source: the devices' forest.  What is damaged is left out and told. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "pool/emit/source.h"
#include "pool/forest/forest.h"
#include "pool/format/leaf_runs.h"

#define HINT_GAP 16 /* blocks that an announcement may include needlessly */
#define LONG_HINT 64 /* blocks of an announcement that is worth a look whether it is needed */

struct emission {
	const struct emit_options *opt;
	struct forest forest;
	struct emitter *emitter; /* that is being read for */
	uint64_t nr_problems;
};

static void tell_problem(void *ctx, const char *text)
{
	struct emission *m = ctx;

	if (m->nr_problems++ < EMIT_MAX_PROBLEMS && m->opt->problem)
		m->opt->problem(m->opt->ctx, text);
}

static mblock_t root_of(void *ctx, size_t i)
{
	const struct emission *m = ctx;

	return m->forest.dev[i]->root;
}

static const struct device_info *device(void *ctx, size_t i)
{
	const struct emission *m = ctx;

	return &m->forest.dev[i]->info;
}

static mblock_t block_of(void *ctx, mblock_t leaf)
{
	(void)ctx;
	return leaf;
}

/* --- leaves --- */

static void keep_leaf(struct emitter *e, size_t i, const struct node *n)
{
	struct leaf_runs runs;
	uint32_t nr;

	if (!n->nr) {
		(void)emit_room(e, i, 0);
		return;
	}
	leaf_runs_find(&runs, n, RUNS_ONE_TIME);
	nr = leaf_runs_nr(&runs);
	leaf_runs_list(&runs, n, nr, emit_room(e, i, nr));
}

static int take_leaf(void *ctx, unsigned worker, size_t i, mblock_t block, const void *data,
		     int status)
{
	const struct emission *m = ctx;
	uint64_t first, last;
	struct node n;
	enum node_fault fault = status < 0 ? node_read_fault(status) : node_open(&n, data, block, sizeof(le64));

	(void)worker;
	walk_range(m->forest.walk, block, &first, &last);
	if (fault == NODE_OK)
		fault = n.leaf ? node_check_range(&n, first, last) : NODE_BAD_DEPTH;
	if (fault == NODE_OK)
		keep_leaf(m->emitter, i, &n);
	else
		emit_fault(m->emitter, i, fault);
	return 0;
}

static int read_leaves(void *ctx, struct emitter *e, const mblock_t *list, size_t nr, struct err *err)
{
	struct emission *m = ctx;

	m->emitter = e;
	return stream_read(m->forest.s, list, nr, take_leaf, m, err);
}

/*
 * Is a byte in each quarter of [at, at+len) in the page cache?  Announcing what is there costs the
 * kernel a look at each page.
 */
static bool seems_cached(const struct io *io, uint64_t at, uint64_t len)
{
	for (unsigned i = 0; i < 5; i++)
		if (!io_is_cached(io, at + (len - 1) / 4 * i))
			return false;
	return true;
}

static void hint_blocks(struct io *io, mblock_t begin, mblock_t end)
{
	uint64_t at = begin * MBLOCK_SIZE, len = (end - begin) * MBLOCK_SIZE;

	if (end - begin < LONG_HINT || !seems_cached(io, at, len))
		io->ops->will_need(io, at, len);
}

static void hint(void *ctx, const mblock_t *list, size_t nr)
{
	const struct emission *m = ctx;
	size_t from = 0;

	for (size_t i = 1; i <= nr; i++) {
		if (i < nr && list[i] - list[i - 1] <= HINT_GAP)
			continue;
		hint_blocks(m->forest.s->io, list[from], list[i - 1] + 1);
		from = i;
	}
}

/* --- what is missing --- */

static int lacks(void *ctx, mblock_t leaf, enum node_fault fault, struct err *err)
{
	struct emission *m = ctx;

	return forest_add_fault(&m->forest, leaf, fault, err);
}

static void problem(void *ctx, const char *text)
{
	struct emission *m = ctx;

	forest_problem(&m->forest, false, text);
}

/* What is missing in the events that were told: 0 if nothing is. */
static int finish(void *ctx, bool skipped, struct err *err)
{
	struct emission *m = ctx;
	struct forest *f = &m->forest;
	char more[100];
	int r = f->walk ? forest_tell_damage(f, err) : 0;

	if (r)
		return r;
	if (skipped && !f->nr_problems) /* a part that is missing is never passed over silently */
		forest_problem(f, false, "parts of the mapping trees cannot be read");
	if (m->nr_problems > EMIT_MAX_PROBLEMS && m->opt->problem) {
		snprintf(more, sizeof(more),
			 "... and %" PRIu64 " more problems ('thin_check --format json POOL' lists all)",
			 m->nr_problems - EMIT_MAX_PROBLEMS);
		m->opt->problem(m->opt->ctx, more);
	}
	return forest_verdict(f, err);
}

int emit_pool(const struct metadata *md, struct stream *s, const struct emit_options *opt,
	      const struct events *to, struct err *err)
{
	struct emission m = { .opt = opt };
	struct emit_source src = { .ctx = &m,
				   .jobs = s->jobs,
				   .nr_data_blocks = md->nr_data_blocks,
				   .root = root_of,
				   .device = device,
				   .block = block_of,
				   .read = read_leaves,
				   .hint = s->io->ops->will_need ? hint : NULL,
				   .lacks = lacks,
				   .problem = problem,
				   .finish = finish };
	struct pool_info info;
	int r = forest_list(&m.forest, md, s, opt->dev_ids, opt->nr_dev_ids, tell_problem, &m, err);

	metadata_pool_info(md, &info);
	if (!r && !opt->skip_mappings)
		r = forest_walk(&m.forest, false, err);
	src.nr_devs = m.forest.nr_devs;
	src.nodes = sharing_nodes(m.forest.walk, md->nr_blocks);
	if (!r)
		r = emit_source(&src, opt, opt->header ? opt->header : &info, to, err);
	forest_fini(&m.forest);
	return r;
}
