/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Finds out what a POOL argument is, by its first 4096 bytes: the magic of a superblock, the first
 * character of XML, zeros, or text.  If these do not decide, the first MiB does: a pool whose block
 * 0 is damaged has other blocks there.  Anything else is named and refused.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/words.h"
#include "dev/dev.h"
#include "dev/signature.h"
#include "pdata/block/csum.h"
#include "pool/format/format.h"
#include "volume/guard/head.h"
#include "volume/lvm/part.h"
#include "volume/lvm/pv.h"
#include "volume/open/pool_arg.h"

#define START_LEN ((size_t)1 << 20)

/* The beginning of a file or device. */
struct start {
	unsigned char *data; /* aligned */
	size_t room;	     /* of data, bytes */
	size_t all;	     /* bytes read so far */
	struct head block;   /* the first block */
	struct io *io;
	bool is_device;
};

/* A pool needs the first block only, so it pays for no more. */
static int start_make_room(struct start *h, size_t want, struct err *err)
{
	unsigned char *data;

	if (want <= h->room)
		return 0;
	data = aligned_alloc(MBLOCK_SIZE, want);
	if (!data)
		return err_nomem(err, "the first blocks");
	memset(data, 0, MBLOCK_SIZE);
	if (h->data)
		memcpy(data, h->data, h->all);
	free(h->data);
	h->data = data;
	h->room = want;
	return 0;
}

/* Reads on, in pieces of the first block's size or more, to @want bytes or the end. */
static int start_fill(struct start *h, size_t want, struct err *err)
{
	const size_t end = (size_t)MIN(h->io->size, want);
	int r = start_make_room(h, want, err);

	while (h->all < end && !r) {
		size_t n = MIN(end - h->all, MAX(h->all, (size_t)MBLOCK_SIZE));

		r = io_read(h->io, h->data + h->all, n, h->all, err);
		h->all += r ? 0 : n;
	}
	h->block = (struct head){ h->data, MIN(h->all, (size_t)MBLOCK_SIZE) };
	return r;
}

static void start_close(struct start *h)
{
	free(h->data);
	io_free(h->io);
}

static int start_open(const char *path, struct start *h, struct err *err)
{
	struct stat st;
	int r = dev_open(path, DEV_SHARED | DEV_FORCE, &h->io, err);

	if (r < 0)
		return r;
	h->is_device = !fstat(h->io->fd, &st) && S_ISBLK(st.st_mode);
	return start_fill(h, MBLOCK_SIZE, err);
}

/* Is one of the blocks after the first a block of a pool's metadata? */
static bool start_has_pool_blocks(const struct start *h)
{
	for (size_t b = 1; (b + 1) * MBLOCK_SIZE <= h->all; b++) {
		const void *block = h->data + b * MBLOCK_SIZE;
		enum csum_kind kind =
			block_own_nr(block) == b ? csum_classify(block, NULL) : CSUM_NONE;

		if (kind == CSUM_IS_NODE || kind == CSUM_IS_BITMAP || kind == CSUM_IS_INDEX)
			return true;
	}
	return false;
}

static const char which_device[] = ".  Is it the data device, or a thin device? Give the pool's metadata "
				   "device (LVM calls it VG/POOL_tmeta)";
static const char not_metadata[] = "%s: this is not a thin pool's metadata; it holds %s%s";

/* Block 0 is no superblock of a pool.  Damaged, unformatted, or something else? */
static int kind_of_unknown(struct start *h, const char *path, struct pool_arg *p, struct err *err)
{
	/* a read error leaves the question to the bytes at hand */
	if (start_fill(h, START_LEN, err) == -ENOMEM)
		return err_nomem(err, "the first blocks");
	p->kind = head_is_zero(&h->block) ? POOL_UNFORMATTED : POOL_METADATA;
	if (start_has_pool_blocks(h))
		return 0;
	p->foreign = signature_name(h->data, MIN(h->all, (size_t)SIGNATURE_LEN));
	if (p->foreign)
		return err_set(err, -EUCLEAN, not_metadata, path, p->foreign, "");
	if (p->kind == POOL_UNFORMATTED) {
		p->foreign = "zeros";
		return 0;
	}
	p->foreign = "unknown data";
	return err_set(
		err, -EUCLEAN,
		"%s: this does not look like a thin pool's metadata: none of its first %zu blocks "
		"belongs to a pool%s.  If its beginning was overwritten, "
		"'thin_repair --dry-run -i POOL' searches the rest",
		path, h->all / MBLOCK_SIZE, which_device);
}

