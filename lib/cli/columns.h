/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef CLI_COLUMNS_H
#define CLI_COLUMNS_H
/*
 * Rows and columns as text: a table for people and scripts, or an array of JSON objects.
 * Memory: one size_t a column.  Threads: one at a time.
 */
#include <stdbool.h>

#include "base/text/outbuf.h"

struct column {
	const char *name; /* the heading of a table */
	const char *json; /* the key of a JSON object */
};

/* The value in one column of one row. */
struct cell {
	const char *text; /* or NULL: a number */
	uint64_t number;
	bool size;    /* the number is a size in bytes: a table shows it in a unit that fits */
	bool missing; /* the row has no such value: "-", in JSON null */
};

struct columns {
	const struct column *column;
	size_t nr_columns, nr_rows;
	struct cell (*cell)(void *ctx, size_t row, size_t column);
	void *ctx;
};

/*
 * Appends a line for each row, and the headings before them unless @bare.  Cells are aligned to
 * the right, with one blank behind each.  No memory: out->error.
 */
void columns_table(const struct columns *c, bool bare, struct outbuf *out);

/* Appends a document with one list, NAME, of one object for each row.  Sizes are numbers of bytes. */
void columns_json(const struct columns *c, const char *name, struct outbuf *out);

#endif
