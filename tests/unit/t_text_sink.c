/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pool/text/text.h"
#include "tap.h"

#define RUN(v, d, l, t) ((struct run){ .vbegin = (v), .dbegin = (d), .len = (l), .time = (t) })

static const struct pool_info tiny_pool = {
	.time = 2, .transaction = 5, .version = 2, .has_version = true,
	.data_block_size = 128, .nr_data_blocks = 100,
};
static const struct device_info tiny_device = {
	.dev_id = 1, .mapped_blocks = 4, .transaction = 1, .snap_time = 1,
};

struct text {
	int fd;
	struct events e;
	struct err err;
	char got[65536];
};

static void text_begin(struct text *t, enum text_format format)
{
	memset(t, 0, sizeof(*t));
	t->fd = memfd_create("text", 0);
	check(t->fd >= 0);
	check_eq(text_sink_new(format, t->fd, "text", &t->e, &t->err), 0);
}

static const char *text_end(struct text *t)
{
	ssize_t n = pread(t->fd, t->got, sizeof(t->got) - 1, 0);

	check(n >= 0);
	t->got[n] = 0;
	text_sink_free(&t->e);
	close(t->fd);
	return t->got;
}

#define SEND(t, ev, ...) check_eq((t)->e.ops->ev((t)->e.ctx, ##__VA_ARGS__, &(t)->err), 0)

static void send_runs(struct text *t, struct run *r, size_t nr)
{
	SEND(t, runs, r, nr);
}

static void send_tiny(struct text *t)
{
	struct run r[] = { RUN(0, 10, 3, 0), RUN(7, 20, 1, 1) };

	SEND(t, begin_pool, &tiny_pool);
	SEND(t, begin_device, &tiny_device);
	send_runs(t, r, 2);
	SEND(t, end_device);
	SEND(t, end_pool);
}

static void xml_token_for_token(void)
{
	struct text t;

	text_begin(&t, TEXT_XML);
	send_tiny(&t);
	check_str(text_end(&t),
		  "<superblock uuid=\"\" time=\"2\" transaction=\"5\" version=\"2\" "
		  "data_block_size=\"128\" nr_data_blocks=\"100\">\n"
		  "  <device dev_id=\"1\" mapped_blocks=\"4\" transaction=\"1\" "
		  "creation_time=\"0\" snap_time=\"1\">\n"
		  "    <range_mapping origin_begin=\"0\" data_begin=\"10\" length=\"3\" time=\"0\"/>\n"
		  "    <single_mapping origin_block=\"7\" data_block=\"20\" time=\"1\"/>\n"
		  "  </device>\n"
		  "</superblock>\n");
}

static void human_line_for_line(void)
{
	struct text t;

	text_begin(&t, TEXT_HUMAN);
	send_tiny(&t);
	check_str(text_end(&t), "begin superblock: \"\", 2, 5, 0, 2, 128, 100\n"
				"device: 1\n"
				"mapped_blocks: 4\n"
				"transaction: 1\n"
				"creation time: 0\n"
				"snap time: 1\n"
				"    (0..2) -> (10..12), 0\n"
				"    (7..7) -> (20..20), 1\n"
				"\n"
				"end superblock\n");
}

static void flags_and_snapshot(void)
{
	struct pool_info p = tiny_pool;
	struct text t;

	p.flags = 1;
	p.metadata_snap = 7;
	snprintf(p.uuid, sizeof(p.uuid), "a\"<b\x01\x7f\xff");
	p.has_version = false; /* a text need not say it */
	p.version = 0;
	text_begin(&t, TEXT_XML);
	SEND(&t, begin_pool, &p);
	SEND(&t, end_pool);
	check_str(text_end(&t), "<superblock uuid=\"a__b___\" time=\"2\" transaction=\"5\" flags=\"1\" "
				"version=\"2\" data_block_size=\"128\" nr_data_blocks=\"100\">\n"
				"</superblock>\n");
	text_begin(&t, TEXT_JSON);
	SEND(&t, begin_pool, &p);
	SEND(&t, end_pool);
	check(strstr(text_end(&t), "\"uuid\": \"a__b___\", "));
	check(strstr(t.got, "\"needs_check\": true, \"version\": 2, "));
	check(strstr(t.got, "\"metadata_snap\": 7}"));
	text_begin(&t, TEXT_HUMAN);
	SEND(&t, begin_pool, &p);
	SEND(&t, end_pool);
	check(!strncmp(text_end(&t), "begin superblock: \"a__b___\", 2, 5, 1, 2, 128, 100\n", 46));
}

