/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The rule that protects shared data: where a data block is mapped by more than one device, each
 * mapping's time must be below its device's snapshotted_time, or else the kernel writes to
 * the block in place.
 *
 * A leaf that several devices share breaks it when its newest time reaches the least
 * snapshotted_time of its owners: both are known once the forest has been walked.  In a leaf of one
 * device only, entries that the rule would not protect have a bit set in the candidate map: it is
 * broken where such a data block turns out to have two references.  A single device needs no map:
 * it has no block with two references at all.
 *
 * Only when something is broken are the leaves in question read again, to say where.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "pool/check/impl.h"
#include "pool/forest/suspects.h"

static int reread_leaf(void *ctx, unsigned worker, size_t i, mblock_t block, const void *data,
		       int status)
{
	struct check *c = ctx;
	struct leaf_issue issue = { .block = (uint32_t)block, .kind = FOUND_SHARED_TIME };
	uint32_t snap_time = walk_attr(c->devices, block);
	bool shared = walk_shared(c->devices, block);
	struct node n;

	(void)i;
	if (status < 0 || node_open(&n, data, block, 8) || !n.leaf)
		return 0;
	for (uint32_t k = 0; k < n.nr; k++) {
		uint64_t v = node_value64(&n, k);

		if (mapping_time(v) < snap_time || mapping_block(v) >= c->nr_data)
			continue;
		if (!shared && refmap_get(c->data, mapping_block(v)) < 2)
			continue;
		if (!issue.count)
			issue.first = node_key(&n, k);
		issue.last = node_key(&n, k);
		issue.count = 1;
		issue.worst = MAX(issue.worst, (uint64_t)mapping_time(v));
	}
	return issue.count ? check_add_issue(&c->map_worker[worker], &issue) : 0;
}

int check_times(struct check *c)
{
	CLEANUP(free_ptr) mblock_t *list = NULL;
	bool reread = suspects_any_shared(c->candidate, c->data);
	size_t nr, k = 0;

	if (!c->leaf_time && !reread)
		return 0;
	if (walk_leaves(c->devices, &list, &nr, c->err))
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		bool shared = walk_shared(c->devices, list[i]);

		if (!c->leaf_time || ((shared || reread) && c->leaf_count[list[i]] &&
				      c->leaf_time[list[i]] >= walk_attr(c->devices, list[i])))
			list[k++] = list[i];
	}
	return k ? stream_read(&c->stream, list, k, reread_leaf, c, c->err) : 0;
}
