/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_POOL_ARG_H
#define VOLUME_POOL_ARG_H
/* The POOL argument of a command: metadata, XML, a table, a disk with LVM, or an active pool. */
#include "dev/io.h"
#include "volume/open/pool_want.h"

/* What a POOL argument is, judged by its contents. */
enum pool_kind { POOL_METADATA, POOL_XML, POOL_TABLE, POOL_UNFORMATTED, POOL_LINE };

struct pool_arg {
	enum pool_kind kind; /* never POOL_TABLE after pool_arg_open() */
	char *metadata;	     /* path of the metadata device or XML file; POOL_LINE: NULL */
	struct table *lines; /* when it was TABLE:NAME: that table; or NULL */
	struct table *table; /* when the argument was a table (kind is then what its metadata is) */
	const char *foreign; /* with pool_want.damaged: what is there instead of a pool, static; or NULL */
};

/*
 * Looks at @path (opened shared, read only, closed again); "-" is standard input, which
 * dev_stdin_as_file() keeps where it is a pipe: a table, XML, or metadata to be read.  Contents
 * that are none of them count as metadata (damaged) where the first MiB has blocks of a pool; a
 * table's mistakes are the table parser's error; anything else (a filesystem, the data device) is
 * named and refused, unless @want says damaged.  Messages for missing, non-file and too small
 * inputs are those that callers of such tools know; the codes are -ENOENT, -ENODEV and -EUCLEAN,
 * and table_read()'s.  @want may be NULL.  Undone by pool_arg_fini() when it returned 0.
 */
DEV_ONCE int pool_arg_open(const char *path, const struct pool_want *want, struct pool_arg *out,
		  struct err *err);
/* dev_open() of p->metadata.  -EBUSY of an active pool has a text that says what to do. */
int pool_arg_open_metadata(const struct pool_arg *p, unsigned flags, struct io **out, struct err *err);
/*
 * The POOL argument that a table in memory describes: table_parse() made it.  @t passes to *out, and is
 * freed when that fails.  pool_source_open_arg() and pool_salvage_open_arg() take it from there.
 */
DEV_ONCE int pool_arg_open_table(struct table *t, const struct pool_want *want,
				 struct pool_arg *out, struct err *err);
/*
 * After salvage_new() gave @code: where nothing was found and the contents are foreign, @err says
 * so and -EINVAL is returned, else @code.
 */
int pool_arg_nothing_found(const struct pool_arg *p, int code, struct err *err);
void pool_arg_fini(struct pool_arg *p);

/*
 * dev_roles_apart() for the parts that a thin device is read from: the metadata, @data, the external @origin (each
 * may be NULL) and the table file.  Another thin device of the pool as @origin stands on the same parts.
 */
int pool_arg_parts_apart(const struct pool_arg *p, const char *pool, const char *data, const char *origin,
			 struct err *err);

/*
 * dev_roles_apart() for one more file or device, such as the output: it must be none that the pool or an
 * external origin of its table is made of.  @pool: the POOL argument.
 */
int pool_arg_apart(const struct pool_arg *p, const char *pool, const struct dev_role *role,
		   struct err *err);
/* -EINVAL with both numbers when the table has another block size than the pool: @sectors. */
int pool_arg_fits(const struct pool_arg *p, uint32_t sectors, struct err *err);

/* Says which device @d of the table's @line is here when the word is a number; -ENOENT: none. */
int pool_arg_device_numbers(const struct pool_arg *p, const struct table_dev *d, unsigned line,
			    const struct pool_want *want, struct err *err);

/*
 * The path that opens the pool's data device: the one that an option names (@given, table_device_path()), or
 * the table's; @want, unless NULL, is told which device a number is.  *path NULL: there is neither.
 * 0, -ENOENT or -ENOMEM.
 */
int pool_arg_data_path(const struct pool_arg *p, const char *given, const struct pool_want *want,
		       const char **path, struct err *err);

/* The pool found on the devices that a table names. */
struct pool_found {
	uint32_t data_block_size; /* sectors */
	uint64_t nr_data_blocks;
	uint64_t data_size; /* bytes of the data device; 0: not known */
};
/*
 * For actions that cannot be undone (formatting, discarding, moving): when the table names metadata
 * or data by MAJOR:MINOR, the pool found there must fit the table, unless @force.  @found NULL:
 * none is there.  0 or -EINVAL.
 */
int pool_arg_trust_numbers(const struct pool_arg *p, const struct pool_found *found, bool force,
			   struct err *err);

/*
 * For commands that read a pool: refuses XML (unless @xml_too) and an unformatted pool, and says
 * why.  0 or -EINVAL, -ENODATA.
 */
int pool_arg_readable(const struct pool_arg *p, bool xml_too, struct err *err);

#endif
