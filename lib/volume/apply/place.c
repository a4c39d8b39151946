/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/apply/place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "base/text/parse.h"
#include "base/zero.h"
#include "dev/dev.h"
#include "pool/format/format.h"
#include "volume/guard/occupied.h"
#include "volume/open/origin.h"
#include "volume/target/target.h"

#define ZEROS ((size_t)1 << 20)
#define NR_FILES 2

typedef unsigned long long ull;

struct place {
	char *name;
	const char *file[NR_FILES + 1];
	uint64_t size;
	struct io *io; /* file or block device */
	bool is_file;
	struct target *target; /* thin device */
	struct target_dev *dev;
	struct io *origin;
	bool written; /* the target: until then a pool whose devices have grown stays as it is on the disk */
};

const char *const *place_files(const struct place *p)
{
	return p->file;
}

const char *place_name(const struct place *p)
{
	return p->name;
}

uint64_t place_size(const struct place *p)
{
	return p->size;
}

bool place_can_grow(const struct place *p)
{
	return p->is_file;
}

int place_close(struct place *p, struct err *err)
{
	int r = 0;

	if (!p)
		return 0;
	if (p->target && p->written)
		r = target_close(p->target, err);
	else
		target_drop(p->target);
	io_free(p->origin);
	io_free(p->io);
	free(p->name);
	free(p);
	return r;
}

/* A file that is not the bytes of a disk. */
static int refuse_file(const char *path, struct io *io, struct err *err)
{
	const char *format, *packed;
	int r = occupied_check(path, io, FOR_UPDATE, err);

	if (r)
		return r;
	r = origin_format(io, &format, &packed, err);
	if (r || (!format && !packed))
		return r;
	if (packed)
		return err_set(err, -EEXIST, "%s: is %s; nothing was written (--force overwrites it)", path, packed);
	return err_set(err, -EEXIST,
		       "%s: is a %s image, and only the raw bytes of a disk can be changed: "
		       "nothing was written (--force "
		       "overwrites it)",
		       path, format);
}

int place_open_raw(const char *path, const struct place_options *opt, struct place **out,
		   struct err *err)
{
	struct place *p = calloc(1, sizeof(*p));
	struct stat st;
	int r;

	if (p)
		p->name = strdup(path);
	if (!p || !p->name) {
		free(p);
		return err_nomem(err, "target");
	}
	p->file[0] = path;
	r = dev_open(path, (opt->dry_run ? DEV_DRY : DEV_WRITE) | DEV_BUFFERED, &p->io, err);
	if (!r && opt->whole && !opt->force && !fstat(p->io->fd, &st) && S_ISBLK(st.st_mode))
		r = occupied_check(path, p->io, FOR_IMAGE, err);
	if (r == -ENOENT && opt->whole)
		err_set(err, r, "Couldn't find '%s': check the name; for a new image create an "
				"empty file first: truncate -s 0 '%s'", path, path);
	if (!r) {
		p->size = p->io->size;
		p->is_file = !fstat(p->io->fd, &st) && S_ISREG(st.st_mode);
		if (p->is_file && !opt->force)
			r = refuse_file(path, p->io, err);
	}
	if (r)
		place_close(p, NULL);
	else
		*out = p;
	return r;
}

/*
 * Zeroes new blocks and unmaps zeros, whatever the table says: otherwise parts that an image leaves
 * out would show old bytes of the pool.
 */
static void choose_features(struct table *t)
{
	for (size_t i = 0; t && i < t->nr_pools; i++) {
		t->pools[i].skip_block_zeroing = false;
		t->pools[i].ignore_discard = false;
	}
}

/* The line of the device, and its size. */
static int judge_line(const struct pool_arg *arg, const struct table_thin *line, const char *device,
		      const struct place_options *opt, uint64_t *size, struct err *err)
{
	*size = line ? line->length << SECTOR_SHIFT : opt->size;
	if (arg->table && !line)
		return err_set(err, -EDOM, "device %s has no line in the table, so its size and "
					   "origin are not known: add 'NAME: 0 SECTORS thin "
					   "POOL_DEV %s [ORIGIN]'",
			       device, device);
	if (!*size)
		return err_set(err, -EDOM, "the size of device %s is not known: name the pool by a table", device);
	if (opt->size > *size)
		return err_set(err, -ERANGE,
			       "device %s has %llu bytes, the image has %llu: nothing was written; change its "
			       "LENGTH in the table",
			       device, (ull)*size, (ull)opt->size);
	return line ? table_may_write(arg->table, line, err) : 0;
}

