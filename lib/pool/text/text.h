/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_TEXT_H
#define POOL_TEXT_H
/* The exchange format (xml/thin-metadata.rng), read; and the text formats of a dump, written. */
#include "base/jobs.h"
#include "pool/events/events.h"

/*
 * Parses the XML on @fd (file, pipe, terminal), named @name in messages, into @to.
 * libexpat is the authority; unless @no_fast_lane, runs of canonical mapping elements are taken
 * straight from the buffer, with the same events.  Refuses, with line number: bad or
 * missing attributes, numbers that do not fit, unknown elements, wrong nesting, duplicate device
 * ids, keys that do not ascend, overlapping ranges, refs to unknown defs, dev_id > 24 bit,
 * data blocks >= nr_data_blocks, a mapping time > the pool's time or >= 2^24, illegal data_block_size.
 * Unknown attributes are ignored (as 0.9.0 does).  Returns 0, -EINVAL for bad XML, or -errno.
 */
struct xml_options {
	bool no_fast_lane;
	/* overrides, applied before begin_pool is sent; NULL: none */
	const struct pool_overrides *overrides;
	size_t read_len; /* bytes asked for at a time; 0: what is fast.  For tests */
};
int xml_read(int fd, const char *name, const struct xml_options *opt, const struct events *to,
	     struct err *err);

/*
 * A cheap look over a seekable @fd from its beginning (position kept): the number of <device>
 * elements and the sum of their mapped_blocks, and nr_data_blocks of the superblock element.
 * They are claims, to say "too small" early.  When the first mebibyte has a <def>, as in a dump with
 * shared parts, the claims say nothing about sizes: @has_defs is set, and the rest is not read.
 * -ESPIPE when the file cannot seek.
 */
struct xml_claims {
	uint64_t nr_devices, mapped_blocks, nr_data_blocks;
	bool has_defs;
};
int xml_scan(int fd, struct xml_claims *claims, struct err *err);
/* The length of a buffer for reading @fd, at most @most: a short file needs little memory. */
size_t xml_room(int fd, size_t most);

/* Sinks that write text to @fd; *out->ctx is freed by text_sink_free(). */
enum text_format { TEXT_XML, TEXT_HUMAN, TEXT_JSON };
/* The format that --format calls @name; false: there is none. */
bool text_format_find(const char *name, enum text_format *format);
/*
 * -EPIPE from the events when the reader closed the pipe.  All text has been
 * written to @fd when end_pool returned 0.  XML ends with a newline after </superblock>.
 */
int text_sink_new(enum text_format format, int fd, const char *name, struct events *out,
		  struct err *err);
/* Writes the text of the events so far: for a source that had to stop before end_pool. */
int text_sink_flush(struct events *e, struct err *err);
void text_sink_free(struct events *e);

#endif
