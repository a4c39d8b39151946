/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_GAPS_H
#define POOL_SALVAGE_GAPS_H
/* Nodes that lack a parent are put into the gaps of the trees. */
#include "base/text/outbuf.h"
#include "pool/salvage/witness/ages.h"
#include "pool/salvage/witness/datamap.h"

struct assign {
	struct graph *graph;
	struct super *super;
	struct trees *trees;
	struct counts *counts;
	struct ages *ages;
	struct datamap *datamap;
	bool guessed;	    /* the metadata space map could not decide */
	bool has_spare;	    /* a node still lacks a parent that would do where another one was put */
	uint64_t work;	    /* steps of the search and looks at options */
	bool unconfirmed;   /* nodes were chosen that only the data map can confirm */
	struct outbuf explained; /* lines of --explain */
};

int assign_gaps(struct assign *as, struct err *err);
/* Is what was found, if anything was, the devices', not a lost part of the held metadata snapshot? */
bool assign_found_is_live(const struct assign *as);

/* --- devices.c: devices that the top level lost --- */
/* Lists devices that nothing but an older top level names, when top level and details are lost. */
int devices_guess(struct ages *ages, struct err *err);
/* After the roots are assigned: guessed devices without a tree are dropped, trees without a device get an id. */
int devices_settle(struct assign *as, struct err *err);
int devices_add_gaps(struct assign *as, struct err *err);

#endif