static int roles_apart(const struct pool_arg *arg, const char *data, const char *origin, struct err *err)
{
	const char *pool = arg->table ? arg->table->path : arg->metadata;
	int r = pool_arg_parts_apart(arg, pool, data, origin, err);

	if (!r && table_is_own_thin(arg->table, origin))
		return err_set(err, -EINVAL, "'%s' is the external origin and a device of the same pool: a write could "
					     "change its bytes, so the device can only be read", origin);
	return r ?: pool_arg_apart(arg, pool, &(struct dev_role){ "data device", data }, err);
}

int place_open_thin(struct pool_arg *arg, const char *device, const struct place_options *opt,
		    struct place **out, struct err *err)
{
	struct place *p = calloc(1, sizeof(*p));
	const struct table_thin *line = NULL;
	const char *data = NULL, *origin = opt->origin;
	uint32_t id = 0;
	int r;

	if (p)
		p->name = strdup(device);
	if (!p || !p->name) {
		free(p);
		return err_nomem(err, "target");
	}
	r = pool_arg_readable(arg, false, err);
	if (!r)
		r = table_device(arg->table, device, arg->table ? arg->table->path : arg->metadata, &id, &line,
			 err);
	if (!r)
		r = judge_line(arg, line, device, opt, &p->size, err);
	if (!r)
		r = pool_arg_data_path(arg, opt->data, NULL, &data, err);
	if (origin)
		origin = table_device_path(arg->table, origin);
	else if (line)
		origin = line->origin.path;
	p->file[0] = arg->metadata;
	p->file[1] = data;
	choose_features(arg->table);
	if (!r && !data)
		r = err_set(err, -EDOM, "%s is bare metadata, which does not name the data device: give --data-dev "
			    "DEV, or a table file",
			    arg->metadata);
	if (!r)
		r = roles_apart(arg, data, origin, err);
	if (!r && origin)
		r = origin_open(origin, DEV_BUFFERED, opt->origin_raw, &p->origin, err);
	if (!r)
		r = target_open(arg, data, opt->dry_run ? DEV_DRY : DEV_WRITE, false, &p->target, err);
	if (!r)
		r = target_device(p->target, id, p->size, p->origin, &p->dev, err);
	if (r == -ENOENT) /* of the pool; no file is missing */
		r = -EINVAL;
	if (r)
		place_close(p, NULL);
	else
		*out = p;
	return r;
}

int place_grow(struct place *p, uint64_t size, struct err *err)
{
	if (size <= p->size)
		return 0;
	if (!p->is_file)
		return err_set(err, -ERANGE, "%s: has %llu bytes, the image needs %llu", p->name, (ull)p->size,
			       (ull)size);
	return place_cut(p, size, err);
}

int place_cut(struct place *p, uint64_t size, struct err *err)
{
	if (!p->is_file || size == p->size)
		return 0;
	if (ftruncate(p->io->fd, (off_t)size)) /* no input tells a size above INT64_MAX */
		return err_sys(err, -errno, "%s: setting its size to %llu bytes", p->name, (ull)size);
	p->size = p->io->size = size;
	return 0;
}

int place_read(struct place *p, void *buf, size_t len, uint64_t at, struct err *err)
{
	return p->dev ? target_read(p->dev, buf, len, at, err) : io_read(p->io, buf, len, at, err);
}

/* To the target; @buf NULL: zeros. */
static int write_target(struct place *p, const uint8_t *buf, uint64_t len, uint64_t at, struct err *err)
{
	p->written = true;
	return buf ? target_write(p->dev, buf, len, at, err) : target_zero(p->dev, len, at, true, err);
}

