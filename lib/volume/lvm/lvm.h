/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_LVM_LVM_H
#define VOLUME_LVM_LVM_H
/*
 * Volume groups of LVM, found on disks and in images without device-mapper and without root: labels
 * and partitions by content, the newest good text of all metadata areas, and the tables that follow
 * from it.  Everything is opened shared, for reading, and closed again; nothing is ever written.
 */
#include "base/text/outbuf.h"
#include "volume/lvm/vg.h"

struct lvm_options {
	const char *const *path; /* disks, partitions, images, folders of images, patterns */
	size_t nr_paths;
	const char *vg_backup; /* what vgcfgbackup wrote: counts instead of the disks' texts; or NULL */
	const char *vg; /* only this group, by its name; NULL: all */
	bool has_seqno;
	uint64_t seqno;	 /* take this one, also an older one that is still in a ring */
	bool write; /* the volumes are to be written: an older text than the newest is an error (-ENOTSUP) */
	bool all_texts; /* list the older texts too */
	unsigned leg;	/* of raid1 and mirror, or LVM_NO_LEG */
	void (*tell)(void *ctx, const char *text); /* takes warnings and notes; or NULL */
	void *ctx;
};

#define LVM_FILE SIZE_MAX

/* A text that was found. */
struct lvm_text {
	const struct config_node *root;
	const char *vg_name;
	char vg_id[LVM_ID_LEN + 1];
	uint64_t seqno;
	const char *description;
	uint64_t created;
	size_t pv;     /* index of the first that has it, or LVM_FILE: it is the file of --vg-backup */
	unsigned area; /* of the PV */
	uint64_t at;   /* where it begins, from the area's begin */
	size_t len;
	uint32_t crc;
	unsigned copies; /* areas that have it committed; 0: only left over in a ring */
	bool taken;	 /* the VG is made from it */
};

struct lvm {
	struct arena arena;
	struct lvm_pv *pv;
	size_t nr_pvs, pv_cap;
	struct lvm_vg *vg;
	size_t nr_vgs, vg_cap;
	struct lvm_text *text; /* in the order in which they were found */
	size_t nr_texts, text_cap;
	char **path; /* what the options' paths lead to */
	size_t nr_paths, path_cap;
	size_t nr_named; /* of these: named one by one, not found in a folder */
};

/*
 * Reads the groups.  -EUCLEAN: there is no PV at all, or no text that can be used; -ENOENT: a path
 * does not exist; -ENODATA: no text has that seqno, or no group has that name (the text lists
 * the existing ones); -EINVAL: two of the disks have the same id.  *out by lvm_free().
 */
int lvm_open(const struct lvm_options *opt, struct lvm **out, struct err *err);
void lvm_free(struct lvm *l);

/*
 * -EDOM: @output is one of the disks.  All of them were read; those of other groups, and those without a part of the
 * pool, are in no line of its table.
 */
int lvm_refuse_disk(const struct lvm *l, const char *output, struct err *err);

/* The member of a text that @pv is; NULL: of none. */
const struct lvm_member *lvm_member_of(const struct lvm *l, const struct lvm_pv *pv);

/* The state of @a in a word or two. */
const char *lvm_area_word(const struct lvm_area *a);

/*
 * The table file (volume/table/table.h) of all groups: a line for each segment of each LV.  LVs
 * have their names; with several groups the group's name and a slash come first.  An LV that cannot
 * be read gets an error line, with a comment that says why.  lines.c
 */
void lvm_write_table(const struct lvm *l, unsigned leg, struct outbuf *out);

#endif
