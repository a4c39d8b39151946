/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_AGES_H
#define POOL_SALVAGE_AGES_H
/* When was a node written, which trees had it then, and what does that say of where it belongs? */
#include "pool/salvage/witness/counts.h"

/* When was a block written?  Older states are counted from 1, the newest of them. */
struct age {
	uint8_t least, most; /* for so many of them it has certainly been in use, and at most */
	uint8_t seen;	     /* the newest that used it; 0: it is in use now, or never was */
	bool trusted;	     /* one that is intact used it */
};

struct ages {
	struct graph *graph;
	struct super *super;
	struct trees *trees;
	struct counts *counts;
	struct age *of;	      /* by block */
	uint32_t nr_past;     /* older states that were found */
	bool is_row; /* the state was written anew, after all that it does not use: older trees have none of its blocks */
	struct vec commits;   /* uint32_t: ages of index blocks, ascending */
	struct vec old_roots; /* struct old_root, by device, newest first */
	struct vec rows;      /* uint32_t: the devices' roots, ascending, in metadata that were written anew */
	uint32_t nr_compared; /* leaves by content */
};

void ages_fini(struct ages *ages);

/* --- generations.c --- */
int ages_read(struct ages *ages, struct err *err);

/* --- anew.c --- */
/* Were all metadata written anew, one tree behind the other?  0 or -ENOMEM. */
int anew_read(struct ages *ages, struct err *err);
/* Then: was the node, which has only one parent, written as a part of the device's tree? */
bool anew_is_below(const struct ages *ages, const struct sdevice *d, const struct snode *n);

/* --- evidence.c: evidence for a node below a device --- */
enum evidence_kind {
	EV_COUNT,
	EV_NAMED,
	EV_HERE,
	EV_ONCE,
	EV_PASSED,
	EV_ALIKE,
	EV_KIN,
	EV_ANEW,
	EV_SAME,
	EV_NEXT,
	EV_FRESH,
	EV_BORN,
	EV_SHARED,
	EV_MAYBE_GONE,
	EV_YOUNGER,
	EV_GONE,
	EV_GONE_ONCE,
	NR_EVIDENCE,
};
struct weight {
	int points;
	const char *text; /* "the node ..." */
	const char *why;
};
extern const struct weight evidence[NR_EVIDENCE];
struct voice {
	int score;
	uint32_t says; /* a bit a kind */
};
/* @shared: more than one device reaches the node's place.  @unknown: it is not known whether the node is in use. */
struct voice evidence_hear(struct ages *ages, const struct sdevice *d, uint32_t node,
			   uint32_t parent, bool shared, bool unknown);

struct old_root {
	uint32_t dev_id, root;
	uint32_t top; /* the top-level leaf that says so */
	uint32_t age; /* block_age(); UINT32_MAX: not known */
};
int old_roots_read(struct ages *ages, struct err *err);
/* The height of the device's newest older root, -1: there is none. */
int old_roots_height(const struct ages *ages, uint32_t dev_id);

#endif
