/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_TELL_H
#define POOL_SALVAGE_TELL_H
/* What came back: the verdict, and the events of the pool. */
#include "pool/emit/emit.h"
#include "pool/salvage/assign/gaps.h"
#include "pool/salvage/state/state.h"
#include "pool/salvage/values/values.h"

struct tell {
	struct graph *graph;
	struct super *super;
	struct trees *trees;
	struct counts *counts;
	struct datamap *datamap;
	struct state *state;
	struct assign *assign;
	struct values *values;
	uint32_t doubts;    /* a bit for each that holds: tell_doubt() */
	bool mappings_back; /* all mappings of all devices; details or fields may be rebuilt */
	bool lossless, intact;
	bool found_is_live; /* assign_found_is_live() */
	bool unexplained;   /* mappings are missing because writes were lost, or for no reason that is known */
};

/* --- verdict.c --- */
int tell_judge(struct tell *tell, struct err *err);
#define MAX_DOUBTS 32
/* Doubt @i in words, if the result may not be the last state of the pool for that reason; NULL: it is not, or another line of the report tells it. */
const char *tell_doubt(const struct tell *tell, size_t i);
bool tell_device_is_whole(const struct tell *tell, uint32_t dev_id);
/*
 * Do numbers confirm what was found for the device?  If not, a node that would do in no other place may all the same belong to something that
 * is lost and not known of.
 */
bool tell_device_is_confirmed(const struct tell *tell, const struct sdevice *d);
/*
 * May a part of its tree be an older content, though none is lost, also of a tree that the top level names?  It has another number of mappings than
 * its details say; or these are lost, and mappings are missing because writes were lost, or for no reason that is known.
 */
bool tell_tree_may_be_older(const struct tell *tell, const struct sdevice *d);

/* --- emit.c --- */
int tell_events(struct values *values, const struct emit_options *opt, const struct events *to, struct err *err);

/* --- list.c --- */
int tell_roots(struct super *super, struct outbuf *out, struct err *err);

#endif
