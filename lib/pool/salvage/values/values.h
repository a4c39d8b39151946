/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_VALUES_H
#define POOL_SALVAGE_VALUES_H
/* What is not mappings: the values of the superblock, details of devices, times. */
#include "base/text/outbuf.h"
#include "pool/salvage/trees/trees.h"

struct values {
	struct graph *graph;
	struct super *super;
	struct trees *trees;
	struct pool_info info;
	struct outbuf header_notes; /* what was missing from the superblock */
	bool header_invented;
	bool mapping_is_later; /* than the superblock and all details: its time is wrong */
	bool is_older;	   /* by the transaction that the user or LVM knows, or by a device that LVM does not have */
	bool lacks_device; /* that LVM's text has */
};

/* --- header.c --- */
int values_make_header(struct values *values, struct err *err);

/* --- details.c --- */
int values_complete_details(struct trees *trees, struct err *err);

/* --- times.c --- */
/* Raises snap_times that are too low for mappings which devices share. */
int values_check_times(struct values *values, struct err *err);

#endif
