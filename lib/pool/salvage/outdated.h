/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_OUTDATED_H
#define POOL_SALVAGE_OUTDATED_H
#include "pool/salvage/impl.h"

/* Does the metadata map of the state say how many parents @block has? */
static inline bool witness_knows(const struct salvage *s, uint32_t block)
{
	return s->has_counts && !s->counts_searched && block < s->nr_blocks &&
	       s->count[block] < COUNT_MANY;
}

/*
 * Marks nodes that were replaced by an older copy of themselves (SN_DENIED): their children are then placed anew with
 * the nodes that lack a parent.  @vouched: by node, a device whose count is right reaches it.  0 or -ENOMEM.
 */
int deny_outdated(struct salvage *s, const uint8_t *vouched);

#endif
