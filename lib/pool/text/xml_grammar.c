/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/vec.h"
#include "pool/text/xml_grammar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LEN_MAX 255
#define NAMES_MAX 65536 /* of those that are no numbers: they are searched one by one */

struct attr {
	const char *name;
	bool optional;
	bool text;
	uint64_t max; /* of a number */
	uint64_t value;
	const char *given; /* as written; NULL: it is not there */
};

#define NUMBER(n, m) { .name = (n), .max = (m) }
#define OPTIONAL_NUMBER(n, m) { .name = (n), .max = (m), .optional = true }
#define TEXT(n, o) { .name = (n), .text = true, .optional = (o) }

static int broken(struct xml_grammar *g, int code)
{
	g->rules->broken = true;
	return code;
}

#define BROKEN(g, ...) broken((g), err_set((g)->err, -EINVAL, __VA_ARGS__))

/* A word of the input, made fit for a message. */
struct quoted {
	char s[41];
};

static struct quoted quote(const char *s)
{
	struct quoted q;
	size_t i;

	for (i = 0; s[i] && i < sizeof(q.s) - 1; i++)
		q.s[i] = s[i] < ' ' || s[i] > '~' ? '?' : s[i];
	q.s[i] = 0;
	return q;
}

static int attr_number(struct xml_grammar *g, const char *element, struct attr *a)
{
	const char *s = a->given;
	uint64_t v = 0;

	s += *s == '+';
	if (!*s)
		return BROKEN(g, "<%s>: %s=\"\" is not a number", element, a->name);
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return BROKEN(g, "<%s>: %s=\"%s\" is not a number", element, a->name,
				      quote(a->given).s);
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v) || v > a->max)
			return BROKEN(g, "<%s>: %s=\"%s\" is too large", element, a->name,
				      quote(a->given).s);
	}
	a->value = v;
	return 0;
}

/* Fills @a from @atts; attributes that it does not name are ignored. */
static int read_attrs(struct xml_grammar *g, const char *element, const char *const *atts,
		      struct attr *a, size_t nr)
{
	size_t i;
	int e;

	for (; atts[0]; atts += 2)
		for (i = 0; i < nr; i++)
			if (!strcmp(a[i].name, atts[0]))
				a[i].given = atts[1];
	for (i = 0; i < nr; i++) {
		if (!a[i].given && !a[i].optional)
			return BROKEN(g, "<%s> has no attribute %s", element, a[i].name);
		if (!a[i].given || a[i].text)
			continue;
		e = attr_number(g, element, &a[i]);
		if (e < 0)
			return e;
	}
	return 0;
}

static int start_pool(struct xml_grammar *g, const char *element, const char *const *atts)
{
	enum { UUID, TIME, TRANSACTION, FLAGS, VERSION, BLOCK_SIZE, NR_BLOCKS, SNAP };
	struct attr a[] = {
		[UUID] = TEXT("uuid", true),
		[TIME] = NUMBER("time", UINT32_MAX),
		[TRANSACTION] = NUMBER("transaction", UINT64_MAX),
		[FLAGS] = OPTIONAL_NUMBER("flags", UINT32_MAX),
		[VERSION] = OPTIONAL_NUMBER("version", UINT32_MAX),
		[BLOCK_SIZE] = NUMBER("data_block_size", UINT32_MAX),
		[NR_BLOCKS] = NUMBER("nr_data_blocks", UINT64_MAX),
		[SNAP] = OPTIONAL_NUMBER("metadata_snap", UINT64_MAX),
	};
	struct pool_info p = { 0 };
	int e;

	g->pool_seen = true;
	e = read_attrs(g, element, atts, a, ARRAY_SIZE(a));
	if (e < 0)
		return e;
	if (a[UUID].given)
		strncpy(p.uuid, a[UUID].given, sizeof(p.uuid) - 1);
	p.time = (uint32_t)a[TIME].value;
	p.transaction = a[TRANSACTION].value;
	p.flags = (uint32_t)a[FLAGS].value;
	p.version = (uint32_t)a[VERSION].value;
	p.has_version = a[VERSION].given;
	p.data_block_size = (uint32_t)a[BLOCK_SIZE].value;
	p.nr_data_blocks = a[NR_BLOCKS].value;
	p.metadata_snap = a[SNAP].value;
	return rules_begin_pool(g->rules, &p, g->overrides);
}

static int start_device(struct xml_grammar *g, const char *element, const char *const *atts)
{
	enum { ID, MAPPED, TRANSACTION, CREATED, SNAPPED };
	struct attr a[] = {
		[ID] = NUMBER("dev_id", UINT32_MAX),
		[MAPPED] = NUMBER("mapped_blocks", UINT64_MAX),
		[TRANSACTION] = NUMBER("transaction", UINT64_MAX),
		[CREATED] = NUMBER("creation_time", UINT32_MAX),
		[SNAPPED] = NUMBER("snap_time", UINT32_MAX),
	};
	struct device_info d;
	int e = read_attrs(g, element, atts, a, ARRAY_SIZE(a));

	if (e < 0)
		return e;
	d = (struct device_info){
		.dev_id = (uint32_t)a[ID].value,
		.mapped_blocks = a[MAPPED].value,
		.transaction = a[TRANSACTION].value,
		.creation_time = (uint32_t)a[CREATED].value,
		.snap_time = (uint32_t)a[SNAPPED].value,
	};
	return rules_begin_device(g->rules, &d);
}

static int add_name(struct xml_grammar *g, const char *s)
{
	struct xml_names *n = &g->names;

	if (vec_reserve(n->name, n->cap, n->nr + 1))
		return -ENOMEM;
	n->name[n->nr] = strdup(s);
	if (!n->name[n->nr])
		return -ENOMEM;
	n->nr++;
	return 0;
}

