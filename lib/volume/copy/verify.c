/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The output, read back from the disk, against the sources. */
#include <errno.h>
#include <stdlib.h>
#include <fcntl.h>
#include <string.h>

#include "volume/copy/impl.h"

struct verify {
	const struct copy_options *opt;
	struct output *out;
	struct jobs *jobs;
	struct holes holes[EXTENT_ORIGIN + 1]; /* of the sources, by extent kind; [EXTENT_ZERO]: of the output */
	struct plan plan;
	size_t chunk;
	unsigned nr_workers;
	uint8_t **buffer; /* one a worker: half for each side */
};

static int differs(const struct verify *v, uint64_t at, const uint8_t *a, const uint8_t *b,
		   struct err *err)
{
	const char *why = "the disk, or the path to it, returns other data than was written";

	while (*a == *b)
		a++, b++, at++;
	if (!*a && v->out->kind == OUTPUT_DEVICE && v->out->reads_zero)
		why = "the device did not read as zeros, although --target-is-zero was given";
	if (v->opt->updated)
		why = "it was not an image of the base, or the disk returns other data than was written";
	return err_set(err, -EBADMSG,
		       "%s: differs from the image at offset %llu: 0x%02x instead of 0x%02x: %s",
		       v->out->path, (unsigned long long)at, *b, *a, why);
}

static int verify_piece(struct verify *v, unsigned worker, const struct piece *pc, struct err *err)
{
	uint8_t *want, *got;
	uint32_t i;
	int r;

	if (!v->buffer[worker])
		v->buffer[worker] = io_alloc(2 * v->chunk);
	want = v->buffer[worker];
	if (!want)
		return err_nomem(err, "verify buffer");
	got = want + v->chunk;
	if (pc->kind == EXTENT_ZERO) {
		memset(want, 0, pc->len);
		r = 0;
	} else {
		r = io_read(pc->kind == EXTENT_DATA ? v->opt->data : v->opt->origin, want, pc->len,
			    pc->from, err);
	}
	for (i = 0; i < pc->nr && !r; i++) {
		struct piece_part part = piece_part(&v->plan, pc, i);

		r = io_read(v->out->io, got, part.len, part.at, err);
		if (!r && memcmp(want + part.offset, got, part.len))
			r = differs(v, part.at, want + part.offset, got, err);
		if (!r && v->opt->progress)
			r = v->opt->progress(v->opt->progress_ctx, part.len, err);
	}
	return r;
}

static int verify_some(void *ctx, unsigned worker, size_t begin, size_t end, struct err *err)
{
	struct verify *v = ctx;
	int r = 0;

	for (; begin < end && !r; begin++)
		r = verify_piece(v, worker, &v->plan.piece[begin], err);
	return r;
}

static int execute(struct verify *v, struct err *err)
{
	int r = plan_cut(&v->plan, v->chunk, v->chunk, true, err);

	if (!r)
		r = jobs_for_wide(v->jobs, v->nr_workers, v->plan.nr_pieces,
				  v->plan.bytes <= COPY_SMALL ? v->plan.nr_pieces : 1, verify_some, v,
				  err);
	plan_reset(&v->plan);
	return r;
}

static int plan_part(struct verify *v, const struct extent *e, struct err *err)
{
	int r = plan_add(&v->plan, e, err);

	return !r && plan_full(&v->plan) ? execute(v, err) : r;
}

/*
 * Zeros are read back only where the output has something.  Lost bytes need not be zeros in what was updated: it may
 * still have those of the base.
 */
static int take_zeros(struct verify *v, struct extent e, struct err *err)
{
	uint64_t rest = e.len;
	bool is_data;
	int r = 0;

	for (; rest && !r; rest -= e.len) {
		e.len = holes_segment(&v->holes[EXTENT_ZERO], e.at, MIN(rest, PLAN_MAX_BYTES), &is_data);
		if (is_data && !(e.lost && v->opt->updated))
			r = plan_part(v, &e, err);
		else if (v->opt->progress)
			r = v->opt->progress(v->opt->progress_ctx, e.len, err);
		e.at += e.len;
	}
	return r;
}

static int take_extent(void *ctx, const struct extent *extent, struct err *err)
{
	struct verify *v = ctx;
	struct extent e = *extent;
	int r = 0;

	if (e.kind == EXTENT_ZERO)
		return take_zeros(v, e, err);
	while (e.len && !r) {
		const struct extent part = holes_take(&v->holes[e.kind], &e, PLAN_MAX_BYTES);

		r = part.kind == EXTENT_ZERO ? take_zeros(v, part, err) : plan_part(v, &part, err);
	}
	return r;
}

int copy_verify(const struct map *m, struct output *out, const struct copy_options *opt,
		struct jobs *jobs, struct err *err)
{
	bool direct = (opt->data && opt->data->direct) || (opt->origin && opt->origin->direct);
	struct verify v = { .opt = opt, .out = out, .jobs = jobs };
	unsigned i;
	int r;

	v.chunk = direct ? COPY_CHUNK_DIRECT : COPY_CHUNK;
	v.nr_workers = direct ? MAX(jobs_nr(jobs), COPY_WIDE) : jobs_nr(jobs);
	v.buffer = calloc(v.nr_workers, sizeof(*v.buffer));
	if (!v.buffer)
		return err_nomem(err, "verify buffers");
	holes_init(&v.holes[EXTENT_ZERO], out->io);
	holes_init(&v.holes[EXTENT_DATA], opt->data);
	holes_init(&v.holes[EXTENT_ORIGIN], opt->origin);
	posix_fadvise(out->fd, 0, 0, POSIX_FADV_DONTNEED);
	r = map_walk(m, take_extent, &v, err);
	if (!r)
		r = execute(&v, err);
	for (i = 0; i < v.nr_workers; i++)
		free(v.buffer[i]);
	free(v.buffer);
	plan_fini(&v.plan);
	return r;
}
