/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VOLUME_TABLE_H
#define VOLUME_TABLE_H
/*
 * dm table files: how a pool, its devices and their external origins are described.
 *
 *	[NAME:] 0 LENGTH thin-pool META DATA BLOCK_SECTORS LOW_WATER [NR FEATURE...]
 *	[NAME:] 0 LENGTH thin POOL_DEV DEV_ID [ORIGIN]
 *
 * Exactly one thin-pool line and any number of thin lines.  Named lines of the kernel's
 * other targets are passed over, so that the whole of "dmsetup table" is a table file.
 */
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
	unsigned pool_line;
	sector_t pool_length;
	char *metadata, *data; /* paths, resolved */
	uint32_t data_block_size; /* sectors */
	uint64_t low_water;
	bool skip_block_zeroing, ignore_discard, no_discard_passdown, read_only, error_if_no_space;
	char *features; /* all feature words as they stand, unknown ones too, by one space; or NULL */
	struct table_thin *thin; /* in the order of the file */
	size_t nr_thins;
};

/* Parses the file.  A mistake names file, line and word: -EINVAL.  *out by table_free(). */
int table_read(const char *path, struct table **out, struct err *err);
void table_free(struct table *t);

/*
 * By NAME first, then by device id in decimal.  Where an id stands several times, the first
 * line without a name, else the first.  NULL: no such line.
 */
const struct table_thin *table_find(const struct table *t, const char *name_or_id);

/* What a POOL argument is, told apart by content. */
enum pool_kind { POOL_METADATA, POOL_XML, POOL_TABLE, POOL_UNFORMATTED };

struct pool_arg {
	enum pool_kind kind; /* never POOL_TABLE after pool_arg_open() */
	char *metadata;	     /* path of the metadata device or XML file */
	struct table *table; /* when the argument was a table (kind is then what its metadata is) */
	const char *foreign; /* open_damaged: what is there instead, or NULL; static */
};

/*
 * Looks at @path (opened shared, read only, closed again).  Contents that are none of them
 * count as metadata (damaged) where the first MiB has blocks of a pool; a table's mistakes are
 * the table parser's error; anything else (a filesystem, the data device) is named and refused.
 * Messages for missing, non-file and too small inputs are those of cli-contract.md 1.4; the codes
 * are -ENOENT, -ENODEV and -EUCLEAN.  Undone by pool_arg_fini() when it returned 0.
 */
int pool_arg_open(const char *path, struct pool_arg *out, struct err *err);
/* For commands that search all of the device: foreign contents count as damaged metadata. */
int pool_arg_open_damaged(const char *path, struct pool_arg *out, struct err *err);
/*
 * After salvage_new() gave @code: where nothing was found and the contents are foreign, @err says
 * so and -EINVAL is returned, else @code.
 */
int pool_arg_nothing_found(const struct pool_arg *p, int code, struct err *err);
void pool_arg_fini(struct pool_arg *p);

/*
 * For commands that read a pool: says why XML (unless @xml_too) or an unformatted pool
 * will not do.  0 or -EINVAL, -ENODATA.
 */
int pool_arg_readable(const struct pool_arg *p, bool xml_too, struct err *err);

#endif
