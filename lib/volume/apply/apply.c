/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/apply/apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sum/sha256.h"
#include "base/zero.h"
#include "dev/dev.h"
#include "volume/image/image.h"
#include "volume/image/rbd.h"

#define CHUNK ((size_t)1 << 20)
#define SECTOR (UINT64_C(1) << SECTOR_SHIFT)
#define GRAIN 4096 /* bytes of zeros in a raw stream that are worth a hole */

typedef unsigned long long ull;

struct apply_source {
	enum apply_format format;
	bool top, seekable, is_device;
	bool named; /* the user gives the format */
	const char *name;
	const char *file[2];
	int fd; /* rbd diff, raw through a pipe; or -1 */
	uint8_t head[RBD_MAGIC_LEN]; /* of a pipe, read already */
	size_t head_len, head_used;
	struct image *image;
	struct rbd_stream look; /* the facts found while reading through an rbd diff */
	uint64_t len;
};

/* Fills @buf unless the input ends. */
static int read_full(struct apply_source *s, void *buf, size_t len, size_t *got, struct err *err)
{
	size_t n = MIN(len, s->head_len - s->head_used);
	ssize_t r;

	memcpy(buf, s->head + s->head_used, n);
	s->head_used += n;
	while (n < len) {
		r = read(s->fd, (char *)buf + n, len - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(err, -errno, "cannot read");
		if (!r)
			break;
		n += (size_t)r;
	}
	*got = n;
	return 0;
}

static int stream_read(void *ctx, void *buf, size_t len, size_t *got, struct err *err)
{
	return read_full(ctx, buf, len, got, err);
}

static int stream_skip(void *ctx, uint64_t len, struct err *err)
{
	const struct apply_source *s = ctx;

	if (lseek(s->fd, (off_t)len, SEEK_CUR) < 0)
		return err_sys(err, -errno, "cannot seek");
	return 0;
}

static struct rbd_input input_of(struct apply_source *s)
{
	return (struct rbd_input){ .read = stream_read, .ctx = s, .name = s->name };
}

/* Checks that nothing follows the end of the stream. */
static int check_end(struct apply_source *s, const char *applied, struct err *err)
{
	size_t got;
	char c;
	int r = read_full(s, &c, 1, &got, err);

	if (r || !got)
		return r;
	return err_set(err, -EINVAL, "%s: there is more data after the end of the rbd diff: %s", s->name, applied);
}

static int look_through(struct apply_source *s, struct err *err)
{
	const struct rbd_ops none = { 0 };
	struct rbd_input in = input_of(s);
	int r;

	in.skip = stream_skip;
	r = rbd_read(&in, &none, &s->look, err);
	if (!r)
		r = check_end(s, "nothing was applied", err);
	else
		err_prefix(err, r, "nothing was applied");
	if (!r && lseek(s->fd, 0, SEEK_SET) < 0)
		r = err_sys(err, -errno, "%s", s->name);
	return r;
}

/* Checks all tables of a qcow2 image: every cluster must be in the file. */
static int look_at_image(struct apply_source *s, struct err *err)
{
	uint64_t at, len, size = image_size(s->image);
	enum image_kind kind;
	int r = 0;

	for (at = 0; at < size && !r; at += len)
		r = image_find(s->image, at, size - at, &kind, &len, err);
	return r ? err_prefix(err, r, "nothing was applied") : 0;
}

static enum apply_format looks_like(const uint8_t *head, size_t len)
{
	if (len == RBD_MAGIC_LEN && !memcmp(head, RBD_MAGIC, 10))
		return APPLY_RBD;
	if (len >= 4 && !memcmp(head, "QFI\xfb", 4))
		return APPLY_QCOW2;
	return APPLY_BY_LOOKS;
}

static int open_input(struct apply_source *s, const char *path, struct err *err)
{
	struct stat st;
	int r;

	s->fd = dev_open_text(path, err);
	if (s->fd < 0)
		return s->fd;
	if (fstat(s->fd, &st))
		return err_sys(err, -errno, "%s", s->name);
	if (isatty(s->fd))
		return err_set(err, -EDOM, "standard input is a terminal: give -i FILE, or pipe a stream into this");
	s->seekable = (S_ISREG(st.st_mode) && !lseek(s->fd, 0, SEEK_CUR)) || S_ISBLK(st.st_mode);
	s->is_device = S_ISBLK(st.st_mode);
	s->len = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0; /* a device's is that of its image */
	r = read_full(s, s->head, sizeof(s->head), &s->head_len, err);
	if (!r && s->seekable) {
		if (lseek(s->fd, 0, SEEK_SET))
			return err_sys(err, -errno, "%s", s->name);
		s->head_used = s->head_len; /* it is read again */
	}
	return r ? err_prefix(err, r, "%s", s->name) : 0;
}

static int choose_format(struct apply_source *s, enum apply_format format, struct err *err)
{
	s->named = format;
	s->format = format ? format : looks_like(s->head, s->head_len);
	/* a file cut within its first bytes must not pass for a raw image */
	if (!s->format && s->seekable && (s->len >= 512 || s->is_device) && s->head_len == sizeof(s->head))
		s->format = APPLY_RAW;
	if (!s->format)
		return err_set(err, -EDOM,
			       "%s: is neither an rbd diff nor a qcow2 image; --format raw reads "
			       "it as raw bytes",
			       s->name);
	if (s->top && s->format != APPLY_QCOW2)
		return err_set(err, -EDOM, "--top needs a qcow2 image, and %s is not one", s->name);
	return 0;
}

static int open_image(struct apply_source *s, const char *path, struct err *err)
{
	/* recognized by its contents, so that other formats are refused */
	const struct image_options opt = { .format = !s->named ? NULL : s->format == APPLY_QCOW2 ? "qcow2" : "raw",
					   .top = s->top };
	int r;

	if (dev_is_standard(path) && s->format == APPLY_QCOW2)
		return err_set(err, -EDOM, "a qcow2 image cannot be read from a stream: name its file with -i");
	r = image_open(s->file[0], &opt, &s->image, err);
	if (r)
		return r;
	s->len = image_size(s->image);
	return look_at_image(s, err);
}

int apply_source_open(const char *path, enum apply_format format, bool top, struct apply_source **out,
		      struct err *err)
{
	struct apply_source *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_nomem(err, "input");
	s->fd = -1;
	s->top = top;
	s->name = dev_shown(path);
	s->file[0] = dev_is_standard(path) ? "/proc/self/fd/0" : path;
	r = open_input(s, path, err);
	if (!r)
		r = choose_format(s, format, err);
	if (!r && s->format == APPLY_RBD)
		r = s->seekable ? look_through(s, err) : 0;
	else if (!r && (s->seekable || s->format == APPLY_QCOW2))
		r = open_image(s, path, err);
	if (r)
		apply_source_close(s);
	else
		*out = s;
	return r;
}

void apply_source_close(struct apply_source *s)
{
	image_free(s->image);
	if (s->fd > 0)
		close(s->fd);
	free(s);
}

uint64_t apply_source_size(const struct apply_source *s)
{
	if (s->image)
		return image_size(s->image);
	return s->look.has_size ? s->look.size : s->look.high;
}

bool apply_source_is_whole(const struct apply_source *s)
{
	if (s->format == APPLY_RBD)
		return s->seekable && !s->look.has_from;
	return !s->top || !image_backing(s->image);
}

const char *apply_source_file(const struct apply_source *s, size_t i)
{
	return s->image ? image_file(s->image, i) : s->file[i > 0];
}

uint64_t apply_source_len(const struct apply_source *s)
{
	return s->len;
}

struct applying {
	struct apply_source *s;
	struct place *p;
	const struct apply_options *opt;
	uint64_t size; /* of the image; UINT64_MAX: not said */
	uint64_t high; /* everything before this byte of the image was applied, in an input that ascends */
};

static int on_size(void *ctx, uint64_t size, struct err *err)
{
	struct applying *a = ctx;

	a->size = size;
	return place_grow(a->p, size, err);
}

static int on_write(void *ctx, uint64_t at, const void *data, size_t len, struct err *err)
{
	struct applying *a = ctx;
	int r = place_grow(a->p, at + len, err);

	if (!r)
		r = place_write(a->p, data, len, at, err);
	meter_add(a->opt->meter, len);
	if (!r)
		a->high = at + len;
	return r;
}

static int on_zero(void *ctx, uint64_t at, uint64_t len, struct err *err)
{
	struct applying *a = ctx;
	int r = place_grow(a->p, at + len, err);

	if (!r)
		r = place_zero(a->p, len, at, err);
	if (!r)
		a->high = at + len;
	return r;
}

/* To apply a full place's input again helps only then. */
static const char *when(int r)
{
	return r == -ENOSPC || r == -EXFULL ? " when there is room" : "";
}

/* The part that was applied is kept, and the messages of these say so. */
static int apply_rbd(struct applying *a, struct err *err)
{
	const struct rbd_ops ops = { on_size, on_write, on_zero, a };
	const struct rbd_input in = input_of(a->s);
	struct rbd_stream told;
	int r = rbd_read(&in, &ops, &told, err);

	if (!r)
		return check_end(a->s, "the diff itself was applied", err);
	place_keep(a->p, a->opt->tell, a->opt->ctx);
	return err_prefix(err, r,
			  "%llu records were applied whole or in part, the last one up to byte %llu of '%s'; "
			  "apply the whole stream again%s",
			  (ull)told.nr_records, (ull)a->high, place_name(a->p), when(r));
}

/* Runs of zeros become holes: @len bytes at @at. */
static int write_sparse(struct applying *a, const uint8_t *data, size_t len, uint64_t at, struct err *err)
{
	size_t begin = 0, end;
	bool zero;
	int r = 0;

	while (begin < len && !r) {
		end = begin + zero_run(data + begin, len - begin, GRAIN, GRAIN, &zero);
		r = zero ? on_zero(a, at + begin, end - begin, err) :
			   on_write(a, at + begin, data + begin, end - begin, err);
		begin = end;
	}
	return r;
}

static int tell_part(struct applying *a, int r, struct err *err)
{
	place_keep(a->p, a->opt->tell, a->opt->ctx);
	return err_prefix(err, r, "'%s' is partly written, up to byte %llu; apply the whole input again%s",
			  place_name(a->p), (ull)a->high, when(r));
}

static int apply_raw_stream(struct applying *a, struct err *err)
{
	CLEANUP(free_ptr) uint8_t *buf = malloc(CHUNK);
	uint64_t at = 0;
	size_t got = CHUNK;
	int r = buf ? 0 : err_nomem(err, "buffer");

	for (; got == CHUNK && !r; at += got) {
		r = read_full(a->s, buf, CHUNK, &got, err);
		if (!r)
			r = write_sparse(a, buf, got, at, err);
	}
	a->size = at;
	return r ? tell_part(a, r, err) : 0;
}

static int apply_image(struct applying *a, struct err *err)
{
	CLEANUP(free_ptr) uint8_t *buf = io_alloc(CHUNK);
	struct image *m = a->s->image;
	uint64_t at = 0, len;
	enum image_kind kind;
	int r = buf ? 0 : err_nomem(err, "buffer");

	a->size = image_size(m);
	if (!r)
		r = place_grow(a->p, a->size, err);
	for (; at < a->size && !r; at += len) {
		r = image_find(m, at, a->size - at, &kind, &len, err);
		if (r)
			break;
		if (kind == IMAGE_DATA) {
			len = MIN(len, CHUNK - at % CHUNK);
			r = image_read(m, buf, len, at, err);
			if (!r)
				r = place_write(a->p, buf, len, at, err);
		} else if (kind == IMAGE_ZERO) {
			r = place_zero(a->p, len, at, err);
		}
		if (!r)
			a->high = at + len;
		meter_add(a->opt->meter, len);
	}
	return r ? tell_part(a, r, err) : 0;
}

/* Checks that the first @len bytes of the place have the digest @want. */
static int check_digest(struct place *p, uint64_t len, const char *want, const char *what, struct err *err)
{
	CLEANUP(free_ptr) uint8_t *buf = io_alloc(CHUNK);
	char text[SHA256_TEXT];
	struct sha256 sha;
	uint64_t at, n;
	int r = buf ? 0 : err_nomem(err, "buffer");

	sha256_init(&sha);
	for (at = 0; at < len && !r; at += n) {
		n = MIN(len - at, CHUNK);
		r = place_read(p, buf, n, at, err);
		if (!r)
			sha256_add(&sha, buf, n);
	}
	sha256_end_text(&sha, text);
	if (!r && strcmp(text, want))
		r = err_set(err, -EBADMSG, "%s: its SHA-256 is %s, not %s: %s", place_name(p), text, want, what);
	return r;
}

static bool is_digest(struct sha256 sha, const char *want)
{
	char text[SHA256_TEXT];

	sha256_end_text(&sha, text);
	return !strcmp(text, want);
}

/*
 * A device may be larger than the base, which may be larger or smaller than the image: the digest must be that of
 * the device's first bytes up to the end of some sector, or to that of the image.
 */
static int check_device_base(struct place *p, uint64_t image, const char *want, struct err *err)
{
	CLEANUP(free_ptr) uint8_t *buf = io_alloc(CHUNK);
	uint64_t size = place_size(p), at, n, step, end = image < size ? image : size;
	struct sha256 sha;
	int r = buf ? 0 : err_nomem(err, "buffer");

	sha256_init(&sha);
	for (at = 0; at < size && !r; at += n) {
		n = MIN(size - at, CHUNK);
		r = place_read(p, buf, n, at, err);
		for (uint64_t i = 0; i < n && !r; i += step) {
			step = MIN(n - i, SECTOR - (at + i) % SECTOR);
			if (at + i < end)
				step = MIN(step, end - at - i);
			sha256_add(&sha, buf + i, step);
			if (is_digest(sha, want))
				return 0;
		}
	}
	return r ? r : err_set(err, -EBADMSG, "%s: no length of data from its start has the "
					      "SHA-256 %s: it is not the base, nothing was written",
				place_name(p), want);
}

static int check_base(const struct apply_source *s, struct place *p, const char *want, struct err *err)
{
	if (!place_can_grow(p))
		return check_device_base(p, apply_source_size(s), want, err);
	return check_digest(p, place_size(p), want, "it is not the base, nothing was written", err);
}

/* A device has whole sectors; where it is longer than that, its end is not the image's. */
static void tell_rest(const struct place *p, uint64_t size, const struct apply_options *opt)
{
	const uint64_t held = place_size(p);
	char text[300];

	if (!opt->tell || size == UINT64_MAX || place_can_grow(p) || held < size || held - size < 1u << SECTOR_SHIFT)
		return;
	snprintf(text, sizeof(text), "note: %s has %llu bytes, the image %llu: the bytes behind the image are unchanged",
		 place_name(p), (ull)held, (ull)size);
	opt->tell(opt->ctx, text);
}

static void tell_left(const struct place *p, const char *state, const struct apply_options *opt)
{
	char text[600]; /* as much as is said after an interruption */

	if (!opt->left)
		return;
	snprintf(text, sizeof(text), "'%s' is %s: run the same command again", place_name(p), state);
	opt->left(opt->ctx, text);
}

int apply_run(struct apply_source *s, struct place *p, const struct apply_options *opt,
	      struct err *err)
{
	struct applying a = { .s = s, .p = p, .opt = opt, .size = UINT64_MAX };
	uint64_t size = apply_source_size(s), held = place_size(p);
	int r = 0;

	if (!place_can_grow(p) && size > held)
		return err_set(err, -ERANGE, "%s: has %llu bytes, the image needs %llu: nothing was written",
			       place_name(p), (ull)held, (ull)size);
	if (opt->base_sha256)
		r = check_base(s, p, opt->base_sha256, err);
	if (r || opt->dry_run)
		return r;
	tell_left(p, "partly written", opt);
	if (s->image)
		r = apply_image(&a, err);
	else
		r = s->format == APPLY_RBD ? apply_rbd(&a, err) : apply_raw_stream(&a, err);
	if (!r && a.size != UINT64_MAX)
		r = place_cut(p, a.size, err);
	if (!r)
		r = place_sync(p, err);
	if (!r)
		tell_rest(p, a.size, opt);
	if (r || !opt->sha256)
		return r;
	tell_left(p, "written, but its SHA-256 was not compared", opt);
	return check_digest(p, a.size == UINT64_MAX ? place_size(p) : a.size, opt->sha256, "the result is wrong", err);
}
