/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The parser takes a copy of the file apart in place: lines, then words.  Every mistake is
 * reported by line_error(), which puts file and line in front and quotes the word.
 */
#include "volume/open/table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "dev/dev.h"
#include "pool/format/format.h"
#include "volume/open/impl.h"

#define TABLE_MAX_LEN (256u << 20) /* bytes: 2^24 devices in short lines */
#define MAX_WORDS 64		   /* in a line: more is a mistake */
#define MAX_FEATURES 4		   /* what the kernel takes */
#define MAX_SECTORS ((uint64_t)INT64_MAX >> SECTOR_SHIFT)

DEFINE_CLEANUP(table_cleanup, struct table, table_free)

struct parser {
	struct table *t;
	const char *folder; /* with its slash, or "" */
	unsigned line;
	size_t thin_cap, pool_cap;
	char *word[MAX_WORDS];
	size_t nr_words;
	/* the line that is being read */
	char *name; /* or NULL */
	sector_t start, length;
};

static int line_error(const struct parser *p, struct err *err, const char *word, const char *what)
{
	if (!word)
		return err_set(err, -EINVAL, "%s: line %u: %s", p->t->path, p->line, what);
	return err_set(err, -EINVAL, "%s: line %u: '%.200s': %s", p->t->path, p->line, word, what);
}

/* Room for one more of @size bytes at the end of the array; NULL: no memory. */
static void *one_more(void *array, size_t nr, size_t *cap, size_t size)
{
	size_t want = nr ? 2 * nr : 16;
	void *more;

	if (nr < *cap)
		return array;
	more = reallocarray(array, want, size);
	if (more)
		*cap = want;
	return more;
}

static int resolve(const struct parser *p, const char *word, struct table_dev *out, struct err *err)
{
	unsigned major, minor;

	out->by_number = dev_numbers(word, &major, &minor);
	out->word = strdup(word);
	if (out->by_number)
		out->path = dev_path_of_numbers(major, minor);
	else if (word[0] == '/')
		out->path = strdup(word);
	else if (asprintf(&out->path, "%s%s", p->folder, word) < 0)
		out->path = NULL;
	return out->path && out->word ? 0 : err_nomem(err, "table file");
}

static int word_u64(const struct parser *p, const char *word, const char *what, uint64_t max,
		    uint64_t *out, struct err *err)
{
	char text[120];

	if (parse_u64(word, out, NULL) < 0) {
		snprintf(text, sizeof(text), "%s is not a decimal number that fits", what);
		return line_error(p, err, word, text);
	}
	if (*out > max) {
		snprintf(text, sizeof(text), "%s is above %llu", what, (unsigned long long)max);
		return line_error(p, err, word, text);
	}
	return 0;
}

static const struct {
	const char *name;
	size_t at;
} features[] = {
	{ "skip_block_zeroing", offsetof(struct table_pool, skip_block_zeroing) },
	{ "ignore_discard", offsetof(struct table_pool, ignore_discard) },
	{ "no_discard_passdown", offsetof(struct table_pool, no_discard_passdown) },
	{ "read_only", offsetof(struct table_pool, read_only) },
	{ "error_if_no_space", offsetof(struct table_pool, error_if_no_space) },
};

/* Why the kernel would refuse the features, for whom it concerns: readers go on. */
static int feature_fault(const struct parser *p, struct table_pool *pool, const char *word,
			 const char *what, struct err *err)
{
	if (pool->feature_fault)
		return 0;
	if (asprintf(&pool->feature_fault, "%s: line %u: '%.200s': %s", p->t->path, p->line, word,
		     what) < 0) {
		pool->feature_fault = NULL;
		return err_nomem(err, "table file");
	}
	return 0;
}

static int one_feature(const struct parser *p, struct table_pool *pool, const char *word,
		       struct err *err)
{
	size_t k;

	for (k = 0; k < ARRAY_SIZE(features); k++) {
		if (!strcmp(word, features[k].name)) {
			*(bool *)((char *)pool + features[k].at) = true;
			return 0;
		}
	}
	return feature_fault(p, pool, word,
			     "unknown pool feature; known are skip_block_zeroing, ignore_discard, "
			     "no_discard_passdown, read_only and error_if_no_space",
			     err);
}

static int parse_features(struct parser *p, struct table_pool *pool, char **word, size_t nr,
			  struct err *err)
{
	uint64_t said;
	size_t i, len = 0;
	int r;

