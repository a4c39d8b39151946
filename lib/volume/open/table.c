/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parser takes a copy of the file apart in place: lines, then words.  Every mistake is
 * reported by line_error(), which puts file and line in front and quotes the word.
 */
#include "volume/open/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "pool/format/format.h"

#define TABLE_MAX_LEN (256u << 20) /* bytes: 2^24 devices in short lines */
#define MAX_WORDS 64		   /* in a line: more is a mistake */
#define MAX_SECTORS ((uint64_t)INT64_MAX >> SECTOR_SHIFT)

DEFINE_CLEANUP(table_cleanup, struct table, table_free)

struct parser {
	struct table *t;
	const char *folder; /* with its slash, or "" */
	unsigned line;
	size_t cap; /* of t->thin */
	char *word[MAX_WORDS];
	size_t nr_words;
	char *name;
};

static int line_error(const struct parser *p, struct err *err, const char *word, const char *what)
{
	if (!word)
		return err_set(err, -EINVAL, "%s: line %u: %s", p->t->path, p->line, what);
	return err_set(err, -EINVAL, "%s: line %u: '%.200s': %s", p->t->path, p->line, word, what);
}

/* The device node of @word = MAJOR:MINOR, or NULL when @word is not of that form. */
static char *device_of_numbers(const char *word)
{
	CLEANUP(free_ptr) char *sys = NULL;
	char line[256], *path = NULL;
	unsigned major, minor;
	struct stat st;
	FILE *f;

	if (strspn(word, "0123456789:") != strlen(word) || sscanf(word, "%u:%u", &major, &minor) != 2)
		return NULL;
	if (asprintf(&path, "/dev/block/%u:%u", major, minor) < 0)
		return NULL;
	if (!stat(path, &st) || asprintf(&sys, "/sys/dev/block/%u:%u/uevent", major, minor) < 0)
		return path;
	/* without udev there is no /dev/block; the kernel knows the name */
	f = fopen(sys, "re");
	if (!f)
		return path;
	while (fgets(line, sizeof(line), f)) {
		char *dev = NULL;

		if (strncmp(line, "DEVNAME=", 8))
			continue;
		line[strcspn(line, "\n")] = 0;
		if (asprintf(&dev, "/dev/%s", line + 8) >= 0) {
			free(path);
			path = dev;
		}
		break;
	}
	fclose(f);
	return path;
}

static int resolve(const struct parser *p, const char *word, char **out, struct err *err)
{
	char *path = device_of_numbers(word);

	if (!path) {
		if (word[0] == '/')
			path = strdup(word);
		else if (asprintf(&path, "%s%s", p->folder, word) < 0)
			path = NULL;
	}
	if (!path)
		return err_nomem(err, "table file");
	*out = path;
	return 0;
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
	{ "skip_block_zeroing", offsetof(struct table, skip_block_zeroing) },
	{ "ignore_discard", offsetof(struct table, ignore_discard) },
	{ "no_discard_passdown", offsetof(struct table, no_discard_passdown) },
	{ "read_only", offsetof(struct table, read_only) },
	{ "error_if_no_space", offsetof(struct table, error_if_no_space) },
};

static int parse_features(struct parser *p, char **word, size_t nr, struct err *err)
{
	struct table *t = p->t;
	uint64_t said;
	size_t i, k, len = 0;
	int r;

	if (!nr)
		return 0;
	r = word_u64(p, word[0], "the number of features", MAX_WORDS, &said, err);
	if (r < 0)
		return r;
	if (said > nr - 1)
		return line_error(p, err, word[0], "more features announced than follow");
	if (said < nr - 1)
		return line_error(p, err, word[1 + said], "a word too many after the features");
	for (i = 1; i < nr; i++) {
		len += strlen(word[i]) + 1;
		for (k = 0; k < ARRAY_SIZE(features); k++)
			if (!strcmp(word[i], features[k].name))
				*(bool *)((char *)t + features[k].at) = true;
	}
	if (!said)
		return 0;
	t->features = calloc(1, len);
	if (!t->features)
		return err_nomem(err, "table file");
	for (i = 1; i < nr; i++)
		strcat(strcat(t->features, word[i]), i + 1 < nr ? " " : "");
	return 0;
}

