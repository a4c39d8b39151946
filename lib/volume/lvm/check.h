/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_LVM_CHECK_H
#define VOLUME_LVM_CHECK_H
/*
 * Compares LVM's records of thin pools with the pools' own metadata.  They differ when a power cut,
 * an older backup or a repair touched only one of them.
 */
#include "pool/format/pool_info.h"
#include "volume/lvm/lvm.h"

enum lvm_severity {
	LVM_NOTE,    /* for information */
	LVM_WARNING, /* usable, but something is lost or will go wrong */
	LVM_FAULT,   /* a volume or the pool cannot be used as it is */
};

/*
 * One mismatch: what it is, what it means, and the command that repairs it ("" if there is none).
 */
struct lvm_finding {
	enum lvm_severity severity;
	const char *kind; /* "transaction-behind": a word for programs */
	const struct lvm_vg *vg;
	const char *name; /* of the LV or PV; or NULL */
	const char *text;
	const char *mend;
};

struct lvm_findings {
	struct arena arena;
	struct lvm_finding *finding;
	size_t nr, cap;
	bool no_memory;
};

/* A pool as its metadata describes it; the caller can open it. */
struct lvm_pool_seen {
	const char *error; /* why it could not be opened; NULL: it was */
	uint64_t transaction;
	uint32_t data_block_size; /* sectors */
	uint64_t nr_data_blocks;
	uint64_t nr_metadata_blocks; /* the superblock's count */
	bool needs_check;
	const struct device_info *device; /* ascending by dev_id */
	size_t nr_devices;
};

/* PVs, their areas and the volumes, without looking into pools. */
void lvm_check_groups(const struct lvm *l, struct lvm_findings *f);
/* A pool, whose segment is @pool's first.  pools.c */
void lvm_check_pool(const struct lvm *l, const struct lvm_vg *vg, const struct lvm_lv *pool,
		    const struct lvm_pool_seen *seen, struct lvm_findings *f);

void lvm_findings_fini(struct lvm_findings *f);
/* A finding for the lists of the two functions above: @text and @mend are printf formats made by. */
void lvm_found(struct lvm_findings *f, enum lvm_severity severity, const char *kind, const struct lvm_vg *vg,
	       const char *name, const char *mend, const char *fmt, ...) __attribute__((format(printf, 7, 8)));

/* All of them as text, or in JSON. */
void lvm_findings_text(const struct lvm_findings *f, struct outbuf *out);
void lvm_findings_json(const struct lvm_findings *f, struct outbuf *out);

#endif
