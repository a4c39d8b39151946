/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * What thin_apply reads.  The first byte chooses between an rbd diff and a qcow2 file.  The diff is read
 * twice, the second time without its data, and both must agree.  The spots of the qcow2 file must cover its
 * disk, and stored clusters can be read.
 */
#include <string.h>

#include "base/units.h"
#include "dev/io.h"
#include "fuzz.h"
#include "volume/image/qcow2_read.h"
#include "volume/image/rbd.h"

#define SPOTS_MAX 2000
#define READ_MAX 4096

struct bytes {
	const uint8_t *data;
	size_t len, at;
};

static int mem_read(void *ctx, void *buf, size_t len, size_t *got, struct err *err)
{
	struct bytes *b = ctx;

	(void)err;
	*got = MIN(len, b->len - b->at);
	if (*got)
		memcpy(buf, b->data + b->at, *got);
	b->at += *got;
	return 0;
}

static int mem_skip(void *ctx, uint64_t len, struct err *err)
{
	struct bytes *b = ctx;

	(void)err;
	b->at += MIN(len, b->len - b->at);
	return 0;
}

static int on_write(void *ctx, uint64_t at, const void *data, size_t len, struct err *err)
{
	(void)data;
	(void)err;
	*(uint64_t *)ctx += len;
	MUST(at + len <= INT64_MAX);
	return 0;
}

static void stream(const uint8_t *data, size_t len)
{
	struct bytes b = { data, len, 0 };
	struct rbd_input in = { mem_read, NULL, &b, "stream" };
	uint64_t written = 0;
	const struct rbd_ops ops = { .write = on_write, .ctx = &written }, none = { 0 };
	struct rbd_stream told, looked;
	struct err err = { 0 };
	int r = rbd_read(&in, &ops, &told, &err), again;

	MUST(r ? err.text[0] : written == told.bytes);
	b.at = 0;
	in.skip = mem_skip;
	again = rbd_read(&in, &none, &looked, NULL);
	MUST(again == r && looked.size == told.size && looked.nr_records == told.nr_records);
}

static void disk(const uint8_t *data, size_t len)
{
	struct io *io = io_mem_new("disk", len ? len : 1);
	uint8_t buf[READ_MAX];
	struct qcow2_spot s;
	struct err err = { 0 };
	struct qcow2 q;
	uint64_t at = 0;
	int r;

	MUST(io);
	if (len)
		memcpy(io_mem_data(io), data, len);
	r = qcow2_open(io, &q, &err);
	MUST(!r || err.text[0]);
	for (unsigned i = 0; !r && at < q.size && i < SPOTS_MAX; i++, at += s.len) {
		if (qcow2_find(&q, at, &s, &err))
			break;
		MUST(s.len && s.len <= q.size - at);
		if (s.kind == QCOW2_DATA)
			MUST(!qcow2_read(&q, &s, buf, MIN(s.len, READ_MAX), at, NULL));
		if (s.kind == QCOW2_COMPRESSED)
			(void)qcow2_read(&q, &s, buf, MIN(s.len, READ_MAX), at, NULL);
	}
	if (!r)
		qcow2_close(&q);
	io_free(io);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!len)
		return 0;
	if (data[0] % 2)
		stream(data + 1, len - 1);
	else
		disk(data + 1, len - 1);
	return 0;
}
