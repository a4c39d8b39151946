/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_XML_RULES_H
#define POOL_XML_RULES_H
/*
 * The rules that numbers must keep, however they are spelled.  They stand between the sink and the
 * two that recognise elements: the expat handlers and the fast lane.  Both call the same functions,
 * so they accept the same texts.  Private to xml_read.
 *
 * A function returns 0 or a negative errno.  When a rule was broken, @broken is set, and the caller
 * puts the number of the line in front of the text.  Other errors are the sink's own.
 */
#include "base/umap.h"
#include "pool/events/events.h"
#include "pool/format/format.h"
#include "pool/text/text.h"

/*
 * Tools write block numbers as the names of defs, but any text is accepted.  A name that is not a
 * canonical number up to this one gets a number above it.
 */
#define XML_MAX_NUMERIC_NAME (UINT64_MAX >> 1)

#define XML_BATCH 1024 /* runs gathered for one call of the sink */

struct xml_def {
	vblock_t begin, end; /* what it covers; empty when equal */
};

/* 38 to 75 bytes a def. */
struct xml_defs {
	struct xml_def *def;
	size_t nr, cap;
	struct umap by_name; /* place in @def, plus one */
};

struct xml_rules {
	const struct events *to;
	struct err *err;
	bool broken;
	struct pool_info pool;
	vblock_t next; /* where the next mapping may begin at the earliest */
	uint64_t def_name;
	vblock_t def_begin;
	bool def_empty;
	struct xml_defs defs;
	uint8_t *seen; /* a bit for each device id */
	size_t nr;
	struct run batch[XML_BATCH];
};

int rules_init(struct xml_rules *r, const struct events *to, struct err *err);
void rules_fini(struct xml_rules *r);

int rules_begin_pool(struct xml_rules *r, const struct pool_info *p,
		     const struct pool_overrides *o);
int rules_begin_device(struct xml_rules *r, const struct device_info *d);
int rules_end_device(struct xml_rules *r);
int rules_begin_def(struct xml_rules *r, uint64_t name);
int rules_end_def(struct xml_rules *r);
int rules_ref(struct xml_rules *r, uint64_t name);
int rules_end_pool(struct xml_rules *r);

/* Called by rules_run() for a full batch, an empty run, and to name the rule that is broken. */
int rules_run_slow(struct xml_rules *r, const struct run *run);

static inline int rules_run(struct xml_rules *r, vblock_t vbegin, dblock_t dbegin, uint64_t len,
			    uint64_t time)
{
	struct run run = { .vbegin = vbegin, .dbegin = dbegin, .len = len, .time = (uint32_t)time };
	vblock_t end;

	if (unlikely(time > r->pool.time))
		run.time = UINT32_MAX; /* beyond any pool's time: rules_begin_pool() */
	if (unlikely(time > r->pool.time || vbegin < r->next || !len ||
		     __builtin_add_overflow(vbegin, len, &end) ||
		     dbegin > r->pool.nr_data_blocks || len > r->pool.nr_data_blocks - dbegin ||
		     r->nr == XML_BATCH))
		return rules_run_slow(r, &run);
	r->batch[r->nr++] = run;
	r->next = end;
	return 0;
}

#endif