/* A def of two runs, then a device with a ref between runs and an empty device. */
static void send_shared(struct text *t)
{
	struct run shared[] = { RUN(5, 50, 5, 0), RUN(20, 70, 1, 0) };
	struct run before = RUN(0, 0, 1, 0), after = RUN(21, 71, 1, 0);
	struct device_info empty = { .dev_id = 9 };

	SEND(t, begin_pool, &tiny_pool);
	SEND(t, begin_def, 33);
	send_runs(t, shared, 2);
	SEND(t, end_def);
	SEND(t, begin_device, &tiny_device);
	send_runs(t, &before, 1);
	SEND(t, ref, 33);
	send_runs(t, &after, 1);
	SEND(t, end_device);
	SEND(t, begin_device, &empty);
	SEND(t, end_device);
	SEND(t, end_pool);
}

static void xml_defs(void)
{
	struct text t;

	text_begin(&t, TEXT_XML);
	send_shared(&t);
	check_str(strchr(text_end(&t), '\n') + 1,
		  "  <def name=\"0\">\n"
		  "    <range_mapping origin_begin=\"5\" data_begin=\"50\" length=\"5\" time=\"0\"/>\n"
		  "    <single_mapping origin_block=\"20\" data_block=\"70\" time=\"0\"/>\n"
		  "  </def>\n"
		  "  <device dev_id=\"1\" mapped_blocks=\"4\" transaction=\"1\" "
		  "creation_time=\"0\" snap_time=\"1\">\n"
		  "    <single_mapping origin_block=\"0\" data_block=\"0\" time=\"0\"/>\n"
		  "    <ref name=\"0\"/>\n"
		  "    <single_mapping origin_block=\"21\" data_block=\"71\" time=\"0\"/>\n"
		  "  </device>\n"
		  "  <device dev_id=\"9\" mapped_blocks=\"0\" transaction=\"0\" "
		  "creation_time=\"0\" snap_time=\"0\">\n"
		  "  </device>\n"
		  "</superblock>\n");
}

static void json_whole(void)
{
	struct text t;

	text_begin(&t, TEXT_JSON);
	send_shared(&t);
	check_str(text_end(&t),
		  "{\n"
		  "  \"format\": 1,\n"
		  "  \"superblock\": {\"uuid\": \"\", \"time\": 2, \"transaction_id\": 5, "
		  "\"needs_check\": false, \"version\": 2, \"data_block_size\": 128, "
		  "\"nr_data_blocks\": 100},\n"
		  "  \"defs\": [\n"
		  "    {\"name\": 0, \"mappings\": [\n"
		  "      {\"begin\": 5, \"data_begin\": 50, \"length\": 5, \"time\": 0},\n"
		  "      {\"begin\": 20, \"data_begin\": 70, \"length\": 1, \"time\": 0}\n"
		  "    ]}\n"
		  "  ],\n"
		  "  \"devices\": [\n"
		  "    {\"dev_id\": 1, \"mapped_blocks\": 4, \"transaction_id\": 1, "
		  "\"creation_time\": 0, \"snap_time\": 1, \"mappings\": [\n"
		  "      {\"begin\": 0, \"data_begin\": 0, \"length\": 1, \"time\": 0},\n"
		  "      {\"ref\": 0},\n"
		  "      {\"begin\": 21, \"data_begin\": 71, \"length\": 1, \"time\": 0}\n"
		  "    ]},\n"
		  "    {\"dev_id\": 9, \"mapped_blocks\": 0, \"transaction_id\": 0, "
		  "\"creation_time\": 0, \"snap_time\": 0, \"mappings\": []}\n"
		  "  ]\n"
		  "}\n");
}

