/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_SOLVE_H
#define POOL_SALVAGE_SOLVE_H
#include "pool/salvage/assign/option.h"

/* Places the nodes for which the numbers of mappings and of parents leave only some ways.  0 or -ENOMEM. */
int assign_solve(struct assignment *a);

#endif
