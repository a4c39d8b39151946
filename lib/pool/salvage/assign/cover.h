/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_COVER_H
#define POOL_SALVAGE_COVER_H
#include "pool/salvage/assign/option.h"

/*
 * Places the leaves whose reference counts are lost, where only they have the mappings that the data map
 * counts for a data block.  0 or -ENOMEM.
 */
int assign_cover(struct assignment *a);

/*
 * A node that has three parents is in trees already, so the data map does not tell whether it has a fourth: where one
 * was taken and another one fits instead, either may be right.
 */
void assign_doubt(struct assignment *a);

#endif
