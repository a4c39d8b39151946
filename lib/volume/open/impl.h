/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_OPEN_IMPL_H
#define VOLUME_OPEN_IMPL_H
/* What the room's files share. */
#include "volume/open/pool_source.h"

/*
 * The second half of table_read(), over all lines: names stand once, each thin line gets its
 * pool, one pool is chosen, its devices come first.  table_choose.c
 */
int table_choose(struct table *t, const struct pool_want *want, struct err *err);

enum table_kind { TABLE_POOL, TABLE_THIN, TABLE_DEVICE };

/* A line by its name. */
struct table_name {
	const char *name;
	unsigned line;
	enum table_kind kind;
	size_t index; /* in pools, thin or device */
	struct table_ref *ref;
};

/* NULL: no line has this name, which may have /dev/mapper/ in front.  names.c */
struct table_name *table_name_find(const struct table *t, const char *name);
/* Sorts the names of all lines into t->names; each must stand once. */
int table_names(struct table *t, struct err *err);
/* The name that a line gives to the number; NULL: none. */
const char *table_number_name(const struct table *t, unsigned major, unsigned minor);

/* Behind table_choose(): words that name lines become names of named.h.  Loops are refused.  link.c */
int table_link(struct table *t, const char *folder, struct err *err);

/*
 * The line @n as a device of named.h; NULL: no memory.  table_refs_free() undoes it.  ref.c
 */
const char *table_ref(struct table *t, struct table_name *n);
void table_refs_free(struct table *t);
struct table_name *table_ref_name(const struct table_ref *r);
struct table_ref *table_ref_next(const struct table_ref *r);
/*
 * Says which devices the numbers are on which @d of @line stands, each once; -ENOENT as
 * table_number_is_here().  numbers.c
 */
int table_tell_numbers(struct table *t, unsigned line, const struct table_dev *d,
		       const struct pool_want *want, struct err *err);
/* The same of all devices that the lines of @d name. */
int table_tell_device(struct table *t, const struct table_device *d, const struct pool_want *want, struct err *err);
/* -ENOENT, with the way out, when @d is a number that no line and no device of this machine has. */
int table_number_is_here(const struct table *t, unsigned line, const struct table_dev *d,
			 struct err *err);

/* pool_source_open_arg() whose metadata is in @io, which passes to *out; NULL: what @arg names. */
int pool_source_open_io(struct pool_arg *arg, struct io *io, const struct pool_source_options *opt,
			struct pool_source *out, struct err *err);

#endif
