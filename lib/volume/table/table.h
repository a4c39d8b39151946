/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_TABLE_H
#define VOLUME_TABLE_H
/*
 * dm table files: how pools, their devices and their external origins are described.
 *
 *	[NAME:] 0 LENGTH thin-pool META DATA BLOCK_SECTORS LOW_WATER [NR FEATURE...]
 *	[NAME:] 0 LENGTH thin POOL_DEV DEV_ID [ORIGIN]
 *	NAME: START LENGTH linear DEV OFFSET
 *	NAME: START LENGTH striped NR STRIPE_SECTORS DEV OFFSET...
 *	NAME: START LENGTH zero
 *	NAME: START LENGTH error
 *	NAME:MAJOR:MINOR			the number that NAME has in other lines
 *
 * Any number of each; the lines of one linear, striped, zero or error device ascend without a gap.
 * A word that names a device may be another line's NAME, with /dev/mapper/ in front or not, or its
 * number.  Named lines of the kernel's other targets are passed over, so that the whole of "dmsetup
 * table" is a table file.  A blank in a path is written \040, as in fstab.  See thin-pool-table(5).
 */
#include "base/err.h"
#include "base/units.h"
#include "dev/dev.h"
#include "dev/stack.h"

/* A word that names a device or file. */
struct table_ref;

struct table_dev {
	/*
	 * What dev_open() opens: a path, relative ones resolved against the table's folder, or the name of a
	 * line of the table (named.h), which holds until table_free(); or NULL.
	 */
	char *path;
	char *word;	/* as written in the table */
	struct table_ref *ref; /* the line that it names; NULL: none */
	bool by_number; /* it, or a device below, is MAJOR:MINOR: another device after a boot */
};

struct table_pool {
	char *name; /* or NULL */
	unsigned line;
	sector_t length;
	struct table_dev metadata, data;
	uint32_t data_block_size; /* sectors */
	uint64_t low_water;
	bool skip_block_zeroing, ignore_discard, no_discard_passdown, read_only, error_if_no_space, of_lvm;
	char *features;	      /* all feature words as they stand, unknown ones too, by one space; or NULL */
	char *feature_fault; /* why the kernel would refuse the features; or NULL */
	uint64_t transaction; /* that LVM's text says, if it is @of_lvm */
};

struct table_thin {
	char *name; /* NULL when the line has none */
	char *pool_dev; /* as it stands there, without /dev/mapper/ */
	size_t pool;	/* index of the pool that it belongs to; TABLE_NO_POOL: of none in the file */
	uint32_t dev_id;
	sector_t length;
	struct table_dev origin; /* without a path: none */
	bool read_only; /* LVM has it so */
	unsigned line;
};

#define TABLE_NO_POOL SIZE_MAX

/* One line of a linear, striped, zero or error device. */
struct table_segment {
	unsigned line;
	sector_t start, length, stripe;
	enum stack_kind kind;
	uint32_t nr_legs;
	size_t first_leg;
	size_t next; /* the device's next segment; SIZE_MAX: none */
};

struct table_leg {
	struct table_dev dev;
	sector_t at;
};

/* A named line, or several of one name, that is neither a pool nor a thin device. */
struct table_device {
	char *name;
	unsigned line;
	sector_t length;
	const char *target;   /* of a device that is passed over; NULL: it is made of segments */
	size_t first, last; /* segments */
};

/* NAME:MAJOR:MINOR */
struct table_number {
	unsigned major, minor;
	char *name;
};

/* What the kernel says of an active pool; where POOL is a thin device of it, also of that device. */
struct table_active {
	bool is_active;
	char *thin; /* the device's line; NULL: POOL is the pool */
	char *path; /* what opens the device */
	unsigned open_count;
	bool writable;
	sector_t mapped;
};

enum table_kind { TABLE_POOL, TABLE_THIN, TABLE_DEVICE };

/* A line by its name. */
struct table_name {
	const char *name;
	unsigned line;
	enum table_kind kind;
	size_t index; /* in pools, thin or device */
	struct table_ref *ref;
};

struct table {
	char *path; /* of the table file itself */
	unsigned nr_groups; /* of LVM, which made the pools; 0: the table is not thin_lvm's */
	char *group; /* name of the only one; or NULL */
	bool in_memory; /* the POOL argument is no table file, but a disk with LVM, or active */
	struct table_active active;
	struct table_pool *pools;
	size_t nr_pools;
	const struct table_pool *pool; /* the chosen one; NULL: there is none, and .other is there */
	struct table_name *other; /* the line that POOL names, which is no thin device (table_want.other); or NULL */
	/* The chosen pool's devices, in the order of the file.  Behind them stand the other pools'. */
	struct table_thin *thin;
	size_t nr_thins, nr_all_thins;
	struct table_device *device;
	struct table_segment *seg;
	struct table_leg *leg;
	struct table_number *number;
	size_t nr_devices, nr_segs, nr_legs, nr_numbers;
	struct table_name *names; /* of all lines, sorted */
	size_t nr_names;
	uint64_t *told; /* numbers that the user knows already */
	size_t nr_told, cap_told;
	struct table_ref *refs; /* the lines that other lines, or options, name */
	/*
	 * Opens @d, of any pool of the table, for reading; NULL: no device may stand on a thin one.
	 */
	int (*open_thin)(struct table *t, const struct table_thin *d, unsigned flags, struct io **out,
			 struct err *err);
};