	if (!nr)
		return 0;
	r = word_u64(p, word[0], "the number of features", MAX_WORDS, &said, err);
	if (r < 0)
		return r;
	if (said > nr - 1)
		return line_error(p, err, word[0], "the line has fewer feature words than this number announces");
	if (said < nr - 1)
		return line_error(p, err, word[1 + said], "a word too many after the features");
	if (said > MAX_FEATURES)
		r = feature_fault(p, pool, word[0], "a pool has at most four feature words", err);
	for (i = 1; !r && i < nr; i++) {
		len += strlen(word[i]) + 1;
		r = one_feature(p, pool, word[i], err);
	}
	if (r < 0 || !said)
		return r;
	pool->features = calloc(1, len);
	if (!pool->features)
		return err_nomem(err, "table file");
	for (i = 1; i < nr; i++)
		strcat(strcat(pool->features, word[i]), i + 1 < nr ? " " : "");
	return 0;
}

/* META DATA BLOCK_SECTORS LOW_WATER_BLOCKS [NR_FEATURES FEATURE...] */
static int parse_pool(struct parser *p, char **arg, size_t nr, struct err *err)
{
	struct table *t = p->t;
	struct table_pool *pool;
	uint64_t v;
	int r;

	if (nr < 4)
		return line_error(p, err, arg[nr - 1],
				  "the line ends here: thin-pool needs META DATA BLOCK_SECTORS "
				  "LOW_WATER_BLOCKS");
	pool = one_more(t->pools, t->nr_pools, &p->pool_cap, sizeof(*pool));
	if (!pool)
		return err_nomem(err, "table file");
	t->pools = pool;
	pool += t->nr_pools++;
	*pool = (struct table_pool){ .line = p->line, .length = p->length };
	pool->name = steal_ptr(&p->name);
	if ((r = resolve(p, arg[0], &pool->metadata, err)) < 0 ||
	    (r = resolve(p, arg[1], &pool->data, err)) < 0)
		return r;
	if (!strcmp(pool->metadata.path, pool->data.path))
		return line_error(p, err, arg[1], "metadata and data are the same device");
	r = word_u64(p, arg[2], "the block size", UINT64_MAX, &v, err);
	if (r < 0)
		return r;
	if (!data_block_size_ok(v))
		return line_error(p, err, arg[2],
				  "the block size must be a multiple of 128 sectors (64 KiB) from "
				  "128 to 2097152 (1 GiB)");
	pool->data_block_size = (uint32_t)v;
	r = word_u64(p, arg[3], "the low water mark", UINT64_MAX, &pool->low_water, err);
	if (r < 0)
		return r;
	return parse_features(p, pool, arg + 4, nr - 4, err);
}

/* POOL_DEV DEV_ID [ORIGIN] */
static int parse_thin(struct parser *p, char **arg, size_t nr, struct err *err)
{
	static const char mapper[] = "/dev/mapper/";
	struct table *t = p->t;
	struct table_thin *d;
	uint64_t id;
	int r;

	if (nr < 2)
		return line_error(p, err, arg[nr - 1],
				  "the line ends here: thin needs POOL_DEV DEV_ID [ORIGIN]");
	if (nr > 3)
		return line_error(p, err, arg[3], "a word too many after thin POOL_DEV DEV_ID ORIGIN");
	r = word_u64(p, arg[1], "the device id", MAX_DEV_ID, &id, err);
	if (r < 0)
		return r;
	if (nr == 3 && !strcmp(arg[2], arg[0]))
		return line_error(p, err, arg[2], "the pool itself cannot be the external origin");
	d = one_more(t->thin, t->nr_all_thins, &p->thin_cap, sizeof(*d));
	if (!d)
		return err_nomem(err, "table file");
	t->thin = d;
	d += t->nr_all_thins++;
	*d = (struct table_thin){ .dev_id = (uint32_t)id, .length = p->length, .line = p->line };
	d->name = steal_ptr(&p->name);
	d->pool_dev = strdup(strncmp(arg[0], mapper, strlen(mapper)) ? arg[0] :
								       arg[0] + strlen(mapper));
	if (!d->pool_dev)
		return err_nomem(err, "table file");
	return nr == 3 ? resolve(p, arg[2], &d->origin, err) : 0;
}