/* The number that stands for a name: itself when it is a canonical number. */
static int number_of_name(struct xml_grammar *g, const char *element, const char *s,
			  uint64_t *number)
{
	size_t len = strlen(s), i;

	if (len >= 1 && len <= 19 && strspn(s, "0123456789") == len && (*s != '0' || len == 1)) {
		*number = strtoull(s, NULL, 10);
		if (*number <= XML_MAX_NUMERIC_NAME)
			return 0;
	}
	if (len > NAME_LEN_MAX)
		return BROKEN(g, "<%s>: a name of %zu bytes is too long", element, len);
	for (i = 0; i < g->names.nr && strcmp(g->names.name[i], s) != 0; i++)
		;
	if (i == NAMES_MAX)
		return BROKEN(g, "<%s>: more than %d names that are not numbers", element, NAMES_MAX);
	if (i == g->names.nr && add_name(g, s) < 0)
		return err_nomem(g->err, "names of shared parts");
	*number = UINT64_MAX - i;
	return 0;
}

static int start_def(struct xml_grammar *g, const char *element, const char *const *atts)
{
	struct attr a[] = { TEXT("name", false) };
	uint64_t name;
	int e = read_attrs(g, element, atts, a, ARRAY_SIZE(a));

	if (!e)
		e = number_of_name(g, element, a[0].given, &name);
	return e < 0 ? e : rules_begin_def(g->rules, name);
}

static int start_ref(struct xml_grammar *g, const char *element, const char *const *atts)
{
	struct attr a[] = { TEXT("name", false) };
	uint64_t name;
	int e = read_attrs(g, element, atts, a, ARRAY_SIZE(a));

	if (!e)
		e = number_of_name(g, element, a[0].given, &name);
	return e < 0 ? e : rules_ref(g->rules, name);
}

static int start_single(struct xml_grammar *g, const char *element, const char *const *atts)
{
	struct attr a[] = {
		NUMBER("origin_block", UINT64_MAX),
		NUMBER("data_block", UINT64_MAX),
		NUMBER("time", UINT64_MAX),
	};
	int e = read_attrs(g, element, atts, a, ARRAY_SIZE(a));

	return e < 0 ? e : rules_run(g->rules, a[0].value, a[1].value, 1, a[2].value);
}

static int start_range(struct xml_grammar *g, const char *element, const char *const *atts)
{
	struct attr a[] = {
		NUMBER("origin_begin", UINT64_MAX),
		NUMBER("data_begin", UINT64_MAX),
		NUMBER("length", UINT64_MAX),
		NUMBER("time", UINT64_MAX),
	};
	int e = read_attrs(g, element, atts, a, ARRAY_SIZE(a));

	return e < 0 ? e : rules_run(g->rules, a[0].value, a[1].value, a[2].value, a[3].value);
}

#define IN(where) (1u << (where))

static const struct element {
	const char *name;
	unsigned inside; /* of what it may stand */
	enum xml_where where;
	int (*start)(struct xml_grammar *g, const char *element, const char *const *atts);
} elements[] = {
	{ "superblock", IN(XML_OUTSIDE), XML_IN_POOL, start_pool },
	{ "device", IN(XML_IN_POOL), XML_IN_DEVICE, start_device },
	{ "def", IN(XML_IN_POOL), XML_IN_DEF, start_def },
	{ "ref", IN(XML_IN_DEVICE), XML_IN_MAPPING, start_ref },
	{ "single_mapping", IN(XML_IN_DEVICE) | IN(XML_IN_DEF), XML_IN_MAPPING, start_single },
	{ "range_mapping", IN(XML_IN_DEVICE) | IN(XML_IN_DEF), XML_IN_MAPPING, start_range },
};

static const char *where_text(const struct xml_grammar *g)
{
	switch (g->where) {
	case XML_IN_POOL:
		return "superblock";
	case XML_IN_DEVICE:
		return "device";
	case XML_IN_DEF:
		return "def";
	case XML_OUTSIDE:
	case XML_IN_MAPPING:
		break;
	}
	return g->mapping;
}

int grammar_start(struct xml_grammar *g, const char *element, const char *const *atts)
{
	const struct element *el;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(elements) && strcmp(elements[i].name, element) != 0; i++)
		;
	el = &elements[i];
	if (i == ARRAY_SIZE(elements))
		return BROKEN(g, "<%s> is not an element of thin-pool metadata", quote(element).s);
	if (el->where == XML_IN_POOL && g->pool_seen)
		return BROKEN(g, "there is a second <superblock>");
	if (g->where == XML_OUTSIDE && el->where != XML_IN_POOL)
		return BROKEN(g, "<%s> without <superblock> around it", el->name);
	if (!(el->inside & IN(g->where)))
		return BROKEN(g, "<%s> is not allowed inside <%s>", el->name, where_text(g));
	if (el->where == XML_IN_MAPPING) {
		g->above = g->where;
		g->mapping = el->name;
	}
	g->where = el->where;
	return el->start(g, el->name, atts);
}

int grammar_end(struct xml_grammar *g)
{
	switch (g->where) {
	case XML_IN_MAPPING:
		g->where = g->above;
		break;
	case XML_IN_DEVICE:
		g->where = XML_IN_POOL;
		return rules_end_device(g->rules);
	case XML_IN_DEF:
		g->where = XML_IN_POOL;
		return rules_end_def(g->rules);
	case XML_IN_POOL:
	case XML_OUTSIDE:
		g->where = XML_OUTSIDE;
		break;
	}
	return 0;
}

void grammar_fini(struct xml_grammar *g)
{
	size_t i;

	for (i = 0; i < g->names.nr; i++)
		free(g->names.name[i]);
	free(g->names.name);
}
