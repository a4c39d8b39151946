/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A discard removes the mapping of a data block, and holds the block with one count more until the data device has discarded it,
 * too.  A commit may come between, and a power cut after it: then the block has one count more than mappings.  If others still map it, it was
 * shared: so all of them are older than the last snapshot.
 */
#include <stdlib.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "pool/check/map_check.h"

static int note_leaf(void *ctx, unsigned worker, size_t i, mblock_t block, const void *data, int status)
{
	const struct map_check *m = ctx;
	struct node n;

	(void)worker, (void)i;
	if (status < 0 || node_open(&n, data, block, 8) || !n.leaf)
		return 0;
	for (uint32_t k = 0; k < n.nr; k++) {
		const uint64_t v = node_value64(&n, k), b = mapping_block(v);

		if (mapping_time(v) >= m->c->out->sb.time && b < m->nr_blocks)
			__atomic_fetch_or(&m->unshared[b / 64], (uint64_t)1 << b % 64, __ATOMIC_RELAXED);
	}
	return 0;
}

int check_find_unshared(struct map_check *m)
{
	CLEANUP(free_ptr) mblock_t *list = NULL;
	size_t nr;

	m->unshared = calloc(m->nr_blocks / 64 + 1, sizeof(*m->unshared));
	if (!m->unshared || walk_leaves(m->c->devices, &list, &nr, m->c->err))
		return err_nomem(m->c->err, "data blocks");
	return nr ? stream_read(&m->c->stream, list, nr, note_leaf, m, m->c->err) : 0;
}
