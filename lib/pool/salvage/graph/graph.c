/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The graph as it begins: nothing is known of any block. */
#include "pool/salvage/graph/graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int graph_init(struct graph *g, struct io *io, struct jobs *jobs)
{
	g->io = io;
	g->jobs = jobs;
	g->nr_blocks = (uint32_t)MIN(io->size / MBLOCK_SIZE, MAX_METADATA_BLOCKS);
	g->nr_data_blocks = UINT64_MAX;
	stream_init(&g->stream, io, jobs);
	g->kind = calloc(g->nr_blocks + 1, 1);
	g->slot = malloc(((size_t)g->nr_blocks + 1) * sizeof(*g->slot));
	if (!g->kind || !g->slot)
		return -ENOMEM;
	memset(g->slot, 0xff, ((size_t)g->nr_blocks + 1) * sizeof(*g->slot));
	return 0;
}

int graph_extend(struct graph *g, uint64_t nr_blocks)
{
	uint32_t old = g->nr_blocks, nr = (uint32_t)MIN(nr_blocks, MAX_METADATA_BLOCKS);
	uint8_t *kind;
	uint32_t *slot;

	if (nr <= old)
		return 0;
	kind = realloc(g->kind, (size_t)nr + 1);
	g->kind = kind ? kind : g->kind;
	slot = realloc(g->slot, ((size_t)nr + 1) * sizeof(*slot));
	g->slot = slot ? slot : g->slot;
	if (!kind || !slot)
		return -ENOMEM;
	memset(kind + old, BLOCK_CUT, (size_t)nr + 1 - old);
	memset(slot + old, 0xff, ((size_t)nr + 1 - old) * sizeof(*slot));
	g->nr_blocks = nr;
	return 0;
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
