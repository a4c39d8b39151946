/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Each case runs in a child, since mistakes end the process. */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "tap.h"

static const struct opt opts[] = {
	{ 'q', "quiet", ARG_NONE, NULL, "say nothing", 'q' },
	{ 'm', "metadata-snap", ARG_OPTIONAL, "BLOCK", "use the metadata snapshot", 'm' },
	{ 0, "metadata-snapshot", ARG_OPTIONAL, "BLOCK", NULL, 'm' },
	{ 'o', "output", ARG_REQUIRED, "FILE", "write to FILE", 'o' },
	{ 0, "size", ARG_REQUIRED, "SIZE",
	  "a help text that is long enough that it has to be wrapped onto a second line", 256 },
	{ 0, "say", ARG_REQUIRED, "TEXT", "a message", 258 },
	{ 0, "form", ARG_REQUIRED, "text|json|html", "how to print", 257 },
	{ 0 },
};

static const struct command cmd = {
	.name = "thin_test",
	.usage = "[options] POOL",
	.summary = "Tests options.",
	.notes = "A paragraph that goes over two lines of the source, of which the first\n"
		 "one is long, is wrapped as a whole:\n"
		 "  a table   stays\n"
		 "  as it     is\n"
		 "\n"
		 "Another one.",
	.opts = opts,
	.min_args = 1,
	.max_args = 2,
	.missing = "No input file provided.",
	.takes_pool = true,
};

struct result {
	int status;
	char text[4000];
};

/* The child prints each option as "id=arg", then the positionals. */
static struct result run(int argc, const char *const *args)
{
	struct result r = { 0 };
	int pipefd[2], st;
	ssize_t n;
	size_t len = 0;
	pid_t pid;

	fflush(stdout);
	check(!pipe(pipefd));
	pid = fork();
	if (!pid) {
		char *argv[20];
		const char *said = NULL;
		struct cli c;
		int id;

		dup2(pipefd[1], 1);
		dup2(pipefd[1], 2);
		for (int i = 0; i < argc; i++)
			argv[i] = strdup(args[i]);
		argv[argc] = NULL;
		cli_init(&c, &cmd, argc, argv);
		while ((id = cli_next(&c))) {
			if (id == 256)
				printf("size=%llu ", (unsigned long long)cli_size(&c, "--size"));
			else if (id == 258)
				said = c.arg;
			else if (id == 257)
				printf("form=%u ", cli_choice(&c, "--form"));
			else
				printf("%c=%s ", id, c.arg ? c.arg : "-");
		}
		if (said)
			cli_error(&c, "%s", said);
		for (int i = 0; i < c.nr_args; i++)
			printf("[%s]", c.args[i]);
		fflush(stdout);
		exit(cli_finish(&c, 0));
	}
	close(pipefd[1]);
	while ((n = read(pipefd[0], r.text + len, sizeof(r.text) - 1 - len)) > 0)
		len += (size_t)n;
	close(pipefd[0]);
	waitpid(pid, &st, 0);
	r.status = WIFEXITED(st) ? WEXITSTATUS(st) : -1;
	return r;
}

#define RUN(...)                                                    \
	({                                                          \
		const char *args_[] = { "thin_test", __VA_ARGS__ }; \
		run((int)ARRAY_SIZE(args_), args_);                 \
	})
#define accepts(want, ...)                           \
	do {                                         \
		struct result r_ = RUN(__VA_ARGS__); \
		check_str(r_.text, want);            \
		check_eq(r_.status, 0);              \
	} while (0)
#define refuses(want, ...)                           \
	do {                                         \
		struct result r_ = RUN(__VA_ARGS__); \
		if (!strstr(r_.text, want))          \
			check_str(r_.text, want);    \
		check_eq(r_.status, 64);             \
	} while (0)

static void both_spellings(void)
{
	accepts("m=7 [p]", "-m7", "p");
	accepts("m=7 [p]", "-m=7", "p");
	accepts("m=7 [p]", "--metadata-snap=7", "p");
	accepts("m=- [p]", "-m", "p");
	accepts("m=- [p]", "--metadata-snapshot", "p");
	accepts("o=f [p]", "-of", "p");
	accepts("o=f [p]", "-o", "f", "p");
	accepts("o=f [p]", "p", "--output=f");
	accepts("o==f [p]", "-o", "=f", "p");
	accepts("o==f [p]", "--output==f", "p");
	accepts("q=- m=3 [p]", "-qm3", "p");
	accepts("q=- m=3 [p]", "-qm=3", "p");
	accepts("q=- o=f [p]", "-qo=f", "p");
	accepts("[-q]", "--", "-q");
	accepts("size=1048576 [p][q]", "--size", "1M", "p", "q");
}

