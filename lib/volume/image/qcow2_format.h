/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_QCOW2_FORMAT_H
#define VOLUME_QCOW2_FORMAT_H
/*
 * qcow2 on disk, big-endian (docs/interop/qcow2 of QEMU).  A file is a row of clusters of 2^bits
 * bytes.  The L1 table names L2 tables, each a cluster of 8-byte entries, one for each cluster of the
 * disk.  Reference counts stand in blocks of a cluster, which the refcount table names.
 */
#include <stdint.h>

#define QCOW2_MAGIC 0x514649fbu
#define QCOW2_MIN_BITS 9
#define QCOW2_MAX_BITS 21
#define QCOW2_MAX_L1 (32u << 20) /* bytes, as in qemu */
#define QCOW2_MAX_NAME 1023 /* bytes of a backing file's name */

/* Offsets of the header's fields. */
enum qcow2_header {
	H_MAGIC = 0,
	H_VERSION = 4,
	H_BACKING_AT = 8,
	H_BACKING_LEN = 16,
	H_CLUSTER_BITS = 20,
	H_SIZE = 24,
	H_CRYPT = 32,
	H_L1_NR = 36,
	H_L1_AT = 40,
	H_REFTABLE_AT = 48,
	H_REFTABLE_CLUSTERS = 56,
	H_NR_SNAPSHOTS = 60,
	H_SNAPSHOTS_AT = 64,
	H_LEN_V2 = 72, /* version 2 ends here */
	H_INCOMPATIBLE = 72,
	H_COMPATIBLE = 80,
	H_AUTOCLEAR = 88,
	H_REFCOUNT_ORDER = 96,
	H_LEN = 100,
	H_COMPRESSION = 104, /* a byte */
	H_LEN_V3 = 104,	     /* at least */
};

#define HEADER_MADE 112 /* length of the headers written here */

#define EXT_END 0u
#define EXT_BACKING_FORMAT 0xe2792acau
#define EXT_FEATURE_NAMES 0x6803f857u

#define INCOMPATIBLE_DIRTY 1u	/* reference counts may be wrong: no matter for who reads */
#define INCOMPATIBLE_CORRUPT 2u
#define INCOMPATIBLE_EXTERNAL 4u
#define INCOMPATIBLE_COMPRESSION 8u
#define INCOMPATIBLE_SUBCLUSTERS 16u

#define ENTRY_COPIED (UINT64_C(1) << 63) /* the count of what it names is 1 */
#define ENTRY_COMPRESSED (UINT64_C(1) << 62)
#define ENTRY_ZERO UINT64_C(1)
#define ENTRY_OFFSET (((UINT64_C(1) << 56) - 1) & ~UINT64_C(511))

/* A compressed cluster's entry: its offset in the low bits, the number of further sectors above. */
static inline unsigned compressed_shift(unsigned cluster_bits)
{
	return 62 - (cluster_bits - 8);
}

#endif
