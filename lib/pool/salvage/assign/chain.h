/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_CHAIN_H
#define POOL_SALVAGE_CHAIN_H
/* Candidates that were split from each other. */
#include "pool/salvage/assign/option.h"

/* Fills in @head and @next, by chains.  0 or -ENOMEM. */
int chain_find(struct assignment *a);

/*
 * Once the numbers have been asked: groups.  Besides chains, nodes that lack two parents or more, and as many, when
 * only so many places have room for all of them: trees that share a node share others.  Nodes with keys in common are
 * of different groups.
 */
void chain_group(struct assignment *a);
/* The same as assign_may_take(), for the node's whole group. */
bool chain_may_take(const struct assignment *a, const struct choice *o);

#endif
