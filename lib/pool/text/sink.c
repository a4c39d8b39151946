/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/text/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/umap.h"
#include "pool/text/text.h"

#define FLUSH_LEN    ((size_t)256 << 10) /* bytes gathered before a write */
#define PIPE_LEN     (1 << 20)
#define RUNS_AT_ONCE 1024

struct text_sink {
	const struct text_form *form;
	int fd;
	char *name;
	struct outbuf out;
	struct run pending; /* may still grow; len 0: none */
	size_t nr_defs, nr_devices;
	struct umap number; /* of each def, plus one, by the name that the source gave it */
	bool empty;	    /* nothing written yet inside of this def or device */
};

static int flush(struct text_sink *s, struct err *err)
{
	int r;

	if (s->out.error)
		return err_nomem(err, "text buffer");
	r = fd_write(s->fd, s->name, s->out.data, s->out.len, err);
	outbuf_reset(&s->out);
	return r;
}

static int flush_if_full(struct text_sink *s, struct err *err)
{
	return s->out.len >= FLUSH_LEN || s->out.error ? flush(s, err) : 0;
}

/* Drops the separator that begins the text appended at @from, if it is the first inside. */
static void drop_first_separator(struct text_sink *s, size_t from)
{
	size_t n = s->form->separator_len;

	if (s->empty && n && s->out.len >= from + n) {
		memmove(s->out.data + from, s->out.data + from + n, s->out.len - from - n);
		s->out.len -= n;
	}
	s->empty = false;
}

static void add_runs(struct text_sink *s, const struct run *run, size_t nr)
{
	size_t from = s->out.len;

	s->form->runs(&s->out, run, nr);
	drop_first_separator(s, from);
}

static void add_pending(struct text_sink *s)
{
	if (s->pending.len)
		add_runs(s, &s->pending, 1);
	s->pending.len = 0;
}

static int sink_begin_pool(void *ctx, const struct pool_info *p, struct err *err)
{
	struct text_sink *s = ctx;

	s->form->begin_pool(&s->out, p);
	return flush_if_full(s, err);
}

/*
 * Defs are numbered from 0 as they come: where a pool keeps its nodes does not show, and equal
 * pools have equal texts.
 */
static int sink_begin_def(void *ctx, uint64_t name, struct err *err)
{
	struct text_sink *s = ctx;

	if (s->form->defs_first && s->nr_devices)
		return err_set(
			err, -EINVAL,
			"shared part %llu comes after a device: this text format needs all shared parts first",
			(unsigned long long)name);
	if (umap_put(&s->number, name, s->nr_defs + 1))
		return err_nomem(err, "the numbers of shared parts");
	s->form->begin_def(&s->out, s->nr_defs, s->nr_defs);
	s->nr_defs++;
	s->empty = true;
	return flush_if_full(s, err);
}

static int sink_end_def(void *ctx, struct err *err)
{
	struct text_sink *s = ctx;

	add_pending(s);
	s->form->end_def(&s->out, s->empty);
	return flush_if_full(s, err);
}

static int sink_begin_device(void *ctx, const struct device_info *d, struct err *err)
{
	struct text_sink *s = ctx;

	s->form->begin_device(&s->out, d, s->nr_defs, s->nr_devices++);
	s->empty = true;
	return flush_if_full(s, err);
}

static int sink_end_device(void *ctx, struct err *err)
{
	struct text_sink *s = ctx;

	add_pending(s);
	s->form->end_device(&s->out, s->empty);
	return flush_if_full(s, err);
}

static int sink_ref(void *ctx, uint64_t name, struct err *err)
{
	struct text_sink *s = ctx;
	uint64_t number = umap_get(&s->number, name);
	size_t from;

	if (!number)
		return err_set(err, -EINVAL,
			       "a device refers to shared part %llu, which is not defined",
			       (unsigned long long)name);
	add_pending(s);
	from = s->out.len;
	s->form->ref(&s->out, number - 1);
	drop_first_separator(s, from);
	return flush_if_full(s, err);
}

static int sink_end_pool(void *ctx, struct err *err)
{
	struct text_sink *s = ctx;

	s->form->end_pool(&s->out, s->nr_defs, s->nr_devices);
	return flush(s, err);
}

