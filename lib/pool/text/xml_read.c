/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * XML in.  libexpat is the authority; the fast lane (xml_fast.c) may take canonical
 * mapping elements out of the buffer in front of it.
 *
 * The lane changes nothing that expat could know: it begins only where the last thing
 * expat did was to finish a tag that ends exactly at the last byte it has been given,
 * inside of <device> or <def>, and it takes whole empty elements and white space.  So
 * expat is between two tokens, in element content, and what it never sees would have
 * left it there.  To get to such places the buffer is given to expat in pieces that end
 * with the tag before the next mapping element; where that turns out to have been in a
 * comment or the like, the next pieces are long ones.
 *
 * Entities: none are accepted but the predefined ones, so that nothing can be
 * multiplied; nothing outside of the file is ever read.
 */
#include "pool/text/text.h"

#include <errno.h>
#include <expat.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/le.h"
#include "pool/text/xml_fast.h"
#include "pool/text/xml_grammar.h"

#define READ_LEN ((size_t)256 << 10)
#define TOKEN_MAX (16 << 20)	     /* bytes of one tag, comment or the like */
#define LONG_PIECE ((size_t)64 << 10) /* after a piece that did not end in content */
#define PADDING 64

#if XML_MAJOR_VERSION == 2 && XML_MINOR_VERSION < 9 /* before these names */
#define XML_GetCurrentByteIndex64 XML_GetCurrentByteIndex
#define XML_GetCurrentByteCount64 XML_GetCurrentByteCount
#define XML_GetCurrentLineNumber64 XML_GetCurrentLineNumber
#endif

struct reader {
	int fd;
	const char *name;
	struct err *err;
	int code; /* of a handler that stopped expat */
	XML_Parser parser;
	struct xml_grammar grammar;
	struct xml_rules rules;

	char *buf; /* [pos, len) is still to be parsed */
	size_t pos, len, cap, read_len;
	bool eof;

	bool lane;	/* wanted, and the encoding is one in which ASCII is ASCII */
	bool no_place;	/* the last piece did not end in content */
	int64_t fed;	/* bytes given to expat */
	int64_t tag_end; /* where the last tag ended, in those */
	uint64_t lines_fed, lines_taken; /* line ends that expat and the lane had */
	uint64_t taken;	/* bytes that the lane had */
	bool cr;	/* the last byte fed was a carriage return */
};

/* Puts "NAME: line N, byte B: " before the text of a broken rule: XML may be one long line. */
static int at_place(struct reader *r, uint64_t line, uint64_t byte)
{
	return err_prefix(r->err, -EINVAL, "%s: line %llu, byte %llu", r->name,
			  (unsigned long long)line, (unsigned long long)byte);
}

static int at_expat(struct reader *r)
{
	int64_t byte = XML_GetCurrentByteIndex64(r->parser); /* -1: it had nothing yet */

	return at_place(r, XML_GetCurrentLineNumber64(r->parser) + r->lines_taken,
			(uint64_t)MAX(byte, 0) + r->taken);
}

static int parse_failed(struct reader *r, const char *what)
{
	err_set(r->err, -EINVAL, "%s", what);
	return at_expat(r);
}

/* After a handler: keeps where the tag ends, or stops expat. */
static void handled(struct reader *r, int code)
{
	r->tag_end = XML_GetCurrentByteIndex64(r->parser) + XML_GetCurrentByteCount64(r->parser);
	if (code >= 0)
		return;
	r->code = r->rules.broken ? at_expat(r) : code;
	XML_StopParser(r->parser, XML_FALSE);
}

static void on_start(void *ctx, const XML_Char *name, const XML_Char **atts)
{
	struct reader *r = ctx;

	if (!r->code)
		handled(r, grammar_start(&r->grammar, name, (const char *const *)atts));
}

static void on_end(void *ctx, const XML_Char *name)
{
	struct reader *r = ctx;

	(void)name;
	if (!r->code)
		handled(r, grammar_end(&r->grammar));
}

