/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Functions that every part of a check uses: note findings and issues, claim blocks, walk trees. */
#include <errno.h>
#include <stdlib.h>

#include "base/vec.h"
#include "pool/check/impl.h"

void check_found(struct check *c, const struct finding *f)
{
	findings_add(&c->out->findings, f, NULL, 0);
}

bool check_claim(struct check *c, mblock_t b, uint8_t as)
{
	if (b >= c->nr_blocks)
		return false;
	refmap_inc(c->meta, b);
	if (c->claims[b])
		return false;
	c->claims[b] = as;
	return true;
}

struct walk *check_walk(struct check *c, enum pool_area area, uint32_t value_size,
			walk_leaf_fn *leaf, void *ctx)
{
	struct walk_setup s = {
		.stream = &c->stream,
		.nr_blocks = c->nr_blocks,
		.leaf_value_size = value_size,
		.leaf = leaf,
		.ctx = ctx,
		.refs = c->meta,
		.claims = c->claims,
		.kind = (uint8_t)(CLAIM_TREE + area),
	};

	return walk_new(&s, c->err);
}

static void underfull_finding(struct check *c, struct walk *w, enum pool_area area, bool held)
{
	struct finding f = finding_make(FOUND_NODE_UNDERFULL, area);
	mblock_t *list;
	size_t nr;

	if (walk_underfull(w, &list, &nr, c->err)) {
		c->out->findings.failed = true;
		return;
	}
	f.held = held;
	f.count = nr;
	if (nr) {
		f.block = list[0];
		check_found(c, &f);
	}
	free(list);
}

void check_walk_findings(struct check *c, struct walk *w, enum pool_area area, bool held)
{
	const struct walk_fault *fault;
	size_t nr;

	fault = walk_faults(w, &nr);
	for (size_t i = 0; i < nr && area != AREA_DEVICE; i++) {
		struct finding f = finding_make(
			FOUND_NODE_UNREADABLE + (fault[i].fault - NODE_UNREADABLE), area);

		f.held = held;
		f.block = fault[i].block;
		if (fault[i].parent != WALK_NONE)
			f.parent = fault[i].parent;
		f.has_range = true;
		f.begin = fault[i].begin;
		f.last = fault[i].last;
		f.error = fault[i].io_error;
		f.leaf = !walk_height(w, fault[i].block);
		check_found(c, &f);
	}
	c->lost |= nr != 0;
	underfull_finding(c, w, area, held);
}

int check_add_issue(struct map_worker *me, const struct leaf_issue *i)
{
	struct leaf_issue *p = vec_add(me->issue, me->nr_issues, me->cap_issues);

	if (!p)
		return -ENOMEM;
	*p = *i;
	return 0;
}
