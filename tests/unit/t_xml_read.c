/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The samples of xml/good and xml/bad, and what becomes of them when bytes change:
 * always the same events and the same words with and without the fast lane, and however
 * the input is cut into reads.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pool/text/text.h"
#include "record.h"
#include "tap.h"
#include "random.h"

struct outcome {
	struct record rec;
	struct err err;
	int code;
};

static void outcome_fini(struct outcome *o)
{
	outbuf_fini(&o->rec.out);
}

static void read_text(const void *text, size_t len, const struct xml_options *opt,
		      struct outcome *o)
{
	struct events e = { &record_ops, &o->rec };
	int fd = memfd_create("xml", 0);

	check(fd >= 0 && write(fd, text, len) == (ssize_t)len && lseek(fd, 0, SEEK_SET) == 0);
	o->code = xml_read(fd, "in.xml", opt, &e, &o->err);
	close(fd);
	outbuf_add(&o->rec.out, "", 1);
}

/* Both have seen the same and said the same. */
static bool same(const struct outcome *a, const struct outcome *b)
{
	return a->code == b->code && !strcmp(a->rec.out.data, b->rec.out.data) &&
	       !strcmp(a->err.text, b->err.text);
}

static bool same_without_lane(const void *text, size_t len, size_t read_len)
{
	struct outcome fast = { 0 }, slow = { 0 };
	bool ok;

	read_text(text, len, &(struct xml_options){ .read_len = read_len }, &fast);
	read_text(text, len, &(struct xml_options){ .no_fast_lane = true }, &slow);
	ok = same(&fast, &slow);
	if (!ok)
		printf("# lane: %d %s\n# expat: %d %s\n", fast.code, fast.err.text, slow.code,
		       slow.err.text);
	outcome_fini(&fast);
	outcome_fini(&slow);
	return ok;
}

struct sample {
	char name[300];
	char *text; /* NUL-terminated */
	size_t len;
};

static void sample_load(struct sample *s, const char *folder, const char *name)
{
	const char *src = getenv("abs_top_srcdir");
	FILE *f;

	snprintf(s->name, sizeof(s->name), "%s/xml/%s/%s", src ? src : ".", folder, name);
	f = fopen(s->name, "r");
	check(f);
	s->text = calloc(1, 1 << 20);
	check(s->text);
	s->len = fread(s->text, 1, (1 << 20) - 1, f);
	fclose(f);
}

static int is_xml(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 4 && !strcmp(d->d_name + n - 4, ".xml");
}

/* Calls @fn for each sample of the folder, which must hold some. */
static void each_sample(const char *folder, void (*fn)(const struct sample *s))
{
	const char *src = getenv("abs_top_srcdir");
	struct sample s = { 0 };
	struct dirent **names;
	char path[4096];
	int i, n;

	snprintf(path, sizeof(path), "%s/xml/%s", src ? src : ".", folder);
	n = scandir(path, &names, is_xml, alphasort);
	check(n > 0);
	for (i = 0; i < n; i++) {
		sample_load(&s, folder, names[i]->d_name);
		fn(&s);
		free(s.text);
		free(names[i]);
	}
	free(names);
}

static void good_one(const struct sample *s)
{
	struct outcome o = { 0 };

	read_text(s->text, s->len, NULL, &o);
	if (o.code)
		printf("# %s: %s\n", s->name, o.err.text);
	check_eq(o.code, 0);
	check(strstr(o.rec.out.data, "end pool\n"));
	outcome_fini(&o);
}

static void good_samples(void)
{
	each_sample("good", good_one);
}

/* Takes ", byte B" out of @message; that byte must lie in the line that is named beside it. */
static void without_byte(const struct sample *s, char *message)
{
	char *at = strstr(message, ", byte "), *end;
	unsigned long long line, byte, lines = 1;

	check(at && sscanf(message, "in.xml: line %llu, byte %llu", &line, &byte) == 2);
	check(byte <= s->len);
	for (unsigned long long i = 0; i < byte; i++)
		lines += s->text[i] == '\n';
	check_eq(lines, line);
	end = strchr(at + 1, ':');
	memmove(at, end, strlen(end) + 1);
}

