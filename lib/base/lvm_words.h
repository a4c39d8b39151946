/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_LVM_WORDS_H
#define BASE_LVM_WORDS_H
/*
 * The options that a command line has besides POOL when POOL is a disk with LVM, or active.  All zero:
 * nothing.  It stands in base because lib/cli fills it in and lib/volume reads it, which do not know each other.
 */
#include "base/units.h"

#define LVM_MAX_PVS 256

struct lvm_words {
	const char *pv[LVM_MAX_PVS]; /* --pv FILE: more disks of the group */
	size_t nr_pvs;
	bool has_seqno;
	uint64_t seqno; /* --seqno N: use LVM's text of that number, also an older one */
	bool take_snap; /* --take-metadata-snap: POOL is active, and its metadata snapshot is reserved */
};

#endif