static void json_empty(void)
{
	struct text t;

	text_begin(&t, TEXT_JSON);
	SEND(&t, begin_pool, &tiny_pool);
	SEND(&t, end_pool);
	check_str(strstr(text_end(&t), ",\n  \"devices"), ",\n  \"devices\": []\n}\n");
	text_begin(&t, TEXT_JSON);
	SEND(&t, begin_pool, &tiny_pool);
	SEND(&t, begin_def, 3);
	SEND(&t, end_def);
	SEND(&t, end_pool);
	check_str(strstr(text_end(&t), ",\n  \"defs"),
		  ",\n  \"defs\": [\n    {\"name\": 0, \"mappings\": []}\n  ],\n  \"devices\": []\n}\n");
}

static void ref_without_def(void)
{
	struct text t;

	text_begin(&t, TEXT_XML);
	SEND(&t, begin_pool, &tiny_pool);
	SEND(&t, begin_device, &tiny_device);
	check_eq(t.e.ops->ref(t.e.ctx, 33, &t.err), -EINVAL);
	check_str(t.err.text, "a device refers to shared part 33, which is not defined");
	text_end(&t);
}

/* The mappings of one device, given as @nr runs at a time and partly as rendered text. */
static void send_pieces(struct text *t, const struct run *r, size_t nr, size_t piece, bool render)
{
	struct outbuf text;
	size_t i, n;

	outbuf_init(&text);
	SEND(t, begin_pool, &tiny_pool);
	SEND(t, begin_device, &tiny_device);
	for (i = 0; i < nr; i += n) {
		n = MIN(piece, nr - i);
		if (render && (i / piece) % 2) {
			outbuf_reset(&text);
			t->e.ops->render(t->e.ctx, r + i, n, false, &text);
			SEND(t, rendered, &text);
		} else {
			SEND(t, runs, r + i, n);
		}
	}
	SEND(t, end_device);
	SEND(t, end_pool);
	outbuf_fini(&text);
}

static void same_however_cut(void)
{
	static struct text whole, cut;
	/* a run cut in three, an empty run, a time that changes, a data block that jumps */
	static const struct run r[] = {
		RUN(0, 10, 3, 0), RUN(3, 13, 1, 0), RUN(4, 14, 2, 0),  RUN(6, 99, 0, 0),
		RUN(6, 16, 1, 1), RUN(7, 50, 1, 1), RUN(9, 52, 1, 1), RUN(10, 53, 1, 1),
	};
	int format;
	size_t piece;

	for (format = TEXT_XML; format <= TEXT_JSON; format++) {
		text_begin(&whole, (enum text_format)format);
		send_pieces(&whole, r, ARRAY_SIZE(r), ARRAY_SIZE(r), false);
		text_end(&whole);
		for (piece = 1; piece < ARRAY_SIZE(r); piece++) {
			text_begin(&cut, (enum text_format)format);
			send_pieces(&cut, r, ARRAY_SIZE(r), piece, false);
			check_str(text_end(&cut), whole.got);
		}
	}
	check(strstr(whole.got, "\"begin\": 0, \"data_begin\": 10, \"length\": 6"));
}

static void same_when_rendered(void)
{
	static struct text whole, parts;
	struct run r[64];
	int format;
	size_t i, piece;

	for (i = 0; i < ARRAY_SIZE(r); i++)
		r[i] = RUN(i * 5, i * 7 + 1, i % 3 + 1, 0);
	for (format = TEXT_XML; format <= TEXT_JSON; format++) {
		text_begin(&whole, (enum text_format)format);
		send_pieces(&whole, r, ARRAY_SIZE(r), ARRAY_SIZE(r), false);
		text_end(&whole);
		for (piece = 1; piece < 10; piece++) {
			text_begin(&parts, (enum text_format)format);
			send_pieces(&parts, r, ARRAY_SIZE(r), piece, true);
			check_str(text_end(&parts), whole.got);
		}
	}
}

static void text_before_anything_else_rendered(void)
{
	static struct text t;
	struct run r = RUN(1, 2, 3, 0);
	struct outbuf text;

	outbuf_init(&text);
	text_begin(&t, TEXT_JSON);
	SEND(&t, begin_pool, &tiny_pool);
	SEND(&t, begin_device, &tiny_device);
	t.e.ops->render(t.e.ctx, &r, 1, false, &text);
	SEND(&t, rendered, &text);
	SEND(&t, end_device);
	SEND(&t, end_pool);
	check(strstr(text_end(&t), "[\n      {\"begin\": 1,"));
	outbuf_fini(&text);
}

