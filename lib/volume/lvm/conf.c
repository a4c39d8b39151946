/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * One pass over the text, one level of recursion a section.  When a section ends, its entries are
 * sorted by name: so names that stand twice are found, and so they are looked up later.
 */
#include "volume/lvm/conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/search.h"

#define MAX_DEPTH 32

struct parser {
	const char *p, *end;
	unsigned line, depth;
	struct arena *arena;
	struct err *err;
};

static int mistake(const struct parser *q, const char *what)
{
	return err_set(q->err, -EINVAL, "line %u: %s", q->line, what);
}

static int no_memory(const struct parser *q)
{
	return err_nomem(q->err, "LVM's metadata text");
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool ends_word(char c)
{
	return is_space(c) || strchr("{}[],=#", c); /* 0 too */
}

static void skip_space(struct parser *q)
{
	for (; q->p < q->end && (is_space(*q->p) || *q->p == '#'); q->p++) {
		if (*q->p == '#')
			q->p = memchr(q->p, '\n', (size_t)(q->end - q->p)) ?: q->end - 1;
		q->line += *q->p == '\n';
	}
}

/* Steps over @c if it comes next. */
static bool take(struct parser *q, char c)
{
	skip_space(q);
	if (q->p == q->end || *q->p != c)
		return false;
	q->p++;
	return true;
}

/* In double quotes \" and \\ are undone, in single quotes nothing is. */
static int read_quoted(struct parser *q, const char **out)
{
	const char quote = *q->p++, *from = q->p;
	char *to;

	while (q->p < q->end && *q->p != quote) {
		q->p += quote == '"' && *q->p == '\\' && q->end - q->p > 1;
		q->line += *q->p++ == '\n';
	}
	if (q->p == q->end)
		return mistake(q, "a string is not closed");
	to = arena_alloc(q->arena, (size_t)(q->p - from) + 1);
	if (!to)
		return no_memory(q);
	*out = to;
	for (; from < q->p; from++) {
		from += quote == '"' && *from == '\\' && (from[1] == '"' || from[1] == '\\');
		*to++ = *from;
	}
	q->p++;
	return 0;
}

static int read_bare(struct parser *q, const char **out)
{
	const char *from = q->p;

	while (q->p < q->end && !ends_word(*q->p))
		q->p++;
	if (q->p == from)
		return mistake(q, "a name or value is missing");
	*out = arena_strndup(q->arena, from, (size_t)(q->p - from));
	return *out ? 0 : no_memory(q);
}

/* Decimal, or octal behind a 0, as LVM takes them. */
static int judge_number(const struct parser *q, struct config_value *v)
{
	const char *digits = v->text + (*v->text == '-' || *v->text == '+');
	const char *point = strchr(digits, '.');
	bool octal = digits[0] == '0' && digits[1] && !point;
	size_t len = strspn(digits, octal ? "01234567" : "0123456789");

	if (point && len == (size_t)(point - digits) && len + strlen(point) > 1 &&
	    !point[1 + strspn(point + 1, "0123456789")]) {
		v->kind = CONFIG_FLOAT;
		return 0;
	}
	if (!len || digits[len])
		return mistake(q, "this is not a number");
	errno = 0;
	v->number = strtoll(v->text, NULL, octal ? 8 : 10);
	v->kind = CONFIG_NUMBER;
	return errno ? mistake(q, "this number does not fit into 64 bits") : 0;
}

static int read_value(struct parser *q, struct config_value **out)
{
	struct config_value *v = arena_alloc(q->arena, sizeof(*v));
	int r;

	if (!v)
		return no_memory(q);
	skip_space(q);
	if (q->p == q->end)
		return mistake(q, "the text ends where a value is missing");
	v->kind = CONFIG_STRING;
	*out = v;
	if (*q->p == '"' || *q->p == '\'')
		return read_quoted(q, &v->text);
	r = read_bare(q, &v->text);
	return !r && strchr("0123456789+-.", *v->text) ? judge_number(q, v) : r;
}

static int read_array(struct parser *q, struct config_value **tail)
{
	while (!take(q, ']')) {
		int r = read_value(q, tail);

		if (r)
			return r;
		tail = &(*tail)->next;
		if (!take(q, ',') && !(q->p < q->end && *q->p == ']'))
			return mistake(q, "a comma or ] is missing in an array");
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct config_node *x = *(struct config_node *const *)a;
	const struct config_node *y = *(struct config_node *const *)b;
	int c = strcmp(x->name, y->name);

	return c ? c : (x->order > y->order) - (x->order < y->order);
}

static int end_section(struct parser *q, struct config_node *s);

/* @run: @nr entries of one name, in the text's order.  They become one: the last value counts, sections are joined. */
static int merge_run(struct parser *q, struct config_node **run, size_t nr)
{
	const bool section = run[nr - 1]->is_section;
	struct config_node *all = NULL, **tail = &all;

	if (nr == 1)
		return 0;
	for (size_t i = 0; i < nr && section; i++) {
		*tail = run[i]->is_section ? run[i]->first : NULL;
		while (*tail)
			tail = &(*tail)->next;
	}
	run[0]->is_section = section;
	run[0]->is_array = run[nr - 1]->is_array;
	run[0]->value = run[nr - 1]->value;
	run[0]->first = all;
	for (size_t i = 1; i < nr; i++)
		run[i]->name = NULL;
	return section ? end_section(q, run[0]) : 0;
}

/* Sorts the entries by name, and leaves one of each name. */
static int end_section(struct parser *q, struct config_node *s)
{
	struct config_node *n, **link;
	size_t nr = 0, kept = 0, end;

	for (n = s->first; n; n = n->next)
		n->order = nr++;
	s->sorted = arena_alloc(q->arena, (nr + 1) * sizeof(*s->sorted));
	if (!s->sorted)
		return no_memory(q);
	for (n = s->first; n; n = n->next)
		s->sorted[n->order] = n;
	qsort(s->sorted, nr, sizeof(*s->sorted), by_name);
	for (size_t i = 0; i < nr; i = end) {
		int r;

		for (end = i + 1; end < nr && !strcmp(s->sorted[i]->name, s->sorted[end]->name);)
			end++;
		r = merge_run(q, s->sorted + i, end - i);
		if (r)
			return r;
		s->sorted[kept++] = s->sorted[i];
	}
	s->nr = kept;
	for (link = &s->first; *link;) {
		if ((*link)->name)
			link = &(*link)->next;
		else
			*link = (*link)->next;
	}
	return 0;
}

static int read_entries(struct parser *q, struct config_node *section);

static int read_entry(struct parser *q, struct config_node *n)
{
	int r;

	if (*q->p == '"' || *q->p == '\'')
		r = read_quoted(q, &n->name);
	else
		r = read_bare(q, &n->name);
	if (r)
		return r;
	if (take(q, '{')) {
		n->is_section = true;
		if (++q->depth > MAX_DEPTH)
			return mistake(q, "sections are nested too deeply");
		r = read_entries(q, n);
		q->depth--;
		return r;
	}
	if (!take(q, '='))
		return mistake(q, "= or { is missing after a name");
	n->is_array = take(q, '[');
	return n->is_array ? read_array(q, &n->value) : read_value(q, &n->value);
}

static int read_entries(struct parser *q, struct config_node *section)
{
	struct config_node **tail = &section->first;

	for (skip_space(q); q->p < q->end && *q->p != '}'; skip_space(q)) {
		struct config_node *n = arena_alloc(q->arena, sizeof(*n));
		int r = n ? read_entry(q, n) : no_memory(q);

		if (r)
			return r;
		*tail = n;
		tail = &n->next;
	}
	if ((q->p == q->end) != !q->depth)
		return mistake(q, q->depth ? "the text ends inside a section" :
					     "there is a } without an open section");
	q->p += q->depth != 0;
	return end_section(q, section);
}

int config_parse(const char *text, size_t len, struct arena *arena, struct config_node **root,
		 struct err *err)
{
	struct parser q = { text, text + strnlen(text, len), 1, 0, arena, err };
	struct config_node *n = arena_alloc(arena, sizeof(*n));
	int r;

	if (!n)
		return no_memory(&q);
	n->is_section = true;
	n->name = "";
	r = read_entries(&q, n);
	if (!r)
		*root = n;
	return r;
}

const struct config_node *config_find(const struct config_node *s, const char *name)
{
	size_t at;

	if (!s || !s->is_section)
		return NULL;
	at = search_first(i, s->nr, strcmp(s->sorted[i]->name, name) >= 0);
	return at < s->nr && !strcmp(s->sorted[at]->name, name) ? s->sorted[at] : NULL;
}

const struct config_node *config_section(const struct config_node *s, const char *name)
{
	const struct config_node *n = config_find(s, name);

	return n && n->is_section ? n : NULL;
}

bool config_u64(const struct config_node *s, const char *name, uint64_t *out)
{
	const struct config_node *n = config_find(s, name);

	if (!n || n->is_array || !n->value || n->value->kind != CONFIG_NUMBER || n->value->number < 0)
		return false;
	*out = (uint64_t)n->value->number;
	return true;
}

const char *config_string(const struct config_node *s, const char *name)
{
	const struct config_node *n = config_find(s, name);

	return n && !n->is_array && n->value && n->value->kind == CONFIG_STRING ? n->value->text : NULL;
}

bool config_has_word(const struct config_node *s, const char *name, const char *word)
{
	const struct config_node *n = config_find(s, name);

	for (const struct config_value *v = n ? n->value : NULL; v; v = v->next)
		if (v->kind == CONFIG_STRING && !strcmp(v->text, word))
			return true;
	return false;
}