/* A thin target's name as a word; "something" has none. */
static bool names_thin_target(const struct start *h)
{
	const unsigned char *at = h->data, *end = h->data + h->all;

	while ((at = memmem(at, (size_t)(end - at), "thin", 4))) {
		const unsigned char *after = at + 4;

		if (end - after >= 5 && !memcmp(after, "-pool", 5))
			after += 5;
		if (at > h->data && isspace(at[-1]) && (after == end || isspace(*after)))
			return true;
		at = after;
	}
	return false;
}

/* A table is short, lies in a file and has a line of a thin target. */
static int kind_of_text(struct start *h, const char *path, struct pool_arg *p, struct err *err)
{
	int r = h->is_device ? 0 : start_fill(h, START_LEN, err);

	if (r)
		return r;
	if (!h->is_device && names_thin_target(h)) {
		p->kind = POOL_TABLE;
		return 0;
	}
	if (h->all < MBLOCK_SIZE)
		return err_set(
			err, -EUCLEAN,
			"%s: Metadata device/file too small.  Is this binary metadata?  (It is "
			"no table file: no thin-pool line.)",
			path);
	p->foreign = "text that is neither XML nor a table";
	return err_set(err, -EUCLEAN, not_metadata, path, p->foreign, which_device);
}

/* The label of LVM, or a partition table: of an MBR, or of a GPT without one. */
static bool is_disk(const struct start *h)
{
	return h->block.len == MBLOCK_SIZE &&
	       (lvm_has_label(h->data, h->block.len) || part_has_table(h->data) ||
		!memcmp(h->data + 512, "EFI PART", 8));
}

/* 1: it is a disk with LVM, whose table p->table is.  0: a disk, without LVM. */
static int kind_of_disk(const struct start *h, const char *path, const struct pool_want *want,
			struct pool_arg *p, struct err *err)
{
	int r;

	if (dev_is_standard(path) && want->table.write) /* of a pipe a copy would be changed, and be gone at the end */
		return dev_no_stdin(err);
	r = want->disk(dev_is_standard(path) ? "/dev/stdin" : path, want, &p->table, err);
	p->kind = POOL_TABLE;
	if (r == -EUCLEAN && !lvm_has_label(h->data, h->block.len))
		return 0;
	return r ? r : 1;
}

/*
 * Sets p->kind, and p->foreign where it fails because something else is there.  Of a disk with
 * LVM the table is made, where @want says how.
 */
static int kind_of(const char *path, const struct pool_want *want, struct pool_arg *p, struct err *err)
{
	CLEANUP(start_close) struct start h = { 0 };
	int r = start_open(path, &h, err);

	if (r < 0)
		return r;
	p->kind = POOL_METADATA;
	if (h.block.len == MBLOCK_SIZE &&
	    le64_get(((const struct disk_superblock *)h.data)->magic) == THIN_MAGIC)
		return 0;
	if (want->live && h.is_device) {
		p->kind = POOL_TABLE;
		r = want->live(path, want, true, &p->table, err);
		if (r || p->table)
			return r;
		p->kind = POOL_METADATA;
	}
	if (want->disk && is_disk(&h)) {
		r = kind_of_disk(&h, path, want, p, err);
		if (r)
			return MIN(r, 0);
		p->kind = POOL_METADATA;
	}
	path = dev_shown(path);
	if (head_is_xml(&h.block)) {
		p->kind = POOL_XML;
		return 0;
	}
	if (head_is_text(&h.block))
		return kind_of_text(&h, path, p, err);
	if (h.block.len < MBLOCK_SIZE && !signature_name(h.data, h.block.len))
		return err_set(err, -EUCLEAN,
			       "%s: Metadata device/file too small.  Is this binary metadata?",
			       path);
	return kind_of_unknown(&h, path, p, err);
}