/* Has the device other bytes there?  Bytes that cannot be read, as on a lost part of the origin, are others.  @buf NULL: zeros. */
static bool differs(struct place *p, void *old, const uint8_t *buf, uint64_t len, uint64_t at)
{
	uint64_t n;

	for (uint64_t done = 0; done < len; done += n) {
		n = MIN(len - done, ZEROS);
		if (target_read(p->dev, old, n, at + done, NULL))
			return true;
		if (buf ? memcmp(old, buf + done, n) : !all_zero(old, n))
			return true;
	}
	return false;
}

static uint64_t block_len(const struct place *p)
{
	return (uint64_t)edit_superblock(target_pool(p->target))->data_block_size << SECTOR_SHIFT;
}

/*
 * Where the origin shows through, blocks that have these bytes (@buf NULL: zeros) already stay as they are: to write
 * them would take space.
 */
static int write_changes(struct place *p, const uint8_t *buf, uint64_t len, uint64_t at, struct err *err)
{
	const uint64_t block = block_len(p);
	CLEANUP(free_ptr) void *old = malloc(MIN(len, ZEROS));
	uint64_t n;
	int r = old ? 0 : err_nomem(err, "buffer");

	for (uint64_t done = 0; done < len && !r; done += n, at += n) {
		n = MIN(len - done, block - at % block);
		if (differs(p, old, buf ? buf + done : NULL, n, at))
			r = write_target(p, buf ? buf + done : NULL, n, at, err);
	}
	return r;
}

/* How many of the @len bytes at @at are in blocks that the origin reaches? */
static uint64_t origin_part(const struct place *p, uint64_t len, uint64_t at)
{
	return p->origin && at < p->origin->size ? MIN(len, round_up(p->origin->size, block_len(p)) - at) : 0;
}

int place_write(struct place *p, const void *buf, size_t len, uint64_t at, struct err *err)
{
	if (!p->dev)
		return io_write(p->io, buf, len, at, err);
	return origin_part(p, len, at) ? write_changes(p, buf, len, at, err) : write_target(p, buf, len, at, err);
}

static int write_zeros(struct place *p, uint64_t len, uint64_t at, struct err *err)
{
	CLEANUP(free_ptr) void *zeros = io_alloc(MIN(len, ZEROS));
	uint64_t n;
	int r = 0;

	if (!zeros)
		return err_nomem(err, "zeros");
	memset(zeros, 0, MIN(len, ZEROS));
	for (; len && !r; len -= n, at += n) {
		n = MIN(len, ZEROS);
		r = io_write(p->io, zeros, n, at, err);
	}
	return r;
}

struct first_part {
	uint64_t len;
	enum extent_kind kind;
};

static int take_first(void *ctx, uint64_t at, uint64_t len, enum extent_kind kind)
{
	(void)at;
	*(struct first_part *)ctx = (struct first_part){ len, kind };
	return 1;
}

/* Where the origin may show through.  Its holes are zeros that need not be read. */
static int zero_origin(struct place *p, uint64_t len, uint64_t at, struct err *err)
{
	struct first_part part = { 0 };
	int r = 0;

	for (; len && !r; len -= part.len, at += part.len) {
		r = target_extents(p->dev, len, at, take_first, &part, err);
		if (r > 0)
			r = part.kind == EXTENT_ZERO ? 0 : write_changes(p, NULL, part.len, at, err);
	}
	return r;
}

int place_zero(struct place *p, uint64_t len, uint64_t at, struct err *err)
{
	if (p->dev) {
		const uint64_t n = origin_part(p, len, at);
		int r = zero_origin(p, n, at, err);

		return r || n == len ? r : write_target(p, NULL, len - n, at + n, err);
	}
	/* punching frees the space where the device supports it */
	return len && io_punch(p->io, at, len, NULL) ? write_zeros(p, len, at, err) : 0;
}

int place_sync(struct place *p, struct err *err)
{
	if (!p->target)
		return io_flush(p->io, err);
	return p->written ? target_flush(p->target, err) : 0;
}

void place_keep(struct place *p, void (*tell)(void *ctx, const char *text), void *ctx)
{
	struct err why = { 0 };

	if (place_sync(p, &why) && tell)
		tell(ctx, why.text);
}
