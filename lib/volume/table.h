/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VOLUME_TABLE_H
#define VOLUME_TABLE_H
/* dm table files: how a pool, its devices and their external origins are described. */
#include "base/err.h"
#include "base/units.h"

struct table_thin {
	char *name; /* NULL when the line has none */
	uint32_t dev_id;
	sector_t length;
	char *origin; /* path resolved against the table's folder; NULL: none */
	unsigned line;
};

struct table {
	char *path;	/* of the table file itself */
	char *pool_name; /* or NULL */
	sector_t pool_length;
	char *metadata, *data; /* paths, resolved */
	uint32_t data_block_size; /* sectors */
	uint64_t low_water;
	bool skip_block_zeroing, ignore_discard, no_discard_passdown, read_only, error_if_no_space;
	struct table_thin *thin;
	size_t nr_thins;
};

/* Parses the file.  A mistake names file, line and word: -EINVAL.  *out by table_free(). */
int table_read(const char *path, struct table **out, struct err *err);
void table_free(struct table *t);

/* By NAME first, then by device id in decimal.  NULL: no such line. */
const struct table_thin *table_find(const struct table *t, const char *name_or_id);

/* What a POOL argument is, told apart by content. */
enum pool_kind { POOL_METADATA, POOL_XML, POOL_TABLE, POOL_UNFORMATTED };

struct pool_arg {
	enum pool_kind kind;
	char *metadata;	     /* path of the metadata device or XML file */
	struct table *table; /* when the argument was a table (kind is then what its metadata is) */
};

/*
 * Looks at @path (opened shared, read only, closed again).  Contents that are none of them
 * count as metadata (damaged), unless they are text: then the table parser's error is the error.
 * Messages for missing, non-file and too small inputs are those of cli-contract.md 1.4.
 */
int pool_arg_open(const char *path, struct pool_arg *out, struct err *err);
void pool_arg_fini(struct pool_arg *p);

#endif
