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

/* What becomes of a number: eight bytes, their upper 40 bits, or their lower 24 beside these. */
enum part { WHOLE, HIGH, LOW };

/* Where numbers go: @nr of at most @max so far. */
struct numbers {
	uint8_t *to; /* of any alignment */
	size_t nr, max;
	enum part part;
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

static inline void put(uint8_t *to, enum part part, uint64_t v)
{
	le64 le = le64_make(part == HIGH ? v << 24 : v);

	if (part == LOW) {
		memcpy(&le, to, sizeof(le));
		le = le64_make(le64_get(le) | (v & 0xffffff));
	}
	memcpy(to, &le, sizeof(le));
}

typedef uint64_t pair __attribute__((vector_size(16)));

/* Puts two numbers; @LOW sets bits of those that stand there. */
static inline void put_pair(uint8_t *to, enum part part, pair v)
{
	pair old = { 0 };

	v = (pair) { htole64(v[0]), htole64(v[1]) };
	if (part == LOW) {
		memcpy(&old, to, sizeof(old));
		v |= old;
	}
	memcpy(to, &v, sizeof(v));
}

#define FEW 16

/*
 * Puts @FEW numbers, of which fewer are wanted: how many there are cannot be predicted where runs are
 * short, so no branch depends on it.  What follows overwrites the rest.
 */
static inline void fill_few(uint8_t *to, pair v, uint64_t step)
{
#pragma GCC unroll 8
	for (unsigned i = 0; i < FEW; i += 2, v += 2 * step)
		put_pair(to + i * 8, WHOLE, v);
}

/* @first, @first + @by and so on, @count of them, at most @room, which all will be put. */
static inline void fill(uint8_t *to, enum part part, uint64_t first, uint64_t by, size_t count,
			size_t room)
{
	/* shifted, the sums stay sums; of lower bits this is true of equal numbers only */
	unsigned shift = part == HIGH ? 24 : 0;
	uint64_t step = by << shift;
	pair v = (pair) { first, first + by } << shift;

	if (part == LOW)
		v &= 0xffffff;
	if (part != LOW && count <= FEW && room >= FEW) {
		fill_few(to, v, step);
		return;
	}
	if (part != LOW || !by) {
		for (; count >= 4; count -= 4, to += 32, v += 4 * step) {
			put_pair(to, part, v);
			put_pair(to + 16, part, v + 2 * step);
		}
		first = v[0] >> shift;
	}
	for (; count; count--, to += 8, first += by)
		put(to, part, first);
}

static bool put_run(struct coder *c, struct numbers *out, uint64_t first, uint64_t by,
		    uint64_t count)
{
	uint8_t *to = out->to + out->nr * 8;

	if (count > out->max - out->nr)
		return fail(c, "more numbers than there is room for");
	fill(to, out->part, first, by, count, out->max - out->nr);
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
	if (tag == 0) {
		base = v;
		v = 0;
	} else if (tag > 2) {
		v = -v;
	}
	if (!put_run(c, out, base + v, v, times))
		return false;
	if (times)
		c->base = base + times * v;
	return true;
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
		return put_run(c, out, c->base, 0, count);
	if (tag == 7 || tag == 8)
		return get_tag(c, &tag, &n) && step(c, tag, n, count, out);
	return step(c, tag, n, 1, out);
}

#define LONGEST (2 + 1 + 8) /* bytes of an instruction that gives numbers */

/*
 * One of tags 0 to 4 at @in.  Which it is cannot be predicted where blocks lie scattered, so no
 * branch depends on it.  False: none of them, or a wrong width.
 */
static inline bool read_step(const uint8_t **in, uint64_t *base, uint64_t *step)
{
	static const uint64_t mask[16] = {
		[1] = 0xff, [2] = 0xffff, [4] = 0xffffffff, [8] = UINT64_MAX
	};
	unsigned tag = **in >> 4, n = **in & 15;
	uint64_t wide = -(uint64_t)(~tag & 1), negative = -(uint64_t)(tag > 2), by;
	le64 le;

	if (tag > 4 || !(mask[n] | ~wide))
		return false;
	memcpy(&le, *in + 1, sizeof(le));
	by = (le64_get(le) & mask[n] & wide) | (n & ~wide);
	*base &= -(uint64_t)(tag > 0);
	*step = (by ^ negative) - negative;
	*in += 1 + (n & wide);
	return true;
}

/* Four times "set to a number of 4 bytes", which is most of a pool whose blocks lie scattered. */
static inline bool read_four(const uint8_t **in, enum part part, uint8_t *to, uint64_t *base)
{
	const uint8_t *p = *in;
	le32 le[4];

	if ((p[0] ^ 4) | (p[5] ^ 4) | (p[10] ^ 4) | (p[15] ^ 4))
		return false;
	for (unsigned i = 0; i < 4; i++) {
		memcpy(&le[i], p + 1 + i * 5, sizeof(le[i]));
		put(to + i * 8, part, le32_get(le[i]));
	}
	*base = le32_get(le[3]);
	*in += 20;
	return true;
}

/*
 * Runs instructions that give numbers as long as any would fit into what is left of the input, they
 * are right, and there is room.  number_instruction() does the rest, and says what is wrong.
 */
static inline __attribute__((always_inline)) void run_part(struct coder *c, struct numbers *out,
							   enum part part)
{
	const uint8_t *in = c->in, *p;
	uint64_t base = c->base, by, count;
	size_t nr = out->nr;
	unsigned two; /* bytes, not one */

