/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_EXPLAIN_H
#define POOL_SALVAGE_EXPLAIN_H
#include "pool/salvage/assign/option.h"

/*
 * For each node that had several possible places, writes the choice, the alternatives and the
 * reasons to the struct of the room: @explained.
 */
void explain_assignment(const struct assignment *a);

#endif
