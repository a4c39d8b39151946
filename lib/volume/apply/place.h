/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_APPLY_PLACE_H
#define VOLUME_APPLY_PLACE_H
/* Where an image or an increment is applied: a raw file, a block device, or a device of a pool. */
#include "dev/io.h"
#include "volume/open/pool_arg.h"

struct place;

struct place_options {
	const char *data;   /* data device of bare metadata, or NULL */
	const char *origin; /* external origin; NULL: the table's */
	bool origin_raw;    /* an origin that looks like an image format is read as it is */
	uint64_t size;	    /* bytes that the image needs; 0: not known yet */
	bool whole;	    /* it replaces all: a block device is checked for contents */
	bool dry_run;	    /* refused as if it were written, and opened to be read only */
	bool force;	    /* overwrite other contents */
};

/* A file that exists, or a block device that is not in use. */
int place_open_raw(const char *path, const struct place_options *opt, struct place **out,
		   struct err *err);
/*
 * Device @device of the inactive pool of @arg, which is opened for writing unless .dry_run.  -ENODATA: the pool's first
 * block is zero.  It is not formatted: a new pool has no device, and thin_repair could find less afterwards.
 */
int place_open_thin(struct pool_arg *arg, const char *device, const struct place_options *opt,
		    struct place **out, struct err *err);
/* Commits what was written, and closes.  The error is that of the commit. */
int place_close(struct place *p, struct err *err);

/* The files and devices that are written; NULL behind the last. */
const char *const *place_files(const struct place *p);
const char *place_name(const struct place *p);
uint64_t place_size(const struct place *p); /* bytes */
bool place_can_grow(const struct place *p);

/* Makes a file at least this long; -ERANGE where the place cannot grow. */
int place_grow(struct place *p, uint64_t size, struct err *err);
/* Gives a file this size. */
int place_cut(struct place *p, uint64_t size, struct err *err);
int place_read(struct place *p, void *buf, size_t len, uint64_t at, struct err *err);
int place_write(struct place *p, const void *buf, size_t len, uint64_t at, struct err *err);
/*
 * Writes zeros, without taking space where the place supports it.  Neither this nor place_write() takes space for what
 * the external origin of a thin device shows already.
 */
int place_zero(struct place *p, uint64_t len, uint64_t at, struct err *err);
int place_sync(struct place *p, struct err *err);
/* Keeps what was written before a failure; @tell (or NULL) hears why that is not possible either. */
void place_keep(struct place *p, void (*tell)(void *ctx, const char *text), void *ctx);

#endif
