/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_EDIT_IMPL_H
#define POOL_EDIT_IMPL_H
/* The inside of struct pool_edit, private to this room. */
#include "pdata/map/transaction.h"
#include "pool/edit/edit.h"

/* A device that has been touched. */
struct edit_dev {
	struct pool_edit *pool;
	struct device_info info;
	struct btree map;
	struct btree_type type; /* map's, with this device in its name */
	char name[40];
	/*
	 * The path to the device in the top-level tree is this transaction's own.  Shadow that
	 * path before the device's tree: until then a held snapshot's reference is missing
	 * from the root's count.
	 */
	bool touched;
	bool root_changed; /* map.root differs from the root in the top level */
	bool info_changed;
};

struct pool_edit {
	struct io *io;
	bool write, changed, formatted;
	struct superblock sb;	     /* as it would be committed, but for roots and maps */
	struct superblock committed; /* as it is on disk */
	uint64_t nr_blocks;	     /* of the metadata device */
	struct transaction *transaction; /* owns the metadata map and tm */
	struct tm *tm;
	struct sm_edit data;
	bool has_data; /* data is initialised */
	struct btree_type top_type;
	struct btree top, details;
	struct runs *freed; /* or NULL */
	struct umap devs; /* id -> struct edit_dev * */
};

/* The device, opened; -ENOENT with a text. */
int edit_dev_get(struct pool_edit *p, uint32_t id, struct edit_dev **out, struct err *err);
/* The device, with its path in the top level made this transaction's own. */
int edit_dev_touch(struct pool_edit *p, uint32_t id, struct edit_dev **out, struct err *err);
void edit_dev_forget_all(struct pool_edit *p);
/* Roots and details of all changed devices into their trees. */
int edit_sync(struct pool_edit *p, struct err *err);

/* The types of the trees; edit_top_type() fills p->top_type. */
void edit_top_type(struct pool_edit *p);
extern const struct btree_type edit_details_type;

/* Begins a change: refuses it where the pool must not be changed, and trims the caches. */
int edit_begin(struct pool_edit *p, struct err *err);

#endif