/* Opens the metadata that a table names; an error there names the table's pool line. */
static int open_from_table(struct pool_arg *p, const struct pool_want *want, struct err *err)
{
	static const struct pool_want no_disk;
	struct table *t = p->table;
	const char *metadata;
	int r;

	if (t->other) {
		p->kind = POOL_LINE;
		return 0;
	}
	metadata = t->pool->metadata.path;
	r = table_tell_numbers(t, t->pool->line, &t->pool->metadata, &want->table, err);
	if (r < 0)
		return r;
	r = kind_of(metadata, &no_disk, p, err);
	if (!r && p->kind == POOL_TABLE)
		r = err_set(err, -EINVAL,
			    "'%s' is text, not metadata: META of a thin-pool line must be a "
			    "metadata device or file",
			    metadata);
	if (want->damaged && p->foreign)
		r = 0;
	if (r < 0)
		return err_prefix(err, r, "%s: line %u", t->path, t->pool->line);
	const struct dev_role roles[] = { { "metadata", metadata },
					  { "data device", t->pool->data.path } };
	r = dev_roles_apart(roles, ARRAY_SIZE(roles), err);
	if (r < 0)
		return err_prefix(err, r == -EDOM ? -EINVAL : r, "%s: line %u", t->path, t->pool->line);
	p->metadata = strdup(metadata);
	return p->metadata ? 0 : err_nomem(err, "path of the metadata");
}

int pool_arg_open_table(struct table *t, const struct pool_want *want, struct pool_arg *out,
			struct err *err)
{
	struct pool_arg p = { .kind = POOL_TABLE, .table = t };
	int r = open_from_table(&p, want, err);

	if (r < 0)
		pool_arg_fini(&p);
	else
		*out = p;
	return r;
}

/*
 * A folder must hold images of a group's disks, or it is no POOL.  A pattern may name such images,
 * too.
 */
static bool is_folder_of_disks(const char *path, const struct pool_want *want, struct pool_arg *p, int *r,
			       struct err *err)
{
	struct stat st;
	const bool missing = stat(path, &st);

	if (!want->disk || (missing ? !path[strcspn(path, "*?[")] : !S_ISDIR(st.st_mode)))
		return false;
	*r = want->disk(path, want, &p->table, err);
	return *r != (missing ? -ENOENT : -EUCLEAN);
}

/* An option for a disk with LVM was given for something else. */
static int refuse_lvm_words(const char *path, const struct pool_want *want, struct err *err)
{
	const struct lvm_words *lvm = want->lvm;

	if (!lvm || !(lvm->nr_pvs || lvm->has_seqno))
		return 0;
	return err_set(err, -EDOM, "%s: '%s' is not a disk with LVM, and only that has %s: leave "
				   "out the option",
		       lvm->nr_pvs ? word_pv : word_seqno, dev_shown(path),
		       lvm->nr_pvs ? "other disks of its group" : "several texts");
}

static int open_path(const char *path, const struct pool_want *want, struct pool_arg *out,
		     struct err *err)
{
	struct pool_arg p = { .kind = POOL_TABLE };
	int r = want->live ? want->live(path, want, false, &p.table, err) : 0;

	if (!r && !p.table && !is_folder_of_disks(path, want, &p, &r, err))
		r = kind_of(path, want, &p, err);
	if (want->damaged && p.foreign)
		r = 0;
	if (r < 0)
		return r;
	if (p.kind == POOL_TABLE) {
		r = p.table ? 0 : refuse_lvm_words(path, want, err) ?: table_read(path, &want->table, &p.table, err);
		return r ? r : pool_arg_open_table(p.table, want, out, err);
	}
	if (want->table.pool && !want->table.pool_of_several)
		return err_set(err, -EDOM, "%s: '%s' is not a table file and has only one "
					   "pool: leave out the option",
			       word_pool, dev_shown(path));
	r = refuse_lvm_words(path, want, err);
	if (r)
		return r;
	p.metadata = strdup(path);
	if (!p.metadata)
		return err_nomem(err, "path of the metadata");
	*out = p;
	return 0;
}

/*
 * What is printed would lie over what is read.  A pipe or a terminal is no part of a pool, whose table may name very
 * many origins.
 */
static int printed_apart(const struct pool_arg *p, const char *pool, const struct pool_want *want, struct err *err)
{
	const struct dev_role printed[] = { { "standard output", want->prints ? dev_output_path("-") : NULL },
					    { "progress lines", want->progress } };
	struct stat st;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(printed) && !r; i++)
		if (printed[i].path && !stat(printed[i].path, &st) && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
			r = pool_arg_apart(p, pool, &printed[i], err);
	return r;
}

int pool_arg_open(const char *path, const struct pool_want *want, struct pool_arg *out,
		  struct err *err)
{
	static const struct pool_want any;
	struct table *lines = NULL;
	int r = dev_is_standard(path) ? dev_stdin_as_file(err) : table_open_line(path, &lines, err);

