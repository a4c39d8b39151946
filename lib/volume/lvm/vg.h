/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_LVM_VG_H
#define VOLUME_LVM_VG_H
/*
 * A volume group as LVM's text describes it.  Sizes are extents where nothing else is said, sectors
 * are of 512 bytes.  Names are resolved to pointers; an unknown name becomes NULL.  All memory is
 * of the arena that lvm_vg_build() was given.
 */
#include "volume/lvm/conf.h"
#include "volume/lvm/pv.h"

enum lvm_type {
	LVM_STRIPED, /* linear too: one stripe */
	LVM_THIN_POOL,
	LVM_THIN,
	LVM_ZERO,
	LVM_ERROR,
	LVM_LEGS,  /* raid1, mirror */
	LVM_OTHER, /* raid5, cache, vdo, ...: cannot be followed */
};

/* A PV of the text. */
struct lvm_member {
	const char *name; /* in the text only: pv0, pv1 */
	char id[LVM_ID_LEN + 1];
	const char *device; /* LVM's hint where it was */
	uint64_t dev_size, pe_start; /* sectors */
	uint64_t pe_count;
	const struct lvm_pv *pv; /* NULL: no disk or image with this id was given */
};

/*
 * The place of a stripe or a leg: extents of a PV or of an LV.  Both NULL: the text names neither.
 */
struct lvm_place {
	const struct lvm_member *member;
	struct lvm_lv *lv;
	const char *name;
	uint64_t extent;
};

struct lvm_seg {
	uint64_t start, len;
	enum lvm_type type;
	const char *type_name; /* as in the text, with what stands behind + */
	struct lvm_place *place; /* stripes, or legs */
	unsigned nr_places;
	uint64_t stripe_size; /* sectors */

	/* thin-pool */
	struct lvm_lv *metadata, *data;
	uint64_t chunk_size; /* sectors */
	const char *discards; /* or NULL */
	bool zero;
	unsigned nr_messages; /* that LVM has not sent yet */

	/* thin-pool: the pool's; thin: that of its creation */
	uint64_t transaction;

	/* thin */
	struct lvm_lv *pool;
	uint32_t dev_id;
	const char *origin; /* the LV it is a snapshot of: for information; or NULL */
	const char *external_name; /* or NULL */
	struct lvm_lv *external;
};

struct lvm_lv {
	const char *name, *id;
	bool visible, writable, skip_activation, error_when_full;
	bool moving; /* by a pvmove that was interrupted: a mirror whose first leg is always in sync */
	uint64_t size; /* extents */
	struct lvm_seg *seg;
	unsigned nr_segs;
	const char *fault; /* what is wrong in the text; or NULL */
	const char *cow_of; /* the non-thin snapshot whose COW store it is; or NULL */
	/* lvm_judge() */
	const char *why; /* it cannot be read; NULL: it can */
	bool upon;	 /* because of another LV below it */
	bool loop;	 /* it is stacked on itself */
	uint64_t missing; /* extents of its own that lie on PVs that are not there */
	uint64_t cut;	  /* extents of its own that lie behind the end of an image that is cut off */
	bool partial; /* it, or something below it, has such extents */
	unsigned char state;
};

struct lvm_vg {
	const char *name;
	const char *shown; /* the name; with the id's begin behind @ where two groups have one name */
	char id[LVM_ID_LEN + 1];
	uint64_t seqno, extent_size; /* sectors */
	bool exported;
	const char *lock_type; /* hosts share the group through these locks; or NULL */
	const char *system_id; /* the host that owns the group; or NULL */
	const char *description; /* the command that wrote the text; or NULL */
	uint64_t created;	 /* seconds since 1970; 0: not known */
	struct lvm_member *member;
	unsigned nr_members;
	struct lvm_lv *lv; /* in the order of the text */
	unsigned nr_lvs;
	struct lvm_lv **by_name;
};

/*
 * The group in a parsed text.  -EINVAL: it has none, or lacks what a group must have.  What is wrong
 * with a single LV is that LV's fault.
 */
int lvm_vg_build(const struct config_node *root, struct arena *arena, struct lvm_vg *out,
		 struct err *err);

/* Does the image or partition of the member, which is there, end before its last extent? */
static inline bool lvm_member_is_cut(const struct lvm_vg *vg, const struct lvm_member *m)
{
	return m->pv->there >> SECTOR_SHIFT < m->pe_start + m->pe_count * vg->extent_size;
}

/* The section of a parsed text that describes a volume group; NULL: none. */
const struct config_node *lvm_vg_section(const struct config_node *root);
/*
 * Has @name only characters that LVM lets names have?  Other characters could add lines to a table.
 */
bool lvm_name_ok(const char *name);
/* @id without its dashes into @out; false: it has not the length of an id. */
bool lvm_id_plain(const char *id, char out[LVM_ID_LEN + 1]);

struct lvm_lv *lvm_find_lv(const struct lvm_vg *vg, const char *name);

/* The first segment of that type, which is the only one of a pool or thin LV; NULL: none. */
static inline const struct lvm_seg *lvm_seg_of(const struct lvm_lv *lv, enum lvm_type type)
{
	return lv && lv->nr_segs && lv->seg[0].type == type ? &lv->seg[0] : NULL;
}

/* The value for "no leg is chosen". */
#define LVM_NO_LEG UINT32_MAX

/* The leg of @lv that is read where @leg is chosen. */
static inline unsigned lvm_leg_of(const struct lvm_lv *lv, unsigned leg)
{
	return leg == LVM_NO_LEG && lv->moving ? 0 : leg;
}

/*
 * Once the members' PVs are set: which LVs can be read, and why others cannot.  @leg: of raid1 and
 * mirror, or LVM_NO_LEG.  -ENOMEM.  judge.c
 */
int lvm_judge(struct lvm_vg *vg, unsigned leg, struct arena *arena, struct err *err);

#endif
