/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_RMAP_LINES_H
#define POOL_RMAP_LINES_H
/* The lines of a bucket, sorted and rendered, private to this room. */
#include "pool/rmap/impl.h"

/* What a worker needs for it.  Threads: one at a time. */
struct rmap_lines {
	struct rmap_records found, sorted;
	struct owners_list owners;
	uint32_t *count; /* records of each data block */
	struct rmap_line *line;
	size_t nr, cap;
	struct outbuf text;
	bool write; /* give the text to the sink whenever there is much of it */
};

/* 0 or -ENOMEM; rmap_lines_fini() in both cases. */
int rmap_lines_init(struct rmap_lines *l);
void rmap_lines_fini(struct rmap_lines *l);

/* The greatest number of lines of the bucket, in l.  0 or -errno. */
int rmap_lines_count(const struct rmap *m, struct rmap_lines *l, uint32_t bucket, uint64_t *nr,
		     struct err *err);
/*
 * Adds the lines of the bucket to l->text.  With l->write, memory does not grow with their number.
 * 0 or -errno.
 */
int rmap_lines_add(const struct rmap *m, struct rmap_lines *l, uint32_t bucket, struct err *err);

#endif
