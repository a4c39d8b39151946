/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_LVM_PV_H
#define VOLUME_LVM_PV_H
/*
 * A physical volume of LVM as it lies on a disk or in an image: its label, its header, its metadata
 * areas and their texts.  All of it is untrusted, and nothing is ever written.
 * Offsets are bytes, from the PV's begin unless something else is said.
 */
#include "dev/io.h"

#define LVM_ID_LEN    32 /* characters of a UUID without its dashes */
#define LVM_MAX_AREAS 8
#define LVM_MAX_TEXT  ((uint64_t)64 << 20)

enum lvm_area_state {
	LVM_AREA_GOOD,
	LVM_AREA_EMPTY,	     /* it has no text: the PV is in no VG */
	LVM_AREA_IGNORED,    /* by pvchange --metadataignore: its text is stale */
	LVM_AREA_BAD_HEADER, /* no header, a wrong checksum, or numbers that cannot be */
	LVM_AREA_BAD_TEXT,   /* the text's checksum is wrong, or it is no text of LVM */
	LVM_AREA_CUT,	     /* it lies beyond the end of the image, or cannot be read */
};

struct lvm_area {
	uint64_t at, size;
	enum lvm_area_state state;
	uint64_t text_at; /* from the area's begin */
	uint64_t text_len;
	uint32_t text_crc;
	uint64_t seqno;	 /* of a good text; set by whoever parsed it */
	bool has_pending; /* slot 1 holds a text that was not committed */
};

struct lvm_pv {
	const char *path;   /* the disk or image */
	unsigned partition; /* 0: all of it */
	uint64_t start;	    /* where the PV begins on the disk */
	uint64_t there;	    /* bytes from there to the end of the partition or image */
	unsigned sector;    /* of the label */
	char id[LVM_ID_LEN + 1];
	uint64_t size; /* when the PV was made */
	struct lvm_area area[LVM_MAX_AREAS];
	unsigned nr_areas;
};

/* Is there a label with a good checksum in the first @len bytes of a disk?  2048 bytes show it. */
bool lvm_has_label(const void *data, size_t len);

/*
 * Looks for a PV in the @len bytes of @io that begin at @start.  1: *out is it; its path and
 * partition are the caller's to set, and its areas' texts were not looked at.  0: there is none.
 * -errno: it cannot be read.
 */
int lvm_pv_read(struct io *io, uint64_t start, uint64_t len, struct lvm_pv *out, struct err *err);

/*
 * Reads the committed text of an area whose state is good, and checks it.  *text is NULL where the
 * area turns out to be damaged, which its state says then; else text_len bytes with a 0 behind them,
 * which the caller frees.  0 or -ENOMEM.
 */
int lvm_area_text(struct io *io, const struct lvm_pv *pv, struct lvm_area *area, char **text,
		  struct err *err);

/*
 * Calls @found with every text in the ring that begins like a VG's and has its end, also of
 * ignored areas and of those with a damaged header.  What @found returns other than 0 ends it.
 */
int lvm_area_scan(struct io *io, const struct lvm_pv *pv, const struct lvm_area *area,
		  int (*found)(void *ctx, const char *text, size_t len, uint64_t at), void *ctx,
		  struct err *err);

#endif
