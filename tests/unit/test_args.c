#include "common/base/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static bool quiet, verbose, seed_given;
static const char *output;
static int64_t workers;
static double duration;
static uint64_t seed;

static const struct arg_option options[] = {
    { 'q', "quiet", ARG_FLAG, &quiet, .help = "say less" },
    { 'v', "verbose", ARG_FLAG, &verbose, .help = "say more" },
    { 'o', "output", ARG_TEXT, &output, .value = "DIR", .help = "where" },
    { 0, "workers", ARG_INT, &workers, 1, 64, "N", .help = "how many" },
    { 0, "duration", ARG_NUMBER, &duration, 1, 120, "S", .help = "seconds" },
    { 0, "seed", ARG_UINT64, &seed, .value = "N", .help = "seed", .given = &seed_given },
};
static const struct arg_command command = {
    "shotline test", "FILE...", "A test.", options, sizeof options / sizeof options[0], 1, 2,
};

static enum args_result parse(struct error *err, const char **operands, int *count, const char *const *words)
{
    char *argv[16] = { (char *)(uintptr_t) "shotline" };
    int argc = 1;
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    quiet = verbose = seed_given = false;
    output = "out";
    workers = 2;
    duration = 8;
    seed = 0;
    return args_parse(&command, argc, argv, operands, count, err);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void options_stand_anywhere(void **state)
{
    (void)state;
    struct error err = { 0 };
    const char *operands[16];
    int count = 0;
    assert_int_equal(parse(&err, operands, &count,
                           WORDS("-qv", "one", "-oa", "--workers=3", "--duration", "2.5", "--seed",
                                 "18446744073709551615", "--", "--two")),
                     ARGS_OK);
    assert_int_equal(count, 2);
    assert_string_equal(operands[0], "one");
    assert_string_equal(operands[1], "--two");
    assert_true(quiet && verbose && seed_given);
    assert_string_equal(output, "a");
    assert_int_equal(workers, 3);
    assert_true(duration == 2.5);
    assert_true(seed == UINT64_MAX);
    assert_int_equal(parse(&err, operands, &count, WORDS("-")), ARGS_OK);
    assert_string_equal(output, "out");
    assert_false(seed_given);
}

/* Each mistake names the option, what stood there and what was expected. */
static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *word[3];
        const char *text;
    } cases[] = {
        { { "f", "--workers=0" }, "--workers: \"0\" is not a whole number from 1 to 64" },
        { { "f", "--workers=2x" }, "--workers: \"2x\" is not a whole number from 1 to 64" },
        { { "f", "--workers=99999999999999999999" }, "\"99999999999999999999\" is not" },
        { { "f", "--duration=12x" }, "--duration: \"12x\" is not a number from 1 to 120" },
        { { "f", "--duration=nan" }, "--duration: \"nan\" is not" },
        { { "f", "--seed=-1" }, "--seed: \"-1\" is not" },
        { { "f", "--seed=18446744073709551616" }, "is not a whole number" },
        { { "f", "--seed=" }, "--seed: \"\" is not" },
        { { "f", "--out=x" }, "--out: unknown option" },
        { { "f", "-x" }, "-x: unknown option" },
        { { "f", "--quiet=1" }, "--quiet: takes no value" },
        { { "f", "-o" }, "--output: expected DIR after it" },
        { { "-q" }, "expected FILE..." },
        { { "f", "g", "h" }, "\"h\" is one operand too many" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = { 0 };
        const char *operands[16];
        const char *words[4] = { cases[i].word[0], cases[i].word[1], cases[i].word[2], NULL };
        int count = 0;
        assert_int_equal(parse(&err, operands, &count, words), ARGS_BAD);
        assert_int_equal(err.kind, ERROR_USAGE);
        if (!strstr(err.text, cases[i].text))
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
