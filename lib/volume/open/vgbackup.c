/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The grammar is small: name { ... } and name = value, where a value is a number, a string or a
 * list.  Only the values of logical volumes' segments are looked at.
 */
#include "volume/open/vgbackup.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "dev/dev.h"

#define MAX_FILE (64u << 20)
#define MAX_DEPTH 16
#define MAX_WORD 129

struct parser {
	const char *p, *end;
	unsigned line;
	char section[MAX_DEPTH][MAX_WORD];
	unsigned depth;
	uint64_t extent_size;
	/* the segment being read */
	bool is_pool;
	uint64_t transaction, chunk_size, extents;
	/* result */
	const char *want;
	struct vg_pool *out;
	unsigned nr_pools, nr_taken;
	char names[300];
};

static void skip_space(struct parser *q)
{
	while (q->p < q->end) {
		if (*q->p == '#')
			while (q->p < q->end && *q->p != '\n')
				q->p++;
		else if (!isspace((unsigned char)*q->p))
			return;
		else
			q->line += *q->p++ == '\n';
	}
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || strchr("_-.+", c);
}

/* A bare word or what stands between quotes, cut to what fits. */
static bool read_word(struct parser *q, char word[MAX_WORD])
{
	size_t len = 0;
	bool quoted;

	skip_space(q);
	quoted = q->p < q->end && *q->p == '"';
	q->p += quoted;
	for (; q->p < q->end && (quoted ? *q->p != '"' : *q->p && is_word(*q->p)); q->p++) {
		if (quoted && *q->p == '\\' && q->p + 1 < q->end)
			q->p++;
		if (len + 1 < MAX_WORD)
			word[len++] = *q->p;
	}
	word[len] = 0;
	if (quoted) {
		if (q->p == q->end)
			return false;
		q->p++;
	}
	return len || quoted;
}

static bool read_list(struct parser *q)
{
	while (q->p < q->end && *q->p != ']') {
		char word[MAX_WORD];

		if (*q->p == '"') {
			if (!read_word(q, word))
				return false;
			continue;
		}
		q->line += *q->p++ == '\n';
	}
	return q->p++ < q->end;
}

static void take_value(struct parser *q, const char *name, const char *value)
{
	static const char logical[] = "logical_volumes";
	uint64_t v = 0;

	if (q->depth == 1 && !strcmp(name, "extent_size"))
		(void)parse_u64(value, &q->extent_size, NULL);
	if (q->depth != 4 || strcmp(q->section[1], logical))
		return;
	if (!strcmp(name, "type"))
		q->is_pool = !strcmp(value, "thin-pool");
	if (parse_u64(value, &v, NULL))
		return;
	if (!strcmp(name, "transaction_id"))
		q->transaction = v;
	else if (!strcmp(name, "chunk_size"))
		q->chunk_size = v;
	else if (!strcmp(name, "extent_count"))
		q->extents = v;
}

static void end_segment(struct parser *q)
{
	const char *lv = q->section[2];
	size_t len = strlen(q->names);

	if (!q->is_pool)
		return;
	q->nr_pools++;
	if (len + strlen(lv) + 2 < sizeof(q->names)) {
		if (len)
			q->names[len++] = ' ';
		memcpy(q->names + len, lv, strlen(lv) + 1);
	}
	if (q->want && strcmp(q->want, lv))
		return;
	q->nr_taken++;
	*q->out = (struct vg_pool){ .transaction = q->transaction, .chunk_size = q->chunk_size };
	memcpy(q->out->name, lv, strlen(lv) + 1);
	if (__builtin_mul_overflow(q->extents, q->extent_size, &q->out->data_sectors))
		q->out->data_sectors = 0;
}

static bool begin_section(struct parser *q, const char *name)
{
	if (q->depth == MAX_DEPTH)
		return false;
	memcpy(q->section[q->depth++], name, strlen(name) + 1);
	if (q->depth == 4) {
		q->is_pool = false;
		q->transaction = q->chunk_size = q->extents = 0;
	}
	return true;
}

static bool parse_statement(struct parser *q)
{
	char name[MAX_WORD], value[MAX_WORD];

	if (*q->p == '}') {
		q->p++;
		if (!q->depth)
			return false;
		if (q->depth == 4 && !strcmp(q->section[1], "logical_volumes"))
			end_segment(q);
		q->depth--;
		return true;
	}
	if (!read_word(q, name))
		return false;
	skip_space(q);
	if (q->p == q->end)
		return false;
	if (*q->p == '{') {
		q->p++;
		return begin_section(q, name);
	}
	if (*q->p++ != '=')
		return false;
	skip_space(q);
	if (q->p < q->end && *q->p == '[')
		return read_list(q);
	if (!read_word(q, value))
		return false;
	take_value(q, name, value);
	return true;
}

int vgbackup_read(const char *path, const char *name, struct vg_pool *out, struct err *err)
{
	CLEANUP(free_ptr) char *text = NULL;
	struct parser q = { .line = 1, .want = name, .out = out };
	size_t len;
	int r = dev_read_text(path, MAX_FILE, &text, &len, err);

	if (r == -EFBIG)
		return err_set(err, -EINVAL, "'%s' is too large to be a backup of a volume group", path);
	if (r < 0)
		return r;
	q.p = text;
	q.end = text + len;
	for (skip_space(&q); q.p < q.end; skip_space(&q))
		if (!parse_statement(&q))
			return err_set(err, -EINVAL,
				       "'%s' line %u: this is not a backup of a volume group as vgcfgbackup writes it",
				       path, q.line);
	if (q.depth)
		return err_set(err, -EINVAL, "'%s' ends too early: a section is not closed", path);
	if (!q.nr_pools)
		return err_set(err, -ENODATA, "'%s' has no thin pool", path);
	if (!q.nr_taken)
		return err_set(err, -ENODATA, "'%s' has no thin pool '%s', but: %s", path, name, q.names);
	if (q.nr_taken > 1)
		return err_set(err, -EINVAL,
			       "'%s' has several thin pools: %s; name one with --pool NAME", path, q.names);
	return 0;
}
