/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* A space map's tree of large counts (3 and more): its entries against the references found. */
#include <errno.h>
#include <string.h>

#include "base/vec.h"
#include "pool/check/map_check.h"

static int take_large(void *ctx, unsigned worker, mblock_t block, uint32_t attr,
		      const struct node *n)
{
	struct map_check *m = ctx;
	struct map_part *p = &m->part[worker];

	(void)block;
	(void)attr;
	for (uint32_t i = 0; i < n->nr; i++) {
		struct large l = { .block = node_key(n, i) }, *a;
		le32 count;

		memcpy(&count, node_value(n, i), sizeof(count));
		l.count = le32_get(count);
		if (!m->all_large && l.block < m->nr_blocks && l.count >= 3 &&
		    refmap_get(m->counts, l.block) == l.count) {
			p->nr_good_large++;
			continue;
		}
		a = vec_add(p->large, p->nr_large, p->cap_large);
		if (!a)
			return -ENOMEM;
		*a = l;
	}
	return 0;
}

int check_walk_large(struct map_check *m, bool *sound)
{
	struct walk_root r = { .block = m->root->ref_count_root };
	struct walk *w = check_walk(m->c, m->overflow, 4, take_large, m);
	size_t nr;
	int ret;

	if (!w)
		return -ENOMEM;
	ret = walk_add(w, &r, 1, m->c->err);
	walk_faults(w, &nr);
	*sound = !nr;
	if (!ret)
		check_walk_findings(m->c, w, m->overflow, false);
	walk_free(w);
	return ret;
}

int check_reread_large(struct map_check *m)
{
	struct walk_setup s = { .stream = &m->c->stream,
				.nr_blocks = m->c->nr_blocks,
				.leaf_value_size = 4,
				.leaf = take_large,
				.ctx = m };
	struct walk_root r = { .block = m->root->ref_count_root };
	struct walk *w = walk_new(&s, m->c->err);
	int ret;

	if (!w)
		return -ENOMEM;
	m->all_large = true;
	for (unsigned i = 0; i < m->nr_parts; i++)
		m->part[i].nr_large = 0;
	ret = walk_add(w, &r, 1, m->c->err);
	walk_free(w);
	return ret;
}