	while (nr < out->max && c->end - in >= 2 * LONGEST) {
		uint8_t *to = out->to + nr * 8;
		unsigned tag = *in >> 4, n = *in & 15;

		if (out->max - nr >= 4 && read_four(&in, part, to, &base)) {
			nr += 4;
			continue;
		}
		if (read_step(&in, &base, &by)) {
			base += by;
			put(to, part, base);
			nr++;
			continue;
		}
		if (tag < 5 || tag > 8)
			break;
		p = in + 1;
		two = ~tag & 1;
		count = (uint64_t)n << 8 * two | (*p & -two);
		p += two;
		if (!count || count > out->max - nr)
			break;
		by = 0;
		if (tag > 6) {
			bool set = *p >> 4 == 0;

			if (!read_step(&p, &base, &by))
				break;
			base += by;
			by &= set - (uint64_t)1;
		}
		fill(to, part, base, by, count, out->max - nr);
		base += (count - 1) * by;
		in = p;
		nr += count;
	}
	out->nr = nr;
	c->in = in;
	c->base = base;
}

static void run_many(struct coder *c, struct numbers *out)
{
	if (out->part == WHOLE)
		run_part(c, out, WHOLE);
	else if (out->part == HIGH)
		run_part(c, out, HIGH);
	else
		run_part(c, out, LOW);
}

/* Exactly @nr numbers. */
static bool number_list(struct coder *c, uint8_t *to, size_t nr, enum part part)
{
	struct numbers out = { .to = to, .max = nr, .part = part };
	unsigned tag, n;

	for (;;) {
		run_many(c, &out);
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

static bool shifted(struct coder *c, unsigned n, uint8_t *to, size_t room, size_t *done)
{
	uint64_t count;

	if (!get_le(c, 1, &count))
		return false;
	count |= (uint64_t)n << 8;
	if (count > room / 8)
		return fail(c, "more bytes than a block has");
	*done = count * 8;
	return number_list(c, to, count, HIGH) && number_list(c, to, count, LOW);
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

/* Numbers as long as there are any, or one other instruction, which make *@done bytes of @room. */
static bool instructions(struct coder *c, uint8_t *to, size_t room, size_t *done)
{
	struct numbers out = { .to = to, .max = room / 8, .part = WHOLE };
	unsigned tag, n;

	run_many(c, &out);
	*done = out.nr * 8;
	if (*done)
		return true;
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
	*done = out.nr * 8;
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
		if (!instructions(&c, (uint8_t *)block + at, MBLOCK_SIZE - at, &done))
			return c.fault;
	}
	*in = c.in;
	return NULL;
}