static bool continues(const struct run *a, const struct run *b)
{
	return a->time == b->time && a->vbegin + a->len == b->vbegin &&
	       a->dbegin + a->len == b->dbegin;
}

/*
 * Runs that can neither be continued nor continue another are formatted where they
 * stand; only the last one waits for what comes next.
 */
static int sink_runs(void *ctx, const struct run *run, size_t nr, struct err *err)
{
	struct text_sink *s = ctx;
	size_t i = 0, n;
	int r;

	while (i < nr) {
		if (!run[i].len) {
			i++;
			continue;
		}
		if (s->pending.len && continues(&s->pending, &run[i])) {
			s->pending.len += run[i++].len;
			continue;
		}
		add_pending(s);
		for (n = 0; i + n + 1 < nr && n < RUNS_AT_ONCE; n++)
			if (!run[i + n].len || !run[i + n + 1].len ||
			    continues(&run[i + n], &run[i + n + 1]))
				break;
		if (n)
			add_runs(s, run + i, n);
		s->pending = run[i + n];
		i += n + 1;
		r = flush_if_full(s, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void sink_render(const void *ctx, const struct run *run, size_t nr, bool in_def,
			struct outbuf *out)
{
	const struct text_sink *s = ctx;

	(void)in_def; /* the forms do not indent shared parts deeper */
	s->form->runs(out, run, nr);
}

static int sink_rendered(void *ctx, const struct outbuf *text, struct err *err)
{
	struct text_sink *s = ctx;
	size_t skip = 0;
	int r;

	if (text->error)
		return err_nomem(err, "text buffer");
	add_pending(s);
	if (!text->len)
		return 0;
	if (s->empty)
		skip = s->form->separator_len;
	s->empty = false;
	if (text->len < FLUSH_LEN / 4) {
		outbuf_add(&s->out, text->data + skip, text->len - skip);
		return flush_if_full(s, err);
	}
	r = flush(s, err);
	return r < 0 ? r : fd_write(s->fd, s->name, text->data + skip, text->len - skip, err);
}

static const struct events_ops text_ops = {
	.begin_pool = sink_begin_pool,
	.begin_def = sink_begin_def,
	.end_def = sink_end_def,
	.begin_device = sink_begin_device,
	.runs = sink_runs,
	.ref = sink_ref,
	.end_device = sink_end_device,
	.end_pool = sink_end_pool,
	.render = sink_render,
	.rendered = sink_rendered,
};

static const struct text_form *const forms[] = {
	[TEXT_XML] = &text_form_xml,
	[TEXT_HUMAN] = &text_form_human,
	[TEXT_JSON] = &text_form_json,
};

bool text_format_find(const char *name, enum text_format *format)
{
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (!strcmp(forms[i]->name, name)) {
			*format = (enum text_format)i;
			return true;
		}
	}
	return false;
}

int text_sink_new(enum text_format format, int fd, const char *name, struct events *out,
		  struct err *err)
{
	struct text_sink *s = calloc(1, sizeof(*s));
	struct stat st;

	if (s)
		s->name = strdup(name);
	if (!s || !s->name) {
		free(s);
		return err_nomem(err, "text output");
	}
	s->form = forms[format];
	s->fd = fd;
	outbuf_init(&s->out);
	umap_init(&s->number);
	/*
	 * a larger pipe means fewer switches between this process and the reader; a refusal does no
	 * harm
	 */
	if (!fstat(fd, &st) && S_ISFIFO(st.st_mode))
		(void)fcntl(fd, F_SETPIPE_SZ, PIPE_LEN);
	out->ops = &text_ops;
	out->ctx = s;
	return 0;
}

int text_sink_flush(struct events *e, struct err *err)
{
	struct text_sink *s = e->ctx;

	add_pending(s);
	return flush(s, err);
}

void text_sink_free(struct events *e)
{
	struct text_sink *s = e->ctx;

	if (!s)
		return;
	outbuf_fini(&s->out);
	umap_fini(&s->number);
	free(s->name);
	free(s);
	e->ctx = NULL;
}