/* lvmsync writes: thin_dump --format xml DEV --metadata-snap N */
static void optional_value_as_a_word(void)
{
	accepts("m=- m=7 [p][q]", "p", "q", "--metadata-snap", "7");
	accepts("m=- m=7 [p][q]", "--metadata-snap", "7", "p", "q");
	accepts("m=- q=- m=07 [p][q]", "p", "-m", "07", "-q", "q");
	accepts("m=- [7]", "--metadata-snap", "7");
	accepts("m=- [7][p]", "-m", "7", "p");
	accepts("m=- [p][q]", "--metadata-snap", "p", "q");
	accepts("m=- [][p]", "--metadata-snap", "", "p");
	refuses("unexpected argument 'q' found", "p", "--metadata-snap", "7", "q", "8");
	refuses("unexpected argument 'x' found", "p", "q", "--metadata-snap", "x");
	refuses("unexpected argument '7' found", "p", "q", "-q", "7", "-m");
	refuses("unexpected argument '7' found", "p", "q", "--metadata-snap=3", "7");
}

static void abbreviations(void)
{
	refuses("unexpected argument '--out' found: write the whole name, '--output'\n", "--out",
		"f", "p");
	refuses("'--out' found: write the whole name, '--output'\n", "p", "--out=f");
	refuses("'--out' found: write the whole name, '--output'\n", "p", "--out");
	refuses("'--qui' found: write the whole name, '--quiet'\n", "--qui", "p");
	refuses("'--qui' found: write the whole name, '--quiet'\n", "p", "--qui=3");
	refuses("'--metadata' found: write the whole name, '--metadata-snap'\n", "--metadata", "p");
	refuses("'--hel' found: write the whole name, '--help'\n", "--hel");
	refuses("'--versi' found: write the whole name, '--version'\n", "--versi=3", "-q");
	refuses("unexpected argument '--io' found\n", "--io", "sync", "p");
}

static void common_options(void)
{
	struct result r = RUN("--version", "--verbose");

	check(strstr(r.text, "\ncompiler: "));
	accepts("[p]", "--io-engine", "sync", "-v", "-v", "p");
	accepts("[p]", "--io-engine", "async", "--io-engine=spindle", "p");
	refuses("unknown io engine type 'x'", "--io-engine=x", "p");
	accepts("1.0.0\nthin_test is part of thin-pool-tools\n", "-V");
	accepts("1.0.0\nthin_test is part of thin-pool-tools\n", "--version", "--nonsense");
}

static void advice(void)
{
	accepts("thin_test: try 'thin_check p'\n[p]", "--say", "try 'thin_check POOL'", "p");
	accepts("thin_test: 'thin_a -i a\\ b\\'c -o F' or 'thin_b a\\ b\\'c', POOL\n[a b'c]", "--say",
		"'thin_a -i POOL -o F' or 'thin_b POOL', POOL", "a b'c");
	accepts("thin_test: 'thin_a p --pool v/g --pv a\\ b --pv c --seqno 7'\n[p]", "--say", "'thin_a POOL'", "p", "--pool=v/g",
		"--pv", "a b", "--pv=c", "--seqno", "7");
	/* left as they are: longer words with POOL in them, text that is no command line, and a pool that cannot be named */
	accepts("thin_test: 'thin_a POOL_tmeta VG/POOL' POOL\n[p]", "--say", "'thin_a POOL_tmeta VG/POOL' POOL", "p");
	accepts("thin_test: 'thin_a POOL\n[p]", "--say", "'thin_a POOL", "p");
	accepts("thin_test: 'thin_a POOLS gr\xc3\xbcn'\n[gr\xc3\xbcn]", "--say", "'thin_a POOLS POOL'", "gr\xc3\xbcn");
	accepts("thin_test: 'thin_a POOL'\n[p]", "--say", "'thin_a POOL'", "p", "--pool", "a\nb");
	accepts("thin_test: 'thin_a POOL'\n[p]", "--say", "'thin_a POOL'", "p", "--pv", "a", "--pv", "b\x7f");
	accepts("thin_test: 'thin_a POOL'\n[-]", "--say", "'thin_a POOL'", "-");
	accepts("thin_test: 'thin_a POOL'\n[a\nb]", "--say", "'thin_a POOL'", "a\nb");
}