/* The targets that are read.  A line has @arg words behind the target's name, at least one. */
static const struct {
	const char *name;
	int (*parse)(struct parser *p, char **arg, size_t nr, struct err *err);
} targets[] = {
	{ "thin-pool", parse_pool },
	{ "thin", parse_thin },
};

/* The kernel's other targets: in the output of "dmsetup table" they stand beside ours. */
static bool other_target(const char *word)
{
	static const char *const names[] = {
		"cache",   "clone",    "crypt",	      "delay",	   "dust",     "ebs",	   "era",
		"error",   "flakey",   "integrity",   "linear",	   "log-writes", "mirror", "multipath",
		"raid",	   "snapshot", "snapshot-merge", "snapshot-origin", "striped", "switch",
		"unstriped", "vdo",    "verity",      "writecache", "zero",    "zoned",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(word, names[i]))
			return true;
	return false;
}

/* In place: \040 is a blank, as in fstab; a backslash before anything else stands for itself. */
static void unquote(char *word)
{
	char *to = word;

	for (; *word; to++) {
		bool octal = word[0] == '\\' && word[1] >= '0' && word[1] <= '3' && word[2] >= '0' &&
			     word[2] <= '7' && word[3] >= '0' && word[3] <= '7';
		int code = octal ? (word[1] - '0') * 64 + (word[2] - '0') * 8 + word[3] - '0' : 0;

		*to = code ? (char)code : *word;
		word += code ? 4 : 1;
	}
	*to = 0;
}

static int split_words(struct parser *p, char *line, struct err *err)
{
	char *save = NULL, *w;

	p->nr_words = 0;
	for (w = strtok_r(line, " \t\r\v\f", &save); w; w = strtok_r(NULL, " \t\r\v\f", &save)) {
		if (p->nr_words == MAX_WORDS)
			return line_error(p, err, w, "too many words in the line");
		unquote(w);
		p->word[p->nr_words++] = w;
	}
	return 0;
}

/* "NAME:" in front of a line. */
static int take_name(struct parser *p, bool *named, struct err *err)
{
	size_t len = strlen(p->word[0]);

	*named = len && p->word[0][len - 1] == ':';
	if (!*named)
		return 0;
	if (len == 1)
		return line_error(p, err, ":", "a name is missing before the colon");
	p->name = strndup(p->word[0], len - 1);
	return p->name ? 0 : err_nomem(err, "table file");
}

static int parse_line(struct parser *p, char *line, struct err *err)
{
	char **word = p->word;
	bool named;
	size_t nr, i;
	int r;

	if (line[strspn(line, " \t")] == '#')
		return 0;
	r = split_words(p, line, err);
	if (r < 0 || !p->nr_words)
		return r;
	r = take_name(p, &named, err);
	if (r < 0)
		return r;
	word += named;
	nr = p->nr_words - named;
	if (nr < 4) {
		if (named && nr == 3 && other_target(word[2]))
			return 0; /* such as error and zero */
		return line_error(p, err, p->word[p->nr_words - 1],
				  "the line ends here: it needs [NAME:] START LENGTH TARGET ARGS...");
	}
	r = word_u64(p, word[0], "START", MAX_SECTORS, &p->start, err);
	if (!r)
		r = word_u64(p, word[1], "LENGTH", MAX_SECTORS, &p->length, err);
	if (r < 0 || (named && other_target(word[2])))
		return r;
	if (p->start)
		return line_error(p, err, word[0],
				  "START must be 0: a pool or thin device has one line");
	if (!p->length)
		return line_error(p, err, word[1], "LENGTH must not be 0");
	for (i = 0; i < ARRAY_SIZE(targets); i++)
		if (!strcmp(word[2], targets[i].name))
			return targets[i].parse(p, word + 3, nr - 3, err);
	return line_error(p, err, word[2], "neither thin-pool nor thin");
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

int table_parse(const char *shown, const char *folder, char *text, const struct pool_want *want,
		struct table **out, struct err *err)
{
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
	if (!t->nr_pools)
		return err_set(err, -EINVAL,
			       "%s: no thin-pool line (0 LENGTH thin-pool META DATA BLOCK_SECTORS "
			       "LOW_WATER_BLOCKS) in %u lines",
			       t->path, p.line);
	r = table_choose(t, want, err);
	if (r < 0)
		return r;
	*out = steal_ptr(&t);
	return 0;
}

int table_read(const char *path, const struct pool_want *want, struct table **out, struct err *err)
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
	free(t->thin);
	free(t->pools);
	free(t->path);
	free(t);
}
