/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_STEPS_H
#define POOL_SALVAGE_STEPS_H
/* The steps from damaged metadata to a pool. */
#include "pool/salvage/salvage.h"
#include "pool/salvage/state.h"

/* As salvage_new(), but with block @refused, unless it is 0, taken for one that cannot be read. */
int salvage_look(struct io *meta, struct jobs *jobs, const struct salvage_options *opt, uint32_t refused, struct salvage **out,
		 struct err *err);

/*
 * Where *@out, which salvage_look() returned with @r, is not all that the pool had: looks once more without a block that may
 * hold an older content, and replaces it by a better result.  Returns the new @r.
 */
int salvage_look_again(struct salvage **out, struct io *meta, struct jobs *jobs, int r, struct err *err);

#endif
