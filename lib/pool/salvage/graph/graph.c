/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The graph as it begins: nothing is known of any block. */
#include "pool/salvage/graph/graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Room for @nr blocks, of which those that are added are of @kind. */
static int grow(struct graph *g, uint32_t nr, enum block_kind kind)
{
	const size_t more = (size_t)nr + 1 - g->nr_blocks;
	uint8_t *kinds = realloc(g->kind, (size_t)nr + 1);
	uint32_t *slot = realloc(g->slot, ((size_t)nr + 1) * sizeof(*slot));

	g->kind = kinds ? kinds : g->kind;
	g->slot = slot ? slot : g->slot;
	if (!kinds || !slot)
		return -ENOMEM;
	memset(kinds + g->nr_blocks, kind, more);
	memset(slot + g->nr_blocks, 0xff, more * sizeof(*slot));
	g->nr_blocks = g->nr_counted = nr;
	return 0;
}

int graph_init(struct graph *g, struct io *io, struct jobs *jobs)
{
	g->io = io;
	g->jobs = jobs;
	g->nr_data_blocks = UINT64_MAX;
	stream_init(&g->stream, io, jobs);
	return grow(g, (uint32_t)MIN(io->size / MBLOCK_SIZE, MAX_METADATA_BLOCKS), BLOCK_UNREAD);
}

int graph_extend(struct graph *g, uint64_t nr_blocks)
{
	const uint32_t nr = (uint32_t)MIN(nr_blocks, MAX_METADATA_BLOCKS);

	return nr > g->nr_blocks ? grow(g, nr, BLOCK_CUT) : 0;
}

const char *graph_kind_text(enum block_kind kind)
{
	static const char *const text[BLOCK_REFUSED] = {
		[BLOCK_ZERO] = "is zero",
		[BLOCK_CUT] = "is past the end of the device",
		[BLOCK_IO_ERROR] = "cannot be read",
		[BLOCK_STRAY] = "carries another block's number",
	};

	if (kind >= BLOCK_REFUSED)
		return "does not hold the content that belongs there";
	return text[kind] ? text[kind] : "has a bad checksum";
}

void graph_fini(struct graph *g)
{
	free(g->kind);
	free(g->slot);
	free(g->node);
	free(g->edge);
	free(g->mends.data);
	free(g->strays.data);
	free(g->moved.data);
}