static void on_entity(void *ctx, const XML_Char *name, int parameter, const XML_Char *value,
		      int len, const XML_Char *base, const XML_Char *system_id,
		      const XML_Char *public_id, const XML_Char *notation)
{
	struct reader *r = ctx;

	(void)name, (void)parameter, (void)value, (void)len;
	(void)base, (void)system_id, (void)public_id, (void)notation;
	if (r->code)
		return;
	r->code = parse_failed(r, "entities may not be declared");
	XML_StopParser(r->parser, XML_FALSE);
}

static void on_declaration(void *ctx, const XML_Char *version, const XML_Char *encoding, int alone)
{
	static const char *const ascii[] = { "UTF-8", "US-ASCII", "ISO-8859-1" };
	struct reader *r = ctx;
	size_t i;

	(void)version, (void)alone;
	for (i = 0; encoding && i < ARRAY_SIZE(ascii); i++)
		if (!strcasecmp(encoding, ascii[i]))
			return;
	if (encoding)
		r->lane = false;
}

/* Moves what is left to the front and reads on until there is at least one more byte. */
static int refill(struct reader *r)
{
	ssize_t n;

	memmove(r->buf, r->buf + r->pos, r->len - r->pos);
	r->len -= r->pos;
	r->pos = 0;
	do
		n = read(r->fd, r->buf + r->len, MIN(r->cap - r->len, r->read_len));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(r->err, -errno, "cannot read %s", r->name);
	r->eof = !n;
	r->len += (size_t)n;
	memset(r->buf + r->len, 0, PADDING);
	return 0;
}

/* As expat counts: a line feed, or a carriage return with or without one. */
static uint64_t count_lines(const char *p, size_t len, bool *cr)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		n += p[i] == '\r' || (p[i] == '\n' && !*cr);
		*cr = p[i] == '\r';
	}
	return n;
}

static int expat_error(struct reader *r, bool final)
{
	enum XML_Error e = XML_GetErrorCode(r->parser);

	if (e == XML_ERROR_NO_MEMORY)
		return err_nomem(r->err, "XML parser");
	if (!r->grammar.pool_seen && final && e == XML_ERROR_NO_ELEMENTS)
		return parse_failed(r, "there is no <superblock>");
	if (final && (e == XML_ERROR_NO_ELEMENTS || e == XML_ERROR_UNCLOSED_TOKEN ||
		      e == XML_ERROR_UNCLOSED_CDATA_SECTION || e == XML_ERROR_PARTIAL_CHAR))
		return parse_failed(r, "the XML ends before </superblock>: it has been cut off");
	if (e == XML_ERROR_JUNK_AFTER_DOC_ELEMENT)
		return parse_failed(r, "there is more after </superblock>");
	return parse_failed(r, XML_ErrorString(e));
}

/* Gives the next @n bytes of the buffer to expat; @final: they are the last. */
static int give_expat(struct reader *r, size_t n, bool final)
{
	int64_t at;

	if (r->lane)
		r->lines_fed += count_lines(r->buf + r->pos, n, &r->cr);
	r->fed += (int64_t)n;
	if (XML_Parse(r->parser, r->buf + r->pos, (int)n, final) != XML_STATUS_OK)
		return r->code ? r->code : expat_error(r, final);
	r->pos += n;
	at = XML_GetCurrentByteIndex64(r->parser);
	if (r->fed - MAX(at, 0) > TOKEN_MAX)
		return parse_failed(r, "a tag, a comment or other item of more than 16 MiB");
	return 0;
}

static bool in_content(const struct reader *r)
{
	return (r->grammar.where == XML_IN_DEVICE || r->grammar.where == XML_IN_DEF) &&
	       r->tag_end == r->fed;
}

static int take_lane(struct reader *r)
{
	struct xml_fast f = { .at = r->buf + r->pos };
	int e = xml_fast_take(&r->rules, &f, r->buf + r->len, r->grammar.where == XML_IN_DEVICE);

	r->taken += (uint64_t)(f.at - r->buf) - r->pos;
	r->pos = (size_t)(f.at - r->buf);
	r->lines_taken += f.lines;
	if (e < 0 && r->rules.broken)
		return at_place(r, 1 + r->lines_fed + r->lines_taken,
				(uint64_t)r->fed + r->taken);
	return e;
}