/* How to take a table.  All zero: the only pool, for reading, silently. */
struct table_want {
	const char *pool;      /* --pool NAME; NULL: the only one, or that of @device */
	bool pool_of_several;  /* @pool counts only where there are several pools: it is a name in another file, too */
	const char *device[2]; /* where one is the NAME of a line, that line's pool is meant; or NULL */
	bool any_pool;	    /* any pool is accepted, because only other lines are used */
	/* table.open_thin: thin_io_open(), for readers of external origins; or NULL */
	int (*open_thin)(struct table *t, const struct table_thin *d, unsigned flags, struct io **out,
			 struct err *err);
	bool write;	    /* the pool is changed: read_only and unknown features are errors (-ENOTSUP) */
	/*
	 * table_other_line(): where no thin device is called @device[0], another line may be, which becomes
	 * table.other and POOL_LINE, and then no pool is needed; or NULL.
	 */
	struct table_name *(*other)(const struct table *t, const char *word);
	void (*tell)(void *ctx, const char *text); /* takes warnings and notes; or NULL */
	void *ctx;
};

/*
 * Parses the file ("-": standard input, whose relative paths count from the current folder) and
 * chooses the pool.  A mistake names file, line and word: -EINVAL.  -EDOM: the file has several
 * pools and @want chooses none of them.  *out by table_free().
 */
DEV_ONCE int table_read(const char *path, const struct table_want *want, struct table **out, struct err *err);
/*
 * The same for a text in memory that some program wrote, such as a reader of another format; it ends
 * in a 0 and is taken apart in place.  @shown: what messages call the table; @folder: where relative
 * paths count from, with a slash at its end, or "".
 */
DEV_ONCE int table_parse(const char *shown, const char *folder, char *text,
			 const struct table_want *want, struct table **out, struct err *err);
/*
 * Where @word is no file but TABLE:NAME: the table, after which dev_open() and the guards take @word for
 * that line of it until table_free().  0 and NULL: it is something else.  -EINVAL: no such line.
 */
int table_open_line(const char *word, struct table **out, struct err *err);
void table_free(struct table *t);

/* @pool, the POOL argument, where that is a table file; for struct dev_role. */
static inline const char *table_file(const struct table *t, const char *pool)
{
	return t && !t->in_memory ? pool : NULL;
}

/*
 * Among the chosen pool's devices: by NAME first, then by device id in decimal.  Where an id
 * stands several times, the first line without a name, else the first.  NULL: no such line.
 */
const struct table_thin *table_find(const struct table *t, const char *name_or_id);
/* The name of a device that @name may be a typing error for, of the table; NULL: none is like it. */
const char *table_similar_name(const struct table *t, const char *name);
/*
 * The id of the device that a person calls @device, and its line, NULL when it has none.  @t may be
 * NULL, where @pool, the word for messages, is no table.  -ENODATA: it is neither a name nor an id.
 */
int table_device(const struct table *t, const char *device, const char *pool, uint32_t *id,
		 const struct table_thin **line, struct err *err);

/*
 * The path that opens the device that an option names: @word itself where that exists, else the
 * line of that name, if there is one.  @t may be NULL.  Lives as long as both.  NULL: no memory.
 */
const char *table_device_path(struct table *t, const char *word);

/* The line of @t, neither a pool nor a thin device, that a person calls @word; NULL: there is none. */
struct table_name *table_other_line(const struct table *t, const char *word);
/* -EDOM: several lines, thin devices or not, are called @word, each in another group of LVM. */
int table_is_unique(const struct table *t, const char *word, struct err *err);

/*
 * The line @n as a device of named.h; NULL: no memory.  Lives as long as @t.
 */
const char *table_ref(struct table *t, struct table_name *n);
/* Is @path, as table_ref() gives it, a thin device of the chosen pool? */
bool table_is_own_thin(const struct table *t, const char *path);
/*
 * The next external origin of a thin line, from line *@i on; *@i becomes the line after it.
 * NULL: there are no more, or no @t.  Thin devices of the chosen pool are left out, and lines in
 * a row that have the same origin give it once.
 */
const char *table_next_origin(const struct table *t, size_t *i);
/*
 * Says which devices the numbers are on which @d of @line stands, each once; -ENOENT when
 * one is a number that no line and no device of this machine has.
 */
int table_tell_numbers(struct table *t, unsigned line, const struct table_dev *d,
		       const struct table_want *want, struct err *err);
/* The same of all devices that the lines of @d name. */
int table_tell_device(struct table *t, const struct table_device *d, const struct table_want *want, struct err *err);

/*
 * -EINVAL with the reason: @d is the external origin of other lines, of whatever pool, or below one; or LVM has it
 * read-only.
 */
int table_may_write(const struct table *t, const struct table_thin *d, struct err *err);

/* Has any of the chosen pool's devices an external origin? */
bool table_has_origins(const struct table *t);

/*
 * -EDOM, with a text for a user who asks for a device that is in the pool but not in the table: the
 * line to add, @ways (the options that do the same), and the origins in the table.  @mapped_end:
 * sector where its last mapped block ends.
 */
int table_not_listed(const struct table *t, uint32_t dev_id, sector_t mapped_end, const char *ways,
		     struct err *err);

#endif
