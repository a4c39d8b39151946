/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_TABLE_PARSE_H
#define VOLUME_TABLE_PARSE_H
/* A table's text, line by line: what the parsers of its targets share. */
#include "volume/table/table.h"

#define MAX_WORDS 300		   /* in a line, such as 147 stripes: more is a mistake */
#define MAX_SECTORS ((uint64_t)INT64_MAX >> SECTOR_SHIFT)

struct parser {
	struct table *t;
	const char *folder; /* with its slash, or "" */
	unsigned line;
	size_t thin_cap, pool_cap, device_cap, seg_cap, leg_cap, number_cap;
	char *word[MAX_WORDS];
	size_t nr_words;
	/* the line that is being read */
	char *name; /* or NULL */
	sector_t start, length;
};

/* -EINVAL; the text begins with file and line, and quotes @word unless it is NULL.  parse_word.c */
int table_line_error(const struct parser *p, struct err *err, const char *word, const char *what);
/* Cuts @line into p->word, in place. */
int table_split_words(struct parser *p, char *line, struct err *err);
/* @word is a decimal number, at most @max; @what names it in messages. */
int table_word_u64(const struct parser *p, const char *word, const char *what, uint64_t max,
		   uint64_t *out, struct err *err);
/* @word names a file or device. */
int table_word_dev(const struct parser *p, const char *word, struct table_dev *out, struct err *err);

/* The @nr words behind a target's name.  parse_thin.c, parse_stack.c */
typedef int table_parse_fn(struct parser *p, char **arg, size_t nr, struct err *err);
table_parse_fn table_parse_pool, table_parse_thin;
table_parse_fn table_parse_linear, table_parse_striped, table_parse_zero, table_parse_error;
/* The device that the line belongs to; @target: one that is passed over.  NULL: no memory. */
struct table_device *table_device_of_line(struct parser *p, const char *target);

#endif
