/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Runs the instructions of a packed block.  Believes nothing: every read and write is bounded. */
#include <string.h>

#include "pdata/block/format.h"
#include "pool/pack/impl.h"

struct coder {
	const uint8_t *in, *end;
	uint64_t base;
	const char *fault;
};

/* Where numbers go: @nr of at most @max so far. */
struct numbers {
	uint64_t *v;
	size_t nr, max;
};

static bool fail(struct coder *c, const char *fault)
{
	c->fault = fault;
	return false;
}

static bool get_le(struct coder *c, unsigned width, uint64_t *v)
{
	le64 le = { 0 };

	if (width != 1 && width != 2 && width != 4 && width != 8)
		return fail(c, "a number of impossible width");
	if ((size_t)(c->end - c->in) < width)
		return fail(c, "the record ends too early");
	memcpy(&le, c->in, width);
	c->in += width;
	*v = le64_get(le);
	return true;
}

static bool emit(struct coder *c, struct numbers *out, uint64_t count)
{
	if (count > out->max - out->nr)
		return fail(c, "more numbers than there is room for");
	for (uint64_t *v = out->v + out->nr, *end = v + count; v < end; v++)
		*v = c->base;
	out->nr += count;
	return true;
}

/* Tags 0 to 4, done @times: the base is set, raised or lowered, and given each time. */
static bool step(struct coder *c, unsigned tag, unsigned n, uint64_t times, struct numbers *out)
{
	uint64_t v = n, base = c->base;

	if (tag > 4)
		return fail(c, "an instruction that cannot be repeated");
	if (tag % 2 == 0 && !get_le(c, n, &v))
		return false;
	if (times > out->max - out->nr)
		return fail(c, "more numbers than there is room for");
	if (tag == 0) {
		base = v;
		v = 0;
	} else if (tag > 2) {
		v = -v;
	}
	for (uint64_t i = 1, *to = out->v + out->nr; i <= times; i++)
		*to++ = base + i * v;
	out->nr += times;
	if (times)
		c->base = base + times * v;
	return true;
}

/*
 * Tags 0 to 4 one after the other, as long as an instruction of any width fits into the record and
 * there is room.  A pool whose blocks lie scattered consists mostly of these.  The next tag and
 * width cannot be predicted, so no branch depends on them. step() does the rest, and finds the
 * wrong ones.
 */
static void many_steps(struct coder *c, struct numbers *out)
{
	static const uint64_t mask[16] = { [1] = 0xff, [2] = 0xffff, [4] = 0xffffffff, [8] = UINT64_MAX };
	const uint8_t *in = c->in;
	uint64_t base = c->base, *v = out->v + out->nr, *end = out->v + out->max;

	for (; v < end && c->end - in >= 9; v++) {
		unsigned tag = *in >> 4, n = *in & 15;
		uint64_t wide = -(uint64_t)(~tag & 1), negative = -(uint64_t)(tag > 2), by;
		le64 le;

		if (tag > 4 || !(mask[n] | ~wide))
			break;
		memcpy(&le, in + 1, sizeof(le));
		by = (le64_get(le) & mask[n] & wide) | (n & ~wide);
		base = (base & -(uint64_t)(tag > 0)) + ((by ^ negative) - negative);
		in += 1 + (n & wide);
		*v = base;
	}
	out->nr = (size_t)(v - out->v);
	c->in = in;
	c->base = base;
}

static bool get_tag(struct coder *c, unsigned *tag, unsigned *n)
{
	if (c->in == c->end)
		return fail(c, "the record ends too early");
	*tag = *c->in >> 4;
	*n = *c->in++ & 15;
	return true;
}

/* One instruction that gives numbers: tags 0 to 8. */
static bool number_instruction(struct coder *c, unsigned tag, unsigned n, struct numbers *out)
{
	uint64_t count = n, low;

	if (tag == 6 || tag == 8) {
		if (!get_le(c, 1, &low))
			return false;
		count = (uint64_t)n << 8 | low;
	}
	if (tag == 5 || tag == 6)
		return emit(c, out, count);
	if (tag == 7 || tag == 8)
		return get_tag(c, &tag, &n) && step(c, tag, n, count, out);
	return step(c, tag, n, 1, out);
}

/* Exactly @nr numbers. */
static bool number_list(struct coder *c, uint64_t *v, size_t nr)
{
	struct numbers out = { .v = v, .max = nr };
	unsigned tag, n;

	for (;;) {
		many_steps(c, &out);
		if (out.nr == nr)
			return true;
		if (!get_tag(c, &tag, &n))
			return false;
		if (tag > 8)
			return fail(c, "bytes where numbers should be");
		if (!number_instruction(c, tag, n, &out))
			return false;
	}
}

static size_t put_numbers(uint8_t *to, const uint64_t *v, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		le64 le = le64_make(v[i]);

		memcpy(to + i * 8, &le, 8);
	}
	return nr * 8;
}

static bool shifted(struct coder *c, unsigned n, uint8_t *to, size_t room, size_t *done)
{
	uint64_t high[MBLOCK_SIZE / 8], low[MBLOCK_SIZE / 8], count;
	size_t i;

	if (!get_le(c, 1, &count))
		return false;
	count |= (uint64_t)n << 8;
	if (count > room / 8)
		return fail(c, "more bytes than a block has");
	if (!number_list(c, high, count) || !number_list(c, low, count))
		return false;
	for (i = 0; i < count; i++)
		high[i] = high[i] << 24 | (low[i] & 0xffffff);
	*done = put_numbers(to, high, count);
	return true;
}

static bool literal(struct coder *c, unsigned tag, unsigned n, uint8_t *to, size_t room,
		    size_t *done)
{
	uint64_t len = n;

	if (tag == 10 && !get_le(c, n, &len))
		return false;
	if (len > room)
		return fail(c, "more bytes than a block has");
	if (len > (size_t)(c->end - c->in))
		return fail(c, "the record ends too early");
	memcpy(to, c->in, len);
	c->in += len;
	*done = len;
	return true;
}

/* One instruction; *@done bytes of at most @room were made at @to. */
static bool instruction(struct coder *c, uint8_t *to, size_t room, size_t *done)
{
	uint64_t v[MBLOCK_SIZE / 8];
	struct numbers out = { .v = v, .max = room / 8 };
	unsigned tag, n;

	if (!get_tag(c, &tag, &n))
		return false;
	if (tag == 11)
		return shifted(c, n, to, room, done);
	if (tag > 11)
		return fail(c, "an unknown instruction");
	if (tag >= 9)
		return literal(c, tag, n, to, room, done);
	if (!number_instruction(c, tag, n, &out))
		return false;
	*done = put_numbers(to, v, out.nr);
	return true;
}

const char *pack_decode(const uint8_t **in, const uint8_t *end, mblock_t *nr, void *block)
{
	struct coder c = { .in = *in, .end = end };
	size_t at = 0, done;

	if (!get_le(&c, 8, nr))
		return c.fault;
	for (; at < MBLOCK_SIZE; at += done) {
		done = 0;
		if (!instruction(&c, (uint8_t *)block + at, MBLOCK_SIZE - at, &done))
			return c.fault;
	}
	*in = c.in;
	return NULL;
}