/* How much of the buffer expat gets at once: up to where the lane could go on. */
static size_t piece_len(const struct reader *r)
{
	const char *p = r->buf + r->pos, *end = r->buf + r->len, *at;
	size_t begin = r->no_place ? LONG_PIECE : 1;

	if (!r->lane || begin >= (size_t)(end - p))
		return (size_t)(end - p);
	at = xml_fast_find(p + begin, end);
	return (size_t)((at ? at : end) - p);
}

static int parse_all(struct reader *r)
{
	size_t n;
	int e = 0;

	for (;;) {
		if (r->len - r->pos < XML_FAST_ROOM && !r->eof) {
			e = refill(r);
			if (e < 0)
				return e;
			continue;
		}
		if (r->pos == r->len)
			return give_expat(r, 0, true);
		if (r->lane && in_content(r)) {
			e = take_lane(r);
			if (e < 0)
				return e;
			if (r->pos == r->len || (r->len - r->pos < XML_FAST_ROOM && !r->eof))
				continue;
		}
		n = piece_len(r);
		r->no_place = r->pos + n < r->len;
		e = give_expat(r, n, false);
		if (e < 0)
			return e;
		r->no_place = r->no_place && !in_content(r);
	}
}

/* Names an input that is no XML at all, before expat calls it "not well-formed". */
static int look_at_start(struct reader *r)
{
	struct disk_superblock sb;
	const unsigned char *u;
	int e = 0;

	while (!e && !r->eof && r->len < 64)
		e = refill(r);
	if (e < 0)
		return e;
	u = (const unsigned char *)r->buf;
	if (r->len >= 64) {
		memcpy(&sb, r->buf, 64);
		if (le64_get(sb.magic) == THIN_MAGIC)
			return err_set(r->err, -EINVAL,
				       "%s is binary metadata, not XML: 'thin_dump POOL -o FILE' "
				       "converts it to XML",
				       r->name);
	}
	if (r->len < 2 || !u[0] || !u[1] || u[0] >= 0xfe || u[1] >= 0xfe)
		r->lane = false; /* UTF-16 */
	return 0;
}

static int reader_init(struct reader *r, const struct events *to)
{
	r->cap = xml_room(r->fd, MAX(r->read_len, READ_LEN));
	r->buf = malloc(r->cap + PADDING);
	r->parser = XML_ParserCreate(NULL);
	if (!r->buf || !r->parser)
		return err_nomem(r->err, "XML parser");
	XML_SetUserData(r->parser, r);
	XML_SetElementHandler(r->parser, on_start, on_end);
	XML_SetEntityDeclHandler(r->parser, on_entity);
	XML_SetXmlDeclHandler(r->parser, on_declaration);
	r->grammar.rules = &r->rules;
	r->grammar.err = r->err;
	return rules_init(&r->rules, to, r->err);
}

static void reader_free(struct reader *r)
{
	rules_fini(&r->rules);
	grammar_fini(&r->grammar);
	if (r->parser)
		XML_ParserFree(r->parser);
	free(r->buf);
	free(r);
}

/* Checked here and not where the element is read, because no line of the input is wrong. */
static int check_overrides(const struct pool_overrides *o, struct err *err)
{
	if (o && o->has_data_block_size && !data_block_size_ok(o->data_block_size))
		return err_set(err, -EINVAL,
			       "data block size of %llu sectors: it must be a multiple of %d "
			       "sectors from %d to %d",
			       (unsigned long long)o->data_block_size, DATA_BLOCK_SECTORS_MIN,
			       DATA_BLOCK_SECTORS_MIN, DATA_BLOCK_SECTORS_MAX);
	return 0;
}

int xml_read(int fd, const char *name, const struct xml_options *opt, const struct events *to,
	     struct err *err)
{
	struct reader *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return err_nomem(err, "XML reader");
	r->fd = fd;
	r->name = name;
	r->err = err;
	r->lane = !opt || !opt->no_fast_lane;
	r->grammar.overrides = opt ? opt->overrides : NULL;
	r->read_len = opt && opt->read_len ? opt->read_len : READ_LEN;
	e = check_overrides(r->grammar.overrides, err);
	if (!e)
		e = reader_init(r, to);
	if (!e)
		e = look_at_start(r);
	if (!e)
		e = parse_all(r);
	if (!e)
		e = rules_end_pool(&r->rules);
	reader_free(r);
	return e;
}
