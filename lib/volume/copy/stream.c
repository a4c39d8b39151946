/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Pieces of a plan in order into a stream.
 *
 * From files through the page cache one thread is enough: the kernel reads ahead, and one small
 * buffer stays in the CPU's cache.  Into a pipe the cached pages themselves are passed on.  Devices
 * that are read directly get many requests in flight: workers read, one at a time writes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"
#include "volume/copy/impl.h"

#define PIPE_LEN (1 << 20)
#define AHEAD ((size_t)16 << 20) /* bytes that are read before their turn comes, where pieces are short */

static int write_error(const struct copy_state *c, struct err *err)
{
	return err_sys(err, -errno, "%s: cannot write at offset %llu", c->out->path,
		       (unsigned long long)c->stream_at);
}

static int write_all(struct copy_state *c, const uint8_t *data, uint64_t len, struct err *err)
{
	int r = fd_write(c->out->fd, c->out->path, data, len, err);

	if (r)
		return err_sys(err, r, "%s: cannot write at or after offset %llu", c->out->path,
			       (unsigned long long)c->stream_at);
	c->stream_at += len;
	return 0;
}

/* The zero pages themselves go into a pipe: they are never written to. */
static int write_zeros(struct copy_state *c, uint64_t len, struct err *err)
{
	while (c->pipe && len) {
		struct iovec iov = { c->zeros, MIN(len, COPY_CHUNK) };
		ssize_t n = vmsplice(c->out->fd, &iov, 1, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EPIPE)
			return write_error(c, err);
		if (n < 0)
			c->pipe = false;
		else
			len -= (uint64_t)n;
		c->stream_at += n > 0 ? (uint64_t)n : 0;
	}
	return len ? write_all(c, c->zeros, len, err) : 0;
}

