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

#endif
