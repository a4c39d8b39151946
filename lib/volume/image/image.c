/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/image/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "dev/dev.h"
#include "volume/image/qcow2_read.h"
#include "volume/map/holes.h"
#include "volume/open/origin.h"

struct level {
	char *path;
	struct io *io;
	uint64_t size;
	bool is_qcow2;
	struct qcow2 qcow2;
	struct holes holes; /* raw */
};

struct image {
	struct level *level; /* the first file first */
	size_t nr, cap;
	bool top;
	uint64_t below; /* with .top: bytes of the backing file; UINT64_MAX: not known */
};

static int check_loop(const struct image *m, const struct level *l, struct err *err)
{
	struct stat a, b;

	if (m->nr > IMAGE_MAX_CHAIN)
		return err_set(err, -EUCLEAN, "%s: is file %zu of a chain of backing files, but "
					      "at most %u are read",
			       l->path, m->nr, IMAGE_MAX_CHAIN);
	if (fstat(l->io->fd, &a))
		return err_sys(err, -errno, "%s", l->path);
	for (const struct level *o = m->level; o < l; o++)
		if (!fstat(o->io->fd, &b) &&
		    (S_ISBLK(a.st_mode) ? S_ISBLK(b.st_mode) && a.st_rdev == b.st_rdev :
					  a.st_dev == b.st_dev && a.st_ino == b.st_ino))
			return err_set(err, -EUCLEAN, "%s: is its own backing file: the chain has a loop",
				       l->path);
	return 0;
}

/*
 * The contents must match the given format; raw bytes that look like an image are accepted only if
 * the format is given.
 */
static int judge_format(struct level *l, const char *format, bool named_elsewhere, struct err *err)
{
	const char *looks, *packed;
	int r = origin_format(l->io, &looks, &packed, err);

	if (r)
		return r;
	if (format && strcmp(format, "raw") && strcmp(format, "qcow2"))
		return err_set(err, -ENOTSUP, "%s: has the format '%s', but only raw and qcow2 "
					      "are read", l->path,
			       format);
	if (!format && looks && (named_elsewhere || strcmp(looks, "qcow2")))
		return err_set(err, -ENOTSUP,
			       named_elsewhere ?
				       "%s: looks like a %s image, but the image above it does "
				       "not record its backing file's format (qemu-img rebase -u "
				       "-F FORMAT records it)" :
				       "%s: is a %s image, but only raw and qcow2 are read "
				       "(qemu-img convert converts it)",
			       l->path, looks);
	if (!format && packed)
		return err_set(err, -ENOTSUP, "%s: is %s; if its raw bytes are meant, say that the format is raw",
			       l->path, packed);
	l->is_qcow2 = format ? !strcmp(format, "qcow2") : looks != NULL;
	return 0;
}

/* @path is what opens it; NULL: its name. */
static int open_level(struct image *m, char *name, const char *path, const char *format,
		      unsigned flags, struct err *err)
{
	struct level *l = vec_add(m->level, m->nr, m->cap);
	int r;

	if (!l || !name) {
		m->nr -= !!l;
		free(name);
		return err_nomem(err, "image");
	}
	*l = (struct level){ .path = name };
	r = dev_open(path ? path : name, DEV_SHARED | flags, &l->io, err);
	if (!r)
		r = check_loop(m, l, err);
	if (!r)
		r = judge_format(l, format, m->nr > 1, err);
	if (!r && l->is_qcow2)
		r = qcow2_open(l->io, &l->qcow2, err);
	if (r)
		return r;
	holes_init(&l->holes, l->is_qcow2 ? NULL : l->io);
	l->size = l->is_qcow2 ? l->qcow2.size : l->io->size;
	return 0;
}

/* A name in @l counts from the folder of @l. */
static int backing_path(const struct level *l, char **path, struct err *err)
{
	const char *name = l->qcow2.backing, *slash = strrchr(l->path, '/');
	size_t word = strcspn(name, ":/");

	if (name[word] == ':')
		return err_set(err, -ENOTSUP, "%s: its backing file '%s' is not the name of a "
					      "file: only files and block devices are read",
			       l->path, name);
	if (*name == '/' || !slash)
		*path = strdup(name);
	else if (asprintf(path, "%.*s/%s", (int)(slash - l->path), l->path, name) < 0)
		*path = NULL;
	return 0;
}

static void close_level(struct level *l)
{
	qcow2_close(&l->qcow2);
	io_free(l->io);
	free(l->path);
}

