/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* LVM's configuration language, as LVM's own parser takes it. */
#include <errno.h>
#include <string.h>

#include "tap.h"
#include "volume/lvm/conf.h"

static struct arena arena;

static const struct config_node *parse(const char *text)
{
	struct config_node *root = NULL;

	return config_parse(text, strlen(text), &arena, &root, NULL) ? NULL : root;
}

static const char *mistake(const char *text)
{
	static struct err err;
	struct config_node *root;

	return config_parse(text, strlen(text), &arena, &root, &err) == -EINVAL ? err.text : "none";
}

static void words(void)
{
	const struct config_node *n = parse("o=\"a\"p=\"b\" # \"c\" {\nq = # here too\n 'x\\'y=[] z { } ");

	check_str(config_string(n, "o"), "a");
	check_str(config_string(n, "p"), "b");
	check_str(config_string(n, "q"), "x\\");
	check(config_find(n, "y") && config_find(n, "y")->is_array && !config_find(n, "y")->value);
	check(config_section(n, "z") && !config_section(n, "z")->nr);
	n = parse("a = \"q\\\"b\\\\n\\n#{\" .x{9=1}+ = -2 \"e f\" = @word bare=word");
	check_str(config_string(n, "a"), "q\"b\\n\\n#{");
	check(config_find(config_section(n, ".x"), "9"));
	check(config_find(n, "+")->value->number == -2);
	check_str(config_string(n, "e f"), "@word");
	check_str(config_string(n, "bare"), "word");
	n = parse("s = \"two\nlines\" t = 1");
	check_str(config_string(n, "s"), "two\nlines");
}

static void numbers(void)
{
	const struct config_node *n = parse("a=010 b=9223372036854775807 c=-1 d=1.5 e=0 f=00");
	uint64_t v = 7;

	check(config_u64(n, "a", &v) && v == 8);
	check(config_u64(n, "b", &v) && v == INT64_MAX);
	check(!config_u64(n, "c", &v) && !config_u64(n, "d", &v) && !config_u64(n, "nothing", &v));
	check(config_u64(n, "e", &v) && !v && config_u64(n, "f", &v) && !v);
	n = parse("a=0.5 b=-0.25 c=5.");
	check(config_find(n, "a")->value->kind == CONFIG_FLOAT && config_find(n, "b")->value->kind == CONFIG_FLOAT);
	check(config_find(n, "c")->value->kind == CONFIG_FLOAT);
	check_str(mistake("a = 1.5x"), "line 1: this is not a number");
	check_str(mistake("a = 1x.5"), "line 1: this is not a number");
	check_str(mistake("a = -."), "line 1: this is not a number");
	check_str(mistake("a = -"), "line 1: this is not a number");
	check_str(mistake("a = 0x10"), "line 1: this is not a number");
	check_str(mistake("a =\n1k"), "line 2: this is not a number");
	check_str(mistake("a = 08"), "line 1: this is not a number");
	check_str(mistake("a = 9223372036854775808"), "line 1: this number does not fit into 64 bits");
}

static void arrays(void)
{
	const struct config_node *n = parse("a = [ \"pv0\", 3, # x ]\n \"pv1\", 4, ] b=[1]c=[]");
	const struct config_value *v = config_find(n, "a")->value;

	check_str(v->text, "pv0");
	check(v->next->number == 3 && v->next->next->next->number == 4 && !v->next->next->next->next);
	check(config_has_word(n, "a", "pv1") && !config_has_word(n, "a", "3"));
	check(!config_u64(n, "b", &(uint64_t){ 0 }) && config_find(n, "c")->is_array);
	check_str(mistake("a = [ 1 2 ]"), "line 1: a comma or ] is missing in an array");
	check_str(mistake("a = [ 1"), "line 1: a comma or ] is missing in an array");
	check_str(mistake("a = [ [ 1 ] ]"), "line 1: a name or value is missing");
}

/* A name twice: the last value counts, and sections are merged, also what stands twice in them. */
static void names_twice(void)
{
	const struct config_node *n = parse("a = 1 s { x = 1 y = 2 t { p = 1 } } a = 2 s { x = 3 z = 4 t { q = 1 } }");
	const struct config_node *s = config_section(n, "s");
	uint64_t v;

	check(n->nr == 2 && config_u64(n, "a", &v) && v == 2);
	check(s->nr == 4 && config_u64(s, "x", &v) && v == 3 && config_u64(s, "y", &v) && config_u64(s, "z", &v));
	check(config_section(s, "t")->nr == 2);
	check_str(n->first->name, "a");
	check_str(n->first->next->name, "s");
}

/* What is asked for as something else is not there. */
static void of_another_kind(void)
{
	const struct config_node *n = parse("s { x = 1 } a = [ \"w\" ] w = \"word\" n = 5 'q q' = 3");
	uint64_t v = 7;

	check(!config_section(n, "w") && !config_section(n, "a") && !config_section(NULL, "s"));
	check(!config_u64(n, "s", &v) && !config_u64(n, "w", &v) && v == 7);
	check(!config_string(n, "s") && !config_string(n, "a") && !config_string(n, "n"));
	check(config_u64(n, "q q", &v) && v == 3);
	/* a name that is first a word and then a section, and the reverse */
	n = parse("s = 1 s { x = 2 } s { y = 3 } t { x = 1 } t = 4");
	check(config_section(n, "s")->nr == 2 && config_u64(config_section(n, "s"), "x", &v) && v == 2);
	check(!config_section(n, "t") && config_u64(n, "t", &v) && v == 4);
}

static void mistakes(void)
{
	check_str(mistake("a = \"x\\"), "line 1: a string is not closed");
	check_str(mistake("a {"), "line 1: the text ends inside a section");
	check_str(mistake("a = 1\n}"), "line 2: there is a } without an open section");
	check_str(mistake("a = \"x"), "line 1: a string is not closed");
	check_str(mistake("a"), "line 1: = or { is missing after a name");
	check_str(mistake("a ="), "line 1: the text ends where a value is missing");
	check(parse("") && parse("# only this"));
	for (unsigned depth = 30; depth < 36; depth++) {
		char text[200] = "";

		for (unsigned i = 0; i < depth; i++)
			strcat(text, "a{");
		for (unsigned i = 0; i < depth; i++)
			strcat(text, "}");
		check(!parse(text) == (depth > 32));
	}
}

static const struct test tests[] = {
	{ "names and strings need no blanks between them, and quotes are undone as LVM does it", words },
	{ "a number is decimal, or octal behind a 0, and nothing else", numbers },
	{ "an array has commas, perhaps one at its end, and no array in it", arrays },
	{ "of a name that stands twice the last value counts, and sections are merged", names_twice },
	{ "a section, a word, a number and an array are not taken for each other", of_another_kind },
	{ "a mistake is named with its line, and sections end somewhere", mistakes },
	{ 0 }
};

int main(int argc, char **argv)
{
	int r = tap_main(tests, argc, argv);

	arena_fini(&arena);
	return r;
}
