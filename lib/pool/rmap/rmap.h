/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_RMAP_H
#define POOL_RMAP_H
/*
 * The reverse map: which devices have which part of the data device, sorted by data block.
 *
 * All owners are given, also those of shared parts of trees.  Mappings that are contiguous on
 * both sides are one line, whatever their times and wherever leaves end.
 *
 * Lines are written as they are made.  When the runs that they are made of take more than RMAP_KEPT,
 * there are several rounds: each makes the lines of a part of the data device, and reads the leaves
 * once more.
 *
 * Memory: RMAP_KEPT (4 bytes a run where single blocks lie anywhere, else up to 9 as a rule), a byte
 * a metadata block and 18 for a leaf of several runs, that of the walk and of the owners, half a MiB to 2.5 MiB a
 * worker.
 */
#include "base/runs.h"
#include "base/text/outbuf.h"
#include "pool/forest/forest.h"

#define RMAP_KEPT ((uint64_t)160 << 20) /* bytes */

struct rmap_line {
	dblock_t begin, end;
	uint32_t dev_id;
	vblock_t vbegin;
};

struct rmap_sink {
	/* Makes text of lines; any thread, touches nothing else. */
	void (*render)(const struct rmap_line *line, size_t nr, struct outbuf *out);
	/* Takes the texts in order. */
	int (*write)(void *ctx, const struct outbuf *text, struct err *err);
	void *ctx;
};

/*
 * Gives @sink the lines within @regions (runs of data blocks), sorted by begin, end, device id and
 * virtual begin.  Damage is told through the forest; the lines that it leaves are given all the same.
 * @max_kept: bytes; 0 = RMAP_KEPT.
 */
int rmap_tell(struct forest *f, const struct metadata *md, const struct runs *regions,
	      uint64_t max_kept, const struct rmap_sink *sink, struct err *err);

#endif
