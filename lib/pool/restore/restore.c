/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/restore/restore.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool/events/events_apart.h"
#include "pool/format/format.h"

#define APART_MIN ((off_t)4 << 20) /* bytes of XML that are worth a thread */
/* bytes of XML that are read twice in order to know sooner that they will not fit */
#define COUNT_MAX ((off_t)32 << 20)

int restore_count(void *text, struct build_counts *n, struct err *err)
{
	const struct restore_text *t = text;
	struct events sink = { 0 };
	int r = build_count_new(&sink, err);

	if (!r)
		r = xml_read(t->fd, t->name, t->xml, &sink, err);
	if (!r)
		build_count_all(&sink, n);
	build_count_free(&sink);
	lseek(t->fd, 0, SEEK_SET);
	return r;
}

static int read_text(void *ctx, const struct events *to, struct err *err)
{
	const struct restore_text *t = ctx;

	return xml_read(t->fd, t->name, t->xml, to, err);
}

/* The text can be read twice: *size is its length. */
static bool is_file(const struct restore_text *t, off_t *size)
{
	struct stat st;

	if (fstat(t->fd, &st) || !S_ISREG(st.st_mode) || lseek(t->fd, 0, SEEK_CUR) != 0)
		return false;
	*size = st.st_size;
	return true;
}

/*
 * The XML's own counts show early that the pool will not fit.  They may be wrong, so the blocks are
 * counted before the text is refused.  Shared parts make these counts useless; then the blocks of a
 * file that is not large are counted in any case.
 */
static int check_size(struct restore_text *t, off_t size, uint64_t has, struct err *err)
{
	const struct pool_overrides *o = t->xml->overrides;
	struct build_counts n;
	struct xml_claims claims;
	uint64_t needs;
	int r;

	if (xml_scan(t->fd, &claims, NULL) < 0)
		return 0;
	if (o && o->has_nr_data_blocks)
		claims.nr_data_blocks = o->nr_data_blocks;
	if (claims.nr_data_blocks > MAX_NR_DATA_BLOCKS)
		return 0; /* the reader gives a better message */
	needs = build_min_blocks(claims.nr_devices, claims.mapped_blocks, claims.nr_data_blocks, 0);
	if (needs > MAX_METADATA_BLOCKS)
		return 0; /* the builder says that the format cannot hold it */
	if (needs <= has && (size > COUNT_MAX || (!claims.has_defs && needs + 16 < has / 2)))
		return 0;
	r = restore_count(t, &n, err);
	if (!r && n.nr_blocks > has)
		return err_set(err, -ERANGE, "too small: needs at least %llu blocks, has %llu",
			       (unsigned long long)n.nr_blocks, (unsigned long long)has);
	if (!r && size <= COUNT_MAX) {
		r = build_try(n.nr_blocks, has, read_text, t, err);
		lseek(t->fd, 0, SEEK_SET);
	}
	return r;
}

/* Do the last bytes that are not white space end the document? */
static bool ends_well(int fd, off_t size)
{
	static const char end[] = "</superblock>";
	char tail[4097];
	off_t at = size > (off_t)sizeof(tail) - 1 ? size - (off_t)sizeof(tail) + 1 : 0;
	ssize_t n = pread(fd, tail, sizeof(tail) - 1, at);

	while (n > 0 && strchr(" \t\r\n", tail[n - 1]) && tail[n - 1])
		n--;
	return n >= (ssize_t)strlen(end) &&
	       !memcmp(tail + n - strlen(end), end, strlen(end));
}

/*
 * Finds a dump that was cut off before the old pool is overwritten.  A text that ends in another
 * way than dumps do (a comment, another encoding) is read as a whole.
 */
static int check_end(struct restore_text *t, off_t size, struct err *err)
{
	struct build_counts n;
	int r;

	if (ends_well(t->fd, size))
		return 0;
	r = restore_count(t, &n, err);
	if (r == -EINVAL || r == -EUCLEAN || r == -EBADMSG) {
		char text[sizeof(err->text)];

		snprintf(text, sizeof(text), "%s", err->text);
		return err_set(err, r, "%.900s; nothing was written", text);
	}
	return r;
}

int restore_check(struct restore_text *t, uint64_t nr_blocks, struct err *err)
{
	off_t size;
	int r;

	if (!is_file(t, &size))
		return 0;
	r = check_end(t, size, err);
	return r ? r : check_size(t, size, nr_blocks, err);
}

/* Parses and builds at the same time, unless the text is so short that a thread would not pay. */
static int read_and_build(struct restore_text *t, const struct events *sink, struct err *err)
{
	struct stat st;
	struct jobs *jobs;
	int r;

	if (!fstat(t->fd, &st) && S_ISREG(st.st_mode) && st.st_size < APART_MIN)
		return read_text(t, sink, err);
	jobs = jobs_new(0);
	r = events_apart(jobs, read_text, t, sink, err);
	jobs_free(jobs);
	return r;
}

int restore_build(struct restore_text *t, struct io *out, const struct build_options *opt,
		  struct err *err)
{
	struct events sink = { 0 };
	int r = build_new(out, opt, &sink, err);

	if (!r)
		r = read_and_build(t, &sink, err);
	build_free(&sink);
	return r;
}
