/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_PACK_H
#define POOL_PACK_H
/*
 * Metadata, packed: every block that is not all zero, coded by kind and deflated.  The
 * file is the same for any number of jobs.  Needs libdeflate.
 *
 * Memory: at most 3 MiB a job and 3 MiB to pack.  To unpack a job needs what one stream holds, deflated
 * and inflated, and 1 MiB: 2 MiB for streams of ours, up to 64 MiB for those of others.
 */
#include "base/jobs.h"
#include "dev/io.h"
#include "pool/format/superblock.h"

/*
 * Packs block 0 of @in, and of the other blocks those that are not all zero, into @fd, which
 * messages call @name.  @in counts in whole blocks, at most the format's limit.  0 or -errno.
 */
int pack_file(struct io *in, int fd, const char *name, struct jobs *jobs, struct err *err);

#define PACK_MAGIC UINT64_C(0xA537A0AA6309EF77) /* the first eight bytes of the file */

struct pack_header {
	uint64_t nr_blocks; /* of the metadata that was packed */
};

/* -EINVAL: "Not a pack file", a version or block size that is unknown, an impossible size. */
int pack_read_header(struct io *in, struct pack_header *h, struct err *err);

struct unpack_stats {
	uint64_t nr_blocks; /* that the file held */
	bool has_superblock; /* block 0 is there ... */
	bool superblock_is_zero; /* ... and all zero: the kernel would format the device */
	/* of the metadata space map, as the superblock says; 0: there is no valid one */
	uint64_t nr_allocated;
};

struct unpack_output {
	struct io *io; /* has room for the header's nr_blocks; NULL: reads and judges only, writes nothing */
	bool zeroed;   /* it reads as zeros already (a new file) */
	struct superblock_mark mark;
};

/*
 * Unpacks @in onto @out.  Block 0 is made invalid first and written last, after a
 * flush, so that no part of the metadata can be taken for the whole.  Fails with -EBADMSG for
 * a damaged or cut-off file, naming the stream's place, and then leaves block 0 invalid.
 */
int unpack_file(struct io *in, const struct pack_header *h, const struct unpack_output *out,
		struct jobs *jobs, struct unpack_stats *stats, struct err *err);

#endif
