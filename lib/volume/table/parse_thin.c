/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "pool/format/format.h"
#include "volume/table/parse.h"

#define MAX_FEATURES 4		   /* what the kernel takes */

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

/* Notes why the kernel would refuse the features.  Writers stop, readers go on. */
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
			     "unknown pool feature; the features are skip_block_zeroing, "
			     "ignore_discard, no_discard_passdown, read_only and "
			     "error_if_no_space",
			     err);
}

static int parse_features(struct parser *p, struct table_pool *pool, char **word, size_t nr,
			  struct err *err)
{
	uint64_t said;
	size_t i, len = 0;
	char *at;
	int r;

	if (!nr)
		return 0;
	r = table_word_u64(p, word[0], "the number of features", MAX_WORDS, &said, err);
	if (r < 0)
		return r;
	if (said > nr - 1)
		return table_line_error(p, err, word[0], "the line has fewer feature words than "
							 "this number says");
	if (said < nr - 1)
		return table_line_error(p, err, word[1 + said], "there is an extra word after the "
								"features");
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
	at = pool->features;
	for (i = 1; i < nr; i++) {
		len = strlen(word[i]);
		memcpy(at, word[i], len);
		at += len;
		*at++ = i + 1 < nr ? ' ' : 0;
	}
	return 0;
}

/* META DATA BLOCK_SECTORS LOW_WATER_BLOCKS [NR_FEATURES FEATURE...] */
int table_parse_pool(struct parser *p, char **arg, size_t nr, struct err *err)
{
	struct table *t = p->t;
	struct table_pool *pool;
	uint64_t v;
	int r;

	if (nr < 4)
		return table_line_error(p, err, arg[nr - 1],
				  "the line ends here: thin-pool needs META DATA BLOCK_SECTORS "
				  "LOW_WATER_BLOCKS");
	pool = vec_add(t->pools, t->nr_pools, p->pool_cap);
	if (!pool)
		return err_nomem(err, "table file");
	*pool = (struct table_pool){ .line = p->line, .length = p->length };
	pool->name = steal_ptr(&p->name);
	if ((r = table_word_dev(p, arg[0], &pool->metadata, err)) < 0 ||
	    (r = table_word_dev(p, arg[1], &pool->data, err)) < 0)
		return r;
	if (!strcmp(pool->metadata.path, pool->data.path))
		return table_line_error(p, err, arg[1], "metadata and data are the same device");
	r = table_word_u64(p, arg[2], "the block size", UINT64_MAX, &v, err);
	if (r < 0)
		return r;
	if (!data_block_size_ok(v))
		return table_line_error(p, err, arg[2],
				  "the block size must be a multiple of 128 sectors (64 KiB) from "
				  "128 to 2097152 (1 GiB)");
	pool->data_block_size = (uint32_t)v;
	r = table_word_u64(p, arg[3], "the low water mark", UINT64_MAX, &pool->low_water, err);
	if (r < 0)
		return r;
	return parse_features(p, pool, arg + 4, nr - 4, err);
}

/* POOL_DEV DEV_ID [ORIGIN] */
int table_parse_thin(struct parser *p, char **arg, size_t nr, struct err *err)
{
	static const char mapper[] = "/dev/mapper/";
	struct table *t = p->t;
	struct table_thin *d;
	uint64_t id;
	int r;

	if (nr < 2)
		return table_line_error(p, err, arg[nr - 1],
				  "the line ends here: thin needs POOL_DEV DEV_ID [ORIGIN]");
	if (nr > 3)
		return table_line_error(p, err, arg[3], "there is an extra word after thin "
							"POOL_DEV DEV_ID ORIGIN");
	r = table_word_u64(p, arg[1], "the device id", MAX_DEV_ID, &id, err);
	if (r < 0)
		return r;
	if (nr == 3 && !strcmp(arg[2], arg[0]))
		return table_line_error(p, err, arg[2], "the pool itself cannot be the external origin");
	d = vec_add(t->thin, t->nr_all_thins, p->thin_cap);
	if (!d)
		return err_nomem(err, "table file");
	*d = (struct table_thin){ .dev_id = (uint32_t)id, .length = p->length, .line = p->line };
	d->name = steal_ptr(&p->name);
	d->pool_dev = strdup(strncmp(arg[0], mapper, strlen(mapper)) ? arg[0] :
								       arg[0] + strlen(mapper));
	if (!d->pool_dev)
		return err_nomem(err, "table file");
	return nr == 3 ? table_word_dev(p, arg[2], &d->origin, err) : 0;
}
