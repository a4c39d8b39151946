/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The parser takes a copy of the file apart in place: lines, then words.  Every mistake is
 * reported by table_line_error(), which puts file and line in front and quotes the word.
 */
#include "volume/table/table.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text/parse.h"
#include "base/vec.h"
#include "dev/dev.h"
#include "volume/table/impl.h"
#include "volume/table/parse.h"

#define TABLE_MAX_LEN (256u << 20) /* bytes: 2^24 devices in short lines */

DEFINE_CLEANUP(table_cleanup, struct table, table_free)

/* The targets that are read, each with @min words or more behind its name. */
static const struct target {
	const char *name;
	size_t min;
	bool pieces; /* lines of one name are one device */
	table_parse_fn *parse;
} targets[] = {
	{ "thin-pool", 1, false, table_parse_pool }, { "thin", 1, false, table_parse_thin },
	{ "linear", 1, true, table_parse_linear },   { "striped", 1, true, table_parse_striped },
	{ "zero", 0, true, table_parse_zero },       { "error", 0, true, table_parse_error },
};

/* The kernel's other targets: in the output of "dmsetup table" they stand beside ours. */
static const char *other_target(const char *word)
{
	static const char *const names[] = {
		"cache",   "clone",	"crypt",	  "delay",	"dust",
		"ebs",	   "era",	"flakey",	  "integrity",	"log-writes",
		"mirror",  "multipath", "raid",		  "snapshot",	"snapshot-merge",
		"snapshot-origin", "switch", "unstriped", "vdo",	"verity",
		"writecache", "zoned",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(word, names[i]))
			return names[i];
	return NULL;
}

/* "NAME:" in front of a line. */
static int take_name(struct parser *p, bool *named, struct err *err)
{
	size_t len = strlen(p->word[0]);

	*named = p->word[0][len - 1] == ':'; /* no word is empty */
	if (!*named)
		return 0;
	if (len == 1)
		return table_line_error(p, err, ":", "a name is missing before the colon");
	p->name = strndup(p->word[0], len - 1);
	return p->name ? 0 : err_nomem(err, "table file");
}

/* What "dmsetup info -c -o name,major,minor" and "dmsetup ls" print: NAME:253:4, NAME (253:4). */
static bool number_line(const struct parser *p, unsigned *major, unsigned *minor, int *len)
{
	char *const *w = p->word;
	const char *colon, *before;
	int n = 0;

	*len = (int)strlen(w[0]);
	if (p->nr_words == 1 && (colon = strrchr(w[0], ':')) && colon > w[0]) {
		before = memrchr(w[0], ':', (size_t)(colon - w[0]));
		*len = before ? (int)(before - w[0]) : 0;
		return before && *len && dev_numbers(before + 1, major, minor);
	}
	if (p->nr_words == 2) /* the older dmsetup has a comma and a blank */
		return sscanf(w[1], "(%u:%u)%n", major, minor, &n) == 2 && n && !w[1][n];
	if (p->nr_words != 3 || w[0][*len - 1] == ':')
		return false;
	if (sscanf(w[1], "(%u%n", major, &n) == 1 && !strcmp(w[1] + n, ","))
		return sscanf(w[2], "%u)", minor) == 1;
	return !isdigit(w[0][0]) && !parse_u32(w[1], major, NULL) && !parse_u32(w[2], minor, NULL);
}

static int add_number(struct parser *p, unsigned major, unsigned minor, int len, struct err *err)
{
	struct table *t = p->t;
	struct table_number *n = vec_add(t->number, t->nr_numbers, p->number_cap);

	if (!n)
		return err_nomem(err, "table file");
	*n = (struct table_number){ major, minor, strndup(p->word[0], (size_t)len) };
	return n->name ? 0 : err_nomem(err, "table file");
}

/* START LENGTH TARGET ARGS, at least three words. */
static int parse_target(struct parser *p, char **word, size_t nr, bool named, struct err *err)
{
	const struct target *t = targets;
	const char *other = named ? other_target(word[2]) : NULL;
	int r;

	while (t < targets + ARRAY_SIZE(targets) && strcmp(word[2], t->name))
		t++;
	if (t == targets + ARRAY_SIZE(targets))
		t = NULL;
	if (nr == 3 && (!t || t->min) && !other)
		return table_line_error(p, err, word[2],
				  "the line ends here: it needs [NAME:] START LENGTH TARGET ARGS...");
	r = table_word_u64(p, word[0], "START", MAX_SECTORS, &p->start, err);
	if (!r)
		r = table_word_u64(p, word[1], "LENGTH", MAX_SECTORS, &p->length, err);
	if (r < 0)
		return r;
	if (other)
		return table_device_of_line(p, other) ? 0 : err_nomem(err, "table file");
	if (t && t->pieces && !named)
		return table_line_error(p, err, word[2], "the line needs NAME: in front, so that "
							 "other lines can refer to it");
	if (p->start && !(t && t->pieces))
		return table_line_error(p, err, word[0],
				  "START must be 0: a pool or thin device has one line");
	if (!p->length)
		return table_line_error(p, err, word[1], "LENGTH must not be 0");
	if (t)
		return t->parse(p, word + 3, nr - 3, err);
	return table_line_error(p, err, word[2], "unknown target; the targets are thin-pool, "
						 "thin, linear, striped, zero and error");
}