/* The first line of a bad sample is <!-- expect: TEXT -->. */
static void bad_one(const struct sample *s)
{
	const char *from = strstr(s->text, "expect: "), *to = strstr(s->text, " -->\n");
	struct outcome o = { 0 };
	char want[500];

	check(from && to > from);
	snprintf(want, sizeof(want), "in.xml: %.*s", (int)(to - from - 8), from + 8);
	read_text(s->text, s->len, NULL, &o);
	without_byte(s, o.err.text);
	if (strcmp(o.err.text, want) != 0)
		printf("# %s\n", s->name);
	check_str(o.err.text, want);
	check(o.code == -EINVAL);
	check(!strstr(o.rec.out.data, "end pool\n"));
	outcome_fini(&o);
}

static void bad_samples(void)
{
	each_sample("bad", bad_one);
}

static void lane_one(const struct sample *s)
{
	static const size_t len[] = { 0, 1, 2, 3, 7, 64, 255, 256, 257, 1000, 4096 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(len); i++) {
		bool ok = same_without_lane(s->text, s->len, len[i]);

		if (!ok)
			printf("# %s read by %zu\n", s->name, len[i]);
		check(ok);
	}
}

static void lane_is_equal(void)
{
	each_sample("good", lane_one);
	each_sample("bad", lane_one);
}

static void split_anywhere(void)
{
	struct sample s = { 0 };
	size_t n;

	sample_load(&s, "good", "shared.xml");
	for (n = 1; n < s.len + 2; n++)
		check(same_without_lane(s.text, s.len, n));
	free(s.text);
}

static void cut_one(const struct sample *s)
{
	size_t step = s->len / 100 + 1, n;

	for (n = 0; n < s->len; n += step)
		check(same_without_lane(s->text, n, n % 5 ? 0 : 300));
}

static void cut_anywhere(void)
{
	each_sample("good", cut_one);
}

/* Changes @text (room for twice @len and 64 bytes) a little; returns the new length. */
static size_t mutate(char *text, size_t len, uint64_t *seed)
{
	static const char *const bits[] = {
		"<", ">", "\"", "/", " ", "\n", "\r", "0", "9", "99999999999999999999", "<!--",
		"-->", "<![CDATA[", "]]>", "&#49;", "</device>", "<ref name=\"33\"/>", "time=\"1\"",
		"<single_mapping origin_block=\"9\" data_block=\"9\" time=\"1\"/>", "\0x",
		"<range_mapping origin_begin=\"5\" data_begin=\"5\" length=\"0\" time=\"1\"/>",
	};
	size_t at = random_next(seed) % len, n = random_next(seed) % 40;
	const char *bit = bits[random_next(seed) % ARRAY_SIZE(bits)];

	n = MIN(n, len - at);
	switch (random_next(seed) % 4) {
	case 0:
		text[at] = (char)random_next(seed);
		return len;
	case 1:
		memmove(text + at, text + at + n, len - at - n);
		return len - n;
	case 2:
		memmove(text + at + n, text + at, len - at);
		return len + n;
	default:
		n = *bit ? strlen(bit) : 1;
		memmove(text + at + n, text + at, len - at);
		memcpy(text + at, bit, n);
		return len + n;
	}
}

static void mutated_one(const struct sample *s)
{
	uint64_t seed = 88172645463325252 + s->len;
	char *text = malloc(s->len * 2 + 4096);
	size_t len;
	int i, k;

	check(text);
	for (i = 0; i < 150 && s->len > 200 && s->len < 20000; i++) {
		uint64_t began = seed;

		memcpy(text, s->text, s->len);
		len = s->len;
		for (k = 0; k < 1 + i % 3; k++)
			len = mutate(text, len, &seed);
		if (!same_without_lane(text, len, i % 4 ? 0 : 100)) {
			printf("# %s, seed %llu, %d changes\n", s->name, (unsigned long long)began,
			       1 + i % 3);
			check(false);
		}
	}
	free(text);
}

static void mutations(void)
{
	each_sample("good", mutated_one);
}

static void zero_length_is_dropped(void)
{
	struct sample s = { 0 };
	struct outcome o = { 0 };

	sample_load(&s, "good", "lenient-zero-length.xml");
	read_text(s.text, s.len, NULL, &o);
	check(strstr(o.rec.out.data, "\n5 5 1 1\nend device\n"));
	outcome_fini(&o);
	free(s.text);
}