/* The first file of the chain below, or an error. */
static int open_below(struct image *m, unsigned flags, struct err *err)
{
	const struct level *l = &m->level[m->nr - 1];
	char format[sizeof(l->qcow2.backing_format)]; /* @l moves when the list of levels grows */
	char *next = NULL;
	int r = backing_path(l, &next, err);

	memcpy(format, l->qcow2.backing_format, sizeof(format));
	return r ? r : open_level(m, next, NULL, *format ? format : NULL, flags, err);
}

/* Behind the end of the backing file zeros are meant.  It need not be here. */
static void learn_below(struct image *m, unsigned flags)
{
	if (!open_below(m, flags | DEV_FORCE, NULL))
		m->below = m->level[m->nr - 1].size;
	while (m->nr > 1)
		close_level(&m->level[--m->nr]);
}

int image_open(const char *path, const struct image_options *opt, struct image **out,
	       struct err *err)
{
	struct image *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return err_nomem(err, "image");
	m->top = opt->top;
	m->below = UINT64_MAX;
	r = open_level(m, strdup(opt->name ? opt->name : path), path, opt->format, opt->flags, err);
	if (!r && opt->top && image_backing(m))
		learn_below(m, opt->flags);
	while (!r && !opt->top && m->level[m->nr - 1].qcow2.backing)
		r = open_below(m, opt->flags, err);
	if (r)
		image_free(m);
	else
		*out = m;
	return r;
}

void image_free(struct image *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->nr; i++)
		close_level(&m->level[i]);
	free(m->level);
	free(m);
}

uint64_t image_size(const struct image *m)
{
	return m->level[0].size;
}

bool image_is_qcow2(const struct image *m)
{
	return m->level[0].is_qcow2;
}

const char *image_backing(const struct image *m)
{
	return m->level[0].qcow2.backing;
}

const char *image_file(const struct image *m, size_t i)
{
	return i < m->nr ? m->level[i].path : NULL;
}

/*
 * Finds what byte @at is in one file of the chain: absent, or as image_find() tells; lowers *len.
 */
static int find_in(struct level *l, uint64_t at, enum image_kind *kind, uint64_t *len,
		   struct qcow2_spot *s, struct err *err)
{
	static const enum image_kind kinds[] = { [QCOW2_ABSENT] = IMAGE_ABSENT,
						 [QCOW2_ZERO] = IMAGE_ZERO,
						 [QCOW2_DATA] = IMAGE_DATA,
						 [QCOW2_COMPRESSED] = IMAGE_DATA };
	bool is_data;
	int r;

	*kind = IMAGE_ZERO; /* behind its end */
	if (at >= l->size)
		return 0;
	*len = MIN(*len, l->size - at);
	if (!l->is_qcow2) {
		*len = holes_segment(&l->holes, at, *len, &is_data);
		*kind = is_data ? IMAGE_DATA : IMAGE_ZERO;
		return 0;
	}
	r = qcow2_find(&l->qcow2, at, s, err);
	*len = MIN(*len, s->len);
	*kind = kinds[s->kind];
	return r;
}

/* Which file of the chain has it; NULL: none, or it is zeros. */
static int find(struct image *m, uint64_t at, enum image_kind *kind, uint64_t *len, struct level **in,
		struct qcow2_spot *s, struct err *err)
{
	int r = 0;

	*kind = IMAGE_ABSENT;
	for (size_t i = 0; i < m->nr && !r && *kind == IMAGE_ABSENT; i++) {
		*in = &m->level[i];
		r = find_in(*in, at, kind, len, s, err);
	}
	if (*kind == IMAGE_ABSENT && (!m->top || !image_backing(m) || at >= m->below))
		*kind = IMAGE_ZERO;
	else if (*kind == IMAGE_ABSENT)
		*len = MIN(*len, m->below - at);
	return r;
}

int image_find(struct image *m, uint64_t at, uint64_t max, enum image_kind *kind, uint64_t *len,
	       struct err *err)
{
	struct qcow2_spot s = { 0 };
	struct level *in;

	*len = max;
	return find(m, at, kind, len, &in, &s, err);
}

int image_read(struct image *m, void *buf, size_t len, uint64_t at, struct err *err)
{
	uint8_t *p = buf;
	int r = 0;

	while (len && !r) {
		struct qcow2_spot s = { 0 };
		enum image_kind kind;
		struct level *in = NULL;
		uint64_t n = len;

		r = find(m, at, &kind, &n, &in, &s, err);
		if (!r && kind != IMAGE_DATA)
			memset(p, 0, n);
		else if (!r)
			r = in->is_qcow2 ? qcow2_read(&in->qcow2, &s, p, n, at, err) :
					   io_read(in->io, p, n, at, err);
		p += n;
		at += n;
		len -= n;
	}
	return r;
}
