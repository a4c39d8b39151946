/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* For tests of what reads devices of any size: an io whose bytes byte_at() makes, which the test defines. */
#include "dev/io.h"

static uint8_t byte_at(uint64_t at);

static int made_read(struct io *io, void *buf, size_t len, uint64_t at, struct err *e)
{
	uint8_t *p = buf;

	(void)io;
	(void)e;
	for (size_t i = 0; i < len; i++)
		p[i] = byte_at(at + i);
	return 0;
}

static void made_free(struct io *io)
{
	(void)io;
}
