/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_H
#define POOL_SALVAGE_H
/*
 * Damaged metadata as events: every device, subtree and leaf that can still be read is returned
 * below the device it belonged to, and nothing that the pool had deleted.
 *
 * salvage_new() looks (steps.c tells how); salvage_emit() then drives a sink.  The input is only
 * read.  All functions: one thread, the owner of @jobs.
 *
 * Memory: on a healthy pool 5 bytes a metadata block and 64 bytes a node; on a damaged one
 * 16 bytes a block, 64 bytes a node, 16 bytes a child of an internal node, and 2 bits a
 * data block where the space maps are needed to decide.  Nothing per mapping.
 */
#include "base/jobs.h"
#include "base/text/outbuf.h"
#include "dev/io.h"
#include "pool/emit/emit.h"
#include "pool/salvage/super/options.h"

struct salvage;

/*
 * Reads and judges @meta.  0: there is a result.  -EUCLEAN: nothing that could be
 * saved; -EINVAL: a field is missing that only the user can supply (the text says
 * which, and where to find it); other errors: reading, memory.  *out is set in the first three
 * cases (for the report and the list of roots); salvage_free() it.
 */
int salvage_new(struct io *meta, struct jobs *jobs, const struct salvage_options *opt,
		struct salvage **out, struct err *err);
void salvage_free(struct salvage *s);

struct salvage_totals {
	uint64_t nr_devices, nr_mappings, nr_data_blocks;
	bool intact;  /* all trees were whole: a plain copy */
	bool lossless; /* nothing was lost, and nothing had to be invented */
	bool mappings_back; /* all mappings of all devices are back; details or fields may be rebuilt */
	bool uncertain; /* parts may be another device's, or of an older state: not lossless */
};
void salvage_totals(const struct salvage *s, struct salvage_totals *out);

/*
 * Sends the pool to @to, with shared parts as defs; @opt, without header and problem, may be NULL.  May be called again.
 * 0, or the sink's error, or -EBADMSG when a block changed since it was judged.
 */
int salvage_emit(struct salvage *s, const struct emit_options *opt, const struct events *to,
		 struct err *err);

/* Is this device there, and are all its mappings back (as far as it is known)? */
bool salvage_device_is_whole(const struct salvage *s, uint32_t dev_id);

/* Lines: for each node that had a choice where it was put, what else could have been, and why. */
void salvage_explain(const struct salvage *s, struct outbuf *out);

/*
 * The candidates for roots, one a line: kind, block, devices, mappings, newest time.  Reads the
 * whole device; nothing can be emitted afterwards.
 */
int salvage_list_roots(struct salvage *s, struct outbuf *out, struct err *err);

/* Metadata blocks of the trees that are kept: what a copy needs at most, but for its space maps. */
uint64_t salvage_nr_nodes(const struct salvage *s);

#endif
