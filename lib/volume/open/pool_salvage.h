/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_POOL_SALVAGE_H
#define VOLUME_POOL_SALVAGE_H
/*
 * A POOL argument whose metadata may be damaged, opened and searched: the counterpart of
 * pool_source.h, which is for sound metadata.  Values that the superblock has lost are taken from
 * the table (when the argument is one), from LVM's backup, and from the size of the data device.
 */
#include "pool/salvage/salvage.h"
#include "volume/open/pool_arg.h"

struct pool_salvage_options {
	struct salvage_options salvage;
	struct pool_want want;
	const char *vg_backup; /* file; NULL: none */
	const char *vg_pool;   /* which pool of it; NULL: the only one */
	const char *data_dev;  /* NULL: not given */
	bool force_share;      /* read although another program may be writing */
	unsigned nr_jobs;      /* 0: as many as there are CPUs */
	struct jobs *jobs;     /* the caller's, used in place of new ones; or NULL */
	struct meter *meter;   /* counts what is read of the metadata; may be NULL */
};

struct pool_salvage {
	struct pool_arg arg;
	struct io *io;
	struct jobs *jobs;
	bool own_jobs;
	uint32_t *ids;		 /* of the devices that LVM's text has; or NULL */
	struct salvage *salvage; /* see salvage_new() for when it is there */
};

/* Fails as pool_arg_open(), lvm_backup_pool(), dev_open() and salvage_new() do. */
int pool_salvage_open(const char *path, const struct pool_salvage_options *opt,
		      struct pool_salvage *out, struct err *err);
/* The same for an argument that is open already; it passes to @out, also after a failure. */
int pool_salvage_open_arg(struct pool_arg *arg, const struct pool_salvage_options *opt,
			  struct pool_salvage *out, struct err *err);
/* Also after a failure. */
void pool_salvage_close(struct pool_salvage *p);

#endif
