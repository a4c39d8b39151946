/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* A mapping tree, read by a cursor, leaf by leaf. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "pdata/tree/cursor.h"
#include "pool/format/format.h"
#include "volume/map/source.h"

struct tree_source {
	struct stream *stream;
	mblock_t root;
};

DEFINE_CLEANUP(cursor_cleanup, struct btree_cursor, btree_cursor_free)

/* Entries as runs, into room for as many as there are entries. */
static size_t entries_to_runs(const struct btree_entries *e, struct run *run)
{
	size_t nr = 0;
	uint32_t i;

	for (i = 0; i < e->nr; i++) {
		vblock_t v = entries_key(e, i);
		dblock_t d = mapping_block(entries_value64(e, i));
		uint32_t time = mapping_time(entries_value64(e, i));
		struct run *last = nr ? &run[nr - 1] : NULL;

		if (last && v == last->vbegin + last->len && d == last->dbegin + last->len &&
		    time == last->time)
			last->len++;
		else
			run[nr++] = (struct run){ v, d, 1, time };
	}
	return nr;
}

static int tree_walk(void *ctx, map_runs_fn *fn, void *fn_ctx, struct err *err)
{
	const struct tree_source *t = ctx;
	CLEANUP(cursor_cleanup) struct btree_cursor *c = btree_cursor_new(t->stream, t->root, 8);
	struct run run[NODE_MAX_ENTRIES(8)];
	struct btree_entries e;
	int r;

	if (!c)
		return err_nomem(err, "cursor");
	while ((r = btree_cursor_next(c, &e, err)) > 0) {
		r = fn(fn_ctx, run, entries_to_runs(&e, run), err);
		if (r < 0)
			return r;
	}
	return r;
}

int map_source_tree(struct stream *s, mblock_t root, struct map_source *out, struct err *err)
{
	struct tree_source *t = malloc(sizeof(*t));

	if (!t)
		return err_nomem(err, "map");
	*t = (struct tree_source){ s, root };
	*out = (struct map_source){ .walk = tree_walk, .free = free, .ctx = t };
	return 0;
}