static void large_numbers(void)
{
	static struct text t;
	struct run r = RUN(UINT64_MAX - 1, UINT64_MAX - 1, 1, UINT32_MAX);

	text_begin(&t, TEXT_XML);
	SEND(&t, begin_pool, &tiny_pool);
	SEND(&t, begin_device, &tiny_device);
	send_runs(&t, &r, 1);
	SEND(&t, end_device);
	SEND(&t, end_pool);
	check(strstr(text_end(&t), "<single_mapping origin_block=\"18446744073709551614\" "
				   "data_block=\"18446744073709551614\" time=\"4294967295\"/>"));
}

/* Sends mappings until an event fails; returns its code. */
static int send_until_failure(struct text *t)
{
	static struct run r[4096];
	size_t i;
	int k, e;

	for (i = 0; i < ARRAY_SIZE(r); i++)
		r[i] = RUN(i * 2, i, 1, 0);
	e = t->e.ops->begin_pool(t->e.ctx, &tiny_pool, &t->err);
	if (!e)
		e = t->e.ops->begin_device(t->e.ctx, &tiny_device, &t->err);
	for (k = 0; !e && k < 100; k++)
		e = t->e.ops->runs(t->e.ctx, r, ARRAY_SIZE(r), &t->err);
	return e;
}

static void closed_pipe(void)
{
	static struct text t;
	int fd[2];

	memset(&t, 0, sizeof(t));
	signal(SIGPIPE, SIG_IGN);
	check_eq(pipe(fd), 0);
	close(fd[0]);
	check_eq(text_sink_new(TEXT_XML, fd[1], "pipe", &t.e, &t.err), 0);
	check(send_until_failure(&t) == -EPIPE);
	text_sink_free(&t.e);
	close(fd[1]);
}

static void full_disk(void)
{
	static struct text t;
	int fd = open("/dev/full", O_WRONLY);

	if (fd < 0)
		skip("there is no /dev/full");
	memset(&t, 0, sizeof(t));
	check_eq(text_sink_new(TEXT_XML, fd, "out.xml", &t.e, &t.err), 0);
	check(send_until_failure(&t) == -ENOSPC);
	check_str(t.err.text, "cannot write to out.xml: No space left on device");
	text_sink_free(&t.e);
	memset(&t, 0, sizeof(t));
	check_eq(text_sink_new(TEXT_XML, fd, "out.xml", &t.e, &t.err), 0);
	SEND(&t, begin_pool, &tiny_pool);
	check(t.e.ops->end_pool(t.e.ctx, &t.err) == -ENOSPC);
	text_sink_free(&t.e);
	close(fd);
}

static void json_late_def(void)
{
	static struct text t;

	text_begin(&t, TEXT_JSON);
	SEND(&t, begin_pool, &tiny_pool);
	SEND(&t, begin_device, &tiny_device);
	SEND(&t, end_device);
	check(t.e.ops->begin_def(t.e.ctx, 4, &t.err) == -EINVAL);
	text_end(&t);
}

static const struct test tests[] = {
	{ "a reference to a part that is not defined is refused", ref_without_def },
	{ "XML is written token for token as callers parse it", xml_token_for_token },
	{ "the human readable form is written line for line", human_line_for_line },
	{ "flags appear only when set, the metadata snapshot only in JSON, and a uuid cannot break the quotes",
	  flags_and_snapshot },
	{ "shared parts, refs and empty devices in XML", xml_defs },
	{ "shared parts, refs and empty devices in JSON", json_whole },
	{ "a pool without devices is JSON too", json_empty },
	{ "the text is the same however runs were cut", same_however_cut },
	{ "rendered runs give the text that runs give", same_when_rendered },
	{ "rendered text may come first inside a device", text_before_anything_else_rendered },
	{ "the largest numbers fit", large_numbers },
	{ "a closed pipe is -EPIPE", closed_pipe },
	{ "a full disk is -ENOSPC and named, also when only the end notices", full_disk },
	{ "JSON refuses a shared part after a device", json_late_def },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
