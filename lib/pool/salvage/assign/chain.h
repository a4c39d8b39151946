/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_CHAIN_H
#define POOL_SALVAGE_CHAIN_H
/* Candidates that were split from each other. */
#include "pool/salvage/assign/option.h"

/* Fills in @chain.  0 or -ENOMEM. */
int chain_find(struct assignment *a);

#endif
