/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_TEXT_JSON_H
#define BASE_TEXT_JSON_H
/*
 * Writing JSON (RFC 8259): the one writer of all commands.
 *
 *	json_begin(&j, &out);			{ "format": 1
 *	json_list(&j, "devices", JSON_LINES);	, "devices": [
 *	json_object(&j, NULL, 0);		{
 *	json_u64(&j, "dev_id", 7);		"dev_id": 7
 *	json_close(&j);				}
 *	json_close(&j);				]
 *	json_end(&j);				} and a line feed
 *
 * @key is NULL for a member of a list. The writer puts commas, line ends and indentation. The
 * outbuf notes a failed allocation.  Threads: one at a time.
 */
#include "base/text/outbuf.h"
#include "base/units.h"

/* The version of the vocabulary; every document begins with it.  doc/json.md */
#define JSON_FORMAT 1
/* The greatest whole number that every reader of JSON takes exactly: 2^53 - 1. */
#define JSON_MAX_NUMBER (((uint64_t)1 << 53) - 1)

/* Each member stands on a line of its own; without it all are on one line. */
#define JSON_LINES 1u

/* Objects and lists in each other, at most 63 deep. */
struct json {
	struct outbuf *out;
	unsigned depth;
	/* bit d of each: the object or list at that depth has a member; writes lines; is a list */
	uint64_t more, lines, list;
};

/* Opens the document, an object of lines, with "format" as its first member. */
void json_begin(struct json *j, struct outbuf *out);
/* Closes the document. */
void json_end(struct json *j);

void json_object(struct json *j, const char *key, unsigned flags);
void json_list(struct json *j, const char *key, unsigned flags);
void json_close(struct json *j); /* the innermost object or list */

void json_u64(struct json *j, const char *key, uint64_t v);
void json_bool(struct json *j, const char *key, bool v);
void json_null(struct json *j, const char *key);
/* NULL: null. */
void json_text(struct json *j, const char *key, const char *text);
void json_text_len(struct json *j, const char *key, const char *text, size_t len);
/* @tenths / 10, with one decimal. */
void json_tenths(struct json *j, const char *key, uint64_t tenths);

/*
 * Begins in the middle of a list of lines at @depth: for text that is made in pieces and put
 * together afterwards.  Each member begins with a comma.
 */
void json_piece(struct json *j, struct outbuf *out, unsigned depth);

/*
 * Appends @v.  A number above JSON_MAX_NUMBER becomes a string of its decimal digits, because
 * readers that hold numbers as doubles would round it without a word.
 */
void json_number(struct outbuf *out, uint64_t v);

/*
 * Appends the @len bytes at @s as a string in quotes.  Quotes, backslashes and control
 * characters are escaped.  A byte that is not part of valid UTF-8 becomes U+FFFD, so that the
 * result is valid JSON whatever a name or a path holds.
 */
void json_string(struct outbuf *out, const char *s, size_t len);

#endif