/* META DATA BLOCK_SECTORS LOW_WATER_BLOCKS [NR_FEATURES FEATURE...] */
static int parse_pool(struct parser *p, sector_t length, char **arg, size_t nr, struct err *err)
{
	struct table *t = p->t;
	uint64_t v;
	int r;

	if (t->metadata) {
		char text[80];

		snprintf(text, sizeof(text), "a second pool: the first stands in line %u",
			 t->pool_line);
		return line_error(p, err, "thin-pool", text);
	}
	if (nr < 4)
		return line_error(p, err, arg[nr - 1],
				  "the line ends here: thin-pool needs META DATA BLOCK_SECTORS "
				  "LOW_WATER_BLOCKS");
	t->pool_line = p->line;
	t->pool_length = length;
	t->pool_name = steal_ptr(&p->name);
	if ((r = resolve(p, arg[0], &t->metadata, err)) < 0 ||
	    (r = resolve(p, arg[1], &t->data, err)) < 0)
		return r;
	if (!strcmp(t->metadata, t->data))
		return line_error(p, err, arg[1], "metadata and data are the same device");
	r = word_u64(p, arg[2], "the block size", UINT64_MAX, &v, err);
	if (r < 0)
		return r;
	if (!data_block_size_ok(v))
		return line_error(p, err, arg[2],
				  "the block size must be a multiple of 128 sectors (64 KiB) from "
				  "128 to 2097152 (1 GiB)");
	t->data_block_size = (uint32_t)v;
	r = word_u64(p, arg[3], "the low water mark", UINT64_MAX, &t->low_water, err);
	if (r < 0)
		return r;
	return parse_features(p, arg + 4, nr - 4, err);
}

/* POOL_DEV DEV_ID [ORIGIN] */
static int parse_thin(struct parser *p, sector_t length, char **arg, size_t nr, struct err *err)
{
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
	if (t->nr_thins == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 16;
		struct table_thin *more = reallocarray(t->thin, cap, sizeof(*more));

		if (!more)
			return err_nomem(err, "table file");
		t->thin = more;
		p->cap = cap;
	}
	d = &t->thin[t->nr_thins++];
	*d = (struct table_thin){ .dev_id = (uint32_t)id, .length = length, .line = p->line };
	d->name = steal_ptr(&p->name);
	return nr == 3 ? resolve(p, arg[2], &d->origin, err) : 0;
}

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

static int split_words(struct parser *p, char *line, struct err *err)
{
	char *save = NULL, *w;

	p->nr_words = 0;
	for (w = strtok_r(line, " \t\r\v\f", &save); w; w = strtok_r(NULL, " \t\r\v\f", &save)) {
		if (p->nr_words == MAX_WORDS)
			return line_error(p, err, w, "too many words in the line");
		p->word[p->nr_words++] = w;
	}
	return 0;
}

static int parse_line(struct parser *p, char *line, struct err *err)
{
	uint64_t start, length;
	size_t i = 0, len;
	bool named;
	int r;

	r = split_words(p, line, err);
	if (r < 0 || !p->nr_words || p->word[0][0] == '#')
		return r;
	len = strlen(p->word[0]);
	named = p->word[0][len - 1] == ':';
	if (named) {
		if (len == 1)
			return line_error(p, err, ":", "a name is missing before the colon");
		p->name = strndup(p->word[0], len - 1);
		if (!p->name)
			return err_nomem(err, "table file");
		i = 1;
	}
	if (p->nr_words - i < 4) {
		if (named && p->nr_words - i == 3 && other_target(p->word[3]))
			return 0; /* such as error and zero */
		return line_error(p, err, p->word[p->nr_words - 1],
				  "the line ends here: [NAME:] START LENGTH TARGET ARGS... is wanted");
	}
	r = word_u64(p, p->word[i], "START", MAX_SECTORS, &start, err);
	if (!r)
		r = word_u64(p, p->word[i + 1], "LENGTH", MAX_SECTORS, &length, err);
	if (r < 0 || (named && other_target(p->word[i + 2])))
		return r;
	if (start)
		return line_error(p, err, p->word[i],
				  "START must be 0: a pool or thin device has one line");
	if (!length)
		return line_error(p, err, p->word[i + 1], "LENGTH must not be 0");
	if (!strcmp(p->word[i + 2], "thin-pool"))
		return parse_pool(p, length, p->word + i + 3, p->nr_words - i - 3, err);
	if (!strcmp(p->word[i + 2], "thin"))
		return parse_thin(p, length, p->word + i + 3, p->nr_words - i - 3, err);
	return line_error(p, err, p->word[i + 2], "neither thin-pool nor thin");
}

static int by_name(const void *a, const void *b)
{
	const struct table_thin *const *x = a, *const *y = b;
	int c = strcmp((*x)->name, (*y)->name);

	return c ? c : (*x)->line < (*y)->line ? -1 : 1;
}

