/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_LIST_H
#define POOL_LIST_H
/*
 * The devices of a pool and the facts about each: the fields of thin_ls.  Threads: one at a time.
 */
#include "base/text/similar.h"
#include "pool/query/usage.h"

struct picture;

#define LIST_NO_ROW SIZE_MAX

/* What must be read. */
enum list_depth {
	LIST_DETAILS,	/* the details of the devices only */
	LIST_MAPPED,	/* also the mappings: how many, and the highest */
	LIST_EXCLUSIVE, /* also how many blocks belong to one device alone */
	LIST_ALL,	/* also the number of extents, which devices are snapshots, and a picture */
};

struct list_row {
	const struct metadata_device *dev;
	struct usage_row usage; /* with LIST_MAPPED; .exclusive with LIST_EXCLUSIVE */
	uint64_t nr_extents;	/* with LIST_ALL */
	size_t snapshot_of;	/* with LIST_ALL: the row that it is a snapshot of; LIST_NO_ROW: of none */
	bool snapshot_certain;	/* by their times no other device can be the origin */
	/* From the device's line in a table: the caller fills it in. */
	bool listed;
	const char *name, *origin; /* NULL: the line has none */
	const char *pool; /* name of the pool; NULL: it has none */
	sector_t length;
};

struct list {
	struct list_row *row; /* NULL: nothing can be listed */
	size_t nr;
	/* With LIST_ALL: data blocks that one device maps, and that several do. */
	uint64_t nr_alone, nr_shared;
	struct forest forest;
	/* private */
	struct picture *picture; /* with LIST_ALL; .device there is an index of a row */
	struct metadata_devices devices;
};

/*
 * Reads the devices that have both a mapping tree and details.  What is wrong is told through
 * @problem, and the result is then -EUCLEAN or -EIO.  With LIST_DETAILS the devices that could be
 * read are listed all the same.  With more there are no rows then: an unreadable leaf may share
 * any block, so none of the numbers would be reliable.
 * *out by list_fini(), also after an error and when it is only zeroed.
 */
int list_read(const struct metadata *md, struct stream *s, enum list_depth depth,
	      forest_problem_fn *problem, void *ctx, struct list *out, struct err *err);
void list_fini(struct list *l);

struct list_field {
	const char *name; /* MAPPED_BLOCKS */
	const char *json; /* mapped_blocks */
	unsigned char what, unit; /* private */
};

/* The field with the name of @len bytes, or NULL. */
const struct list_field *list_field(const char *name, size_t len);
/* The name of field number @i; NULL: there are not so many. */
const char *list_field_name(size_t i);

/* What must be read for the field. */
enum list_depth list_field_depth(const struct list_field *f);
/* Is the field known only for a device that has a line in a table? */
bool list_field_needs_line(const struct list_field *f);
/* Is the field a size in bytes that people read with a unit? */
bool list_field_is_size(const struct list_field *f);

/* Has the row a value in this field? */
bool list_has(const struct list_row *r, const struct list_field *f);
/* The value, where it is a text; NULL where it is a number. */
const char *list_text(const struct list_row *r, const struct list_field *f);
/* The value, where it is a number.  @block_size: sectors. */
uint64_t list_number(const struct list_row *r, const struct list_field *f, uint32_t block_size);

/* Sorts by @f, then by the id of the device, which always ascends. */
void list_sort(struct list *l, const struct list_field *f, bool descending, uint32_t block_size);

#endif