static void lenient_spelling(void)
{
	struct sample s = { 0 };
	struct outcome o = { 0 };

	sample_load(&s, "good", "lenient-spelling.xml");
	read_text(s.text, s.len, NULL, &o);
	check_str(o.rec.out.data, "pool  2 5 0 0 0 128 100 0\n"
				  "device 1 99 1 0 1\n"
				  "7 20 1 1\n8 21 2 1\n10 23 1 1\n11 24 1 1\n12 25 1 1\n"
				  "end device\n"
				  "device 2 0 1 0 1\nend device\n"
				  "def 18446744073709551615\n1 1 1 1\nend def\n"
				  "def 18446744073709551614\n2 2 1 1\nend def\n"
				  "def 7\nend def\n"
				  "device 3 2 1 0 2\n"
				  "ref 18446744073709551615\nref 18446744073709551614\nref 7\n"
				  "end device\n"
				  "end pool\n");
	outcome_fini(&o);
	free(s.text);
}

#define POOL_TAG "<superblock uuid=\"\" time=\"1\" transaction=\"1\" data_block_size=\"128\" nr_data_blocks=\"100\">\n"
#define DEVICE_TAG "<device dev_id=\"1\" mapped_blocks=\"6\" transaction=\"1\" creation_time=\"0\" snap_time=\"1\">\n"

/* Reads the text with the fast lane and without; the events, or the words of the refusal. */
static const char *told(const char *text)
{
	static char got[4000];
	struct outcome o = { 0 };

	check(same_without_lane(text, strlen(text), 0));
	read_text(text, strlen(text), NULL, &o);
	snprintf(got, sizeof(got), "%s", o.code ? o.err.text : o.rec.out.data);
	outcome_fini(&o);
	return got;
}

/* The lane takes elements only where many bytes follow. */
static const char *padded(const char *text)
{
	static char all[4000];

	snprintf(all, sizeof(all), "%s%600s", text, "\n");
	return all;
}

/* "1" and "01" are two names, and so are numbers above 2^63 and none at all. */
static void names_of_parts(void)
{
	static const char *const names[] = { "1", "01", "00", "0", "", "9223372036854775808", "18446744073709551615" };
	char text[4000] = "<?xml version=\"1.0\"?>\n" POOL_TAG, want[200], *p;
	const char *got;

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		sprintf(text + strlen(text), "<def name=\"%s\">\n<single_mapping origin_block=\"%u\" data_block=\"%u\" "
			"time=\"0\"/>\n</def>\n", names[i], i, i + 10);
	strcat(text, DEVICE_TAG);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		sprintf(text + strlen(text), "<ref name=\"%s\"%s/>\n", names[i], i == 0 ? " " : "");
	strcat(text, "</device>\n</superblock>\n");
	got = told(padded(text));
	/* each reference has the number that its def has */
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		sprintf(want, "\n%u %u 1 0\nend def\n", i, i + 10);
		p = strstr(got, want);
		check(p);
		for (*p = 0; p > got && p[-1] != '\n'; p--)
			;
		check(!strncmp(p, "def ", 4));
		sprintf(want, "ref %s\n", p + 4);
		p[strlen(p)] = '\n';
		check(strstr(got, want));
	}
}

static void words_of_refusals(void)
{
	check(strstr(told(POOL_TAG "<d\xc3\xa9v/></superblock>"), "<d??v> is not an element of thin-pool metadata"));
	check(strstr(told(POOL_TAG DEVICE_TAG "<ref nam=\"1\"/></device>"), "<ref>"));
	check(strstr(told(POOL_TAG "<![CDATA[ x"), "it has been cut off"));
	check(strstr(told(POOL_TAG "<!-- \xc3"), "it has been cut off"));
	check(strstr(told(POOL_TAG "\xc3"), "it has been cut off"));
	check(strstr(told("a\xff<superblock/>"), "not well-formed"));
	check(strstr(told(padded(POOL_TAG DEVICE_TAG "<single_mapping origin_block=\"0\" data_block=\"5000\" time=\"0\"/>\n")),
		     "data blocks 5000 + 1 are beyond the end of the data device (100)"));
}