/* Passes cached pages on to a pipe; returns the bytes that it did, the rest is for read and write. */
static uint64_t splice_piece(struct copy_state *c, const struct piece *pc)
{
	uint64_t done = 0;
	struct io_place p;
	off_t from;
	ssize_t n;

	while (done < pc->len) {
		io_where(c->source[pc->kind].io, pc->from + done, pc->len - done, &p);
		if (p.kind != IO_STORED || p.io->fd < 0)
			break;
		from = (off_t)p.at;
		n = splice(p.io->fd, &from, c->out->fd, NULL, MIN(p.len, (uint64_t)1 << 30), SPLICE_F_MORE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* reading and writing will find the cause */
		done += (uint64_t)n;
		c->stream_at += (uint64_t)n;
	}
	return done;
}

/* Writes the head of piece @pc.  *bytes: do its bytes follow? */
static int write_frame(struct copy_state *c, const struct piece *pc, bool *bytes, struct err *err)
{
	const bool zero = pc->kind == EXTENT_ZERO;
	uint8_t head[COPY_FRAME_MAX];
	uint64_t at;

	*bytes = !c->opt->frame || !zero;
	if (!c->opt->frame)
		return 0;
	at = c->plan.extent[pc->first].at + pc->skip;
	return write_all(c, head, c->opt->frame(at, pc->len, zero, head), err);
}

static int stream_piece(struct copy_state *c, size_t k, struct err *err)
{
	struct piece *pc = &c->plan.piece[k];
	uint64_t len = pc->len, done = 0;
	uint8_t *buf;
	bool bytes;
	int r = write_frame(c, pc, &bytes, err);

	if (r)
		return r;
	if (pc->kind == EXTENT_ZERO) {
		copy_seen(c, NULL, len);
		r = bytes ? write_zeros(c, len, err) : 0;
		return r ? r : copy_done(c, copy_count(c, zeroed), len, err);
	}
	if (c->pipe && !c->opt->seen)
		done = splice_piece(c, pc);
	if (done < len) {
		buf = copy_buffer(c, 0);
		if (!buf)
			return err_nomem(err, "copy buffer");
		pc->from += done;
		pc->len -= done;
		r = copy_read(c, k, buf, err);
		if (!r)
			copy_seen(c, buf, pc->len);
		if (!r)
			r = write_all(c, buf, pc->len, err);
		if (r)
			return r;
	}
	return copy_done(c, copy_count(c, copied), len, err);
}

struct slot {
	uint8_t *buf;
	const struct piece *piece;
};

struct streaming {
	struct copy_state *c;
	struct slot *slot;
	size_t next; /* piece */
};

static int next_piece(void *ctx, size_t slot, struct err *err)
{
	struct streaming *s = ctx;

	(void)err;
	if (s->next == s->c->plan.nr_pieces)
		return 0;
	s->slot[slot].piece = &s->c->plan.piece[s->next++];
	return 1;
}

static int read_piece(void *ctx, unsigned worker, size_t slot, struct err *err)
{
	struct streaming *s = ctx;
	struct slot *sl = &s->slot[slot];
	const struct piece *pc = sl->piece;

	(void)worker;
	if (pc->kind == EXTENT_ZERO)
		return 0;
	if (!sl->buf)
		sl->buf = io_alloc(s->c->chunk);
	if (!sl->buf)
		return err_nomem(err, "copy buffer");
	return io_read(s->c->source[pc->kind].io, sl->buf, pc->len, pc->from, err);
}

static int write_piece(void *ctx, size_t slot, struct err *err)
{
	struct streaming *s = ctx;
	struct slot *sl = &s->slot[slot];
	const struct piece *pc = sl->piece;
	bool zero = pc->kind == EXTENT_ZERO, bytes;
	int r = write_frame(s->c, pc, &bytes, err);

	if (!r)
		copy_seen(s->c, zero ? NULL : sl->buf, pc->len);
	if (!r && bytes)
		r = zero ? write_zeros(s->c, pc->len, err) : write_all(s->c, sl->buf, pc->len, err);
	if (r)
		return r;
	return copy_done(s->c, zero ? copy_count(s->c, zeroed) : copy_count(s->c, copied), pc->len, err);
}

uint64_t copy_stream_max(const struct copy_state *c)
{
	return c->direct && !c->opt->frame && plan_fragmented(&c->plan) ? COPY_CHUNK : c->chunk;
}

static int stream_direct(struct copy_state *c, struct err *err)
{
	struct jobs *jobs = jobs_new(c->nr_workers);
	struct streaming s = { .c = c };
	struct jobs_pipe pipe = {
		/* more than the workers: they need not wait for a request that takes longer than the others */
		.nr_slots = MAX(c->nr_workers + 4, AHEAD / copy_stream_max(c)),
		.produce = next_piece,
		.work = read_piece,
		.consume = write_piece,
		.ctx = &s,
	};
	size_t i;
	int r;

	s.slot = calloc(pipe.nr_slots, sizeof(*s.slot));
	r = s.slot && jobs ? jobs_pipe(jobs, &pipe, err) : err_nomem(err, "copy buffers");
	for (i = 0; s.slot && i < pipe.nr_slots; i++)
		free(s.slot[i].buf);
	free(s.slot);
	jobs_free(jobs);
	return r;
}

void copy_stream_init(struct copy_state *c)
{
	struct stat st;

	c->pipe = !fstat(c->out->fd, &st) && S_ISFIFO(st.st_mode);
	if (c->pipe)
		fcntl(c->out->fd, F_SETPIPE_SZ, PIPE_LEN);
	if (c->pipe && c->opt->frame && !c->direct)
		c->chunk = COPY_CHUNK_FRAMED;
}

int copy_stream(struct copy_state *c, struct err *err)
{
	size_t k;
	int r = 0;

	if (c->direct && c->plan.bytes > COPY_SMALL)
		return stream_direct(c, err);
	for (k = 0; k < c->plan.nr_pieces && !r; k++)
		r = stream_piece(c, k, err);
	return r;
}
