/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_COVER_H
#define POOL_SALVAGE_COVER_H
#include "pool/salvage/option.h"

/*
 * Places the leaves of lost counts that the data map needs: a data block in use has as many mappings as it
 * counts, and no other leaf has them.  0 or -ENOMEM.
 */
int assign_cover(struct assignment *a);

#endif
