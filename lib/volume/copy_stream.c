/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pieces of a plan in order into a stream: the workers read ahead, one at a time writes.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "volume/copy_state.h"

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

static int write_all(struct copy_state *c, const uint8_t *data, uint64_t len, struct err *err)
{
	ssize_t n;

	while (len) {
		n = write(c->out->fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, -errno, "%s: cannot write at offset %llu", c->out->path,
				       (unsigned long long)c->stream_at);
		data += n;
		len -= (uint64_t)n;
		c->stream_at += (uint64_t)n;
	}
	return 0;
}

static int write_piece(void *ctx, size_t slot, struct err *err)
{
	struct streaming *s = ctx;
	struct slot *sl = &s->slot[slot];
	const struct piece *pc = sl->piece;
	bool zero = pc->kind == EXTENT_ZERO;
	int r = write_all(s->c, zero ? s->c->zeros : sl->buf, pc->len, err);

	if (r)
		return r;
	return copy_done(s->c, zero ? copy_count(s->c, zeroed) : copy_count(s->c, copied), pc->len, err);
}

int copy_stream(struct copy_state *c, struct err *err)
{
	struct streaming s = { .c = c };
	struct jobs_pipe pipe = {
		.nr_slots = jobs_nr(c->jobs) + 4,
		.produce = next_piece,
		.work = read_piece,
		.consume = write_piece,
		.ctx = &s,
	};
	size_t i;
	int r;

	s.slot = calloc(pipe.nr_slots, sizeof(*s.slot));
	if (!s.slot)
		return err_nomem(err, "copy buffers");
	if (c->plan.bytes <= COPY_SMALL) {
		/* not worth a thread */
		for (r = next_piece(&s, 0, err); r > 0; r = next_piece(&s, 0, err)) {
			r = read_piece(&s, 0, 0, err);
			if (!r)
				r = write_piece(&s, 0, err);
			if (r < 0)
				break;
		}
	} else {
		r = jobs_pipe(c->jobs, &pipe, err);
	}
	for (i = 0; i < pipe.nr_slots; i++)
		free(s.slot[i].buf);
	free(s.slot);
	return r;
}