static void mistakes(void)
{
	refuses("unexpected argument '--nonsense' found", "--nonsense", "p");
	refuses("unexpected argument '--' found", "--=x", "p");
	refuses("unexpected argument '-z' found", "-z", "p");
	refuses("unexpected argument '-z' found", "-zq", "p");
	refuses("unexpected argument '-z' found", "--size=3", "-zq", "p");
	refuses("unexpected argument '-z' found", "-o", "--strange", "-zq", "p");
	refuses("unexpected argument '-\xc3\xa9' found", "--quiet", "-\xc3\xa9", "p");
	refuses("unexpected argument '-q\xe9' found", "-q\xe9", "\xe9", "p");
	refuses("unexpected argument '-q\xe9' found", "p", "-q\xe9");
	refuses("unexpected argument '-q\xe9' found", "-q\xe9", "-m", "p");
	refuses("unexpected argument '-\xc3\xa9' found", "-o", "--strange", "-\xc3\xa9", "p");
	refuses("unexpected argument 'c' found", "a", "b", "c");
	refuses("No input file provided.", "-q");
	refuses("option '-o' needs a value", "p", "-o");
	refuses("option '--size' needs a value", "p", "--size");
	refuses("option '--output' needs a value", "p", "--output");
	refuses("option '-o' needs a value", "p", "-qo");
	refuses("option '--quiet' takes no value", "--quiet=3", "p");
	refuses("Try 'thin_test --help'", "--quiet=3", "p");
	refuses("--size: invalid value: '1x' has an unknown unit 'x'", "--size=1x", "p");
}

static void choices(void)
{
	accepts("form=0 form=1 form=2 [p]", "--form", "text", "--form=json", "p", "--form=html");
	refuses("--form: invalid value 'jso': it must be text, json or html\n", "--form=jso", "p");
	refuses("--form: invalid value 'html2': it must be text", "--form=html2", "p");
	refuses("--form: invalid value 'text|json': it must be text", "--form=text|json", "p");
	refuses("--form: invalid value 'json|': it must be text", "--form=json|", "p");
	refuses("--form: invalid value '': it must be text", "--form=", "p");
}

static void help(void)
{
	struct result r = RUN("--help");
	const char *line = r.text;

	check_eq(r.status, 0);
	check(!strncmp(r.text, "Usage: thin_test [options] POOL\n", 32));
	check(strstr(r.text, "  -m, --metadata-snap[=BLOCK]"));
	check(strstr(r.text, "  -h, --help"));
	check(!strstr(r.text, "metadata-snapshot"));
	check(strstr(
		r.text,
		"\nA paragraph that goes over two lines of the source, of which the first one is\n"
		"long, is wrapped as a whole:\n  a table   stays\n  as it     is\n\n"
		"Another one.\n\nSee thin_test(8)"));
	for (const char *nl; (nl = strchr(line, '\n')); line = nl + 1)
		check(nl - line < 80);
}

static void exit_codes(void)
{
	check_eq(cli_exit_code(0), 0);
	check_eq(cli_exit_code(-EUCLEAN), 1);
	check_eq(cli_exit_code(-EBADMSG), 1);
	for (int e = 1; e < 134; e++)
		check(cli_exit_code(-e) == 1 || cli_exit_code(-e) == 74);
}

static const struct test tests[] = {
	{ "both generations' spellings of options are taken", both_spellings },
	{ "a number behind an option is its value where it would be an argument too many",
	  optional_value_as_a_word },
	{ "in a command line that a message quotes, POOL is the one that was given", advice },
	{ "long options have no abbreviations, and the whole name is offered", abbreviations },
	{ "every command has -h, -V, -v and --io-engine", common_options },
	{ "a mistake exits 64 and names the word", mistakes },
	{ "a value that is none of the words is refused, and the words are named", choices },
	{ "help fits into 80 columns and leaves out aliases", help },
	{ "no error becomes exit status 2", exit_codes },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
