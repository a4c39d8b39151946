/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_COPY_STATE_H
#define VOLUME_COPY_STATE_H
/* Shared by the parts of copy: copy.c decides, the other files do the work. */
#include "volume/copy/copy.h"
#include "volume/map/holes.h"
#include "volume/map/plan.h"

#define COPY_CHUNK (256u << 10)		/* through the page cache: stays in the CPU's cache */
#define COPY_CHUNK_DIRECT (1u << 20)	/* each request waits for the device */
#define COPY_CHUNK_FRAMED (4u << 20)	/* a record of its own into a pipe: its head costs the reader a turn */
#define COPY_ZEROS ((uint64_t)256 << 20) /* a piece of zeros */
#define COPY_WIDE 16			/* requests in flight on a device */
#define COPY_SMALL (4u << 20)		/* bytes: less than this wakes no thread */
#define COPY_AHEAD ((uint64_t)64 << 20) /* bytes announced ahead to a file that is not cached */
#define COPY_GRAIN 4096			/* bytes of zeros that are worth a hole */

struct copy_source {
	struct io *io;
	struct holes holes;
	bool reflink;	     /* extents may be shared; cleared when the filesystem cannot */
	_Atomic bool nowait; /* can say whether something is cached */
	_Atomic bool kernel; /* the kernel may copy; cleared when it cannot */
};

struct copy_state {
	const struct copy_options *opt;
	struct output *out;
	struct jobs *jobs;
	struct copy_source source[EXTENT_ORIGIN + 1]; /* by extent kind; [EXTENT_ZERO] is not used */
	struct plan plan;
	size_t chunk;	   /* bytes a piece may have */
	unsigned nr_workers;
	uint8_t **buffer;  /* one a worker, of chunk bytes, made on first use */
	uint8_t *zeros;	   /* COPY_CHUNK, mapped; never written to: all of it is the kernel's zero page */
	uint64_t fs_block; /* of the output's filesystem: what extents are shared in */
	bool direct;	   /* a source waits for its device with each request; outputs are buffered */
	_Atomic size_t announced; /* pieces before this one have been announced to their sources */
	_Atomic uint64_t written; /* bytes of executed pieces */
	bool pipe;	   /* the stream is a pipe that takes pages */
	uint64_t stream_at; /* bytes written to a stream */
};

/* state.c */
/* The buffer of @worker: its own, so no lock. NULL: no memory. */
uint8_t *copy_buffer(struct copy_state *c, unsigned worker);

/* Tells opt->progress and adds to one of opt->counts (NULL: none). */
int copy_done(struct copy_state *c, _Atomic uint64_t *count, uint64_t bytes, struct err *err);
/* Shows bytes to opt->seen. */
void copy_seen(struct copy_state *c, const void *bytes, uint64_t len);
#define copy_count(c, field) ((c)->opt->counts ? &(c)->opt->counts->field : NULL)

/*
 * Reads piece @k to @buf.  Where it has to wait for the disk, the coming pieces are announced first, so
 * that the disk has much to choose from.  Any thread.  read.c
 */
int copy_read(struct copy_state *c, size_t k, uint8_t *buf, struct err *err);

/*
 * Shares the beginning of @e, which lies at @p, with the output: *len bytes of it, all or none.  When
 * the filesystem cannot, source->reflink is cleared and it is no error unless
 * REFLINK_ALWAYS.  reflink.c
 */
int copy_reflink(struct copy_state *c, const struct extent *e, const struct io_place *p, uint64_t *len,
		 struct err *err);

/*
 * Copies inside the kernel.  1: done; 0: cannot, source->kernel is cleared and nothing says
 * how much was done; or a negative errno.  Any thread.  range.c
 */
int copy_range(struct copy_state *c, struct copy_source *s, uint64_t from, uint64_t at, uint64_t len,
	       struct err *err);

/* Executes the plan, any order, on all workers; for files and devices.  rw.c */
int copy_pieces(struct copy_state *c, struct err *err);

/* Executes the plan in order into the stream.  stream.c */
void copy_stream_init(struct copy_state *c);
int copy_stream(struct copy_state *c, struct err *err);
/* Bytes that a piece of the stream may have: fewer of a device with short extents, so that more are under way. */
uint64_t copy_stream_max(const struct copy_state *c);

#endif