static void overrides(void)
{
	struct pool_overrides ov = { .has_transaction = true, .has_data_block_size = true,
				     .has_nr_data_blocks = true, .transaction = 3,
				     .data_block_size = 256, .nr_data_blocks = 31 };
	struct xml_options opt = { .overrides = &ov };
	struct outcome o = { 0 }, small = { 0 }, odd = { 0 };
	struct sample s = { 0 };

	sample_load(&s, "good", "tiny.xml");
	read_text(s.text, s.len, &opt, &o);
	check_eq(o.code, 0);
	check(!strncmp(o.rec.out.data, "pool  2 3 0 2 1 256 31 0\n", 25));
	ov.nr_data_blocks = 30;
	read_text(s.text, s.len, &opt, &small);
	check_str(small.err.text,
		  "in.xml: line 11, byte 669: data blocks 30 + 1 are beyond the end of the data "
		  "device (30)");
	ov.data_block_size = 100;
	read_text(s.text, s.len, &opt, &odd);
	check_str(odd.err.text, "data block size of 100 sectors: it must be a multiple of 128 "
				"sectors from 128 to 2097152");
	check_eq(odd.rec.out.len, 1);
	outcome_fini(&o);
	outcome_fini(&small);
	outcome_fini(&odd);
	free(s.text);
}

static void sink_errors(void)
{
	struct sample s = { 0 };
	unsigned i;

	sample_load(&s, "good", "shared.xml");
	for (i = 1; i < 20; i++) {
		struct outcome o = { .rec.fail_at = i };

		read_text(s.text, s.len, NULL, &o);
		check(o.code == -ENOSPC);
		check_str(o.err.text, "the sink is full");
		outcome_fini(&o);
	}
	free(s.text);
}

static void binary_is_named(void)
{
	char block[4096] = { 0 };
	struct outcome o = { 0 };

	memcpy(block + 32, "\xba\x52\x9c\x01\0\0\0\0", 8);
	read_text(block, sizeof(block), NULL, &o);
	check_str(o.err.text, "in.xml is binary metadata, not XML: 'thin_dump POOL -o FILE' converts it to XML");
	outcome_fini(&o);
}

static void endless_tag(void)
{
	size_t len = 24 << 20;
	char *text = malloc(len);
	struct outcome o = { 0 };

	check(text);
	memset(text, 'a', len);
	memcpy(text, "<superblock uuid=\"", 18);
	read_text(text, len, NULL, &o);
	check_str(o.err.text, "in.xml: line 1, byte 0: a tag, a comment or other item of more than 16 MiB");
	outcome_fini(&o);
	free(text);
}

static void unreadable(void)
{
	struct record rec = { 0 };
	struct events e = { &record_ops, &rec };
	struct err err = { 0 };
	int fd = open("/", O_RDONLY | O_DIRECTORY);

	check(fd >= 0);
	check(xml_read(fd, "dir", NULL, &e, &err) == -EISDIR);
	check_str(err.text, "cannot read dir: Is a directory");
	close(fd);
}

static const struct test tests[] = {
	{ "every good sample is read", good_samples },
	{ "every bad sample is refused with the line and words it names", bad_samples },
	{ "the fast lane changes nothing, for any sample and size of reads", lane_is_equal },
	{ "the fast lane changes nothing, wherever a read ends", split_anywhere },
	{ "the fast lane changes nothing in files that were cut off", cut_anywhere },
	{ "the fast lane changes nothing in samples with random changes", mutations },
	{ "ranges of length zero are dropped", zero_length_is_dropped },
	{ "prolog, doctype, comments, CDATA, text and odd spellings are accepted",
	  lenient_spelling },
	{ "parts whose names are written differently are different parts", names_of_parts },
	{ "a refusal names what is wrong, whatever bytes stand there", words_of_refusals },
	{ "overrides replace what the XML says, and are checked", overrides },
	{ "what the sink refuses is returned as it is", sink_errors },
	{ "binary metadata is named as such", binary_is_named },
	{ "an endless tag is refused", endless_tag },
	{ "a read error is returned", unreadable },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
