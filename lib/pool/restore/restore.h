/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_RESTORE_H
#define POOL_RESTORE_H
/*
 * Metadata made from XML.  Faults that can be found before the output is written are found first:
 * first restore_check(), then restore_build().  Threads: restore_build() makes its own when the
 * text is long; else one at a time.
 */
#include "pool/build/build.h"
#include "pool/text/text.h"

struct restore_text {
	int fd;		  /* at its beginning */
	const char *name; /* for messages */
	const struct xml_options *xml;
};

/*
 * How many blocks the pool takes, by a full look at the text, which must be seekable and is then
 * at its beginning again.  @text: a struct restore_text.  Fails as xml_read() does.
 */
int restore_count(void *text, struct build_counts *n, struct err *err);

/*
 * Can the text be restored to a device of @nr_blocks?  A text that was cut off, and one whose pool
 * is too large (-ERANGE, with the number of blocks), are refused; damage inside of the text is
 * found later, by restore_build().  A pipe, which can be read only once, passes.
 */
int restore_check(struct restore_text *t, uint64_t nr_blocks, struct err *err);

/*
 * Reads the text and writes the pool to @out; build_new() says in which order.  -ERANGE: @out is
 * too small; or as xml_read() and build_new() fail.
 */
int restore_build(struct restore_text *t, struct io *out, const struct build_options *opt,
		  struct err *err);

#endif
