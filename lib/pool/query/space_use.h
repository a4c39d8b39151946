/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SPACE_USE_H
#define POOL_SPACE_USE_H
/* How full the metadata or the data device of a pool is, by what the superblock says. */
#include "pool/format/superblock.h"

struct space_use {
	uint64_t nr_blocks;
	uint64_t nr_used;    /* in use */
	uint64_t nr_reserve; /* unused blocks that the kernel keeps in reserve; 0 on the data device */
	uint64_t nr_free;    /* blocks that can still be used */
	/*
	 * What is not free, in tenths of a percent: the reserve counts as used, as in the kernel's
	 * status and in lvs.  Rounded to the nearest, but for this: 0 only where nothing is used,
	 * 1000 only where nothing is free.
	 */
	unsigned tenths;
};

/* A root that claims more used blocks than the device has is treated as full. */
struct space_use space_use_of(const struct sm_root *root, uint64_t reserve);

/* Is at least @percent of it not free?  A device of no blocks is never full. */
bool space_use_reaches(const struct space_use *u, unsigned percent);

#endif