	want = want ?: &any;
	if (!r)
		r = open_path(path, want, out, err);
	if (r) {
		table_free(lines);
		return r;
	}
	out->lines = lines;
	r = printed_apart(out, path, want, err);
	if (r)
		pool_arg_fini(out);
	return r;
}

int pool_arg_open_metadata(const struct pool_arg *p, unsigned flags, struct io **out, struct err *err)
{
	int r = dev_open(p->metadata, flags, out, err);

	if (r != -EBUSY || !p->table || !p->table->active.is_active)
		return r;
	return err_set(err, r,
		       "%s: the pool is active: only a metadata snapshot can be read; "
		       "--take-metadata-snap takes one for the run, -m reads a held one",
		       p->table->path);
}

int pool_arg_nothing_found(const struct pool_arg *p, int code, struct err *err)
{
	if (code != -EUCLEAN || !p->foreign)
		return code;
	return err_set(
		err, -EINVAL,
		"%s: nothing could be recovered: no block of a thin pool's metadata was found; it "
		"holds %s.  Give the pool's metadata device (LVM calls it VG/POOL_tmeta), not its "
		"data device or a thin device",
		dev_shown(p->metadata), p->foreign);
}

int pool_arg_fits(const struct pool_arg *p, uint32_t sectors, struct err *err)
{
	const struct table *t = p->table;

	if (!t || t->pool->data_block_size == sectors)
		return 0;
	return err_set(err, -EINVAL,
		       "%s: line %u: '%u' is the table's data block size in sectors, but the metadata "
		       "in %s says %u: this is not the table of this pool",
		       t->path, t->pool->line, t->pool->data_block_size, p->metadata, sectors);
}

int pool_arg_device_numbers(const struct pool_arg *p, const struct table_dev *d, unsigned line,
			    const struct pool_want *want, struct err *err)
{
	return table_tell_numbers(p->table, line, d, &want->table, err);
}

int pool_arg_data_path(const struct pool_arg *p, const char *given, const struct pool_want *want,
		       const char **path, struct err *err)
{
	const struct table_pool *pool = p->table ? p->table->pool : NULL;

	*path = given ? table_device_path(p->table, given) : pool ? pool->data.path : NULL;
	if (given && !*path)
		return err_nomem(err, given);
	return given || !pool || !want ? 0 : pool_arg_device_numbers(p, &pool->data, pool->line, want, err);
}

int pool_arg_trust_numbers(const struct pool_arg *p, const struct pool_found *found, bool force,
			   struct err *err)
{
	const struct table_pool *t = p->table ? p->table->pool : NULL;
	const struct table_dev *d = t && t->metadata.by_number ? &t->metadata : t ? &t->data : NULL;
	const char *why = NULL;

	if (!d || !d->by_number || force)
		return 0;
	if (!found)
		why = "there is no pool on the metadata device yet";
	else if (found->data_block_size != t->data_block_size)
		why = "the pool there has another block size than the table says";
	else if (found->nr_data_blocks > t->length / t->data_block_size)
		why = "the pool there is larger than the table says";
	else if (found->data_size && found->data_size >> SECTOR_SHIFT < t->length)
		why = "the data device there is smaller than the table says";
	if (!why)
		return 0;
	return err_set(err, -EINVAL,
		       "%s: line %u: '%s' %s a number, which may be another device since the table was "
		       "saved, and %s: write the device's path there, or give %s; nothing was changed",
		       p->table->path, t->line, d->word, d->ref ? "stands on" : "is", why, word_force);
}

void pool_arg_fini(struct pool_arg *p)
{
	free(p->metadata);
	table_free(p->table);
	table_free(p->lines);
	*p = (struct pool_arg) { 0 };
}

int pool_arg_readable(const struct pool_arg *p, bool xml_too, struct err *err)
{
	if (p->kind == POOL_XML && !xml_too)
		return err_set(
			err, -EINVAL,
			"%s: This looks like XML.  This tool only supports the binary metadata "
			"format.",
			dev_shown(p->metadata));
	if (p->kind == POOL_UNFORMATTED)
		return err_set(
			err, -ENODATA,
			"%s: the first block is all zero: the pool was never formatted, or its "
			"superblock was wiped: 'thin_repair --dry-run -i POOL' shows what comes back",
			dev_shown(p->metadata));
	return 0;
}