/* thin_lvm's table says of which groups it is: "# volume group NAME, seqno N". */
static int note_group(struct table *t, const char *comment, struct err *err)
{
	static const char begin[] = "# volume group ";
	const char *name = comment + strlen(begin), *end;

	if (strncmp(comment, begin, strlen(begin)) || !(end = strstr(name, ", seqno ")))
		return 0;
	free(steal_ptr(&t->group));
	if (!t->nr_groups++)
		t->group = strndup(name, (size_t)(end - name));
	return t->group || t->nr_groups > 1 ? 0 : err_nomem(err, "table file");
}

static int parse_line(struct parser *p, char *line, struct err *err)
{
	unsigned major, minor;
	bool named;
	int r, len;

	if (line[strspn(line, " \t")] == '#')
		return note_group(p->t, line, err);
	r = table_split_words(p, line, err);
	if (r < 0 || !p->nr_words)
		return r;
	if (number_line(p, &major, &minor, &len))
		return add_number(p, major, minor, len, err);
	if (p->nr_words == 3 && !strcmp(p->word[0], "Name") && !strcmp(p->word[1], "Maj"))
		return 0; /* the heading of dmsetup info */
	r = take_name(p, &named, err);
	if (r < 0)
		return r;
	if (p->nr_words - named < 3)
		return table_line_error(p, err, p->word[p->nr_words - 1],
				  "the line ends here: it needs [NAME:] START LENGTH TARGET ARGS...");
	return parse_target(p, p->word + named, p->nr_words - named, named, err);
}

/* The whole file with a 0 behind it; contents with a 0 byte are no table. */
static int read_text(const char *path, char **text, struct err *err)
{
	size_t len;
	int r = dev_read_text(path, TABLE_MAX_LEN, text, &len, err);

	if (r == -EFBIG)
		return err_set(err, -EINVAL, "too large to be a table file");
	if (!r && strlen(*text) != len)
		return err_set(err, -EINVAL, "not a table file: it contains zero bytes");
	return r;
}

int table_parse(const char *shown, const char *folder, char *text, const struct table_want *want,
		struct table **out, struct err *err)
{
	static const struct table_want any;
	CLEANUP(table_cleanup) struct table *t = calloc(1, sizeof(*t));
	struct parser p = { .t = t, .folder = folder };
	char *line, *rest;
	int r;

	if (!t || !(t->path = strdup(shown)))
		return err_nomem(err, "table file");
	for (rest = text; (line = strsep(&rest, "\n"));) {
		p.line++;
		r = parse_line(&p, line, err);
		free(steal_ptr(&p.name));
		if (r < 0)
			return r;
	}
	if (!want)
		want = &any;
	t->open_thin = want->open_thin;
	r = table_choose(t, want, err);
	if (!r && !t->pool && !t->other)
		return err_set(err, -EINVAL,
			       "%s: no thin-pool line (0 LENGTH thin-pool META DATA BLOCK_SECTORS "
			       "LOW_WATER_BLOCKS) in %u lines",
			       t->path, p.line);
	if (!r)
		r = table_link(t, folder, err);
	if (r < 0)
		return r;
	*out = steal_ptr(&t);
	return 0;
}

int table_read(const char *path, const struct table_want *want, struct table **out, struct err *err)
{
	CLEANUP(free_ptr) char *text = NULL, *folder = NULL;
	const char *slash = strrchr(path, '/');
	int r;

	folder = strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
	if (!folder)
		return err_nomem(err, "table file");
	r = read_text(path, &text, err);
	if (r < 0)
		return err_prefix(err, r, "%s", dev_shown(path));
	return table_parse(dev_shown(path), folder, text, want, out, err);
}

static void dev_fini(struct table_dev *d)
{
	free(d->path);
	free(d->word);
}

void table_free(struct table *t)
{
	size_t i;

	if (!t)
		return;
	table_refs_free(t);
	for (i = 0; i < t->nr_all_thins; i++) {
		free(t->thin[i].name);
		free(t->thin[i].pool_dev);
		dev_fini(&t->thin[i].origin);
	}
	for (i = 0; i < t->nr_pools; i++) {
		free(t->pools[i].name);
		free(t->pools[i].features);
		free(t->pools[i].feature_fault);
		dev_fini(&t->pools[i].metadata);
		dev_fini(&t->pools[i].data);
	}
	for (i = 0; i < t->nr_devices; i++)
		free(t->device[i].name);
	for (i = 0; i < t->nr_legs; i++)
		dev_fini(&t->leg[i].dev);
	for (i = 0; i < t->nr_numbers; i++)
		free(t->number[i].name);
	free(t->device);
	free(t->leg);
	free(t->seg);
	free(t->number);
	free(t->names);
	free(t->told);
	free(t->thin);
	free(t->pools);
	free(t->path);
	free(t->group);
	free(t->active.thin);
	free(t->active.path);
	free(t);
}