/* A name stands once: sorted, so that a table of many devices costs no square. */
static int check_names(struct parser *p, struct err *err)
{
	struct table *t = p->t;
	CLEANUP(free_ptr) const struct table_thin **v = calloc(t->nr_thins + 1, sizeof(*v));
	char text[80];
	size_t i, nr = 0;

	if (!v)
		return err_nomem(err, "table file");
	for (i = 0; i < t->nr_thins; i++) {
		if (!t->thin[i].name)
			continue;
		v[nr++] = &t->thin[i];
		if (t->pool_name && !strcmp(t->pool_name, t->thin[i].name)) {
			p->line = t->thin[i].line;
			return line_error(p, err, t->pool_name, "the name of the pool, used again");
		}
	}
	qsort(v, nr, sizeof(*v), by_name);
	for (i = 1; i < nr; i++) {
		if (strcmp(v[i - 1]->name, v[i]->name))
			continue;
		snprintf(text, sizeof(text), "the name stands in line %u already: a device has one line",
			 v[i - 1]->line);
		p->line = v[i]->line;
		return line_error(p, err, v[i]->name, text);
	}
	return 0;
}

/* The whole file with a 0 behind it; contents with a 0 byte are no table. */
static int read_text(const char *path, char **out, struct err *err)
{
	CLEANUP(free_ptr) char *text = NULL;
	CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t len = 0, cap = 0;
	ssize_t n;

	if (fd < 0)
		return err_sys(err, -errno, "%s", path);
	for (;;) {
		if (len + 1 >= cap) {
			char *more = realloc(text, cap = cap ? 2 * cap : 16384);

			if (!more)
				return err_nomem(err, "table file");
			text = more;
		}
		n = read(fd, text + len, cap - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, -errno, "%s", path);
		if (!n)
			break;
		len += (size_t)n;
		if (len > TABLE_MAX_LEN)
			return err_set(err, -EINVAL, "%s: larger than any table file", path);
	}
	text[len] = 0;
	if (strlen(text) != len)
		return err_set(err, -EINVAL, "%s: not a table file: it contains zero bytes", path);
	*out = steal_ptr(&text);
	return 0;
}

int table_read(const char *path, struct table **out, struct err *err)
{
	CLEANUP(table_cleanup) struct table *t = calloc(1, sizeof(*t));
	CLEANUP(free_ptr) char *text = NULL, *folder = NULL;
	struct parser p = { .t = t };
	const char *slash = strrchr(path, '/');
	char *line, *rest;
	int r;

	if (!t || !(t->path = strdup(path)) ||
	    !(folder = strndup(path, slash ? (size_t)(slash - path) + 1 : 0)))
		return err_nomem(err, "table file");
	p.folder = folder;
	r = read_text(path, &text, err);
	if (r < 0)
		return r;
	for (rest = text; (line = strsep(&rest, "\n"));) {
		p.line++;
		r = parse_line(&p, line, err);
		free(steal_ptr(&p.name));
		if (r < 0)
			return r;
	}
	if (!t->metadata)
		return err_set(err, -EINVAL,
			       "%s: no thin-pool line (0 LENGTH thin-pool META DATA BLOCK_SECTORS "
			       "LOW_WATER_BLOCKS) in %u lines",
			       path, p.line);
	r = check_names(&p, err);
	if (r < 0)
		return r;
	*out = steal_ptr(&t);
	return 0;
}

void table_free(struct table *t)
{
	size_t i;

	if (!t)
		return;
	for (i = 0; i < t->nr_thins; i++) {
		free(t->thin[i].name);
		free(t->thin[i].origin);
	}
	free(t->thin);
	free(t->path);
	free(t->pool_name);
	free(t->metadata);
	free(t->data);
	free(t->features);
	free(t);
}

const struct table_thin *table_find(const struct table *t, const char *name_or_id)
{
	const struct table_thin *found = NULL;
	uint64_t id;
	size_t i;

	for (i = 0; i < t->nr_thins; i++)
		if (t->thin[i].name && !strcmp(t->thin[i].name, name_or_id))
			return &t->thin[i];
	if (parse_u64(name_or_id, &id, NULL) < 0)
		return NULL;
	for (i = 0; i < t->nr_thins; i++) {
		if (t->thin[i].dev_id != id)
			continue;
		if (!t->thin[i].name)
			return &t->thin[i];
		if (!found)
			found = &t->thin[i];
	}
	return found;
}
