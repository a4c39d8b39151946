/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_EXPORT_H
#define VOLUME_EXPORT_H
/* A thin device, or its difference to an older state, in the formats of others. */
#include "volume/copy/copy.h"
#include "volume/image/diff.h"
#include "volume/image/qcow2.h"

struct export_qcow2 {
	struct qcow2_create create; /* .size is rounded up to whole sectors here */
	bool backing_is_origin; /* the backing file is the external origin; else it is the base */
	uint64_t backing_size;	/* bytes; UINT64_MAX: not known */
};

/*
 * @d as a qcow2 image into file or device @out.  A file is cut to what it has become.  With opt->sparse SPARSE_ALWAYS
 * clusters of zeros are found by reading.  opt->seen: only without a backing file.  On the disk when it returns 0.
 * Memory: that of copy.h or feed.h and of qcow2.h; with compression two clusters and DEFLATE_MEMORY a CPU (zstd: 2 MiB).
 */
int export_qcow2(const struct diff *d, const struct export_qcow2 *q, struct output *out,
		 const struct copy_options *opt, struct jobs *jobs, struct err *err);

/*
 * @d as an rbd diff, version 1, into the stream @out: header, snapshots, size, ascending records of
 * data and zeros, end.  @from NULL: a full export.  -EINVAL: a name is too long.
 */
int export_rbd(const struct diff *d, const char *from, const char *to, struct output *out,
	       const struct copy_options *opt, struct jobs *jobs, struct err *err);

#endif
