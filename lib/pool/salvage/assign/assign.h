/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_ASSIGN_H
#define POOL_SALVAGE_ASSIGN_H
/* Which node goes to which place? */
#include "pool/salvage/assign/option.h"

/* Fills in @taken of each place.  0 or -ENOMEM. */
int assign(struct assignment *a);
void assign_fini(struct assignment *a);

#endif
